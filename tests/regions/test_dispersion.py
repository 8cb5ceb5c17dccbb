import numpy as np
import pytest

from deepcpg_tf.regions.dispersion import (
    Coverage,
    Outcomes,
    coverage,
    fit,
    joined,
    opposed,
    surprise,
)
from deepcpg_tf.regions.levels import Levels
from deepcpg_tf.regions.places import SCALES, bins_of
from deepcpg_tf.regions.sources import Piece


class Agreeing:
    """States that are, so often, that of a block of some scale, whatever the cell."""

    chromosomes = ("1",)
    imputed = True

    def __init__(self, scale, correlation, cells=100):
        rng = np.random.default_rng(0)
        self.cells = tuple(map(str, range(cells)))
        self._positions = np.sort(rng.choice(2_000_000, 8_000, replace=False))
        states = rng.random((len(self._positions), cells)) < 0.5
        block = np.unique(self._positions // scale, return_inverse=True)[1]
        of_blocks = (rng.random((block[-1] + 1, cells)) < 0.5)[block]
        taken = rng.random(states.shape) < np.sqrt(correlation)
        self._labels = np.where(taken, of_blocks, states).astype(np.int8)

    def positions(self, chromosome):
        return self._positions

    def pieces(self, chromosome, first, last, *, calls=False):
        labels = self._labels[first:last]
        half = np.full(labels.shape, 0.5, np.float32)
        yield Piece(slice(0, len(self.cells)), labels, half, labels >= 0)


def errors(scale=200, correlation=0.0):
    source = Agreeing(scale, correlation)
    return Levels(source).errors("1", bins_of(source.positions("1"), 40_000))


@pytest.mark.parametrize("scale", range(4))
def test_the_correlation_of_a_scale_is_found(scale):
    true = np.zeros(4)
    true[scale] = 0.2
    found = errors((*SCALES, 40_000)[scale], 0.2)
    np.testing.assert_allclose(fit(found), true, atol=0.03)
    assert not opposed(found)


def test_none_is_found_where_there_is_none():
    found = errors()
    assert fit(found).sum() < 0.02
    assert not opposed(found)
    assert surprise(found) == pytest.approx(1)


def test_nothing_to_fit_on():
    none = joined([])
    assert fit(none).tolist() == [0, 0, 0, 0]
    assert not opposed(none)
    assert surprise(none) == 1
    found = coverage([])
    assert found.outcomes == 0
    assert np.isnan(found.held)


def test_errors_that_cancel_out_are_told():
    found = errors()
    assert opposed(found._replace(error=found.error * 0.5))


def test_coverage_counts_what_lies_within():
    many = np.ones(4)
    outcomes = Outcomes(np.array([50.0, 52, 75, 10]), 100 * many, 0.5 * many, 0.0025 * many)
    found = coverage([Outcomes(*(one[part] for one in outcomes)) for part in ([0, 2], [1, 3])])
    assert found == Coverage(held=0.5, closed=0.5, outcomes=4, sites=100)
