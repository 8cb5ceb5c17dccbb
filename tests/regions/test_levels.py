import numpy as np
import pytest
import scipy.sparse
import scipy.stats

from deepcpg_tf.regions.levels import Levels, expected_of_observed
from deepcpg_tf.regions.places import bins_of
from deepcpg_tf.regions.sources import Piece


class Few:
    """Sites of one chromosome, in pieces of one cell each."""

    chromosomes = ("1",)

    def __init__(self, positions, labels, probabilities=None):
        self._positions, self._labels, self._own = positions, labels, probabilities
        self.imputed = probabilities is not None
        self.cells = tuple(map(str, range(labels.shape[1])))

    def positions(self, chromosome):
        return self._positions

    def pieces(self, chromosome, first, last, *, calls=False):
        for cell in range(len(self.cells)):
            place = (slice(first, last), slice(cell, cell + 1))
            labels = self._labels[place]
            if calls or self._own is None:
                yield Piece(place[1], labels)
            else:
                yield Piece(place[1], labels, self._own[place], labels >= 0)


POSITIONS = np.arange(12) * 30_000  # each in a block of its own, of all scales
REGION = bins_of(POSITIONS, 1_000_000)
LABELS = np.full((12, 3), -1, np.int8)
LABELS[:5, 0] = [1, 1, 0, 1, 1]
LABELS[3:, 1] = [0, 0, 1, 0, 0, 1, 0, 1, 0]
LABELS[:, 2] = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("alike", [0.05, 0.3, 0.9])
def test_calls_that_go_together_alike_are_beta_binomial(alike):
    """What is known of the others is the posterior predictive of the conjugate prior."""
    levels = Levels(Few(POSITIONS, LABELS), np.array([0.4, 0.5, 0.6]))
    known = levels.known("1", REGION, np.array([0, 0, 0, alike]))
    size = 1 / alike - 1
    for cell, others in ((0, LABELS[:, 1:]), (1, LABELS[:, ::2])):
        own = LABELS[:, cell]
        prior = ((others == 1).sum() + [0.4, 0.5][cell]) / ((others >= 0).sum() + 1)
        a = prior * size + (own == 1).sum()
        b = (1 - prior) * size + (own == 0).sum()
        left = int((own < 0).sum())
        mean, variance = scipy.stats.betabinom.stats(left, a, b)
        assert known.mean[0, cell] == pytest.approx(mean / left)
        assert known.variance[0, cell] == pytest.approx(variance / left**2)
    assert known.variance[0, 2] == 0  # nothing is left
    assert known.observed.tolist() == [[5, 9, 12]]
    assert known.methylated.tolist() == [[4, 3, 6]]
    assert known.sites.tolist() == [12]


def test_calls_that_do_not_go_together_tell_nothing_of_others():
    levels = Levels(Few(POSITIONS, LABELS), np.array([0.4, 0.5, 0.6]))
    known = levels.known("1", REGION, np.zeros(4))
    prior = (3 + 6 + 0.4) / (9 + 12 + 1)
    assert known.mean[0, 0] == pytest.approx(prior)
    assert known.variance[0, 0] == pytest.approx(prior * (1 - prior) / 7)


def test_only_what_is_near_tells():
    """Within a block of the second scale, the states agree; the other site is far away."""
    positions = np.array([0, 1_000, 50_000])
    labels = np.array([[1, 0, 0], [-1, 0, 0], [-1, 1, 0]], np.int8)
    levels = Levels(Few(positions, labels), np.array([0.5, 0.3, 0.3]))
    prior = (1 + 0.5) / 7
    near, far = (
        levels.known("1", bins_of(positions, size), np.array([0, 0.5, 0, 0]))
        for size in (10_000, 100_000)
    )
    assert near.mean[0, 0] == pytest.approx((0.5 / 5) * 0.5 + 0.5)  # of the first region alone
    assert far.mean[0, 0] == pytest.approx((prior + prior + 0.5 * (1 - prior)) / 2)


def test_probabilities_and_their_variance():
    own = np.linspace(0.05, 0.9, 36).reshape(12, 3).astype(np.float32)
    weights = np.array([0.1, 0, 0, 0.2])
    positions = np.arange(12) * 40  # two blocks of the first scale, and a third
    known = Levels(Few(positions, LABELS, own)).known("1", bins_of(positions, 500), weights)
    for cell in range(3):
        hidden = LABELS[:, cell] < 0
        p, at = own[hidden, cell].astype(float), positions[hidden]
        roots = np.sqrt(p * (1 - p))
        together = 0.2 + 0.1 * (at[:, None] // 200 == at // 200)
        np.fill_diagonal(together, 1)
        left = max(hidden.sum(), 1)
        assert known.mean[0, cell] == pytest.approx(p.sum() / left, rel=1e-6)
        variance = roots @ together @ roots / left**2
        assert known.variance[0, cell] == pytest.approx(variance, rel=1e-5)


def test_errors_of_probabilities_are_those_of_observed_states():
    own = np.linspace(0.05, 0.9, 36).reshape(12, 3).astype(np.float32)
    found = Levels(Few(POSITIONS, LABELS, own)).errors("1", REGION)
    for cell in range(3):
        seen = LABELS[:, cell] >= 0
        p = own[seen, cell].astype(float)
        off, roots = (LABELS[seen, cell] == 1) - p, np.sqrt(p * (1 - p))
        # No block but the region has two sites.
        assert found.error[cell] == pytest.approx(off.sum(), rel=1e-5)
        assert found.alone[cell] == pytest.approx((roots**2).sum(), rel=1e-5)
        assert found.squares[cell] == pytest.approx((off**2).sum(), rel=1e-5)
        pairs = roots.sum() ** 2 - (roots**2).sum()
        np.testing.assert_allclose(found.together[:, cell], [0, 0, 0, pairs], rtol=1e-5, atol=1e-6)
    assert len(found.error) == 3


def test_errors_of_calls_are_those_from_the_other_cells():
    found = Levels(Few(POSITIONS, LABELS), np.array([0.4, 0.5, 0.6])).errors("1", REGION)
    prior = (3 + 6 + 0.4) / (9 + 12 + 1)
    assert found.error[0] == pytest.approx(4 - 5 * prior)
    assert found.alone[0] == pytest.approx(5 * prior * (1 - prior))
    assert found.together[:, 0] == pytest.approx([0, 0, 0, 20 * prior * (1 - prior)])


def test_so_many_errors_of_blocks_at_most():
    rng = np.random.default_rng(0)
    positions = np.arange(5_000) * 50
    labels = (rng.random((5_000, 4)) < 0.5).astype(np.int8)
    levels = Levels(Few(positions, labels, np.full(labels.shape, 0.5, np.float32)))
    regions = bins_of(positions, 50_000)
    all_, some = (len(levels.errors("1", regions, most).error) for most in (10**6, 400))
    assert all_ == 4 * (1_250 + 125 + 15 + 5)
    assert 4 * 5 + 3 * 4 * 15 < some < 2 * 3 * 400


def test_half_of_the_calls_are_held_out():
    rng = np.random.default_rng(0)
    positions = np.arange(4_000) * 250
    labels = (rng.random((4_000, 5)) < 0.5).astype(np.int8)
    labels[rng.random(labels.shape) < 0.7] = -1
    levels = Levels(Few(positions, labels), np.full(5, 0.5))
    found = levels.outcomes("1", bins_of(positions, 20_000), np.zeros(4), rng)
    assert found.total.sum() == pytest.approx((labels >= 0).sum() / 2, rel=0.1)
    assert found.methylated.sum() / found.total.sum() == pytest.approx(0.5, abs=0.05)


def test_sums_over_observed_sites():
    means = np.arange(12.0)
    means[11] = np.nan
    found = expected_of_observed(
        Few(POSITIONS[:11], LABELS[:11]), "1", bins_of(POSITIONS[:11], 10**6), means[:11]
    )
    assert found.tolist() == [[10, sum(range(3, 11)), 55]]
    assert scipy.sparse.issparse(found) is False
