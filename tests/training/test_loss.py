import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.training.loss import (
    class_weights,
    masked_cross_entropy,
    regularisation,
    total_loss,
)
from tests import tolerances
from tests.training.examples import config


def logit(p):
    return math.log(p / (1 - p))


def test_by_hand():
    """Two cells, four sites: -log of the probability of what was seen, missing left out."""
    labels = np.array([[1, -1], [0, 1], [-1, 0], [1, 1]], np.int8)
    p = np.array([[0.5, 0.9], [0.25, 0.8], [0.1, 0.75], [0.8, 0.5]])
    logits = tf.constant(np.log(p / (1 - p)), tf.float32)
    first = -math.log(0.5) - math.log(0.75) - math.log(0.8)
    second = -math.log(0.8) - math.log(0.25) - math.log(0.5)
    found = masked_cross_entropy(tf.constant(labels), logits)
    assert float(found) == pytest.approx(first + second, rel=tolerances.sums(6))


def test_class_weights_by_hand():
    labels = tf.constant([[1], [0], [-1]], tf.int8)
    logits = tf.constant([[logit(0.5)], [logit(0.25)], [logit(0.9)]])
    weights = tf.constant([[0.2, 0.8]])
    found = masked_cross_entropy(labels, logits, weights)
    expected = -0.8 * math.log(0.5) - 0.2 * math.log(0.75)
    assert float(found) == pytest.approx(expected, rel=tolerances.sums(3))


def test_equals_the_originals_formula():
    """As Keras 2.2.4 computes it with the sample weights that the original gives it.

    There a missing label has weight 1e-7, and each output's loss is the mean of
    weight times cross-entropy over the batch divided by the share of weights that
    are not zero, which is 1.
    """
    rng = np.random.default_rng(0)
    labels = rng.choice([-1, 0, 1], size=(64, 5), p=[0.6, 0.1, 0.3]).astype(np.int8)
    p = rng.uniform(0.01, 0.99, size=(64, 5))
    weights = class_weights(np.stack([(labels == 0).sum(0), (labels == 1).sum(0)], axis=1))
    expected = 0.0
    for cell in range(5):
        sample_weights = np.full(64, 1e-7)
        sample_weights[labels[:, cell] == 0] = weights[cell, 0]
        sample_weights[labels[:, cell] == 1] = weights[cell, 1]
        y = labels[:, cell]
        score = -(y * np.log(p[:, cell]) + (1 - y) * np.log(1 - p[:, cell]))
        expected += np.mean(score * sample_weights) / np.mean(sample_weights != 0)
    logits = tf.constant(np.log(p / (1 - p)), tf.float32)
    found = masked_cross_entropy(tf.constant(labels), logits, tf.constant(weights)) / 64
    missing = 1e-7 * 0.6 / (0.4 * float(weights.min()))
    assert float(found) == pytest.approx(expected, rel=tolerances.sums(64 * 5) + missing)


def test_class_weights_are_the_inverse_frequencies():
    weights = class_weights(np.array([[1, 3], [2, 2]]))
    # The original adds 1e-7 to the frequencies.
    rtol = tolerances.sums(4) + 1e-7 / 0.25
    np.testing.assert_allclose(weights, [[0.75, 0.25], [0.5, 0.5]], rtol=rtol)


def test_class_weights_of_cells_that_show_one_class_or_none():
    weights = class_weights(np.array([[0, 7], [3, 0], [0, 0]]))
    np.testing.assert_array_equal(weights, [[0, 1], [1, 0], [0, 0]])


def test_a_gradient_flows_from_observed_labels_only():
    labels = tf.constant([[1, -1], [-1, 0]], tf.int8)
    logits = tf.Variable([[0.0, 0.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = masked_cross_entropy(labels, logits)
    np.testing.assert_allclose(tape.gradient(loss, logits), [[-0.5, 0.0], [0.0, 0.5]])


def test_extreme_logits_stay_finite():
    labels = tf.constant([[0, 1, -1]], tf.int8)
    logits = tf.constant([[500.0, -500.0, 1e30]])
    assert float(masked_cross_entropy(labels, logits)) == pytest.approx(1000.0)


def test_regularisation_is_of_the_backbones_kernels():
    keras.utils.set_random_seed(0)
    config = DeepCpgDnaConfig(sequence_length=101, num_labels=2)
    model = DeepCpgDnaForSequencePrediction(config)
    expected, n = 0.0, 0
    for name, variable in model.variables_by_name.items():
        if name.endswith("kernel") and name.startswith("dna/"):
            value = variable.numpy().astype(np.float64)
            expected += 0.01 * np.abs(value).sum() + 0.1 * (value**2).sum()
            n += 2 * value.size
    found = float(regularisation(model, 0.01, 0.1))
    assert found == pytest.approx(expected, rel=tolerances.sums(n))


def test_the_gradient_of_the_regularisation():
    model = DeepCpgDnaForSequencePrediction(DeepCpgDnaConfig(sequence_length=101, num_labels=2))
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        penalty = 3 * regularisation(model, 0.01, 0.1)
    for variable, gradient in zip(variables, tape.gradient(penalty, variables), strict=True):
        if gradient is not None:
            w = variable.numpy()
            expected = 3 * (0.01 * np.sign(w) + 0.2 * w)
            np.testing.assert_allclose(gradient, expected, rtol=tolerances.sums(2))


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_other_outputs_have_the_losses_of_the_original():
    """Each written out: weighted cross-entropies of classes, squared errors of numbers."""
    model = config(cells=2, outputs=("mean", "var", "cat_var", "diff", "entropy", "bulk/x"))
    rng = np.random.default_rng(3)
    n = 40
    logits = rng.normal(0, 2, (n, model.units)).astype(np.float32)
    columns = [rng.integers(0, 2, (n, 2)), rng.random((n, 1)), rng.random((n, 1)) / 4]
    columns += [rng.integers(0, 3, (n, 1)), rng.integers(0, 2, (n, 1)), rng.random((n, 2))]
    labels = np.concatenate(columns, axis=1).astype(np.float32)
    labels[rng.random(labels.shape) < 0.3] = -1
    cells = rng.random((2, 2)).astype(np.float32)
    classes, pair = (rng.random(k).astype(np.float32) for k in (3, 2))
    z = logits.astype(np.float64)
    powers = np.exp(z[:, 4:7])
    expected = 0.0
    for row, y in enumerate(labels.astype(np.float64)):
        p = _sigmoid(z[row])
        for column, weight, probability in ((0, cells[0], p[0]), (1, cells[1], p[1])):
            if y[column] >= 0:
                right = probability if y[column] == 1 else 1 - probability
                expected -= weight[int(y[column])] * np.log(right)
        if y[4] >= 0:
            shares = powers[row] / powers[row].sum()
            expected -= classes[int(y[4])] * np.log(shares[int(y[4])])
        if y[5] >= 0:
            expected -= pair[int(y[5])] * np.log(p[7] if y[5] == 1 else 1 - p[7])
        numbers = ((2, p[2]), (3, 0.251 * p[3]), (6, max(z[row, 8], 0)), (7, p[9]))
        expected += sum((y[i] - value) ** 2 for i, value in numbers if y[i] >= 0)
    weights = [None, None, tf.constant(classes), tf.constant(pair), None, None]
    found = total_loss(labels, tf.constant(logits), model, tf.constant(cells), weights)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    missing = np.full_like(labels, -1)
    assert float(total_loss(missing, tf.constant(logits), model)) == 0


def test_weights_of_three_classes():
    counts = np.array([[2, 6, 2], [0, 3, 1], [0, 0, 0]])
    found = class_weights(counts)
    np.testing.assert_allclose(found[0], [3 / 7, 1 / 7, 3 / 7], rtol=1e-5)
    np.testing.assert_allclose(found[1], [0, 0.25, 0.75], rtol=1e-5)  # not all to the first
    np.testing.assert_array_equal(found[2], 0)


def test_what_undoes_the_balance_is_exact():
    """At the frequencies of both states, less what the weights add, the loss is least."""
    counts = np.array([[300, 700], [9, 1], [4, 0], [500_000, 1]])
    calibration = Calibration.of_counts("abcd", counts)
    offsets, _ = calibration.offsets_and_temperatures("abcd")
    weights = class_weights(counts)
    both = np.array([True, True, False, True])
    expected = np.log(weights[both, 0].astype(float) / weights[both, 1])
    np.testing.assert_allclose(offsets[both], expected, rtol=tolerances.sums(2))
    assert offsets[2] == 0
    np.testing.assert_allclose(
        offsets[0], np.log(0.7 / 0.3), rtol=1e-6
    )  # the cell's share, to what the original adds to frequencies
    for cell in np.flatnonzero(both[:2]):
        labels = np.repeat(np.array([0, 1], np.int8), counts[cell])[:, None]
        true = logit(counts[cell, 1] / counts[cell].sum())
        learnt = tf.fill((len(labels), 1), tf.constant(true - offsets[cell], tf.float32))
        assert float(learnt[0, 0]) == pytest.approx(0, abs=1e-6)
        with tf.GradientTape() as tape:
            tape.watch(learnt)
            loss = masked_cross_entropy(
                tf.constant(labels), learnt, tf.constant(weights[cell : cell + 1])
            )
        slopes = tape.gradient(loss, learnt).numpy().astype(float)
        assert abs(slopes.sum()) < 1e-5 * np.abs(slopes).sum()
