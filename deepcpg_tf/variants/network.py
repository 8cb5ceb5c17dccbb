"""The layers of a model as arrays, for what computes them in its own way."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.models.base import MethylationModel
from deepcpg_tf.variants.substitutions import Convolution, Dense, Floats, Network

_NO_ARITHMETIC = (
    keras.layers.InputLayer,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Concatenate,
)


class OtherLayerError(Exception):
    """A layer that is none of those that a `Network` has."""


def network_of(model: MethylationModel) -> Network:
    """Return the layers of a model from windows to the logits of its cells.

    Parameters
    ----------
    model
        One that reads windows of DNA.

    Raises
    ------
    OtherLayerError
        When it has other layers than a `Network`, or computes in another type than float32.
    """
    part = model.parts[DNA]
    layers = [*part.layers, *(model.joining.layers if len(model.parts) > 1 else ())]
    layers = [layer for layer in layers if not isinstance(layer, _NO_ARITHMETIC)]
    convolutions = []
    while isinstance(layers[0], keras.layers.Conv1D):
        convolutions.append(_convolution(*layers[:3]))
        layers = layers[3:]
    if not convolutions or not layers or len(layers) % 2:
        raise OtherLayerError
    dense = [_dense(*pair) for pair in zip(layers[::2], layers[1::2], strict=True)]
    cells = len(model.cells)
    head = Dense(_array(model.head.kernel[:, :cells]), _array(model.head.bias[:cells]))
    config = part.config
    return Network(
        tuple(convolutions), (*dense, head), config.sequence_length, config.receptive_length
    )


def _convolution(layer: Any, rectifier: Any = None, pooling: Any = None) -> Convolution:
    """Return a convolution with what follows it."""
    if not isinstance(pooling, keras.layers.MaxPooling1D):
        raise OtherLayerError
    _check(layer, rectifier)
    plain = (layer.padding, *layer.strides, *layer.dilation_rate, layer.groups, layer.data_format)
    (pool,) = pooling.pool_size
    if plain != ("valid", 1, 1, 1, "channels_last"):
        raise OtherLayerError
    if (pooling.padding, *pooling.strides) != ("valid", pool):
        raise OtherLayerError
    return Convolution(_array(layer.kernel), _array(layer.bias), pool)


def _dense(layer: Any, rectifier: Any) -> Dense:
    """Return a dense layer with what follows it."""
    if not isinstance(layer, keras.layers.Dense):
        raise OtherLayerError
    _check(layer, rectifier)
    return Dense(_array(layer.kernel), _array(layer.bias))


def _check(layer: Any, rectifier: Any) -> None:
    """Refuse a layer that does not compute sums in float32, rectified by the one after it."""
    linear = layer.activation is keras.activations.linear and layer.use_bias
    if not linear or layer.compute_dtype != "float32":
        raise OtherLayerError
    if not isinstance(rectifier, keras.layers.Activation):
        raise OtherLayerError
    if rectifier.activation is not keras.activations.relu:
        raise OtherLayerError


def _array(variable: Any) -> Floats:
    array: Floats = np.ascontiguousarray(keras.ops.convert_to_numpy(variable), np.float32)
    return array
