"""The first layers of the DNA part over a whole tile, the others for each site of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.layers import LayerSpec
from deepcpg_tf.genome.sequence import graph_one_hot

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaModel

_SITES_AT_ONCE = 256
_SITES_STEP = 64

# What handling a value costs beside the arithmetic, in multiply-accumulates: writing the
# output of a convolution and pooling it, at every base or as in a window; and gathering.
# Measured on a CPU with AVX-512; they decide about speed alone.
_COST_OF_SHARED_VALUE = 130
_COST_OF_VALUE = 40
_COST_OF_GATHERED_VALUE = 50


class SharedTrunk:
    """The DNA part of a model, its first convolutions shared between the sites of a tile.

    Each convolution runs once over the tile; its output is pooled at every base (a
    sliding maximum), and the positions that one window reads together are brought
    together: a pooling by p makes p rows of every row, the phases. After the last
    shared pooling this is left to the gathering of what each site reads: a window that
    starts at base s reads every p-th position of row ``s % phases`` from
    ``s // phases`` on.

    Parameters
    ----------
    part
        The DNA part.
    depth
        How many of its convolutions are shared, at least 1.
    starts
        Bases of a tile at which windows may start.

    Attributes
    ----------
    bases : int
        Bases of a tile.
    tile_cost, site_cost : float
        What a tile costs, and each site in it, in multiply-accumulates.
    """

    def __init__(self, part: DeepCpgDnaModel, depth: int, starts: int) -> None:
        config = part.config
        shared, own = _split(part.layers, depth)
        specs = {spec.name: spec for spec in config.layers}
        *folded, last = config.conv_pool_sizes[:depth]
        self._phases = math.prod(folded)
        # What is left over at the end of the rows when they are folded is not used.
        self.bases = starts + config.receptive_length + 2 * self._phases * last
        self.tile_cost = self.bases * sum(
            specs[layer.name].macs / specs[layer.name].length
            + _COST_OF_SHARED_VALUE * specs[layer.name].channels
            for layer in shared
            if _is_convolution(layer)
        )
        length, channels = config.positions_read(depth), specs[shared[-1].name].channels
        self.site_cost = _COST_OF_GATHERED_VALUE * length * channels + window_cost(
            [specs[layer.name] for layer in own]
        )
        stretch = tf.range(length) * last

        @tf.function(input_signature=[tf.TensorSpec((self.bases,), tf.uint8)])
        def share(codes: tf.Tensor) -> tf.Tensor:
            x = graph_one_hot(codes, config.vocab_size)[None]
            for layer in shared[:-1]:
                x = _fold(x, layer.pool_size[0]) if _is_pooling(layer) else _apply(layer, x)
            return tf.reshape(_pool_at_every_base(x, last), (-1, channels))

        @tf.function
        def embed(rows: tf.Tensor, firsts: tf.Tensor) -> tf.Tensor:
            x = tf.gather(rows, firsts[:, None] + stretch)
            for layer in own:
                x = layer(x, training=False)
            return x

        self._share, self._embed = share, embed

    def embeddings(
        self, codes: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]
    ) -> Iterator[tf.Tensor]:
        """Yield batches of the embeddings of windows that start at some bases of a tile.

        Together they have `filled` rows, of which those after the given starts are filling.

        Parameters
        ----------
        codes : ndarray of uint8, shape (bases,)
        starts : ndarray of int64, shape (n,)
        """
        rows = self._share(tf.constant(codes))
        firsts = starts % self._phases * (rows.shape[0] // self._phases) + starts // self._phases
        # Few different shapes: for each new one, weights are brought into another order.
        more = np.zeros(filled(len(firsts)), np.int32)
        more[: len(firsts)] = firsts
        for i in range(0, len(more), _SITES_AT_ONCE):
            yield self._embed(rows, tf.constant(more[i : i + _SITES_AT_ONCE]))


def filled(sites: int) -> int:
    """Return how many sites are computed for some of them."""
    return -(-sites // _SITES_STEP) * _SITES_STEP


def window_cost(specs: Sequence[LayerSpec]) -> float:
    """Return what some layers cost for a window, in multiply-accumulates."""
    return sum(
        spec.macs
        + (_COST_OF_VALUE * spec.length * spec.channels if spec.kind == "convolution" else 0)
        for spec in specs
    )


def _split(layers: Sequence[Any], depth: int) -> tuple[list[Any], list[Any]]:
    """Return the layers up to a pooling, counted from 1, and those after it."""
    layers = [layer for layer in layers if not isinstance(layer, keras.layers.InputLayer)]
    poolings = [i for i, layer in enumerate(layers) if _is_pooling(layer)]
    end = poolings[depth - 1] + 1
    return layers[:end], layers[end:]


def _is_convolution(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Conv1D)


def _is_pooling(layer: Any) -> bool:
    return isinstance(layer, keras.layers.MaxPooling1D)


def _apply(layer: Any, x: tf.Tensor) -> tf.Tensor:
    """Apply a layer that knows nothing of the length of its input."""
    if _is_convolution(layer):
        return tf.nn.bias_add(tf.nn.conv1d(x, layer.kernel, 1, "VALID"), layer.bias)
    return layer(x)


def _pool_at_every_base(x: tf.Tensor, pool: int) -> tf.Tensor:
    return x if pool == 1 else tf.nn.max_pool1d(x, pool, 1, "VALID")


def _fold(x: tf.Tensor, pool: int) -> tf.Tensor:
    """Pool at every base, and make a row of every pool-th position.

    From [rows, n, channels] to [pool * rows, n // pool, channels]; row i becomes the
    rows i, i + rows, …
    """
    if pool == 1:
        return x
    pooled = _pool_at_every_base(x, pool)
    rows, length, channels = pooled.shape
    length //= pool
    folded = tf.reshape(pooled[:, : length * pool], (rows, length, pool, channels))
    return tf.reshape(tf.transpose(folded, (2, 0, 1, 3)), (pool * rows, length, channels))
