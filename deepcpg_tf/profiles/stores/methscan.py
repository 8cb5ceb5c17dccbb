"""MethSCAn's folder (earlier: scbs): a sparse matrix a chromosome, positions x cells.

As `methscan prepare` writes it (MethSCAn's prepare.py): ``CHROMOSOME.npz`` by
`scipy.sparse.save_npz`, in rows (CSR), int8, 1 methylated and -1 unmethylated, where the index
of a row is the position as the profiles had it: from 1 of Bismark's and allc, from 0 of BED.
Calls are of bases, so that both strands of a CpG may have one. ``column_header.txt`` has the
names of the cells, one a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.npz import npz_array, npz_names, npz_pieces
from deepcpg_tf.profiles.formats import Layout
from deepcpg_tf.profiles.lines import Calls
from deepcpg_tf.profiles.stores.base import (
    Store,
    calls_of_table,
    check_names,
    check_positions,
    check_values,
    damaged,
    read_names,
)

HEADER = "column_header.txt"
ARRAYS = ("indices", "indptr", "format", "shape", "data")


class MethScan(Store):
    """A folder of MethSCAn, of which a chromosome at a time is in memory.

    Raises
    ------
    ProfileError
        When it lacks the names of the cells, or has no chromosome.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        header = path / HEADER
        if not header.is_file():
            raise ProfileError(
                f"{path}: expected {HEADER}, the names of the cells, beside the chromosomes of "
                "MethSCAn (.npz), found none"
            )
        super().__init__(path, layout, read_names(header))
        self._files = sorted(path.glob("*.npz"))
        check_names(path, [file.stem for file in self._files], "chromosomes")
        if not self._files:
            raise ProfileError(
                f"{path}: expected a file of each chromosome (.npz) beside {HEADER}, as methscan "
                "prepare writes, found none"
            )

    def calls(self) -> Iterator[tuple[int, Calls]]:
        """Yield the calls, of all cells of one chromosome after the other; see `Store.calls`."""
        for file in self._files:
            try:
                positions, by_cell = self._matrix(file)
            except (OSError, ValueError) as error:
                if isinstance(error, ProfileError):
                    raise
                raise damaged(file, error) from None
            check_values(str(file), by_cell.data, (1, -1))
            methylated = (by_cell.data > 0).astype(np.int64)
            yield from calls_of_table(file.stem, positions, by_cell, methylated, 1 - methylated)

    def _matrix(self, file: Path) -> tuple[npt.NDArray[np.int64], scipy.sparse.csc_array]:
        """Return the positions that any cell has, and their calls."""
        missing = [name for name in ARRAYS if name not in npz_names(file)]
        if missing:
            raise ProfileError(
                f"{file}: expected a sparse matrix, as scipy.sparse.save_npz writes it, "
                f"received a file without {', '.join(missing)}"
            )
        kind = npz_array(file, "format").item()
        if kind not in (b"csr", "csr"):
            raise ProfileError(
                f"{file}: expected a matrix by rows (csr), received "
                f"{kind.decode(errors='replace') if isinstance(kind, bytes) else kind}"
            )
        extent = npz_array(file, "shape")
        shape = extent.tolist()
        if extent.shape != (2,) or extent.dtype.kind not in "iu" or shape[1] != len(self.cells):
            raise ProfileError(
                f"{file}: expected a column for each of the {len(self.cells)} names in {HEADER}, "
                f"received a matrix of shape {shape}"
            )
        indices, data = npz_array(file, "indices"), npz_array(file, "data")
        rows, counts = _rows(npz_pieces(file, "indptr"))
        for array, kinds in ((data, "iufb"), (indices, "iu")):
            if array.ndim != 1 or array.dtype.kind not in kinds:
                raise ValueError(f"it has {array.dtype} of shape {array.shape}")
        if len(rows) and rows[-1] >= shape[0]:
            raise ValueError(f"it has values in row {rows[-1]} of {shape[0]}")
        compact = scipy.sparse.csr_array(
            (data, indices, np.append(0, np.cumsum(counts))), shape=(len(rows), shape[1])
        )
        compact.check_format(full_check=True)
        compact.sort_indices()
        if not compact.has_canonical_format:
            raise ProfileError(
                f"{file}: expected a call a cell and position, received several of one"
            )
        compact.eliminate_zeros()
        return check_positions(str(file), rows, self.layout.base), compact.tocsc()


def _rows(pointers: Iterator[npt.NDArray[Any]]) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the rows of a sparse matrix that are not empty, and how many values each has.

    There is a row for each base of a chromosome: the pointers are not to be in memory.
    """
    rows, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    first, before = -1, 0
    for piece in pointers:
        if piece.ndim != 1 or piece.dtype.kind not in "iu":
            raise ValueError("pointers to rows that are no list of whole numbers")
        ends = piece.astype(np.int64)
        steps = ends - np.append(before, ends[:-1])
        filled = np.flatnonzero(steps)
        rows.append(first + filled)
        counts.append(steps[filled])
        first, before = first + len(piece), int(ends[-1])
    if any((each < 0).any() for each in counts) or (len(rows) > 1 and rows[1][:1].tolist() == [-1]):
        raise ValueError("pointers to rows that do not ascend from 0")
    return np.concatenate(rows), np.concatenate(counts)
