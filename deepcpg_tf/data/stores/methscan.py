"""A methylation table as MethSCAn's folder; see `deepcpg_tf.profiles.stores.methscan`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.stores.names import check_line_names, check_path_names
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.files import atomic_folder
from deepcpg_tf.npz import Pieces, write_npz
from deepcpg_tf.profiles.formats import STORES
from deepcpg_tf.profiles.stores.methscan import HEADER

_BASE = STORES["methscan"].base
_PIECE = 1 << 22  # rows


def write_methscan(table: MethylationTable, out: Path) -> None:
    """Write a table as a folder that `methscan` reads, positions from 1 as in Bismark's files.

    Raises
    ------
    TableError
        When a name cannot be written.
    OutputError
        When the folder cannot be written.
    """
    check_line_names(table.cells, "cells", "MethSCAn")
    check_path_names(table.chromosomes, "chromosomes", "MethSCAn")
    with atomic_folder(out) as folder:
        for chromosome, positions, calls in table.by_chromosome():
            _write_matrix(folder / f"{chromosome}.npz", positions + _BASE, calls)
        header = "".join(f"{cell}\n" for cell in table.cells)
        (folder / HEADER).write_text(header, encoding="utf-8")
        (folder / "cell_stats.csv").write_text(_statistics(table), encoding="utf-8")


def _write_matrix(path: Path, rows: npt.NDArray[np.int64], calls: scipy.sparse.csr_array) -> None:
    """Write a matrix with a row for each base, as `scipy.sparse.save_npz` does."""
    shape = np.array([rows[-1] + 1, calls.shape[1]], np.int64)
    index_type = np.int32 if max(calls.nnz, *shape.tolist()) < 2**31 else np.int64
    write_npz(
        path,
        [
            ("indices", calls.indices.astype(index_type)),
            ("indptr", Pieces(index_type, (int(shape[0]) + 1,), _pointers(rows, calls.indptr))),
            ("format", np.array(b"csr")),
            ("shape", shape),
            ("data", calls.data.astype(np.int8)),
        ],
    )


def _pointers(
    rows: npt.NDArray[np.int64], pointers: npt.NDArray[np.integer]
) -> Iterator[npt.NDArray[np.integer]]:
    """Yield where each base's row begins: all between two sites where the next one does."""
    length = int(rows[-1]) + 2
    for first in range(0, length, _PIECE):
        bases = np.arange(first, min(first + _PIECE, length))
        yield pointers[np.searchsorted(rows, bases)]


def _statistics(table: MethylationTable) -> str:
    """Return the counts of each cell, which MethSCAn filters by."""
    import pandas as pd

    cells = len(table.cells)
    observed = np.bincount(table.calls.indices, minlength=cells)
    methylated = np.bincount(table.calls.indices[table.calls.data > 0], minlength=cells)
    share = np.divide(
        methylated, observed, out=np.full(cells, np.nan), where=observed > 0, casting="unsafe"
    )
    columns = {
        "cell_name": list(table.cells),
        "n_obs": observed,
        "n_meth": methylated,
        "global_meth_frac": share,
    }
    return str(pd.DataFrame(columns).to_csv(index=False))
