"""Many small pieces of a large file, from disk or from memory."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable
from pathlib import Path


class Pieces:
    """A file that is read in small pieces, in any order and from several threads.

    Reading each piece is faster than indexing a mapped file: the system maps up to two
    megabytes around every byte touched, which then have to be given back.

    Parameters
    ----------
    path
        The file; it may be removed or replaced once this is made.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self._held: bytes | None = None

    def hold(self) -> None:
        """Read the whole file into memory, for disks that are slow at small pieces."""
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(0)
            self._held = file.read()

    def read(self, pieces: Iterable[tuple[int, int]]) -> list[bytes]:
        """Return pieces of the file, each given as offset and size in bytes."""
        held = self._held
        if held is None:
            return [os.pread(self._file, size, offset) for offset, size in pieces]
        return [held[offset : offset + size] for offset, size in pieces]
