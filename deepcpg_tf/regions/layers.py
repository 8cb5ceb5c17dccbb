"""What other programs' workflows take of regions: MethSCAn's and ALLCools' numbers.

The definitions were learnt from their sources: MethSCAn (Kremer et al., Nature Methods
2024; ``smooth`` and ``matrix``) and ALLCools (Liu et al., Nature 2021;
``calculate_posterior_mc_frac`` and the quantifier ``hypo-score``). All count calls: a site
observed in a cell is one, however many reads it has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats

from deepcpg_tf.regions.places import Ints

Numbers = npt.NDArray[np.float64]

BANDWIDTH = 1_000
"""Bases of MethSCAn's kernel, both sides together."""

HYPO_CUTOFF = 0.9
"""Hypo-scores below are 0."""

MOST_NORMALISED = 10.0
"""Posterior fractions above this, relative to the cell's level, are this."""


def smoothed(positions: Ints, methylated: Ints, observed: Ints) -> Numbers:
    """Return MethSCAn's smoothed mean over cells at each site of a chromosome.

    It is the mean, over the observed sites nearer than half of `BANDWIDTH`, of the share
    of cells that are methylated, weighted by the tricube kernel of the distance; each site counts
    alike, however many cells observed it. NaN where no cell did. MethSCAn itself has NaN
    within half of the bandwidth of both ends of a chromosome's matrix, too.

    Parameters
    ----------
    positions : ndarray of int64, shape (sites,)
        Ascending.
    methylated, observed : ndarray of int64, shape (sites,)
        In how many cells.
    """
    half = BANDWIDTH / 2
    some = np.flatnonzero(observed > 0)
    at, share = positions[some], methylated[some] / observed[some]
    total, weight = share.copy(), np.ones(len(some))
    # Each pair of sites that are n apart in their order, until none is near enough.
    left = np.arange(len(some))
    for step in range(1, len(some)):
        left = left[left < len(some) - step]
        left = left[at[left + step] - at[left] < half]
        if not left.size:
            break
        right = left + step
        kernel = (1 - ((at[right] - at[left]) / half) ** 3) ** 3
        # In neither are there two of one index.
        total[left] += kernel * share[right]
        weight[left] += kernel
        total[right] += kernel * share[left]
        weight[right] += kernel
    result = np.full(len(positions), np.nan)
    result[some] = total / weight
    return result


def shrunken_residuals(methylated: Numbers, expected: Numbers, observed: Numbers) -> Numbers:
    """Return MethSCAn's shrunken mean of residuals; NaN where nothing was observed.

    Parameters
    ----------
    methylated, expected, observed : ndarray of float64
        Of the observed sites of a region in a cell: how many are methylated, the sum of the
        smoothed means, and how many there are.
    """
    return np.where(observed > 0, (methylated - expected) / (observed + 1), np.nan)


def posterior_fraction(
    methylated: Numbers, observed: Numbers, mean: Numbers, variance: Numbers
) -> Numbers:
    """Return ALLCools' posterior methylated fraction, relative to the cell's level.

    The prior of a cell is the beta distribution that has the mean and the variance of its raw
    fractions over all regions where something was observed. Where nothing was, the result is 1.
    NaN for a cell whose raw fractions do not vary.

    Parameters
    ----------
    methylated, observed : ndarray of float64, shape (cells, regions)
    mean, variance : ndarray of float64, shape (cells,)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (1 - mean) * mean**2 / variance - mean
        b = a * (1 / mean - 1)
        posterior = (methylated + a[:, None]) / (observed + (a + b)[:, None])
        relative = posterior / (a / (a + b))[:, None]
    relative[~np.isfinite(relative)] = np.nan
    return np.minimum(relative, MOST_NORMALISED)


def hypo_score(methylated: Numbers, observed: Numbers, level: Numbers) -> Numbers:
    """Return ALLCools' hypo-score: how sure it is that a region is below its cell's level.

    It is the probability that, of so many calls at that level, more than those observed are
    methylated; 0 where it is below `HYPO_CUTOFF`, or all are methylated. ALLCools keeps it
    as float16.

    Parameters
    ----------
    methylated, observed : ndarray of float64, shape (cells, regions)
    level : ndarray of float64, shape (cells,)
        Methylated calls of all regions by all calls plus 1e-6.
    """
    score = np.zeros_like(observed)
    cells, regions = np.nonzero(observed > methylated)
    place = (cells, regions)
    score[place] = scipy.stats.binom.sf(methylated[place], observed[place], level[cells])
    return np.where(score < HYPO_CUTOFF, 0.0, score)
