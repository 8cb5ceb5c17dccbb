import numpy as np
import pytest

from deepcpg_tf.evaluation.curves import thin
from deepcpg_tf.evaluation.scores import Sweep, observe, sweep
from tests.evaluation.examples import random


def test_a_small_curve_keeps_all_its_points():
    found = Sweep(np.array([0.0, 0, 1, 2, 2]), np.array([0.0, 1, 1, 2, 4]))
    curve = thin(found)
    assert curve.false_positive_rate.tolist() == [0, 0.5, 1, 1]
    assert curve.recall.tolist() == [0.25, 0.25, 0.5, 1]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 4, 4 / 6])


def test_a_thinned_curve_stays_on_the_full_one():
    labels, probabilities, _ = random(30_000, 1)
    found = sweep(observe(labels[:, 0], probabilities[:, 0], "c"))
    assert found is not None
    curve = thin(found)
    assert 300 <= len(curve.recall) <= 400 < len(found.true_positives)
    assert (curve.false_positive_rate[-1], curve.recall[-1]) == (1, 1)
    area = np.trapezoid(np.append(0, curve.recall), np.append(0, curve.false_positive_rate))
    full = np.trapezoid(found.true_positives, found.false_positives)
    pairs = found.true_positives[-1] * found.false_positives[-1]
    assert area == pytest.approx(full / pairs, abs=2e-4)
    points = set(zip(found.false_positives, found.true_positives, strict=True))
    negatives, positives = found.false_positives[-1], found.true_positives[-1]
    for fpr, recall in zip(curve.false_positive_rate, curve.recall, strict=True):
        assert (round(fpr * negatives), round(recall * positives)) in points
