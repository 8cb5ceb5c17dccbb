"""Tables of predictions as files: TSV, gzipped TSV or Parquet, written batch by batch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file

Write = Callable[[pa.RecordBatch], None]


@contextmanager
def _tsv(sink: Any, schema: pa.Schema) -> Iterator[Write]:
    options = pyarrow.csv.WriteOptions(delimiter="\t", quoting_style="none")
    sink.write("\t".join(schema.names).encode() + b"\n")
    options.include_header = False
    with pyarrow.csv.CSVWriter(sink, schema, write_options=options) as writer:
        yield writer.write_batch


@contextmanager
def _tsv_file(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with pa.OSFile(str(path), "wb") as sink, _tsv(sink, schema) as write:
        yield write


@contextmanager
def _tsv_gz_file(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.CompressedOutputStream(file, "gzip") as sink,
        _tsv(sink, schema) as write,
    ):
        yield write


@contextmanager
def _parquet_file(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        yield writer.write_batch


_WRITERS = {".tsv": _tsv_file, ".tsv.gz": _tsv_gz_file, ".parquet": _parquet_file}


def check_output(path: Path | None) -> None:
    """Refuse an output whose ending names no format, or whose folder does not exist.

    Raises
    ------
    OutputError
    """
    if path is None:
        return
    if not path.name.endswith(tuple(_WRITERS)):
        raise OutputError(f"{path}: expected a name ending in {', '.join(_WRITERS)}")
    if path.is_dir():
        raise OutputError(f"{path}: expected the name of a file to write, received a folder")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")


@contextmanager
def open_writer(path: Path | None, schema: pa.Schema) -> Iterator[Write]:
    """Yield a function that writes record batches to a file, or as TSV to stdout.

    The file appears under its name once everything is written; on an error there
    is none.

    Parameters
    ----------
    path
        Where to write, by its ending ``.tsv``, ``.tsv.gz`` or ``.parquet``; None
        is stdout.
    schema
        Names and types of the columns.

    Raises
    ------
    OutputError
        When the ending is unknown or the place cannot be written to.
    """
    if path is None:
        with _tsv(sys.stdout.buffer, schema) as write:
            yield write
        return
    check_output(path)
    opener = next(opener for ending, opener in _WRITERS.items() if path.name.endswith(ending))
    with atomic_file(path) as partial, opener(partial, schema) as write:
        yield write
