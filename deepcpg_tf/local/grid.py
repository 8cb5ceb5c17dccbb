"""The grid that features are computed on: sites in blocks, with what was observed at each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.local import ROWS_AROUND
from deepcpg_tf.local.observed import Observed

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

REACH = 150_000
"""Base pairs beyond which no neighbour of an entry is looked for, and kernels are below 1e-6."""

BLOCK = 64
"""Sites of a block."""

_MOST_ENTRIES = 1 << 17
"""Entries of a run: what memory and caches hold well."""


class Run(NamedTuple):
    """Sites that are worked on together: which of those asked for, and among which others."""

    sites: slice
    grid: Ints
    asked: Ints


def runs_of(positions: Ints, observed: Observed, cells: int) -> Iterator[Run]:
    """Cut sites of a chromosome into runs, which lie on a grid with all that were observed.

    Parameters
    ----------
    positions : ndarray of int64, shape (n,)
        0-based, ascending.
    observed
        What was observed on the chromosome.
    cells
        Cells of it.
    """
    most = max(_MOST_ENTRIES // (BLOCK * cells), 1) * BLOCK
    before = np.searchsorted(observed.positions, positions)
    # Observed sites between two that are asked for are on the grid as well.
    between = np.diff(before, prepend=before[:1])
    new = np.append(observed.positions, -1)[before] != positions
    start = 0
    while start < len(positions):
        # Of each site, how large the grid is that ends with it.
        ahead = slice(start, start + most)
        rows = before[ahead] - before[start] + np.cumsum(new[ahead]) + ~new[ahead]
        far = np.flatnonzero((between[ahead] > BLOCK) | (rows > most))
        far = far[far > 0]
        end = start + (int(far[0]) if far.size else len(rows))
        own = positions[start:end]
        inside = slice(*np.searchsorted(observed.positions, (own[0], own[-1] + 1)))
        grid = np.union1d(own, observed.positions[inside])
        yield Run(slice(start, end), grid, np.searchsorted(grid, own))
        start = end


class Grid:
    """The sites of a run in blocks, with what was observed at each; the last block is filled up.

    Arrays are [blocks, 64, …], and zero where nothing was observed.
    """

    def __init__(self, positions: Ints, observed: Observed) -> None:
        self.observed = observed
        at = observed.positions
        first, last = np.searchsorted(at, (positions[0], positions[-1] + 1))
        self.inside = slice(int(first), int(last))
        blocks = -(-len(positions) // BLOCK)
        padded = np.full(blocks * BLOCK, positions[-1])
        padded[: len(positions)] = positions
        self.positions = padded.reshape(blocks, BLOCK)
        own = np.searchsorted(positions, at[self.inside])
        cells = observed.calls.shape[1]
        states = np.zeros((len(padded), cells), np.float32)
        states[own] = observed.calls[self.inside].toarray()
        self.states = states.reshape(blocks, BLOCK, cells)
        self.seen = np.abs(self.states)
        self.sums, self.counts = np.zeros((2, blocks, BLOCK), np.float32)
        self.sums.reshape(-1)[own] = observed.sums[self.inside]
        self.counts.reshape(-1)[own] = observed.counts[self.inside]
        # Of each site, how many observed ones lie before it on the chromosome.
        self.before = np.searchsorted(at, padded).reshape(blocks, BLOCK)
        self.is_observed = self.counts > 0
        low, high = np.searchsorted(at, (positions[0] - REACH, positions[-1] + REACH + 1))
        self.left, self.right = slice(int(low), int(first)), slice(int(last), int(high))

    def rows_around(self) -> list[Floats]:
        """Return mean and number of cells of the next observed sites on both sides."""
        around = ROWS_AROUND
        sums = np.pad(self.observed.sums, around)
        counts = np.pad(self.observed.counts, around)
        after = self.before + self.is_observed
        result = []
        for i in range(around):
            for at in (self.before - 1 - i, after + i):
                result += [mean_of(sums[at + around], counts[at + around], 0.5)]
                result += [log_of(counts[at + around])]
        return result


def mean_of(sums: Floats, counts: Floats, more: float) -> Floats:
    """Return sums as means, nearer to 0 where there are few."""
    result: Floats = sums / (counts + np.float32(more))
    return result


def log_of(counts: Floats) -> Floats:
    """Return counts on a scale of about 0 to 1."""
    result: Floats = np.log1p(counts)
    result *= np.float32(0.35)
    return result
