"""The results of a scan as files, by the ending of their name, written shard by shard."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from deepcpg_tf.data.genome import Genome
from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_folder
from deepcpg_tf.prediction.writers import check_output, open_writer
from deepcpg_tf.scan.shards import Results, Shard

TABLES = (".parquet", ".tsv", ".tsv.gz")
BIGWIG, BEDGRAPH = ".bigwig", ".bedgraph"
ENDINGS = (*TABLES, BIGWIG, BEDGRAPH)

_ROWS = 1 << 16


class Target(NamedTuple):
    """Where results go, and what they are of."""

    path: Path
    cells: tuple[str, ...]
    genome: Genome


def check_result(path: Path) -> None:
    """Refuse a name whose ending is none of `ENDINGS`, or a place that cannot be written to.

    Raises
    ------
    OutputError
    """
    if not path.name.endswith(ENDINGS):
        raise OutputError(f"{path}: expected a name ending in {', '.join(ENDINGS)}")
    if path.name.endswith(TABLES):
        check_output(path)
    elif path.is_file():
        raise OutputError(f"{path}: expected the name of a folder to write, received a file")
    elif path.is_dir() and any(path.iterdir()):
        raise OutputError(f"{path}: expected a new folder, found that it is there already")
    elif not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")


def write_results(target: Target, results: Results) -> None:
    """Write a result, whole or not at all.

    ``.parquet``, ``.tsv`` and ``.tsv.gz`` have the columns ``chromosome``,
    ``position`` (0-based, forward-strand C) and a float32 column for each cell.
    ``.bigwig`` and ``.bedgraph`` are folders with a file for each cell.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    _WRITERS[target.path.suffix](target, results)


def _write_table(target: Target, results: Results) -> None:
    keys = [("chromosome", pa.string()), ("position", pa.int64())]
    schema = pa.schema([*keys, *((cell, pa.float32()) for cell in target.cells)])
    with open_writer(target.path, schema) as write:
        for chromosome, shard in results:
            for rows in _pieces(shard):
                names = pa.repeat(pa.scalar(chromosome), len(rows.positions))
                arrays = [names, pa.array(rows.positions), *map(pa.array, rows.probabilities.T)]
                write(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _pieces(shard: Shard) -> Iterator[Shard]:
    for start in range(0, len(shard.positions), _ROWS):
        rows = slice(start, start + _ROWS)
        yield Shard(shard.positions[rows], np.ascontiguousarray(shard.probabilities[rows]))


def _write_bigwigs(target: Target, results: Results) -> None:
    import pybigtools

    shards = list(results)
    with atomic_folder(target.path) as folder:
        for i, cell in enumerate(target.cells):
            file = pybigtools.open(str(folder / f"{_file_name(cell)}.bw"), "w")
            file.write(dict(target.genome.lengths), _intervals(shards, i))


def _write_bedgraphs(target: Target, results: Results) -> None:
    shards = list(results)
    with atomic_folder(target.path) as folder:
        for i, cell in enumerate(target.cells):
            path = folder / f"{_file_name(cell)}.bedGraph.gz"
            # Without a time, the same results are the same bytes.
            with gzip.GzipFile(path, "wb", compresslevel=4, mtime=0) as file:
                file.write(f'track type=bedGraph name="{cell}"\n'.encode())
                for chromosome, start, end, value in _intervals(shards, i):
                    file.write(f"{chromosome}\t{start}\t{end}\t{value:.6g}\n".encode())


def _intervals(
    shards: Sequence[tuple[str, Shard]], cell: int
) -> Iterator[tuple[str, int, int, float]]:
    """Yield the CpG sites of a cell as intervals of their two bases: 0-based, half-open."""
    for chromosome, shard in shards:
        values = shard.probabilities[:, cell].tolist()
        for position, value in zip(shard.positions.tolist(), values, strict=True):
            yield chromosome, position, position + 2, value


def _file_name(cell: str) -> str:
    return cell.replace("/", "_")


_WRITERS: dict[str, Callable[[Target, Results], None]] = {
    ".parquet": _write_table,
    ".tsv": _write_table,
    ".gz": _write_table,
    BIGWIG: _write_bigwigs,
    BEDGRAPH: _write_bedgraphs,
}
