"""What filters have to do with what is predicted and observed."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

Measure = Literal["log_loss", "probability"]
"""What the importance of a filter is measured by."""

BINS = 50
"""Bins of a density."""

# Probabilities are kept so far away from 0 and 1, where the logarithm has no end.
_LEAST = 1e-7


@dataclasses.dataclass(frozen=True)
class FilterRoles:
    """What filters have to do with predictions and labels, in some of the windows.

    A filter's activity in a window is its mean activation there.

    Attributes
    ----------
    cells : tuple of str
        Names of the cells.
    importance : ndarray of float64, shape (filters,)
        What changes when a filter is silent: by how much the log-loss of the labels grows, in
        nats a label, or, without labels, how far a probability moves on average.
    measure
        Which of the two: ``"log_loss"`` or ``"probability"``.
    predictions : ndarray of float64, shape (filters, cells)
        Pearson's correlation of activity and probability; NaN where one does not vary.
    labels : ndarray of float64, shape (filters, cells), or None
        The same of activity and label, where there are labels.
    components : ndarray of float64, shape (filters, 2)
        The first two principal components of activities, a point a filter.
    explained : ndarray of float64, shape (2,)
        The share of the variance that each of them has.
    densities : ndarray of int64, shape (filters, BINS)
        How many of the activations above 0 lie in each of equal bins up to `largest`.
    largest : ndarray of float64, shape (filters,)
        The largest activation in these windows.
    silent : ndarray of float64, shape (filters,)
        The share of activations that are 0.
    windows, silenced : int
        How many windows the correlations are over, and how many the importance is.
    """

    cells: tuple[str, ...]
    importance: Numbers
    measure: Measure
    predictions: Numbers
    labels: Numbers | None
    components: Numbers
    explained: Numbers
    densities: npt.NDArray[np.int64]
    largest: Numbers
    silent: Numbers
    windows: int
    silenced: int

    @property
    def order(self) -> list[int]:
        """All filters by importance, the highest first; equal ones by index."""
        return [int(i) for i in np.argsort(-self.importance, kind="stable")]


def correlations(activities: Floats, values: npt.NDArray[np.floating]) -> Numbers:
    """Return Pearson's correlation of activities [n, filters] with values [n, cells].

    A value that is NaN is left out, with what belongs to it.
    """
    own = activities.astype(np.float64)
    result = np.full((own.shape[1], values.shape[1]), np.nan)
    for i, column in enumerate(values.T.astype(np.float64)):
        known = ~np.isnan(column)
        if known.sum() < 2:
            continue
        one, other = _standard(own[known]), _standard(column[known, None])
        result[:, i] = (one.T @ other)[:, 0]
    return result


def _standard(columns: Numbers) -> Numbers:
    """Return columns of mean 0 and size 1; NaN where one does not vary."""
    centred = columns - columns.mean(axis=0)
    size = np.linalg.norm(centred, axis=0)
    # What rounding leaves of a constant is no variation.
    least = 1e-12 * np.linalg.norm(columns, axis=0)
    result: Numbers = centred / np.where(size > least, size, np.nan)
    return result


def known_labels(labels: Labels) -> Numbers:
    """Return labels as numbers, NaN where missing."""
    return np.where(labels >= 0, labels, np.nan).astype(np.float64)


def loss(probabilities: Floats, labels: Labels) -> float:
    """Return the log-loss of all labels that are not missing, in nats, added up."""
    known = labels >= 0
    right = np.where(labels == 1, probabilities, 1 - probabilities.astype(np.float64))
    return float(-np.log(np.clip(right[known], _LEAST, 1)).sum())


def principal_components(activities: Floats, number: int = 2) -> tuple[Numbers, Numbers]:
    """Return the first components of filters, each a point with a coordinate a window.

    Parameters
    ----------
    activities : ndarray of float32, shape (n, filters)
    number
        How many components.

    Returns
    -------
    ndarray of float64, shape (filters, number)
        The largest coordinate of each component is positive.
    ndarray of float64, shape (number,)
        The share of the variance that each has.
    """
    points = activities.T.astype(np.float64)
    points = points - points.mean(axis=0)
    # Of the products of filters, who are fewer than windows.
    variances, vectors = np.linalg.eigh(points @ points.T)
    variances = np.clip(variances[::-1], 0, None)
    vectors = vectors[:, ::-1]
    components = np.zeros((len(points), number))
    explained = np.zeros(number)
    total = variances.sum()
    for i in range(min(number, len(points))):
        own = vectors[:, i] * np.sqrt(variances[i])
        components[:, i] = own * np.sign(own[np.abs(own).argmax()])
        explained[i] = variances[i] / total if total > 0 else 0
    return components, explained


def density(values: Floats) -> tuple[npt.NDArray[np.int64], float, float]:
    """Return counts of activations above 0 in bins, the largest, and the share that are 0."""
    largest = float(values.max())
    active = values[values > 0]
    counts = np.histogram(active, BINS, (0, largest or 1.0))[0]
    return counts.astype(np.int64), largest, 1 - len(active) / values.size
