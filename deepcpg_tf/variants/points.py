"""What one base changes in the DNA part of many windows, computed of what it changes alone.

Windows of neighbouring sites that start the same number of bases apart as all pools together read
the same pooled rows. So the rows that a base changes are computed once for all windows that have
it, at every base, as in `deepcpg_tf.scan.trunk`; of each window, only the few products of these
rows with the dense layer are its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.genome.sequence import graph_one_hot
from deepcpg_tf.genome.windows import stretch
from deepcpg_tf.scan.trunk import filled

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.models.dna import DeepCpgDnaModel

Codes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]

_STRETCHES_AT_ONCE = 256


class Truncated:
    """A model whose embedding is the sums of the DNA part's dense layer, before its rectifier.

    `ScanEngine.embeddings` takes it as it takes a model.

    Parameters
    ----------
    model
        One that reads windows.
    part
        Its DNA part, in float32.
    """

    def __init__(self, model: MethylationModel, part: DeepCpgDnaModel) -> None:
        (dense,) = (layer for layer in part.layers if isinstance(layer, keras.layers.Dense))
        at = part.layers.index(dense)
        own: Any = keras.Model(part.inputs, dense.output)
        own.config = part.config
        self.parts = {"dna": own}
        self.config = part.config
        self.after = part.layers[at + 1 :]
        self.part_input = model.part_input
        self.head = None

    def join(self, embeddings: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return the one embedding."""
        return embeddings["dna"]

    def embed_parts(self, arrays: Any, but: str) -> dict[str, tf.Tensor]:
        """Return nothing: there are no other parts."""
        return {}


class Points:
    """Computes by how much one base changes the sums of the dense layer.

    Parameters
    ----------
    part
        The DNA part, in float32.
    """

    def __init__(self, part: DeepCpgDnaModel) -> None:
        config = part.config
        convolutions = [one for one in part.layers if isinstance(one, keras.layers.Conv1D)]
        (dense,) = (layer for layer in part.layers if isinstance(layer, keras.layers.Dense))
        self._phases = math.prod(config.conv_pool_sizes)
        reach, step = 1, 1
        for width, pool in zip(config.conv_kernel_sizes, config.conv_pool_sizes, strict=True):
            reach += (width - 1) * step + (pool - 1) * step
            step *= pool
        self._reach = reach  # bases that one of the last pooled rows reads
        channels = config.conv_channels[-1]
        kernel = np.ascontiguousarray(keras.ops.convert_to_numpy(dense.kernel), np.float32)
        self._kernel = kernel.reshape(-1, channels, kernel.shape[-1])

        @tf.function(input_signature=[tf.TensorSpec((None, 2 * reach - 1), tf.uint8)])
        def pooled(codes: tf.Tensor) -> tf.Tensor:
            x, apart = graph_one_hot(codes, config.vocab_size), 1
            for layer, pool in zip(convolutions, config.conv_pool_sizes, strict=True):
                width, before, filters = layer.kernel.shape
                length = x.shape[1] - (width - 1) * apart
                read = [x[:, i * apart : i * apart + length] for i in range(width)]
                flat = tf.reshape(tf.concat(read, axis=2), (-1, width * before))
                x = flat @ tf.reshape(layer.kernel, (-1, filters)) + layer.bias
                x = tf.reshape(tf.nn.relu(x), (-1, length, filters))
                length -= (pool - 1) * apart
                best = x[:, :length]
                for i in range(1, pool):
                    best = tf.maximum(best, x[:, i * apart : i * apart + length])
                x, apart = best, apart * pool
            return x

        of_rows = tf.constant(self._kernel)

        @tf.function(reduce_retracing=True)
        def products(flat: tf.Tensor, read: tf.Tensor) -> tf.Tensor:
            return tf.matmul(tf.gather(flat, read), of_rows)

        self._pooled, self._products = pooled, products

    def stretch_of(self, codes: Codes, position: int) -> Codes:
        """Return what is read around a base: it is in the middle."""
        return stretch(codes, position - self._reach + 1, 2 * self._reach - 1)

    def changes(
        self,
        stretches: Codes,
        bases: npt.NDArray[np.uint8],
        points: npt.NDArray[np.int64],
        places: npt.NDArray[np.int64],
    ) -> Floats:
        """Return by how much the sums of windows change.

        Parameters
        ----------
        stretches : ndarray of uint8, shape (points, bases)
            Of each point what `stretch_of` returns.
        bases : ndarray of uint8, shape (points,)
            Codes of what is put in the middle.
        points : ndarray of int64, shape (n,)
            Which of them each window has.
        places : ndarray of int64, shape (n,)
            Where in the window it is.

        Returns
        -------
        ndarray of float32, shape (n, units)
        """
        result = np.zeros((len(points), self._kernel.shape[-1]), np.float32)
        for first in range(0, len(stretches), _STRETCHES_AT_ONCE):
            own = stretches[first : first + _STRETCHES_AT_ONCE]
            changed = own.copy()
            changed[:, self._reach - 1] = bases[first : first + len(own)]
            both = self._pooled(tf.constant(np.concatenate([own, changed]))).numpy()
            windows = np.flatnonzero((points >= first) & (points < first + len(own)))
            result[windows] = self._sums(
                both[len(own) :] - both[: len(own)], points[windows] - first, places[windows]
            )
        return result

    def _sums(
        self, difference: Floats, points: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
    ) -> Floats:
        """Return what the changed rows of some points do to the sums of windows.

        The products with one row of the kernel go together, as many for each of them.
        """
        rows, channels, units = self._kernel.shape
        steps = np.arange(-(-self._reach // self._phases) + 1)
        at = (places // self._phases)[:, None] - steps
        # Which of the rows at every base: the last one begins with the point itself.
        index = self._reach - 1 - (places[:, None] - at * self._phases)
        window, step = np.nonzero((at >= 0) & (at < rows) & (index >= 0))
        at, index = at[window, step], index[window, step]
        order = np.argsort(at, kind="stable")
        counts = np.bincount(at, minlength=rows)
        size = filled(int(counts.max(initial=0)))
        first = np.cumsum(counts) - counts
        place = np.empty(len(at), np.int64)
        place[order] = at[order] * size + np.arange(len(at)) - first[at[order]]
        # The last row of each is zero, for what there is less of.
        flat = np.concatenate([difference.reshape(-1, channels), np.zeros((1, channels))])
        read = np.full(rows * size, len(flat) - 1, np.int32)
        read[place] = points[window] * difference.shape[1] + index
        products = self._products(
            tf.constant(flat, tf.float32), tf.constant(read.reshape(rows, size))
        ).numpy()
        slots = np.full((len(points), len(steps)), rows * size)
        slots[window, step] = place
        products = np.concatenate([products.reshape(-1, units), np.zeros((1, units), np.float32)])
        sums: Floats = products[slots].sum(axis=1)
        return sums


def is_plain(part: DeepCpgDnaModel) -> bool:
    """Return whether a DNA part computes in float32, so that this is the same arithmetic."""
    return all(layer.compute_dtype == "float32" for layer in part.layers)
