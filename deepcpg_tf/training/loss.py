"""The original's loss, vectorised over cells.

For each cell: binary cross-entropy times the weight of the label's class, summed
over the batch and divided by the batch size, missing labels counting nothing but
being part of the batch size; then summed over the cells. To it come L1 and L2 on
the kernels of the convolutions and of the dense layer. Source: DeepCpG 1.0.7 on
Keras 2.2.4, whose weighted loss divides by the number of weights that are not
zero; the original gives missing labels a weight of 1e-7, so that is the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.calibration import BALANCE_EPSILON
from deepcpg_tf.models.values import values_in_graph

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel


def class_weights(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the weight of each class in each cell, which balances the classes.

    Parameters
    ----------
    counts : ndarray of integers, shape (cells, classes)
        Unmethylated and methylated labels of each cell in the training data, or the
        classes of other outputs.

    Returns
    -------
    ndarray of float32, shape (cells, classes)
        1 / (frequency + 1e-7), normalised to sum to 1 over the classes that occur: the
        formula would give all weight to one that never does. So a cell with one class
        only has weight 1 for it, as there is nothing to balance. A cell without labels
        gets weight 0.
    """
    counts = np.asarray(counts, np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    frequencies = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    weights = np.where(counts > 0, 1 / (frequencies + BALANCE_EPSILON), 0)
    sums = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, sums, out=np.zeros_like(weights), where=sums > 0)
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


@tf.autograph.experimental.do_not_convert  # what it decides is known before the graph
def total_loss(
    labels: tf.Tensor,
    logits: tf.Tensor,
    config: ModuleConfig,
    weights: tf.Tensor | None = None,
    output_weights: Sequence[tf.Tensor | None] = (),
) -> tf.Tensor:
    """Return the sum of the losses of observed labels and targets, the original's each.

    Cross-entropy of cells and of outputs of two classes or more, squared errors of numbers.
    Missing ones count nothing.

    Parameters
    ----------
    labels : tensor, shape (n, cells + outputs)
        -1 where missing.
    logits : tensor of float32, shape (n, units)
    config
        Of the model.
    weights : tensor of float32, shape (cells, 2), optional
        As in `masked_cross_entropy`.
    output_weights
        The weight of each class of each other output, None for 1.

    Returns
    -------
    tensor of float32, shape ()
    """
    if not config.outputs:
        return masked_cross_entropy(labels, logits, weights)
    cells = len(config.cells)
    total = masked_cross_entropy(labels[:, :cells], logits[:, :cells], weights)
    values = values_in_graph(logits, config)
    balances = output_weights or [None] * len(config.outputs)
    for i, (one, balance) in enumerate(zip(config.other_outputs, balances, strict=True), cells):
        targets, own = labels[:, i], logits[:, one.columns]
        match one.kind.loss:
            case "cross_entropy":
                pairs = None if balance is None else balance[None]
                total += masked_cross_entropy(targets[:, None], own, pairs)
                continue
            case "squares":
                losses = tf.square(values[:, one.columns][:, 0] - targets)
            case "classes":
                classes = tf.cast(tf.maximum(targets, 0.0), tf.int32)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, own)
                if balance is not None:
                    losses *= tf.gather(balance, classes)
        total += tf.reduce_sum(tf.where(targets >= 0, losses, 0.0))
    return total


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
