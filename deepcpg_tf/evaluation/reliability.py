"""Whether probabilities can be taken at their word: sums from which all figures of it come.

The expected calibration error (ECE) is the mean, over labels, of how far apart the mean
probability and the share methylated are in the label's bin, of equal bins of the
probability of methylation. The Brier score is the mean squared error of probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.evaluation.scores import Observed

BINS = 15
"""Of the probability of methylation."""

_LEVELS = 500
"""Of confidence, the probability of the likelier state, from 0.5 to 1."""

_SHOWN = (*range(0, _LEVELS, 10), _LEVELS - 1)

Floats = npt.NDArray[np.float64]


class Risk(NamedTuple):
    """What keeping the most confident predictions alone costs and gains, float64 [levels].

    Of the labels whose prediction has at least ``min_confidence``, ``coverage`` is their
    share of all, and ``error`` the share of them that is predicted wrongly, NaN without any.
    """

    min_confidence: Floats
    coverage: Floats
    error: Floats


class Reliability(NamedTuple):
    """Sums over the labels of each cell, float64.

    In bins of probability [cells, bins], ``counts`` and ``positives`` are numbers of labels and
    of methylated ones, ``probabilities`` sums of probabilities. ``squares`` [cells] are
    squared errors. At levels of confidence [cells, levels], ``sure`` are numbers of labels,
    and ``wrong`` of those that are predicted wrongly.
    """

    counts: Floats
    positives: Floats
    probabilities: Floats
    squares: Floats
    sure: Floats
    wrong: Floats

    @property
    def methylated(self) -> Floats:
        """The share of methylated labels of each cell, NaN without labels."""
        return ratio(self.positives.sum(axis=1), self.counts.sum(axis=1))

    @property
    def ece(self) -> Floats:
        """The expected calibration error of each cell, NaN without labels."""
        apart = np.abs(self.positives - self.probabilities).sum(axis=1)
        return ratio(apart, self.counts.sum(axis=1))

    @property
    def brier(self) -> Floats:
        """The Brier score of each cell, NaN without labels."""
        return ratio(self.squares, self.counts.sum(axis=1))

    def pooled(self) -> Reliability:
        """Return the same of all labels together, as of one cell."""
        return Reliability(*(one.sum(axis=0, keepdims=True) for one in self))

    def risks(self) -> list[Risk]:
        """Return risk against coverage of each cell, from all labels down to the surest."""
        kept = np.cumsum(self.sure[:, ::-1], axis=1)[:, ::-1]
        wrong = np.cumsum(self.wrong[:, ::-1], axis=1)[:, ::-1]
        levels = 0.5 + np.arange(_LEVELS) / (2 * _LEVELS)
        coverages, errors = ratio(kept, kept[:, :1]), ratio(wrong, kept)
        return [Risk(levels, *pair) for pair in zip(coverages, errors, strict=True)]


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide element by element; NaN where the denominator is 0."""
    return numerator / np.where(denominator > 0, denominator, np.nan)


def together(cells: Iterable[Reliability]) -> Reliability:
    """Return the sums of some cells as one."""
    sums = [*cells]
    if not sums:
        shapes = ((0, BINS), (0, BINS), (0, BINS), (0,), (0, _LEVELS), (0, _LEVELS))
        return Reliability(*map(np.empty, shapes))
    return Reliability(*map(np.concatenate, zip(*sums, strict=True)))


def reliability(observed: Observed) -> Reliability:
    """Return the sums of one cell; a bin has its lower end, and the last one 1 too."""
    labels, probabilities = observed.labels, observed.probabilities.astype(np.float64)
    bins = np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)
    confidence = np.maximum(probabilities, 1 - probabilities)
    levels = np.minimum(((confidence - 0.5) * 2 * _LEVELS).astype(np.intp), _LEVELS - 1)
    wrong = (probabilities > 0.5) != (labels == 1)
    weights = (None, labels, probabilities)
    in_bins = [np.bincount(bins, weight, BINS).astype(np.float64) for weight in weights]
    at_levels = [np.bincount(levels, weight, _LEVELS).astype(float) for weight in (None, wrong)]
    sums = [*in_bins, np.square(probabilities - labels).sum(), *at_levels]
    return Reliability(*(np.expand_dims(one, 0) for one in sums))


def figures_of(
    cells: Sequence[str], calibration: Reliability, predicted: Reliability | None
) -> Iterator[tuple[str, str, float]]:
    """Yield metric, output (``cpg/<cell>``, and ``cpg`` for all labels together), value.

    ``…_predicted`` are those of what the model predicts, where that was calibrated.
    """
    outputs = [*(f"cpg/{cell}" for cell in cells), "cpg"]
    for suffix, one in (("", calibration), ("_predicted", predicted)):
        if one is None:
            continue
        pooled = one.pooled()
        for metric in ("brier", "ece"):
            values = [*getattr(one, metric), *getattr(pooled, metric)]
            for output, value in zip(outputs, values, strict=True):
                yield f"{metric}{suffix}", output, float(value)


def risk_rows(calibration: Reliability) -> Iterator[tuple[float, float, float]]:
    """Yield min_confidence, coverage, error of all labels together, some levels of them."""
    (risk,) = calibration.pooled().risks()
    for level in _SHOWN:
        yield (
            round(float(risk.min_confidence[level]), 3),
            float(risk.coverage[level]),
            float(risk.error[level]),
        )
