"""The first layers of a model over a whole tile, and the others for each site of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.sequence import graph_one_hot

if TYPE_CHECKING:
    from deepcpg_tf.model import DeepCpgDnaForSequencePrediction

_SITES_AT_ONCE = 256


class SharedLayers:
    """A model whose first convolutions are shared between the sites of a tile.

    Each convolution runs once over the tile; its output is pooled at every base (a
    sliding maximum), and the positions that one window pools together are brought
    together: a pooling by p makes p rows of every row. After all of them a window
    that starts at base s is a stretch of row ``s % phases`` from ``s // phases`` on.

    Parameters
    ----------
    model
        The model.
    depth
        How many of its convolutions are shared, at least 1.
    starts
        Bases of a tile at which windows may start.

    Attributes
    ----------
    bases : int
        Bases of a tile.
    tile_macs, site_macs : float
        Multiply-accumulates for a tile, and for each site in it.
    """

    def __init__(self, model: DeepCpgDnaForSequencePrediction, depth: int, starts: int) -> None:
        config = model.config
        shared, own = _split(model.backbone.layers, depth)
        specs = {spec.name: spec for spec in config.layers}
        self._phases = math.prod(config.conv_pool_sizes[:depth])
        # What is left over at the end of the rows when they are folded is not used.
        self.bases = starts + config.receptive_length + 2 * self._phases
        a_base = sum(specs[layer.name].macs / specs[layer.name].length for layer in shared)
        self.tile_macs = a_base * self.bases
        self.site_macs = sum(specs[layer.name].macs for layer in own) + config.head_layer.macs
        stretch = tf.range(specs[shared[-1].name].length)

        @tf.function(input_signature=[tf.TensorSpec((self.bases,), tf.uint8)])
        def share(codes: tf.Tensor) -> tf.Tensor:
            x = graph_one_hot(codes, config.vocab_size)[None]
            for layer in shared:
                x = _fold(x, layer.pool_size[0]) if _is_pooling(layer) else _apply(layer, x)
            return tf.reshape(x, (-1, x.shape[-1]))

        @tf.function
        def predict(rows: tf.Tensor, firsts: tf.Tensor) -> tf.Tensor:
            x = tf.gather(rows, firsts[:, None] + stretch)
            for layer in own:
                x = layer(x, training=False)
            return model.head(x)

        self._share, self._predict = share, predict

    def logits(
        self, codes: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Return the logits [n, cells] of windows that start at some bases of a tile.

        Parameters
        ----------
        codes : ndarray of uint8, shape (bases,)
        starts : ndarray of int64, shape (n,)
        """
        rows = self._share(tf.constant(codes))
        firsts = starts % self._phases * (rows.shape[0] // self._phases) + starts // self._phases
        parts = [
            self._predict(rows, tf.constant(firsts[i : i + _SITES_AT_ONCE], tf.int32)).numpy()
            for i in range(0, len(firsts), _SITES_AT_ONCE)
        ]
        return np.concatenate(parts)


def _split(layers: Sequence[Any], depth: int) -> tuple[list[Any], list[Any]]:
    """Return the layers up to a pooling, counted from 1, and those after it."""
    layers = [layer for layer in layers if not isinstance(layer, keras.layers.InputLayer)]
    poolings = [i for i, layer in enumerate(layers) if _is_pooling(layer)]
    end = poolings[depth - 1] + 1
    return layers[:end], layers[end:]


def _is_pooling(layer: Any) -> bool:
    return isinstance(layer, keras.layers.MaxPooling1D)


def _apply(layer: Any, x: tf.Tensor) -> tf.Tensor:
    """Apply a layer that knows nothing of the length of its input."""
    if isinstance(layer, keras.layers.Conv1D):
        return tf.nn.bias_add(tf.nn.conv1d(x, layer.kernel, 1, "VALID"), layer.bias)
    return layer(x)


def _fold(x: tf.Tensor, pool: int) -> tf.Tensor:
    """Pool at every base, and make a row of every pool-th position.

    From [rows, n, channels] to [pool * rows, n // pool, channels]; row i becomes the
    rows i, i + rows, …
    """
    if pool == 1:
        return x
    pooled = tf.nn.max_pool1d(x, pool, 1, "VALID")
    rows, length, channels = pooled.shape
    length //= pool
    folded = tf.reshape(pooled[:, : length * pool], (rows, length, pool, channels))
    return tf.reshape(tf.transpose(folded, (2, 0, 1, 3)), (pool * rows, length, channels))
