"""From a mean and a variance of what is not known to an interval, and whether it holds.

Of the sites of a region, some are observed in a cell. How many of the others are methylated
has a mean and a variance (`deepcpg_tf.regions.levels`); their share is taken to have the beta
distribution with both, which is right near 0 and 1 too, where an interval has one side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv

Numbers = npt.NDArray[np.float64]

NOMINAL = 0.9
_TAIL = (1 - NOMINAL) / 2

# A beta distribution has less variance than two points at 0 and 1 that have its mean.
_MOST = 0.999
_LEAST = 1e-9


def interval(mean: Numbers, variance: Numbers, total: Numbers) -> tuple[Numbers, Numbers]:
    """Return the ends of the 90% interval of a share.

    They are the 5% and 95% quantiles; and 0 or 1 where so much of the distribution is nearer to
    none or all of the sites than to one more or less that half of it is a tail of 5%: so an
    outcome lies within if the middle of its stretch does.

    Parameters
    ----------
    mean, variance : ndarray of float64
        Of the share, 0 to 1.
    total : ndarray of float64
        Sites that it is a share of.
    """
    a, b, sure = _beta(mean, variance)
    low, high = (np.where(sure, mean, betaincinv(a, b, q)) for q in (_TAIL, 1 - _TAIL))
    half = 0.5 / np.maximum(total, 1)
    none = ~sure & (betainc(a, b, half) >= 2 * _TAIL)
    every = ~sure & (betainc(b, a, half) >= 2 * _TAIL)
    return np.where(none, 0.0, low), np.where(every, 1.0, high)


def held(count: Numbers, total: Numbers, mean: Numbers, variance: Numbers) -> Numbers:
    """Return how much of each outcome lies within its interval, 0 to 1.

    A count of few sites jumps: no interval of whole sites holds exactly 90%. So each outcome
    takes the stretch of the distribution that is nearer to it than to its neighbours, and
    counts by the part of this between the 5% and the 95% quantile. Where the
    distribution is right, the mean of this is 90%, of however few sites.

    Parameters
    ----------
    count, total : ndarray of float64
        How many of how many sites are methylated.
    mean, variance : ndarray of float64
        Of the share, as it was predicted.
    """
    a, b, sure = _beta(mean, variance)
    total = np.maximum(total, 1)
    edges = (
        np.where(count <= 0, 0.0, betainc(a, b, np.clip((count - 0.5) / total, 0, 1))),
        np.where(count >= total, 1.0, betainc(a, b, np.clip((count + 0.5) / total, 0, 1))),
    )
    inside = np.clip(edges[1], _TAIL, 1 - _TAIL) - np.clip(edges[0], _TAIL, 1 - _TAIL)
    width = edges[1] - edges[0]
    result = np.divide(inside, width, out=np.zeros_like(inside), where=width > 0)
    # Of what is sure to be so, 90% is let count as well.
    right = np.abs(count - total * mean) < 0.5
    return np.where(sure, np.where(right, NOMINAL, 0.0), result)


def evidence(mean: Numbers, variance: Numbers, sites: Numbers) -> Numbers:
    """Return how many sites, observed one by one at random, would tell as much of a region.

    Of e sites among n, the share has the variance mean (1 - mean) (1 / e - 1 / n), which is
    solved for e: n where all are known, and below 1 where nothing is.
    """
    spread = mean * (1 - mean)
    relative = np.divide(variance, spread, out=np.zeros_like(variance), where=spread > 0)
    return 1 / (relative + 1 / sites)


def _beta(mean: Numbers, variance: Numbers) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
    """Return both parameters, and where there is nothing to be unsure of."""
    spread = mean * (1 - mean)
    sure = (spread <= _LEAST) | (variance <= _LEAST * spread)
    relative = np.clip(np.divide(variance, spread, out=np.ones_like(mean), where=~sure), 0, _MOST)
    size = 1 / np.maximum(relative, _LEAST) - 1
    a, b = np.maximum(mean * size, _LEAST), np.maximum((1 - mean) * size, _LEAST)
    return np.where(sure, 1.0, a), np.where(sure, 1.0, b), sure
