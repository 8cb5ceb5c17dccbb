"""What was observed on a chromosome, as the features of entries are made of it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.table import MethylationTable

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Observed:
    """The sites of some rows of a table, all on one chromosome, that were observed in any cell.

    Parameters
    ----------
    table
        The table.
    rows
        Where the chromosome is among its sites.

    Attributes
    ----------
    positions : ndarray of int64, shape (sites,)
        0-based, ascending.
    calls : scipy.sparse.csr_array of float32, shape (sites, cells)
        1 methylated, -1 unmethylated, absent where missing.
    sums, counts : ndarray of float32, shape (sites,)
        Sum of the states of all cells, and how many were observed.
    """

    def __init__(self, table: MethylationTable, rows: slice) -> None:
        calls = table.calls[rows]
        seen = np.diff(calls.indptr) > 0
        self.positions: Ints = table.positions[rows][seen]
        calls = calls[seen].astype(np.float32)
        calls.sort_indices()
        self.calls = scipy.sparse.csr_array(calls)
        self.counts: Floats = np.diff(calls.indptr).astype(np.float32)
        self.sums: Floats = np.asarray(calls.sum(axis=1), np.float32).reshape(-1)

    def __len__(self) -> int:
        return len(self.positions)

    @cached_property
    def values(self) -> tuple[scipy.sparse.csr_array, ...]:
        """States, whether observed, and residuals: a state less the mean of the other cells."""
        calls = self.calls
        of = np.repeat(np.arange(len(self)), np.diff(calls.indptr))
        residuals = calls.data - (self.sums[of] - calls.data) / self.counts[of]
        ones = np.ones_like(calls.data)
        shape = calls.shape
        return (
            calls,
            *(
                scipy.sparse.csr_array((data, calls.indices, calls.indptr), shape=shape)
                for data in (ones, residuals)
            ),
        )

    @cached_property
    def variability(self) -> tuple[Floats, Floats]:
        """Of each site 1 less the square of its mean, and whether it has two cells or more."""
        several = self.counts > 1
        spread = 1 - (self.sums / np.maximum(self.counts, 1)) ** 2
        return np.where(several, spread, 0).astype(np.float32), several.astype(np.float32)
