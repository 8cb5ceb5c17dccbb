"""What filters have to do with predictions and labels."""

import numpy as np
import pytest
import scipy.stats

from deepcpg_tf.variants.roles import (
    BINS,
    correlations,
    density,
    known_labels,
    loss,
    principal_components,
)
from tests.tolerances import FLOAT64

RNG = np.random.default_rng(0)


def test_correlations_leave_out_what_is_missing():
    activities = RNG.random((40, 3)).astype(np.float32)
    labels = RNG.integers(-1, 2, (40, 4)).astype(np.int8)
    labels[:, 3] = -1
    labels[3, 3] = 1  # one alone correlates with nothing
    activities[:, 2] = np.float32(0.1)
    found = correlations(activities, known_labels(labels))
    for i, j in np.ndindex(2, 3):
        own = labels[:, j] >= 0
        expected = scipy.stats.pearsonr(activities[own, i].astype(float), labels[own, j])[0]
        assert found[i, j] == pytest.approx(expected, abs=FLOAT64)
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 3]).all()


def test_the_loss_is_that_of_labels_that_are_there():
    probabilities = np.array([[0.8, 0.3], [0.6, 1.0]], np.float32)
    labels = np.array([[1, 0], [-1, 0]], np.int8)
    expected = -np.log(0.8) - np.log(0.7) - np.log(1e-7)
    assert loss(probabilities, labels) == pytest.approx(expected, rel=1e-6)


def test_components_are_those_of_a_singular_value_decomposition():
    activities = RNG.random((50, 6)).astype(np.float32)
    points = activities.T.astype(float)
    points -= points.mean(axis=0)
    left, sizes, _ = np.linalg.svd(points, full_matrices=False)
    components, explained = principal_components(activities)
    for i in range(2):
        assert np.abs(components[:, i]) == pytest.approx(np.abs(left[:, i]) * sizes[i], abs=1e-9)
        assert components[np.abs(components[:, i]).argmax(), i] > 0
    assert explained == pytest.approx(sizes[:2] ** 2 / (sizes**2).sum(), rel=1e-9)


def test_one_filter_has_no_components():
    components, explained = principal_components(RNG.random((5, 1)).astype(np.float32))
    assert (components == 0).all()
    assert (explained == 0).all()


def test_densities():
    counts, largest, silent = density(np.array([[0, 0, 1, 2], [2, 0, 0, 0.01]], np.float32))
    assert len(counts) == BINS
    assert (counts[[0, BINS // 2, -1]] == [1, 1, 2]).all()
    assert counts.sum() == 4
    assert (largest, silent) == (2.0, 0.5)
    assert density(np.zeros((2, 3), np.float32))[1:] == (0.0, 1.0)
