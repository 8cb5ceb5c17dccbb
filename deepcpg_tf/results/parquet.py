"""``.parquet``: tables by column."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from deepcpg_tf.results.contents import Format, Kind, WriteBatch
from deepcpg_tf.results.tables import check_table_names, write_table


@contextmanager
def _open(path: Path, schema: pa.Schema) -> Iterator[WriteBatch]:
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        yield writer.write_batch


PARQUET = Format(
    ".parquet", frozenset(Kind), check_table_names, partial(write_table, _open), open_table=_open
)
