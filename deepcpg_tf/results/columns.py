"""Values of many sites kept on disk, to be read a cell at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.scan.shards import Shard


class Stretch(NamedTuple):
    """The sites of a chromosome (int64 [n], 0-based) with the values of one cell (float32 [n])."""

    chromosome: str
    positions: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


class Columns:
    """What `keep_columns` has kept."""

    def __init__(self, file: BinaryIO, shards: Iterable[Shard]) -> None:
        self._file = file
        self._stretches: list[tuple[str, int, int]] = []
        offset = 0
        for shard in shards:
            n = len(shard.positions)
            if n:
                self._stretches.append((shard.chromosome, n, offset))
                offset += file.write(shard.positions.astype(np.int64).tobytes())
                offset += file.write(shard.values.T.astype(np.float32).tobytes())
        file.flush()

    def __len__(self) -> int:
        """Return the number of sites."""
        return sum(n for _, n, _ in self._stretches)

    def cell(self, index: int) -> Iterator[Stretch]:
        """Yield the sites with the values of one cell, in order."""
        for chromosome, n, offset in self._stretches:
            values = offset + 8 * n + 4 * n * index
            yield Stretch(
                chromosome,
                np.frombuffer(self._read(8 * n, offset), np.int64),
                np.frombuffer(self._read(4 * n, values), np.float32),
            )

    def _read(self, size: int, offset: int) -> bytes:
        return os.pread(self._file.fileno(), size, offset)


@contextmanager
def keep_columns(folder: Path, shards: Iterable[Shard]) -> Iterator[Columns]:
    """Keep the values of shards in a file in a folder for as long as they are needed."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Columns(file, shards)
