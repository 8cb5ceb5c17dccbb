"""Statistics over the cells of a site or of a window around it, as the original defines them.

Per cell, a site is 0 or 1, and a window the mean of the states observed in it. Of these
values, one an observed cell: ``mean``; ``var``, the variance of all of them (not of a
sample); ``cat_var``, in which third of 0 to 0.25 that lies (0, 1, 2), ``cat2_var``, whether
above the first; ``mode``, the mean rounded (0.5 to 0); ``entropy`` of the mean, in nats;
``diff``, whether the smallest is other than the largest (of a window: than the largest
rounded down). Source: ``deepcpg/data/stats.py`` and ``dcpg_data.py`` of DeepCpG 1.0.7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.configs.outputs import Statistic
from deepcpg_tf.data.calls import labels_of_calls
from deepcpg_tf.data.keys import keys_of

MISSING = -1.0
"""The target of a site where there is none, as in the original's files."""

MINIMUM_CELLS = 3
"""Observed cells that a site needs for statistics of its own, the original's default."""

_ROWS = 1 << 14
_EPSILON = 1e-7

Values = npt.NDArray[np.float64]


def cell_statistics(
    calls: scipy.sparse.csr_array,
    chromosome_ids: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int64],
    statistics: Sequence[Statistic],
) -> npt.NDArray[np.float32]:
    """Return statistics of all sites.

    Of a single site there are none where fewer than `MINIMUM_CELLS` cells were observed, and
    of a window none where no cell was. A window has the sites of at most half its length on
    each side, all of them (the original knows as many as its files have neighbours).

    Parameters
    ----------
    calls : csr_array of int8, shape (sites, cells)
        1 methylated, -1 unmethylated, absent where missing.
    chromosome_ids, positions : ndarray of integers, shape (sites,)
        Of the sites, in any order; positions in base pairs, 0-based.
    statistics
        Which; windows are as long as they say, in base pairs.

    Returns
    -------
    ndarray of float32, shape (sites, statistics)
        In the units above; -1 where there is none.
    """
    result = np.full((len(positions), len(statistics)), MISSING, np.float32)
    for window in dict.fromkeys(one.window for one in statistics):
        own = [i for i, one in enumerate(statistics) if one.window == window]
        names = [statistics[i].name for i in own]
        values_of = (
            _of_sites(calls)
            if window is None
            else _of_windows(calls, chromosome_ids, positions, window)
        )
        minimum = MINIMUM_CELLS if window is None else 1
        for start in range(0, len(positions), _ROWS):
            rows = slice(start, start + _ROWS)
            result[rows, own] = _statistics(values_of(rows), names, minimum)
    return result


def _statistics(values: Values, names: Sequence[str], minimum: int) -> Values:
    """Return statistics [n, names] of the values of cells [n, cells], NaN where not observed."""
    there = ~np.isnan(values)
    counts = there.sum(axis=1)
    divisors = np.maximum(counts, 1)
    mean = np.where(there, values, 0).sum(axis=1) / divisors
    var = np.where(there, (values - mean[:, None]) ** 2, 0).sum(axis=1) / divisors
    computed: dict[str, Callable[[], npt.NDArray[np.generic]]] = {
        "mean": lambda: mean,
        "var": lambda: var,
        "cat_var": lambda: _third(var),
        "cat2_var": lambda: _third(var) > 0,
        "mode": lambda: np.round(mean),
        "entropy": lambda: _entropy(mean),
        "diff": lambda: (
            np.where(there, values, np.inf).min(axis=1, initial=np.inf)
            != np.floor(np.where(there, values, 0).max(axis=1, initial=0))
        ),
    }
    result = np.stack([computed[name]() for name in names], axis=1).astype(np.float64)
    result[counts < minimum] = MISSING
    return result


def _third(var: Values) -> npt.NDArray[np.int64]:
    """Return 0, 1 or 2, for which third of 0 to 0.25 a variance lies in."""
    bounds = np.linspace(-_EPSILON, 0.25, 4)
    return np.clip(np.digitize(var, bounds, right=True) - 1, 0, 2)


def _entropy(mean: Values) -> Values:
    share = np.clip(mean, _EPSILON, 1 - _EPSILON)
    entropy: Values = -(share * np.log(share) + (1 - share) * np.log1p(-share))
    return entropy


def _of_sites(calls: scipy.sparse.csr_array) -> Callable[[slice], Values]:
    def values(rows: slice) -> Values:
        labels = labels_of_calls(calls[rows].toarray())
        return np.where(labels < 0, np.nan, labels)

    return values


def _of_windows(
    calls: scipy.sparse.csr_array,
    chromosome_ids: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int64],
    length: int,
) -> Callable[[slice], Values]:
    """Return the function from rows to the mean of what was observed around, cell by cell."""
    keys = keys_of(chromosome_ids, positions)
    order = np.argsort(keys, kind="stable")
    columns = scipy.sparse.csc_array(calls[order])
    columns.sort_indices()
    sorted_keys = keys[order]
    bounds = list(zip(columns.indptr[:-1].tolist(), columns.indptr[1:].tolist(), strict=True))
    sums = np.concatenate([[0], np.cumsum(columns.data > 0)])
    half = length // 2

    def values(rows: slice) -> Values:
        # Not below 0: that would be another chromosome.
        first = keys[rows] - np.minimum(positions[rows], half)
        last = keys[rows] + half
        result = np.full((len(first), len(bounds)), np.nan)
        for column, (start, end) in enumerate(bounds):
            own = sorted_keys[columns.indices[start:end]]
            low = start + np.searchsorted(own, first)
            high = start + np.searchsorted(own, last, side="right")
            np.divide(sums[high] - sums[low], high - low, out=result[:, column], where=high > low)
        return result

    return values
