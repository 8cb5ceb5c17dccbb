"""What is explained of a prediction: one number of all cells, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import tensorflow as tf

from deepcpg_tf.configs.names import DNA

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel, Tensors

Summary = Literal["mean", "var"]
"""Of the cells."""


class Target:
    """The mean or the variance over some cells of a model, of a sequence and what is beside it.

    Parameters
    ----------
    model
        One that reads windows.
    cells
        Which columns of its logits.
    summary
        ``"mean"`` or ``"var"``, the latter divided by the number of cells.
    probabilities
        Whether of probabilities rather than of logits.
    """

    def __init__(
        self,
        model: MethylationModel,
        cells: Sequence[int],
        summary: Summary,
        *,
        probabilities: bool = False,
    ) -> None:
        self.model, self.summary = model, summary
        self._columns = tf.constant(cells, tf.int32)
        self._probabilities = probabilities

    def beside(self, arrays: Tensors) -> dict[str, tf.Tensor]:
        """Return the embeddings of the other parts, float32, which stay as they are."""
        embeddings = self.model.embed_parts(arrays, but=DNA)
        return {name: tf.cast(one, tf.float32) for name, one in embeddings.items()}

    def of(self, one_hot: tf.Tensor, beside: Tensors) -> tf.Tensor:
        """Return the number of each site, float32 [n]."""
        dna = self.model.parts[DNA](one_hot, training=False)
        logits = self.model.head(self.model.join({DNA: dna, **beside}))
        return self.of_logits(logits)

    def of_logits(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the number of each site, given the logits of all outputs [n, units]."""
        values = self.of_cells(logits)
        if self.summary == "mean":
            return tf.reduce_mean(values, axis=1)
        return tf.math.reduce_variance(values, axis=1)

    def of_cells(self, logits: tf.Tensor) -> tf.Tensor:
        """Return what the number is of, [n, cells], given the logits of all outputs."""
        values = tf.gather(logits, self._columns, axis=1)
        return tf.sigmoid(values) if self._probabilities else values

    def gradient(self, one_hot: tf.Tensor, beside: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the number of each site [n], and its gradient [n, length, channels]."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(one_hot)
            value = self.of(one_hot, beside)
        return value, tape.gradient(value, one_hot)
