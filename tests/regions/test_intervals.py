import numpy as np
import pytest
import scipy.stats

from deepcpg_tf.regions.intervals import NOMINAL, evidence, held, interval


def of(*values):
    return tuple(np.array([value], float) for value in values)


def test_quantiles_of_many_sites():
    a, b = scipy.stats.beta(6, 14).ppf([0.05, 0.95])  # 0.3, and 0.3 * 0.7 / 21
    low, high = interval(*of(0.3, 0.01, 1e6))
    assert low[0] == pytest.approx(a)
    assert high[0] == pytest.approx(b)


def test_one_site_is_one_or_the_other():
    """Unless it is so sure that not even half of the other is within 5% of a tail."""
    for p, expected in ((0.5, (0, 1)), (0.2, (0, 1)), (0.04, (0, 0)), (0.97, (1, 1))):
        low, high = interval(*of(p, p * (1 - p), 1))
        assert (low[0], high[0]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("mean", [0.0, 0.4, 1.0])
def test_what_is_sure(mean):
    assert [float(end[0]) for end in interval(*of(mean, 0, 0))] == [mean, mean]
    assert held(*of(round(mean * 10), 10, mean, 0)) == NOMINAL
    assert held(*of(7, 10, mean, 0)) == 0


@pytest.mark.parametrize("sites", [2, 5, 20, 200])
@pytest.mark.parametrize(("a", "b"), [(2, 2), (0.5, 3), (20, 1), (40, 60)])
def test_outcomes_of_a_distribution_that_is_right_are_held(sites, a, b):
    """Of beta-binomial counts, that have the mean and variance, near 90% are."""
    rng = np.random.default_rng(0)
    count = rng.binomial(sites, rng.beta(a, b, 20_000)).astype(float)
    true = scipy.stats.betabinom(sites, a, b)
    many = np.ones(len(count))
    found = held(count, sites * many, true.mean() / sites * many, true.var() / sites**2 * many)
    assert found.mean() == pytest.approx(NOMINAL, abs=0.03 if sites > 2 else 0.06)
    half = held(count, sites * many, true.mean() / sites * many, true.var() / sites**2 / 4 * many)
    assert half.mean() < found.mean() - 0.05 or a == 20


@pytest.mark.parametrize(("sites", "most"), [(4, 0.96), (10, 0.94), (100, 0.915)])
def test_intervals_of_few_sites_hold_somewhat_more_often(sites, most):
    """There are few whole numbers, of which those near 0 and 1 have all but a few percent."""
    rng = np.random.default_rng(1)
    p = rng.beta(1, 1, 50_000)
    share = rng.binomial(sites, p) / sites
    low, high = interval(p, p * (1 - p) / sites, np.full(len(p), sites))
    inside = (share >= low - 1e-9) & (share <= high + 1e-9)
    assert 0.89 < inside.mean() < most


def test_evidence():
    sites = np.array([10.0])
    assert evidence(np.array([0.3]), np.array([0.0]), sites) == 10
    assert evidence(np.array([0.0]), np.array([0.0]), sites) == 10
    # Four of ten at random, without replacement.
    assert evidence(np.array([0.5]), np.array([0.25 * (1 / 4 - 1 / 10)]), sites) == pytest.approx(4)
    assert evidence(np.array([0.5]), np.array([0.25]), sites) < 1
