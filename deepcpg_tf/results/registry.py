"""Results as files, by the ending of their name."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from deepcpg_tf.errors import OutputError
from deepcpg_tf.extras import require
from deepcpg_tf.files import atomic_file, atomic_folder, check_writable
from deepcpg_tf.results.bedgraph import BEDGRAPH
from deepcpg_tf.results.bigwig import BIGWIG
from deepcpg_tf.results.contents import Contents, Format, Kind, WriteBatch
from deepcpg_tf.results.h5ad import H5AD
from deepcpg_tf.results.legacy import H5
from deepcpg_tf.results.names import check_columns
from deepcpg_tf.results.parquet import PARQUET
from deepcpg_tf.results.tsv import TSV, TSV_GZ, check_header, tsv
from deepcpg_tf.scan.shards import Shard

FORMATS: tuple[Format, ...] = (PARQUET, TSV, TSV_GZ, H5AD, H5, BIGWIG, BEDGRAPH)
_TABLES = tuple(one for one in FORMATS if one.open_table is not None)


def check_path(path: Path, kind: Kind = Kind.PREDICTED, *, thousandths: bool = False) -> None:
    """Refuse a name whose ending is none for such results, or a place that cannot be.

    Only tables may have thousandths. This needs no more than the path; `check_result` looks
    at all, once the cells are known.

    Raises
    ------
    OutputError
    """
    holding = [one for one in FORMATS if kind in one.kinds]
    _check_place(path, _format_of(path, holding))
    if thousandths:
        _format_of(path, [one for one in holding if one in _TABLES], " with thousandths")


def check_result(path: Path, contents: Contents) -> None:
    """Refuse a result that could not be written, before anything is computed.

    Raises
    ------
    OutputError
        When the ending is none for such results, the place cannot be, or the names of two
        cells cannot be told apart there.
    """
    check_path(path, contents.kind, thousandths=contents.thousandths)
    _format_of(path, FORMATS).check(path, contents)


def write_results(path: Path, contents: Contents, shards: Iterable[Shard]) -> None:
    """Write a result, whole or not at all, in memory that does not grow with the sites.

    ``.parquet``, ``.tsv`` and ``.tsv.gz`` have the columns ``chromosome``, ``position``
    (0-based, forward-strand C) and a float32 column for each cell, or with
    `Contents.thousandths` a uint16 column of 0 to 1000. Imputed, there is also a column
    ``<cell>_observed`` for each cell that says which values are observed states; evaluated,
    a column ``<cell>_label`` (int8, null where missing) beside each.
    ``.h5ad`` is cells by sites: `X` the same values, and imputed the layers ``imputed``
    (as `X`), ``probability`` and ``confidence`` (float32; of the likelier state, 1 where
    observed) and ``observed`` (int8: 1, -1, or 0 for not observed).
    ``.h5`` is the original's evaluation: ``chromo`` (bytes, without ``chr``), ``pos`` (int32,
    1-based), ``preds/cpg/<cell>`` (float32) the same values and, as ``outputs/cpg/<cell>``, the
    labels (int8, -1 missing); imputed, also ``probability/cpg/<cell>`` and
    ``confidence/cpg/<cell>`` (float32).
    ``.bigwig`` and ``.bedgraph`` are folders with a file for each cell, named as
    `deepcpg_tf.results.names.file_names` does.

    Values that are not sure enough (`Shard.min_confidence`) are null in Parquet, empty in
    text, NaN in HDF5, and no interval of a track.

    Parameters
    ----------
    path
        Where to write, by its ending.
    contents
        What the result is of.
    shards
        The sites, in order; read once.

    Raises
    ------
    OutputError
        As `check_result`, and when it cannot be written.
    """
    check_result(path, contents)
    chosen = _format_of(path, FORMATS)
    with (atomic_folder if chosen.folder else atomic_file)(path) as partial:
        chosen.write(partial, contents, shards)


def check_table(path: Path | None, keys: Sequence[str] = (), columns: Sequence[str] = ()) -> None:
    """Refuse a table that could not be written, before anything is computed.

    Parameters
    ----------
    path
        The table, or None for stdout.
    keys, columns
        Names of the columns that tell the rows, and of those with values.

    Raises
    ------
    OutputError
    """
    if path is not None:
        _check_place(path, _format_of(path, _TABLES))
    owned = [(name, "what tells the rows") for name in keys]
    check_columns(path or "stdout", [*owned, *((name, "the values") for name in columns)])
    if path is None or path.name.endswith((TSV.ending, TSV_GZ.ending)):
        check_header(path or "stdout", columns)


@contextmanager
def open_table(path: Path | None, schema: pa.Schema) -> Iterator[WriteBatch]:
    """Yield a function that writes record batches to a table, or as TSV to stdout.

    The file appears under its name once everything is written; on an error there
    is none.

    Parameters
    ----------
    path
        Where to write, by its ending ``.parquet``, ``.tsv`` or ``.tsv.gz``; None is
        stdout.
    schema
        Names and types of the columns.

    Raises
    ------
    OutputError
        When the ending is unknown, the place cannot be written to, or two columns have
        the same name.
    """
    check_table(path, columns=schema.names)
    if path is None:
        with tsv(sys.stdout.buffer, schema) as write:
            yield write
        return
    opener = _format_of(path, _TABLES).open_table
    assert opener is not None
    with atomic_file(path) as partial, opener(partial, schema) as write:
        yield write


def _format_of(path: Path, formats: Sequence[Format], why: str = "") -> Format:
    for one in formats:
        if path.name.endswith(one.ending):
            return one
    endings = ", ".join(one.ending for one in formats)
    raise OutputError(f"{path}: expected a name ending in {endings}{why}")


def _check_place(path: Path, chosen: Format) -> None:
    if chosen.package is not None:
        require(chosen.package, extra="tracks")
    if not chosen.folder:
        if path.is_dir():
            raise OutputError(f"{path}: expected the name of a file to write, received a folder")
    elif path.is_file():
        raise OutputError(f"{path}: expected the name of a folder to write, received a file")
    elif path.is_dir() and any(path.iterdir()):
        raise OutputError(f"{path}: expected a new folder, found that it is there already")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")
    check_writable(path)
