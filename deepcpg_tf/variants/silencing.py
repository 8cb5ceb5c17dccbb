"""What becomes of predictions when a filter is silenced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.models.base import array_specs

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

Floats = npt.NDArray[np.float32]


class Silencer:
    """Predicts windows with one filter after the other silent.

    The first convolution is computed once, and where another follows, so is that one: what a
    filter adds to it is taken away again. Pooling keeps filters apart.

    Parameters
    ----------
    model
        One that reads windows.
    """

    def __init__(self, model: MethylationModel) -> None:
        first, second = _split(model.parts[DNA].layers)
        following = second[0] if _is_convolution(second[0]) else None
        rest = second if following is None else second[1:]
        cells = len(model.cells)

        @tf.function(input_signature=[array_specs(model.reads)])
        def begin(arrays: Any) -> Any:
            x = model.part_input(DNA, arrays)
            for layer in first:
                x = layer(x, training=False)
            whole = x if following is None else following(x, training=False)
            return x, whole, model.embed_parts(arrays, but=DNA)

        @tf.function
        def finish(x: Any, whole: Any, others: Any, silent: Any) -> Any:
            own = tf.gather(x, [silent], axis=-1)
            if following is None:
                shown = tf.one_hot(silent, x.shape[-1], dtype=x.dtype, on_value=0.0, off_value=1.0)
                x = whole * shown
            else:
                kernel = tf.cast(following.kernel, own.dtype)
                added = tf.nn.conv1d(own, tf.gather(kernel, [silent], axis=1), 1, "VALID")
                x = whole - added
            for layer in rest:
                x = layer(x, training=False)
            parts = {name: others.get(name, x) for name in model.parts}
            return tf.sigmoid(model.head(model.join(parts))[:, :cells])

        self._begin, self._finish = begin, finish
        self._filters = first[0].kernel.shape[-1]

    def probabilities(self, arrays: Arrays) -> Iterator[Floats]:
        """Yield the probabilities [n, cells] with each filter silent, in the order of filters."""
        tensors = {name: tf.constant(array) for name, array in arrays.items()}
        x, whole, others = self._begin(tensors)
        for i in range(self._filters):
            yield self._finish(x, whole, others, tf.constant(i)).numpy()


def _split(layers: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return the layers up to the first pooling, which keep filters apart, and those after."""
    own = [layer for layer in layers if type(layer).__name__ != "InputLayer"]
    end = next(i for i, layer in enumerate(own) if hasattr(layer, "pool_size")) + 1
    return own[:end], own[end:]


def _is_convolution(layer: Any) -> bool:
    return hasattr(layer, "kernel_size")
