"""The methylation table as an AnnData file, ``.h5ad``.

``obs`` are the cells, with what is known of each, and ``var`` the sites, called
``chromosome:position`` and with the columns ``chromosome`` (categorical, categories in the
order of the reference) and ``position`` (int64, 0-based, of the forward-strand C). ``X`` is
sparse int8: 1 methylated, -1 unmethylated, absent where missing. The layer ``coverage``, if
there is one, is sparse int32: the reads of each call. ``uns["deepcpg_tf"]`` has the version
of this format, the settings that the table was made with, and the reference: its name, the
chromosomes with their lengths and checksums, and one digest of all of these.

What is read may have been cut to some cells and sites, or have other columns.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.elements import read_element, read_sparse
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import Checksum, Reference
from deepcpg_tf.errors import OutputError, TableError
from deepcpg_tf.files import atomic_file, check_writable
from deepcpg_tf.genome.names import find_name, shown_names
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.profiles.read import MOST_READS

_VERSION = 1
_KEY = "deepcpg_tf"
_COVERAGE = "coverage"
_NEEDED = ("X", "obs", "var/chromosome", "var/position", f"uns/{_KEY}")
_READING_FAILED = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError),
    MemoryError,
)


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

    sites = pd.DataFrame(
        {
            "chromosome": pd.Categorical.from_codes(table.chromosome_ids, table.chromosomes),
            "position": table.positions,
        },
        index=_site_names(table),
    )
    checksums = table.reference.checksums
    about: dict[str, Any] = {
        "format_version": _VERSION,
        "reference_name": table.reference.name,
        "reference_digest": table.reference.digest,
        "settings": dict(table.settings),
    }
    if checksums:
        about["reference_chromosomes"] = np.array([*checksums], object)
        about["reference_lengths"] = np.array([one.length for one in checksums.values()], np.int64)
        about["reference_sha256"] = np.array([one.sha256 for one in checksums.values()], object)
    content = anndata.AnnData(
        _by_cell(table.calls),
        obs=pd.DataFrame(index=np.array(table.cells, object)) if table.obs is None else table.obs,
        var=sites,
        uns={_KEY: about},
        layers=None if table.coverage is None else {_COVERAGE: _by_cell(table.coverage)},
    )
    with atomic_file(path) as partial, hdf5_file(partial) as (file, _):
        write_elem(file, "/", content, dataset_kwargs={"compression": "gzip"})
        del file["raw"]  # of nothing, which older releases of AnnData cannot read


def read_table(path: Path, *, coverage: bool = False) -> MethylationTable:
    """Read a table that `write_table` wrote.

    Parameters
    ----------
    path
        The file, as it was written or edited with anndata: cut to some cells or sites, or
        with other columns, layers and entries.
    coverage
        Whether to read the reads of each call, which must be there then.

    Raises
    ------
    TableError
        When the file is missing, damaged or something else, or lacks the coverage.
    """
    if not path.is_file():
        raise TableError(f"{path}: expected a methylation table (.h5ad), found no file there")
    try:
        with h5py.File(path) as file:
            _check_parts(path, file)
            table = _read(path, file, coverage=coverage)
    except _READING_FAILED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(
            f"{path}: expected a methylation table (.h5ad), received something else or a "
            f"damaged file: {reason}"
        ) from None
    _check(path, table)
    return table


def _by_cell(by_site: scipy.sparse.csr_array) -> scipy.sparse.csc_matrix:
    """Return cells x sites by columns: the arrays of sites x cells by rows, as they are."""
    return scipy.sparse.csc_matrix(
        (by_site.data, by_site.indices, by_site.indptr), shape=by_site.shape[::-1]
    )


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
    received = f"a file without {', '.join(missing)}"
    if missing == [f"uns/{_KEY}"] and isinstance(file["X"], h5py.Dataset):
        received = "a result of predict or impute"
    raise TableError(
        f"{path}: expected a methylation table as deepcpg-tf data build writes it, "
        f"received {received}"
    )


def _read(path: Path, file: h5py.File, *, coverage: bool) -> MethylationTable:
    about = read_element(file, f"uns/{_KEY}")
    if not isinstance(about, dict):
        raise ValueError(f"expected entries in uns/{_KEY}, received {type(about).__name__}")
    version = about["format_version"]
    if not isinstance(version, int | float | np.number) or version != _VERSION:
        shown = str(version) if np.isscalar(version) else type(version).__name__
        raise TableError(
            f"{path}: expected version {_VERSION} of the table format, received {shown}"
        )
    settings = about.get("settings", {})
    if not isinstance(settings, dict):
        raise ValueError(f"expected entries in uns/{_KEY}/settings, received {settings!r}")
    ids, chromosomes, unused = _chromosomes(path, read_element(file, "var/chromosome"))
    reference = _reference(path, about, chromosomes)
    if not reference.checksums:
        # Its digest is of all chromosomes that the table was made of.
        chromosomes += unused
    obs = read_element(file, "obs")
    return MethylationTable(
        tuple(map(str, obs.index)),
        chromosomes,
        ids,
        _positions(path, read_element(file, "var/position"), ids, chromosomes),
        _calls(path, read_sparse(file, "X")),
        reference,
        _read_coverage(path, file) if coverage else None,
        obs,
        _plain(settings),
    )


def _chromosomes(
    path: Path, column: Any
) -> tuple[npt.NDArray[np.int32], tuple[str, ...], tuple[str, ...]]:
    """Return the chromosome of each site, those with sites in their order, and others."""
    import pandas as pd

    if not isinstance(column, pd.Categorical):
        column = pd.Categorical(column)
        if len(column.categories) and not all(isinstance(x, str) for x in column.categories):
            raise TableError(
                f"{path}: expected names as var/chromosome, categorical or text, "
                f"received {column.categories.dtype}"
            )
    names = [str(name) for name in column.categories]
    codes = np.asarray(column.codes, np.int32)
    if codes.ndim != 1:
        raise ValueError(f"expected a name a site in var/chromosome, received {codes.shape}")
    # Categories may be in any order, and more than there are sites of: the sites decide.
    starts = codes[np.flatnonzero(np.diff(codes, prepend=-2))]
    used = list(dict.fromkeys(code for code in starts.tolist() if code >= 0))
    rank = np.full(len(names) + 1, -1, np.int32)  # the last is that of no name
    rank[used] = np.arange(len(used))
    others = [i for i in range(len(names)) if i not in set(used)]
    return rank[codes], tuple(names[i] for i in used), tuple(names[i] for i in others)


def _reference(path: Path, about: dict[str, Any], chromosomes: tuple[str, ...]) -> Reference:
    for key in ("reference_name", "reference_digest"):
        if not isinstance(about[key], str):
            raise ValueError(f"expected text as uns/{_KEY}/{key}, received {about[key]!r}")
    name = about["reference_name"]
    if "reference_chromosomes" not in about:
        return Reference(name, about["reference_digest"])
    names, lengths, checksums = (
        np.atleast_1d(about[f"reference_{key}"]) for key in ("chromosomes", "lengths", "sha256")
    )
    if lengths.dtype.kind not in "iu":
        raise ValueError(
            f"expected whole numbers as uns/{_KEY}/reference_lengths, received {lengths.dtype}"
        )
    rows = zip(names.tolist(), lengths.tolist(), checksums.tolist(), strict=True)
    known = {str(own): Checksum(length, str(sha256)) for own, length, sha256 in rows}
    found = {own: find_name(own, known) for own in chromosomes}
    for own, other in found.items():
        if other is None:
            raise TableError(
                f"{path}: expected the chromosomes that the table was made of "
                f"({shown_names([*known])}), received {own}"
            )
    return Reference.of(name, {own: known[str(other)] for own, other in found.items()})


def _positions(
    path: Path, column: Any, ids: npt.NDArray[np.int32], chromosomes: tuple[str, ...]
) -> npt.NDArray[np.int64]:
    values = np.asarray(column)
    if values.shape != ids.shape:
        raise ValueError(
            f"expected var/position of {len(ids)} sites, as var/chromosome has, received values "
            f"of shape {values.shape}"
        )
    if values.dtype.kind not in "iuf":
        raise ValueError(f"expected whole numbers as var/position, received {values.dtype}")
    if values.dtype.kind in "iu":
        return np.asarray(values, np.int64)
    values = np.asarray(values, np.float64)
    # Above this, a float is not one whole number alone.
    wrong = np.flatnonzero(~((values == np.floor(values)) & (np.abs(values) < 2**53)))
    if wrong.size:
        first = wrong[0]
        where = f" on {chromosomes[ids[first]]}" if first < len(ids) and ids[first] >= 0 else ""
        raise TableError(
            f"{path}: expected whole numbers as var/position, received {values[first]} as that "
            f"of site {first + 1}{where}"
        )
    return values.astype(np.int64)


def _plain(value: Any) -> Any:
    """Return what anndata read in types of Python."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _read_coverage(path: Path, file: h5py.File) -> scipy.sparse.csr_array:
    if f"layers/{_COVERAGE}" not in file:
        raise TableError(
            f"{path}: expected a table with the coverage of each call, as deepcpg-tf data build "
            f"--keep-coverage writes it, received one without layers/{_COVERAGE}"
        )
    by_cell = read_sparse(file, f"layers/{_COVERAGE}")
    values = by_cell.data
    wrong = values[~((values >= 0) & (values <= MOST_READS) & (values == np.floor(values)))]
    if wrong.size:
        raise TableError(
            f"{path}: expected whole numbers of reads in layers/{_COVERAGE}, received {wrong[0]}"
        )
    coverage = scipy.sparse.csr_array(by_cell.T.astype(np.int32))
    coverage.eliminate_zeros()
    return coverage


def _calls(path: Path, by_cell: Any) -> scipy.sparse.csr_array:
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
    if table.coverage is not None and table.coverage.shape != shape:
        raise TableError(f"{path}: expected layers/{_COVERAGE} of the shape of X, received another")
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
