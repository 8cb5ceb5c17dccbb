"""What features need to know of a whole table: how cells are, and how alike.

What is known at a site must not hold what was observed there. So a table is taken in folds,
chromosomes as a rule, and what is known in one is of all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.table import MethylationTable

MOST_ROWS = 16_384
"""Sites of a fold that cells are compared at, evenly spread over it; of many cells fewer."""

_MOST_ENTRIES = 1 << 24

_STRETCHES = 8
"""Folds of a table that has one chromosome only."""

_DISTANCES = 24
"""Classes of distances: powers of two, in base pairs."""

_PRIOR = 20.0
"""Pairs that the agreement of two cells, or at a distance, begins with."""

_SURE = 0.02
"""No agreement is taken to be nearer to 0 or 1."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Context:
    """What is known of the cells of a table outside of a fold.

    Attributes
    ----------
    means : ndarray of float32, shape (cells,)
        Mean state of each cell, -1 to 1.
    coverage : ndarray of float32, shape (cells,)
        Share of the sites that was observed in it.
    weights : scipy.sparse.csr_array of float32, shape (cells, cells)
        Of each cell the log odds that it agrees with others, with those most similar.
    concordance : ndarray of float32, shape (distances,)
        Share of neighbouring observed sites of a cell that agree, by log2 of their distance.
    """

    means: Floats
    coverage: Floats
    weights: scipy.sparse.csr_array
    concordance: Floats


@dataclass(frozen=True, eq=False)
class _Sums:
    """Whole numbers, so that those of some folds are those of all less the others."""

    states: npt.NDArray[np.int64]
    observed: npt.NDArray[np.int64]
    sites: int
    agreements: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.int32]
    by_distance: npt.NDArray[np.int64]

    def plus(self, other: _Sums, sign: int = 1) -> _Sums:
        """Return the sums of both together, or less the other's."""
        return _Sums(
            self.states + sign * other.states,
            self.observed + sign * other.observed,
            self.sites + sign * other.sites,
            self.agreements + sign * other.agreements,
            self.pairs + sign * other.pairs,
            self.by_distance + sign * other.by_distance,
        )


class Folds:
    """The folds of a table, and what is known outside of each.

    Parameters
    ----------
    table
        The table.
    similar_cells
        Cells that a cell is compared with, at most.
    sites : ndarray of int64, optional
        Indices of the sites that count, by default all.

    Attributes
    ----------
    starts : ndarray of int64, shape (folds + 1,)
        Where folds begin and end among the sites of the table.
    """

    def __init__(
        self,
        table: MethylationTable,
        similar_cells: int,
        sites: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._table = table
        self._similar = min(similar_cells, len(table.cells) - 1)
        self._counts = np.ones(len(table), bool)
        if sites is not None:
            self._counts[:] = False
            self._counts[sites] = True
        of_chromosome = np.arange(len(table.chromosomes) + 1)
        starts = np.searchsorted(table.chromosome_ids, of_chromosome)
        counted = np.add.reduceat(np.append(self._counts, False), starts[:-1]) * (
            np.diff(starts) > 0
        )
        if np.count_nonzero(counted) < 2:
            # Nothing is known outside of a single one.
            cuts = np.linspace(0, len(table), _STRETCHES + 1).astype(np.int64)
            starts = np.unique(np.concatenate([starts, cuts]))
        self.starts = np.asarray(starts, np.int64)
        self._total: _Sums | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def context(self, fold: int | None) -> Context:
        """Return what is known outside of a fold, by its index, or in all of them."""
        if self._total is None:
            self._total = reduce(_Sums.plus, (self._sums(i) for i in range(len(self))))
        if fold is None:
            return self._context(self._total)
        return self._context(self._total.plus(self._sums(fold), -1))

    def _sums(self, fold: int) -> _Sums:
        own = np.flatnonzero(self._counts[self.starts[fold] : self.starts[fold + 1]])
        own += self.starts[fold]
        cells = len(self._table.cells)
        if not len(own):
            zero, square = np.zeros(cells, np.int64), np.zeros((cells, cells), np.int32)
            return _Sums(zero, zero, 0, square, square, np.zeros((2, _DISTANCES), np.int64))
        most = min(len(own), MOST_ROWS, max(_MOST_ENTRIES // cells, 1))
        chosen = own[np.linspace(0, len(own) - 1, most).astype(np.int64)]
        dense = self._table.calls[chosen].toarray().astype(np.float32)
        seen = np.abs(dense)
        # Sums of so few ones are whole numbers in float32.
        agreements = (dense.T @ dense).astype(np.int32)
        pairs = (seen.T @ seen).astype(np.int32)
        states, observed = dense.sum(axis=0).astype(np.int64), seen.sum(axis=0).astype(np.int64)
        # Neighbours as near as they are, so of a stretch of sites and not of some here and there.
        stretch = own[: 4 * MOST_ROWS]
        by_distance = self._by_distance(stretch)
        return _Sums(states, observed, len(chosen), agreements, pairs, by_distance)

    def _by_distance(self, sites: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return agreements less disagreements, and pairs, of next observed sites of a cell."""
        by_cell = self._table.calls[sites].tocsc()
        by_cell.sort_indices()
        positions = self._table.positions[sites][by_cell.indices]
        cell = np.repeat(np.arange(by_cell.shape[1]), np.diff(by_cell.indptr))
        gaps, states = np.diff(positions), by_cell.data.astype(np.int64)
        same = (cell[1:] == cell[:-1]) & (gaps > 0)
        classes = distance_class(gaps[same])
        agree = (states[1:] * states[:-1])[same]
        counts = np.bincount(classes, minlength=_DISTANCES)
        return np.stack([np.bincount(classes, agree, _DISTANCES).astype(np.int64), counts])

    def _context(self, sums: _Sums) -> Context:
        # A cell is not compared with itself. In float32, as of many cells there are many pairs.
        pairs, agree = (x.astype(np.float32) for x in (sums.pairs, sums.agreements))
        for x in (pairs, agree):
            np.fill_diagonal(x, 0)
        agree += pairs
        agree *= np.float32(0.5)
        total = float(pairs.sum(dtype=np.float64)) + 2 * _PRIOR
        overall = (float(agree.sum(dtype=np.float64)) + _PRIOR) / total
        agree += np.float32(_PRIOR * overall)
        agree /= pairs + np.float32(_PRIOR)
        np.clip(agree, _SURE, 1 - _SURE, out=agree)
        weights = np.log(agree / (1 - agree))
        np.fill_diagonal(weights, 0)
        balance, seen = sums.by_distance
        nearby = ((seen + balance) / 2 + _PRIOR / 2) / (seen + _PRIOR)
        return Context(
            np.asarray(sums.states / (sums.observed + 1.0), np.float32),
            np.asarray(sums.observed / max(sums.sites, 1), np.float32),
            _most_similar(weights, self._similar),
            np.clip(nearby, _SURE, 1 - _SURE).astype(np.float32),
        )


def distance_class(distances: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Return the class of distances in base pairs: the whole part of log2, 0 to 23."""
    # The exponent of a float32; faster than a logarithm, and exact at powers of two.
    bits = np.asarray(distances, np.float32).view(np.int32)
    classes: npt.NDArray[np.int32] = np.clip((bits >> 23) - 127, 0, _DISTANCES - 1)
    return classes


def _most_similar(weights: Floats, number: int) -> scipy.sparse.csr_array:
    """Return of each row the largest weights, without the diagonal."""
    cells = len(weights)
    if number < cells - 1:
        order = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :number]
        kept = np.zeros_like(weights)
        np.put_along_axis(kept, order, np.take_along_axis(weights, order, 1), 1)
        weights = kept
    return scipy.sparse.csr_array(weights)
