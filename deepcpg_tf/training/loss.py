"""The original's loss, vectorised over cells.

For each cell: binary cross-entropy times the weight of the label's class, summed
over the batch and divided by the batch size, missing labels counting nothing but
being part of the batch size; then summed over the cells. To it come L1 and L2 on
the kernels of the convolutions and of the dense layer. Source: DeepCpG 1.0.7 on
Keras 2.2.4, whose weighted loss divides by the number of weights that are not
zero; the original gives missing labels a weight of 1e-7, so that is the batch size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

_EPSILON = 1e-7


def class_weights(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the weight of each class in each cell, which balances the classes.

    Parameters
    ----------
    counts : ndarray of integers, shape (cells, 2)
        Unmethylated and methylated labels of each cell in the training data.

    Returns
    -------
    ndarray of float32, shape (cells, 2)
        1 / (frequency + 1e-7), normalised to sum to 1. A cell with one class only
        gets weight 1 for it: there is nothing to balance, and the formula would
        give all weight to the class that never occurs. A cell without labels gets
        weight 0.
    """
    counts = np.asarray(counts, np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    frequencies = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    weights = 1 / (frequencies + _EPSILON)
    weights /= weights.sum(axis=1, keepdims=True)
    one_class = (counts == 0).any(axis=1)
    weights[one_class] = (counts[one_class] > 0).astype(np.float64)
    return weights.astype(np.float32)


def masked_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Return the sum of the weighted cross-entropies of observed labels.

    Divided by the batch size, it is the original's loss without regularisation.

    Parameters
    ----------
    labels : tensor of int8, shape (n, cells)
        1 methylated, 0 unmethylated, -1 missing.
    logits : tensor of float32, shape (n, cells)
    weights : tensor of float32, shape (cells, 2), optional
        Weight of each class in each cell; 1 by default.

    Returns
    -------
    tensor of float32, shape ()
    """
    losses = tf.nn.softplus(tf.where(labels > 0, -1.0, 1.0) * logits)
    if weights is not None:
        losses *= tf.where(labels > 0, weights[:, 1], weights[:, 0])
    return tf.reduce_sum(tf.where(labels >= 0, losses, 0.0))


def regularisation(model: MethylationModel, l1: float, l2: float) -> tf.Tensor:
    """Return L1 and L2 of what a model says is penalised: kernels, but for frozen ones.

    Returns
    -------
    tensor of float32, shape ()
        The sum over kernels of ``l1 * sum(|w|) + l2 * sum(w ** 2)``.
    """
    total = tf.constant(0.0)
    for kernel in model.penalised:
        total += _elastic_net(tf.convert_to_tensor(kernel), l1, l2)
    return total


def _elastic_net(kernel: tf.Tensor, l1: float, l2: float) -> tf.Tensor:
    # One tensor as gradient: TensorFlow adds up what reaches a variable beginning with
    # whichever memory is free by then; with three terms rounding would depend on time.
    @tf.custom_gradient
    def penalty(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return upstream * (l1 * tf.sign(values) + 2 * l2 * values)

        total = l1 * tf.reduce_sum(tf.abs(values)) + l2 * tf.reduce_sum(tf.square(values))
        return total, gradient

    return penalty(kernel)
