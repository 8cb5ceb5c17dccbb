"""What the figures show of each cell: points of its curves, and its calibration."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.evaluation.scores import Observed, Sweep

BINS = 10
_POINTS = 400


class Curve(NamedTuple):
    """Points of one cell's ROC and precision-recall curves, float64, shape (points,).

    The first is at the highest probability that occurs, so that precision is defined.
    """

    false_positive_rate: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]


class Calibration(NamedTuple):
    """Sites in equal bins of probability, float64, each array of the shape (cells, bins).

    ``counts`` and ``positives`` are numbers of sites and of methylated ones,
    ``probabilities`` sums of probabilities.
    """

    counts: npt.NDArray[np.float64]
    positives: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]

    @property
    def methylated(self) -> npt.NDArray[np.float64]:
        """The share of methylated sites of each cell, NaN without sites."""
        return ratio(self.positives.sum(axis=1), self.counts.sum(axis=1))


def ratio(
    numerator: npt.NDArray[np.float64], denominator: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Divide element by element; NaN where the denominator is 0."""
    return numerator / np.where(denominator > 0, denominator, np.nan)


def thin(found: Sweep) -> Curve:
    """Return points of the curves of a cell, evenly spread along its ROC curve."""
    fpr = found.false_positives / found.false_positives[-1]
    tpr = found.true_positives / found.true_positives[-1]
    along = fpr + tpr
    # The first threshold finds nothing, so that its precision is 0 / 0.
    index = np.searchsorted(along, np.linspace(along[1], along[-1], _POINTS))
    index = np.unique(np.minimum(index, len(along) - 1))
    true, false = found.true_positives[index], found.false_positives[index]
    return Curve(fpr[index], tpr[index], true / (true + false))


def calibrate(observed: Observed) -> npt.NDArray[np.float64]:
    """Return a cell's rows of the three arrays of `Calibration`, shape (3, bins).

    A bin includes its lower end, and the last one 1 too.
    """
    bins = np.minimum((observed.probabilities * BINS).astype(np.intp), BINS - 1)
    weights = (None, observed.labels, observed.probabilities)
    return np.stack([np.bincount(bins, weight, BINS).astype(float) for weight in weights])
