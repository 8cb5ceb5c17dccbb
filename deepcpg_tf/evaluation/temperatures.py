"""Temperatures that make probabilities calibrated, fitted on labels not trained on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import EvaluationError

# How sharply temperatures are thought to be like the common one, as the inverse variance of
# their logarithms: cells differ by a tenth, unless their labels say otherwise. Of 25 real cells
# with thousands of labels each, they differed by half of that.
_LIKE_OTHERS = 100.0
# And the common one like 1: enough for a model that tells all labels right.
_LIKE_ONE = 1.0
_FURTHEST = math.log(50)


class Temperatures(NamedTuple):
    """The common temperature, and that of each cell.

    ``own`` is None of a cell without labels of both states, whose temperature is the common
    one; ``mostly_common`` are the indices of these, and of those whose labels say less about
    their temperature than the other cells do.
    """

    common: float
    own: list[float | None]
    mostly_common: list[int]


def fit_temperatures(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]) -> Temperatures:
    """Fit a temperature for each cell, by the logistic loss of its labels.

    Few labels say little: the logarithm of each temperature is held near that of the common
    one, which is fitted to all labels, as by a normal prior with a deviation of a tenth.

    Parameters
    ----------
    logits : ndarray of float32, shape (n, cells)
        Of methylation, the balance of classes undone.
    labels : ndarray of int8, shape (n, cells)
        1, 0, or -1 where missing.

    Raises
    ------
    EvaluationError
        When the labels are not of both states.
    """
    columns = [_margins(own, y) for own, y in zip(logits.T, labels.T, strict=True)]
    seen = labels[labels >= 0]
    if not (seen == 0).any() or not (seen == 1).any():
        raise EvaluationError(
            "temperatures: expected observed sites of both states to fit them on, received "
            f"{len(seen):,} observed, {int((seen == 1).sum()):,} of them methylated"
        )
    common = _fit(np.concatenate(columns), 0.0, _LIKE_ONE)
    own: list[float | None] = []
    mostly_common = []
    for i, margins in enumerate(columns):
        y = labels[:, i]
        if not ((y == 0).any() and (y == 1).any()):
            own.append(None)
            mostly_common.append(i)
            continue
        own.append(_fit(margins, math.log(common), _LIKE_OTHERS))
        if _information(margins, common) < _LIKE_OTHERS:
            mostly_common.append(i)
    return Temperatures(common, own, mostly_common)


def _margins(
    logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]
) -> npt.NDArray[np.float64]:
    """Return the logits of the states that were observed."""
    known = labels >= 0
    return np.where(labels[known] > 0, 1.0, -1.0) * logits[known]


def _fit(margins: npt.NDArray[np.float64], near: float, strength: float) -> float:
    """Return the temperature whose logarithm is likeliest, when it is near another one."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        losses = np.logaddexp(0, -margins * math.exp(-log_temperature))
        return float(losses.sum() + 0.5 * strength * (log_temperature - near) ** 2)

    limits = (near - _FURTHEST, near + _FURTHEST)
    found = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-6})
    return math.exp(found.x)


def _information(margins: npt.NDArray[np.float64], temperature: float) -> float:
    """Return how much labels say about the logarithm of their temperature: Fisher's."""
    from scipy.special import expit

    scaled = margins / temperature
    return float((np.square(scaled) * expit(scaled) * expit(-scaled)).sum())
