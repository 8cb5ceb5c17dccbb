"""What the figures show of each cell: points of its curves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.evaluation.scores import Sweep

_POINTS = 400


class Curve(NamedTuple):
    """Points of one cell's ROC and precision-recall curves, float64, shape (points,).

    The first is at the highest probability that occurs, so that precision is defined.
    """

    false_positive_rate: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]


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
