"""``.bedgraph``: a folder with a gzipped bedGraph file for each cell."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from os import cpu_count
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.results.blocks import Block, blocks
from deepcpg_tf.results.contents import Contents, Format, Kind
from deepcpg_tf.results.names import file_names
from deepcpg_tf.scan.shards import Shard


def _write(path: Path, contents: Contents, shards: Iterable[Shard]) -> None:
    paths = [path / name for name in file_names(contents.cells, ".bedGraph.gz")]
    for cell, own in zip(contents.cells, paths, strict=True):
        _append(own, f'track type=bedGraph name="{_label(cell)}"\n')
    # Compressing takes most of the time, and leaves the interpreter to other threads.
    with ThreadPoolExecutor(cpu_count()) as threads:
        for block in blocks(shards, contents.chromosomes):
            lines = _lines(block, contents.chromosomes)
            whole = "".join(lines)

            def write(
                own: Path,
                values: npt.NDArray[np.float32],
                lines: list[str] = lines,
                whole: str = whole,
            ) -> None:
                known = ~np.isnan(values)
                text = whole if known.all() else "".join(compress(lines, known))
                _append(own, text % tuple(values[known].tolist()))

            list(threads.map(write, paths, block.values.T))


def _lines(block: Block, chromosomes: tuple[str, ...]) -> list[str]:
    """Return the two bases of each site as an interval, 0-based, half-open; without values."""
    names = [name.replace("%", "%%") for name in chromosomes]
    rows = zip(block.chromosome_ids.tolist(), block.positions.tolist(), strict=True)
    return [f"{names[i]}\t{start}\t{start + 2}\t%.6g\n" for i, start in rows]


def _append(path: Path, text: str) -> None:
    """Append a part of a gzip file; parts in a row are one file, and need not stay open.

    Without a time, the same results are the same bytes.
    """
    with path.open("ab") as file:
        file.write(gzip.compress(text.encode(), 4, mtime=0))


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
