"""``.bedgraph``: a folder with a gzipped bedGraph file for each cell."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

from deepcpg_tf.results.columns import Stretch, keep_columns
from deepcpg_tf.results.contents import Contents, Format, Kind
from deepcpg_tf.results.names import file_names
from deepcpg_tf.scan.shards import Shard


def _write(path: Path, contents: Contents, shards: Iterable[Shard]) -> None:
    names = file_names(contents.cells, ".bedGraph.gz")
    with (
        keep_columns(path, shards) as columns,
        # Compressing, which takes most of the time, goes on while another is formatted.
        ThreadPoolExecutor(cpu_count()) as threads,
    ):
        written = [
            threads.submit(_write_file, path / name, cell, columns.cell(i))
            for i, (cell, name) in enumerate(zip(contents.cells, names, strict=True))
        ]
        for future in written:
            future.result()


def _write_file(path: Path, cell: str, stretches: Iterator[Stretch]) -> None:
    # Without a time, the same results are the same bytes.
    with gzip.GzipFile(path, "wb", compresslevel=4, mtime=0) as file:
        file.write(f'track type=bedGraph name="{_label(cell)}"\n'.encode())
        for stretch in stretches:
            file.write(_lines(stretch).encode())


def _lines(stretch: Stretch) -> str:
    """Return the two bases of each site as an interval: 0-based, half-open."""
    chromosome, positions, values = stretch
    # One formatting of many lines is several times faster than one of each.
    line = f"{chromosome.replace('%', '%%')}\t%d\t%d\t%.6g\n"
    fields = zip(positions.tolist(), (positions + 2).tolist(), values.tolist(), strict=True)
    return line * len(positions) % tuple(field for row in fields for field in row)


def _label(cell: str) -> str:
    """Return what a track line can hold between its quotes."""
    return "".join("'" if c == '"' else c if c.isprintable() else " " for c in cell)


BEDGRAPH = Format(
    ".bedgraph",
    frozenset({Kind.PREDICTED, Kind.IMPUTED}),
    lambda path, contents: None,  # every cell gets a name of its own
    _write,
    folder=True,
)
