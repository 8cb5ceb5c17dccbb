"""How much sites of a region err together: fitted on some chromosomes, checked on others.

A prediction p of a state y errs by y - p, with the variance p (1 - p) where it is calibrated.
Sites near each other err alike. Two sites within a block of a scale have there the correlation
w of that scale, and those of all scales in whose blocks both lie add up. So the error of the
sum over a region has the variance

    sum of v  +  over scales, w times (sum over blocks of (sum of sqrt(v)) ** 2  -  sum of v)

with v = p (1 - p). The w, at least 0, are fitted to squared errors of sums over regions, each
weighed by what its own variance is taken to be, again and again until that no longer changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.optimize

from deepcpg_tf.regions.intervals import held, interval
from deepcpg_tf.regions.places import SCALES

Numbers = npt.NDArray[np.float64]

_ROUNDS = 30
_CLOSE = 1e-4
_SURE = 2.0
_EXPECTED_WITHIN = 0.05
_TOGETHER = 0.98
"""Correlation that two sites have at most."""


class Errors(NamedTuple):
    """Errors of sums over regions in cells.

    ``error`` is [n]; ``alone``, the sum of v, above 0, [n]; ``together`` [scales, n] is what the
    w go with; ``squares`` [n] is the sum of the squared errors of single sites.
    """

    error: Numbers
    alone: Numbers
    together: Numbers
    squares: Numbers


class Outcomes(NamedTuple):
    """What came out, and what was predicted of it.

    ``methylated`` of ``total`` sites are, whose share has the ``mean`` and the ``variance``.
    """

    methylated: Numbers
    total: Numbers
    mean: Numbers
    variance: Numbers


class Coverage(NamedTuple):
    """How many of the nominal 90% intervals hold.

    ``held`` is the mean of `deepcpg_tf.regions.intervals.held`, and ``closed`` the share of
    intervals, ends included, with the outcome in them. There are ``outcomes`` of them, with
    ``sites`` each on average.
    """

    held: float
    closed: float
    outcomes: int
    sites: float


def joined(parts: Iterable[Errors]) -> Errors:
    """Return errors of several places as one."""
    none = np.zeros(0)
    empty = Errors(none, none, np.zeros((len(SCALES) + 1, 0)), none)
    columns = list(zip(*parts, strict=True)) or [()] * len(empty)
    return Errors(*(np.concatenate([a, *b], axis=-1) for a, b in zip(empty, columns, strict=True)))


def fit(errors: Errors, expected: Numbers | None = None) -> Numbers:
    """Return the correlation that each scale adds, float64 [scales]; the last is of regions.

    Parameters
    ----------
    errors
        What came out.
    expected : ndarray of float64, shape (scales,)
        What to stay near, as far as the errors do not tell otherwise: they may be of too few
        sites that lie apart to tell of larger scales.
    """
    squares, alone, together = errors.error**2, errors.alone, errors.together
    weights = np.zeros(len(together))
    if not len(alone):
        return weights if expected is None else expected
    for _ in range(_ROUNDS):
        spread = np.maximum(alone + weights @ together, 1e-3 * alone)
        # A squared error differs from its mean by about the root of 2 times that.
        rows, values = (together / spread).T / np.sqrt(2), (squares - alone) / spread / np.sqrt(2)
        if expected is not None:
            rows = np.concatenate([rows, np.eye(len(weights)) / _EXPECTED_WITHIN])
            values = np.append(values, expected / _EXPECTED_WITHIN)
        found, _ = scipy.optimize.nnls(rows, values)
        found *= min(1.0, _TOGETHER / max(found.sum(), _TOGETHER))
        change = np.abs(found - weights).max()
        weights = found
        if change < _CLOSE:
            break
    return weights


def surprise(errors: Errors) -> float:
    """Return the squared errors of single sites by what they should be: 1 where calibrated."""
    expected = errors.alone.sum()
    return float(errors.squares.sum() / expected) if expected > 0 else 1.0


def opposed(errors: Errors) -> bool:
    """Return whether errors of sites near each other cancel out, at any scale.

    They do where observed sites were predicted of each other: the error of one is what the
    others did not tell of it, and has pulled their predictions its way. Then they do not tell
    how sites err together of which nothing is known, whose errors add up.
    """
    if len(errors.error) < 2:
        return False
    # How the likelihood changes with each w at 0.
    scores = errors.together * (errors.error**2 - errors.alone) / errors.alone**2
    noise = np.maximum(scores.std(axis=1), 1e-12) / np.sqrt(scores.shape[1])
    return bool((scores.mean(axis=1) < -_SURE * noise).any())


def coverage(parts: Sequence[Outcomes]) -> Coverage:
    """Return how many of the intervals hold that were given for some outcomes."""
    none = Outcomes(*(np.zeros(0) for _ in Outcomes._fields))
    count, total, mean, variance = (
        np.concatenate(column) for column in zip(none, *parts, strict=True)
    )
    if not len(count):
        return Coverage(np.nan, np.nan, 0, np.nan)
    low, high = interval(mean, variance, total)
    share = count / total
    closed = (share >= low - 1e-9) & (share <= high + 1e-9)
    inside = held(count, total, mean, variance)
    return Coverage(float(inside.mean()), float(closed.mean()), len(count), float(total.mean()))
