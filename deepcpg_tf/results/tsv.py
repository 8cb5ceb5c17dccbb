"""``.tsv`` and ``.tsv.gz``: tables as text."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from deepcpg_tf.errors import OutputError
from deepcpg_tf.results.contents import Contents, Format, Kind, WriteBatch
from deepcpg_tf.results.tables import check_table_names, write_table


def check_header(path: Path | str, columns: Iterable[str]) -> None:
    """Refuse names of columns that would not be one field of a line.

    Raises
    ------
    OutputError
    """
    for name in columns:
        if not {"\t", "\n", "\r"}.isdisjoint(name):
            raise OutputError(
                f"{path}: expected names without tabs and ends of lines, received {name!r}"
            )


@contextmanager
def tsv(sink: Any, schema: pa.Schema) -> Iterator[WriteBatch]:
    """Yield a function that writes record batches to an open file as text."""
    options = pyarrow.csv.WriteOptions(delimiter="\t", quoting_style="none")
    sink.write("\t".join(schema.names).encode() + b"\n")
    options.include_header = False
    with pyarrow.csv.CSVWriter(sink, schema, write_options=options) as writer:
        yield writer.write_batch


@contextmanager
def _plain(path: Path, schema: pa.Schema) -> Iterator[WriteBatch]:
    with pa.OSFile(str(path), "wb") as sink, tsv(sink, schema) as write:
        yield write


@contextmanager
def _gzipped(path: Path, schema: pa.Schema) -> Iterator[WriteBatch]:
    with (
        path.open("wb") as file,
        # Level 9, which is pyarrow's, takes ten times as long for 5% less. Without name and
        # time, the same results are the same bytes.
        gzip.GzipFile("", "wb", compresslevel=4, fileobj=file, mtime=0) as sink,
        tsv(sink, schema) as write,
    ):
        yield write


def _check(path: Path, contents: Contents) -> None:
    check_table_names(path, contents)
    check_header(path, contents.cells)


_KINDS = frozenset({Kind.PREDICTED, Kind.IMPUTED})
TSV = Format(".tsv", _KINDS, _check, partial(write_table, _plain), open_table=_plain)
TSV_GZ = Format(".tsv.gz", _KINDS, _check, partial(write_table, _gzipped), open_table=_gzipped)
