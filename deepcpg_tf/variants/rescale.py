"""DeepLIFT's rescale rule through the layers of a model, from two inputs back to the bases.

A multiplier says by how much a layer's input counts for each unit that it differs from its
reference. Dense layers and convolutions have those of their weights. What is not linear shares out
the difference of its output, so that multipliers times differences add up to the difference of the
target at every layer, and at the bases. Shrikumar et al., ICML 2017; max-pooling as in Lundberg &
Lee's DeepExplainer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import tensorflow as tf

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.models.joint import DeepCpgJointForSitePrediction

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel, Tensors
    from deepcpg_tf.variants.targets import Target


class Pair(NamedTuple):
    """What a layer makes of an input, and of its reference."""

    own: tf.Tensor
    reference: tf.Tensor


def multipliers(
    target: Target, one_hot: tf.Tensor, reference: tf.Tensor, beside: Tensors
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the target [n] of windows and of references, and the multipliers of their bases.

    Parameters
    ----------
    target
        Of logits.
    one_hot, reference : tensors of float32, shape (n, length, channels)
    beside
        The embeddings of the other parts, which are the same for both.

    Returns
    -------
    tuple of tensors of float32, shapes (n,), (n,) and (n, length, channels)
        Multipliers times differences of the bases add up to the difference of the targets.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(one_hot)
        pair = Pair(one_hot, reference)
        for layer in layers_of(target.model):
            pair = _through(layer, pair, beside)
        own, reference_value = _target(target, pair)
    return own, reference_value, tape.gradient(own, one_hot)


def layers_of(model: MethylationModel) -> list[Any]:
    """Return the layers from the bases to the logits, in order."""
    layers: Iterable[Any] = model.parts[DNA].layers
    if isinstance(model, DeepCpgJointForSitePrediction):
        layers = [*layers, *(layer for _, layer in model.joining_layers())]
    return [*(one for one in layers if not isinstance(one, keras.layers.InputLayer)), model.head]


def _through(layer: Any, pair: Pair, beside: Tensors) -> Pair:
    """Return what a layer makes of both, in float32."""
    if isinstance(layer, keras.layers.Conv1D):
        return Pair(*(tf.nn.conv1d(x, layer.kernel, 1, "VALID") + layer.bias for x in pair))
    if isinstance(layer, keras.layers.Dense):
        return Pair(*(x @ layer.kernel + layer.bias for x in pair))
    if isinstance(layer, keras.layers.Activation):
        return Pair(*rectified(*pair))
    if isinstance(layer, keras.layers.MaxPooling1D):
        (width,) = layer.pool_size
        return Pair(*pooled(*(_pools(x, width) for x in pair)))
    if isinstance(layer, keras.layers.Flatten):
        return Pair(*(tf.reshape(x, (tf.shape(x)[0], -1)) for x in pair))
    if isinstance(layer, keras.layers.Concatenate):
        return Pair(*(tf.concat([x, *beside.values()], axis=1) for x in pair))
    if isinstance(layer, keras.layers.Dropout):
        return pair
    raise AssertionError(f"{layer.name}: no rule for such a layer")


def _pools(x: tf.Tensor, width: int) -> tf.Tensor:
    """Return [n, pools, width, channels]; what is left over at the end is not read."""
    _, length, channels = x.shape
    pools = length // width
    return tf.reshape(x[:, : pools * width], (-1, pools, width, channels))


@tf.custom_gradient
def rectified(own: tf.Tensor, reference: tf.Tensor) -> Any:
    """Return the positive parts; the multiplier is the ratio of both differences.

    Where the inputs are equal it is the slope there. The ratio is exact but for a rounding: with
    both positive the differences are the same number, and with one of each sign nothing cancels.
    """
    outputs = tf.nn.relu(own), tf.nn.relu(reference)

    def backward(upstream: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        slope = tf.cast(own > 0, own.dtype)
        ratio = _ratio(outputs[0] - outputs[1], own - reference, slope)
        return upstream * ratio, tf.zeros_like(reference)

    return outputs, backward


@tf.custom_gradient
def pooled(own: tf.Tensor, reference: tf.Tensor) -> Any:
    """Return the maxima of pools [n, pools, width, channels].

    The difference of both goes to one place: to that of the larger of the two maxima, which
    differs there at least as much. Where it differs by nothing, the multiplier there is 1.
    """
    outputs = tf.reduce_max(own, axis=2), tf.reduce_max(reference, axis=2)

    def backward(upstream: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        places = tf.where(
            outputs[0] >= outputs[1],
            tf.argmax(own, axis=2, output_type=tf.int32),
            tf.argmax(reference, axis=2, output_type=tf.int32),
        )
        chosen = tf.equal(places[:, :, None], tf.range(tf.shape(own)[2])[:, None])
        difference = (outputs[0] - outputs[1])[:, :, None]
        ratio = _ratio(difference, own - reference, tf.ones_like(own))
        shares = tf.where(chosen, ratio, tf.zeros_like(own))
        return upstream[:, :, None] * shares, tf.zeros_like(reference)

    return outputs, backward


@tf.custom_gradient
def squared(own: tf.Tensor, reference: tf.Tensor) -> Any:
    """Return the squares; the ratio of both differences is the sum of the inputs."""

    def backward(upstream: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return upstream * (own + reference), tf.zeros_like(reference)

    return (own * own, reference * reference), backward


def _ratio(of: tf.Tensor, to: tf.Tensor, instead: tf.Tensor) -> tf.Tensor:
    """Return the ratio of differences, and something else where there is none."""
    same = tf.equal(to, 0)
    return tf.where(same, instead, of / tf.where(same, tf.ones_like(to), to))


def _target(target: Target, pair: Pair) -> Pair:
    """Return the mean, or the mean square of what differs from it, of the logits of the cells."""
    logits = Pair(*(target.of_cells(x) for x in pair))
    if target.summary == "var":
        logits = Pair(*(x - tf.reduce_mean(x, axis=1, keepdims=True) for x in logits))
        logits = Pair(*squared(*logits))
    return Pair(*(tf.reduce_mean(x, axis=1) for x in logits))
