"""Figures that are gathered batch by batch while a model trains."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_BINS = 10_000


class StreamingAuc:
    """Mean area under the ROC curve over cells, from a histogram of probabilities.

    Memory does not grow with the number of sites. Probabilities are told apart to
    one part in 10,000, within which ties count half: the figure is for watching a
    training, and evaluation computes the exact one.

    Parameters
    ----------
    cells
        Number of cells.
    """

    def __init__(self, cells: int) -> None:
        self._counts = np.zeros((cells, 2, _BINS), np.int64)

    def update(self, labels: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float32]) -> None:
        """Add a batch.

        Parameters
        ----------
        labels : ndarray of int8, shape (n, cells)
            1 methylated, 0 unmethylated, -1 missing.
        probabilities : ndarray of float32, shape (n, cells)
        """
        rows, cells = np.nonzero(labels >= 0)
        bins = np.minimum((probabilities[rows, cells] * _BINS).astype(np.int64), _BINS - 1)
        flat = (cells * 2 + labels[rows, cells]) * _BINS + bins
        self._counts += np.bincount(flat, minlength=self._counts.size).reshape(self._counts.shape)

    def result(self) -> float:
        """Return the mean over the cells that show both classes, NaN if none does."""
        negatives, positives = self._counts[:, 0], self._counts[:, 1]
        below = np.cumsum(negatives, axis=1) - negatives
        wins = (positives * (below + negatives / 2)).sum(axis=1)
        pairs = negatives.sum(axis=1) * positives.sum(axis=1)
        known = pairs > 0
        return float(np.mean(wins[known] / pairs[known])) if known.any() else float("nan")
