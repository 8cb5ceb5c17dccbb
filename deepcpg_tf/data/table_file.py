"""The methylation table as an AnnData file, ``.h5ad``.

``obs`` are the cells and ``var`` the sites, called ``chromosome:position`` and with
the columns ``chromosome`` (categorical, categories in the order of the reference)
and ``position`` (int64, 0-based, of the forward-strand C). ``X`` is sparse int8: 1
methylated, -1 unmethylated, absent where missing. ``uns["deepcpg_tf"]`` has the
version of this format, and the name and digest of the reference.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.table import MethylationTable, Reference
from deepcpg_tf.errors import OutputError, TableError
from deepcpg_tf.files import atomic_file, check_writable
from deepcpg_tf.hdf5 import hdf5_file

_VERSION = 1
_KEY = "deepcpg_tf"
_NEEDED = ("X", "obs", "var/chromosome", "var/position", f"uns/{_KEY}")
_READING_FAILED = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError)


def check_table_path(path: Path) -> Path:
    """Refuse a place for a table before hours of reading; return the path.

    Raises
    ------
    OutputError
        When the name does not end in ``.h5ad``, or the folder does not exist or cannot
        be written to.
    """
    if path.suffix != ".h5ad":
        raise OutputError(f"{path}: expected a name that ends in .h5ad, received {path.name!r}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected a folder that exists, found none at {path.parent}")
    check_writable(path)
    return path


def write_table(table: MethylationTable, path: Path) -> None:
    """Write a table as an AnnData file that appears whole or not at all.

    Raises
    ------
    OutputError
        When the folder does not exist or cannot be written to.
    """
    import anndata
    import pandas as pd
    from anndata.io import write_elem

    # Sites x cells by rows is cells x sites by columns: the same arrays, as they are.
    calls = table.calls
    by_cell = scipy.sparse.csc_matrix(
        (calls.data, calls.indices, calls.indptr), shape=calls.shape[::-1]
    )
    sites = pd.DataFrame(
        {
            "chromosome": pd.Categorical.from_codes(table.chromosome_ids, table.chromosomes),
            "position": table.positions,
        },
        index=_site_names(table),
    )
    about = {
        "format_version": _VERSION,
        "reference_name": table.reference.name,
        "reference_digest": table.reference.digest,
    }
    content = anndata.AnnData(
        by_cell,
        obs=pd.DataFrame(index=np.array(table.cells, object)),
        var=sites,
        uns={_KEY: about},
    )
    with atomic_file(path) as partial, hdf5_file(partial) as (file, _):
        write_elem(file, "/", content, dataset_kwargs={"compression": "gzip"})
        del file["raw"]  # of nothing, which older releases of AnnData cannot read


def read_table(path: Path) -> MethylationTable:
    """Read a table that `write_table` wrote.

    Raises
    ------
    TableError
        When the file is missing, damaged or something else.
    """
    if not path.is_file():
        raise TableError(f"{path}: expected a methylation table (.h5ad), found no file there")
    try:
        with h5py.File(path) as file:
            _check_parts(path, file)
            table = _read(path, file)
    except _READING_FAILED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(
            f"{path}: expected a methylation table (.h5ad), received something else or a "
            f"damaged file: {reason}"
        ) from None
    _check(path, table)
    return table


def _site_names(table: MethylationTable) -> npt.NDArray[np.object_]:
    names = np.empty(len(table), object)
    ends = np.searchsorted(table.chromosome_ids, np.arange(len(table.chromosomes)), "right")
    start = 0
    for chromosome, end in zip(table.chromosomes, ends, strict=True):
        positions = table.positions[start:end].tolist()
        names[start:end] = [f"{chromosome}:{position}" for position in positions]
        start = end
    return names


def _check_parts(path: Path, file: h5py.File) -> None:
    missing = [part for part in _NEEDED if part not in file]
    if not missing:
        return
    if "chromo" in file and "pos" in file:
        raise TableError(
            f"{path}: expected a methylation table (.h5ad), received a data file of the original "
            "DeepCpG; make a table of it: deepcpg-tf data import-legacy"
        )
    raise TableError(
        f"{path}: expected a methylation table as deepcpg-tf data build writes it, "
        f"received a file without {', '.join(missing)}"
    )


def _read(path: Path, file: h5py.File) -> MethylationTable:
    from anndata.io import read_elem

    about = read_elem(file[f"uns/{_KEY}"])
    if int(about["format_version"]) != _VERSION:
        raise TableError(
            f"{path}: expected version {_VERSION} of the table format, "
            f"received {about['format_version']}"
        )
    by_cell = read_elem(file["X"])
    chromosomes = read_elem(file["var/chromosome"])
    cells = read_elem(file["obs"][file["obs"].attrs["_index"]])
    return MethylationTable(
        tuple(str(name) for name in cells),
        tuple(str(name) for name in chromosomes.categories),
        np.asarray(chromosomes.codes, np.int32),
        np.asarray(read_elem(file["var/position"]), np.int64),
        _calls(path, by_cell),
        Reference(str(about["reference_name"]), str(about["reference_digest"])),
    )


def _calls(path: Path, by_cell: Any) -> scipy.sparse.csr_array:
    if not scipy.sparse.issparse(by_cell):
        raise TableError(f"{path}: expected a sparse matrix as X, received a dense one")
    values = by_cell.data
    wrong = values[(values != 1) & (values != -1) & (values != 0)]
    if wrong.size:
        raise TableError(
            f"{path}: expected the calls 1, -1 and 0 (missing) in X, received {wrong[0]}"
        )
    calls = scipy.sparse.csr_array(by_cell.T.astype(np.int8))
    calls.eliminate_zeros()
    return calls


def _check(path: Path, table: MethylationTable) -> None:
    shape = (len(table.chromosome_ids), len(table.cells))
    if table.calls.shape != shape or len(table.positions) != shape[0]:
        raise TableError(
            f"{path}: expected X of {shape[1]} cells and {shape[0]} sites, as obs and var have, "
            f"received {' x '.join(str(n) for n in table.calls.shape[::-1])}"
        )
    twice = [cell for cell, count in Counter(table.cells).items() if count > 1]
    if twice:
        raise TableError(
            f"{path}: expected a name of its own for each cell, received {twice[0]!r} twice"
        )
    ids, positions = table.chromosome_ids, table.positions
    if len(ids) and (ids.min() < 0 or positions.min() < 0):
        raise TableError(
            f"{path}: expected a chromosome and a position from 0 for each site, received "
            f"site {int(np.argmax((ids < 0) | (positions < 0))) + 1} without"
        )
    step, within = np.diff(ids), np.diff(positions)
    unsorted = np.flatnonzero((step < 0) | ((step == 0) & (within <= 0)))
    if unsorted.size:
        names = [
            f"{table.chromosomes[ids[i]]}:{positions[i]}" for i in (unsorted[0], unsorted[0] + 1)
        ]
        raise TableError(
            f"{path}: expected different sites, sorted by chromosome and position, "
            f"received {names[1]} after {names[0]}"
        )
