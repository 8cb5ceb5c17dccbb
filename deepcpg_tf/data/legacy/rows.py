"""Rows of datasets in the original's data files, read by index."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.cache import (
    cache_folder,
    check_unchanged,
    file_key,
    make_room,
    note_use,
    writing_to_cache,
)
from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.files import atomic_file
from deepcpg_tf.genome.pieces import Pieces

_OPEN_FILES = 128
_ROWS_AT_ONCE = 4096

Rows: TypeAlias = npt.NDArray[Any]
"""An array of records, with a field for each dataset."""


class LegacyRows:
    """Rows of some datasets of several files, one file after the other, on disk.

    Several threads may read at the same time. A subclass says what a dataset may hold.

    Parameters
    ----------
    paths
        The files.
    counts
        Sites in each.
    record
        A field for each dataset, by its name in the files, with the type and the shape
        that a row of it has.
    """

    def __init__(self, paths: Sequence[Path], counts: Sequence[int], record: np.dtype[Any]) -> None:
        self._record = record
        self._paths = tuple(paths)
        self._starts = np.cumsum([0, *counts])
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, h5py.File] = OrderedDict()
        self._unpacked: Pieces | None = None

    def checked(
        self, path: Path, name: str, values: npt.NDArray[Any], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[Any]:
        """Return some rows of a dataset of a file, or refuse them."""
        raise NotImplementedError

    def read(self, indices: npt.NDArray[np.int64]) -> Rows:
        """Read some rows, in any order."""
        indices = np.asarray(indices, np.int64)
        size = self._record.itemsize
        if self._unpacked is not None:
            offsets = (indices * size).tolist()
            rows = self._unpacked.read((offset, size) for offset in offsets)
            return np.frombuffer(bytearray().join(rows), self._record)
        result = np.empty(len(indices), self._record)
        order = np.argsort(indices, kind="stable")
        bounds = np.searchsorted(indices[order], self._starts)
        with self._lock:
            for i in np.flatnonzero(np.diff(bounds)):
                own = order[bounds[i] : bounds[i + 1]]
                result[own] = self._read_file(self._paths[i], indices[own] - self._starts[i])
        return result

    def place(self, index: int) -> tuple[Path, int]:
        """Return the file that a row is in, and which it is there."""
        file = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._paths[file], index - int(self._starts[file])

    def key(self) -> str:
        """Return a checksum of the files; see `deepcpg_tf.cache.file_key`."""
        return file_key(*self._paths)

    def unpack(self, *, hold: bool) -> None:
        """Keep the rows uncompressed in the cache; with `hold`, also in memory."""
        fields = hashlib.sha256(repr(self._record.descr).encode()).hexdigest()[:8]
        key = self.key()
        path = cache_folder() / "windows" / f"{key}-{fields}"
        note_use(path)
        if not path.is_file():
            with writing_to_cache():
                path.parent.mkdir(parents=True, exist_ok=True)
                with atomic_file(path) as partial, partial.open("wb") as file:
                    for start in range(0, self._starts[-1], _ROWS_AT_ONCE):
                        end = min(start + _ROWS_AT_ONCE, self._starts[-1])
                        file.write(self.read(np.arange(start, end)).tobytes())
                    check_unchanged(key, *self._paths, fault=LegacyDataError)
        self._unpacked = Pieces(path)
        make_room(path)
        if hold:
            self._unpacked.hold()

    def _read_file(self, path: Path, rows: npt.NDArray[np.int64]) -> Rows:
        result = np.empty(len(rows), self._record)
        for name in self._record.names or ():
            try:
                values = _read_rows(self._file(path)[name], rows)
            except (OSError, KeyError, RuntimeError) as error:
                raise LegacyDataError(f"{path}: cannot read {name}: {error}") from None
            result[name] = self.checked(path, name, values, rows)
        return result

    def _file(self, path: Path) -> h5py.File:
        """Return an open file; the ones used last stay open."""
        if path not in self._open:
            self._open[path] = h5py.File(path)
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]


def _read_rows(data: h5py.Dataset, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Read sorted rows: whole chunks, which HDF5 decompresses in any case, a run at a time."""
    chunk = data.chunks[0] if data.chunks else 1
    chunks = rows // chunk
    part = chunks // max(_ROWS_AT_ONCE // chunk, 1)
    ends = np.flatnonzero((np.diff(chunks) > 1) | (np.diff(part) > 0)) + 1
    runs = []
    for run in np.split(rows, ends):
        first, last = run[0] // chunk * chunk, (run[-1] // chunk + 1) * chunk
        runs.append(data[first:last][run - first])
    return np.concatenate(runs)
