"""Weights on the grid of int8, rounded so that little of a prediction is lost.

Three things do it, and none costs time where the model runs. Channels are scaled to one
range each, which the next layer's weights take back: rectifier and pooling let a factor
through. Weights are rounded one input after the other, and the next ones take up the
error as far as the inputs are correlated (Frantar et al., GPTQ, 2022). Biases take up
the mean of what is left.

Without VNNI, x86 processors add the products of two neighbouring inputs in 16 bits, and
what does not fit there is cut off: an artefact would predict otherwise on a machine that
is not the one it was measured on. `Fit.PAIRS` makes that impossible: the largest input,
255, times the sum of two neighbouring weights stays below 2 ** 15.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.exporters.graphs import channels
from deepcpg_tf.inputs import Arrays

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

Floats = npt.NDArray[np.float32]

LARGEST_INPUT = 255
LARGEST_WEIGHT = 127
LARGEST_PAIR = 128
"""Of the sum of two weights: 255 times 128 is below 2 ** 15, and 255 times 129 is not."""

_ROWS = 20_000
_BATCH = 64
_BLOCK = 64
_DAMPING = 0.01
_MOST_SCALED = 64


class Fit(Enum):
    """What sets the scale of an output's weights."""

    LARGEST = "the largest weight"
    PAIRS = "the largest weight, and the largest sum of two neighbouring ones"


def method(fit: Fit) -> dict[str, str]:
    """Return what a manifest says of how weights were put into int8."""
    return {
        "calibration": "channels scaled to one range, weights rounded with feedback of the error, "
        f"biases corrected; scales from {fit.value}"
    }


class Layer(NamedTuple):
    """The grid of a layer: the scale of each output's weights, and the largest output."""

    scale: Floats
    top: float


class Rounded(NamedTuple):
    """A model, the weights of whose DNA part are on the grid of int8, and that part's layers."""

    model: MethylationModel
    layers: list[Layer]


def round_weights(model: MethylationModel, arrays: Arrays, fit: Fit) -> Rounded:
    """Round the weights of a model's DNA part for int8.

    Parameters
    ----------
    model
        The model, in float32, which reads windows.
    arrays
        What it is to see, as it reads it: of these, ``windows`` are used.
    fit
        What sets the scales.
    """
    rng = np.random.default_rng(0)
    exact = given = np.eye(5, channels(model), dtype=np.float32)[arrays["windows"]]
    result = type(model).from_config(model.get_config())
    result.set_weights(model.get_weights())
    factors = np.ones(exact.shape[2], np.float32)
    layers: list[Layer] = []
    for layer, pool in _layers(result):
        kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
        kernel = _times(kernel, factors)
        outputs = _run(kernel, bias, pool, exact)
        factors = _largest(outputs)
        if outputs.ndim == 2:
            # Of an embedding's unit few values are seen: half of the way leaves it room for more.
            factors = np.sqrt(factors)
        kernel, bias, outputs = kernel / factors, bias / factors, outputs / factors
        # Of the inputs of the first layer one in four is not 0: it has no pairs.
        scale = _scale(kernel, given.shape[2], fit if layers else Fit.LARGEST)
        rounded = _round(kernel, scale, given, rng)
        bias = bias + _expected(kernel, exact) - _expected(rounded, given)
        layer.kernel.assign(rounded)
        layer.bias.assign(bias)
        layers.append(Layer(scale, float(outputs.max())))
        exact, given = outputs, _run(rounded, bias, pool, given)
        if given.ndim == 3:  # the embedding stays as it is
            step = np.float32(layers[-1].top / LARGEST_INPUT)
            given = np.clip(np.round(given / step), 0, LARGEST_INPUT) * step
    after = _after(result)
    kernel = after.kernel.numpy()
    own = _times(kernel[: exact.shape[1]], factors)
    after.kernel.assign(np.concatenate([own, kernel[exact.shape[1] :]]))
    after.bias.assign(after.bias.numpy() + (exact - given).mean(0) @ own)
    return Rounded(result, layers)


def _layers(model: MethylationModel) -> Iterator[tuple[Any, int]]:
    """Yield each layer of the DNA part that has weights, with its pooling."""
    part = model.config.parts[DNA]
    layers = (layer for layer in model.parts[DNA].layers if layer.weights)
    yield from zip(layers, (*part.conv_pool_sizes, 1), strict=True)  # type: ignore[attr-defined]


def _after(model: MethylationModel) -> Any:
    """Return the dense layer that reads the embedding of the DNA part, before those of others."""
    joining = (layer for _, layer in model.joining_layers() if layer.weights)
    return next(joining, model.head)


def _run(kernel: Floats, bias: Floats, pool: int, inputs: Floats) -> Floats:
    """Return what a layer makes of its inputs [n, length, channels]."""

    def convolution(x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.relu(tf.nn.conv1d(x, kernel, 1, "VALID") + bias)
        return tf.nn.max_pool1d(y, pool, pool, "VALID") if pool > 1 else y

    def dense(x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(tf.reshape(x, (len(x), -1)) @ kernel + bias)

    layer: Callable[[tf.Tensor], tf.Tensor] = convolution if kernel.ndim == 3 else dense
    parts = range(0, len(inputs), _BATCH)
    return np.concatenate([layer(tf.constant(inputs[i : i + _BATCH])).numpy() for i in parts])


def _times(kernel: Floats, factors: Floats) -> Floats:
    """Multiply the weights of each input channel."""
    channels = kernel.reshape(-1, len(factors), kernel.shape[-1]) * factors[:, None]
    return channels.reshape(kernel.shape)


def _largest(outputs: Floats) -> Floats:
    """Return the largest output of each channel, for those of next to none a part of the others'.

    Scaled up all the way, they would need scales that runtimes refuse.
    """
    largest = outputs.reshape(-1, outputs.shape[-1]).max(0)
    return np.maximum(largest, largest.max() / _MOST_SCALED) if largest.any() else largest + 1


def _expected(kernel: Floats, inputs: Floats) -> Floats:
    """Return the mean over windows, and over positions, of what a layer adds up."""
    if kernel.ndim == 3:
        return inputs.mean((0, 1)) @ kernel.sum(0)
    return inputs.mean(0).ravel() @ kernel


def _scale(kernel: Floats, channels: int, fit: Fit) -> Floats:
    """Return the scale of each output's weights."""
    outputs = kernel.shape[-1]
    scale = np.abs(kernel.reshape(-1, outputs)).max(0) / LARGEST_WEIGHT
    if fit is Fit.PAIRS:
        groups = kernel.reshape(-1, channels, outputs)
        if kernel.ndim == 2:  # in ONNX a dense layer reads channel after channel
            groups = groups.swapaxes(0, 1)
        rows = groups.reshape(-1, outputs)
        pairs = np.abs(rows[:-1] + rows[1:]).max(0, initial=0)
        # Rounding moves each of the two by less than a step.
        scale = np.maximum(scale, pairs / (LARGEST_PAIR - 2))
    return np.where(scale > 0, scale, np.float32(1)).astype(np.float32)


def _round(kernel: Floats, scale: Floats, inputs: Floats, rng: np.random.Generator) -> Floats:
    """Round weights one input after the other; what is lost goes to the inputs to come."""
    windows, length, channels = inputs.shape
    outputs = kernel.shape[-1]
    if kernel.ndim == 3:
        width, positions = len(kernel), length - len(kernel) + 1
        columns = kernel.reshape(-1, outputs)
    else:  # every position with weights of its own, and inputs alike
        width, positions = 1, length
        columns = kernel.reshape(length, channels, outputs).swapaxes(0, 1).reshape(channels, -1)
    chosen = rng.choice(windows * positions, min(_ROWS, windows * positions), replace=False)
    window, position = np.divmod(chosen, positions)
    seen = inputs[window[:, None], position[:, None] + np.arange(width)].reshape(len(chosen), -1)
    steps = np.tile(scale, columns.shape[1] // outputs)
    rounded = _with_feedback(columns / steps, _feedback(seen))
    if kernel.ndim == 2:
        rounded = rounded.reshape(channels, length, outputs).swapaxes(0, 1)
    return rounded.reshape(kernel.shape) * scale


def _feedback(inputs: Floats) -> Floats:
    """Return how the error of each input goes to those after it: a triangle."""
    covariance = np.atleast_2d(np.cov(inputs, rowvar=False)).astype(np.float64)
    damping = _DAMPING * np.trace(covariance) / len(covariance) + 1e-12
    inverse = np.linalg.inv(covariance + damping * np.eye(len(covariance)))
    triangle = np.linalg.cholesky(inverse).T
    return (triangle / np.diag(triangle)[:, None]).astype(np.float32)


def _with_feedback(weights: Floats, feedback: Floats) -> Floats:
    """Return weights [inputs, outputs] as whole numbers, each less than 1 from what it was.

    The largest stays what it is: a converter takes the scale from it once more.
    """
    low, high = np.floor(weights), np.ceil(weights)
    largest = np.abs(weights) > LARGEST_WEIGHT - 0.5
    low[largest] = high[largest] = np.sign(weights[largest]) * LARGEST_WEIGHT
    weights = weights.copy()
    for start in range(0, len(weights), _BLOCK):
        block = slice(start, start + _BLOCK)
        errors = np.empty_like(weights[block])
        for row in range(start, min(start + _BLOCK, len(weights))):
            rounded = np.clip(np.round(weights[row]), low[row], high[row])
            errors[row - start] = weights[row] - rounded
            weights[row] = rounded
            weights[row + 1 : block.stop] -= np.outer(
                feedback[row, row + 1 : block.stop], errors[row - start]
            )
        weights[block.stop :] -= feedback[block, block.stop :].T @ errors
    return weights
