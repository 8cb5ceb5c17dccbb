"""HDF5 files: written from beginning to end, and read no further than they hold."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


class _Sink(io.FileIO):
    """A file that keeps its first failure to itself, and takes no more from then on.

    HDF5 holds data back, tries again when it closes, and takes the process with it if that
    fails too: it is not to know.
    """

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        while self.failure is None and rest:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.failure = error
        return len(data)

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise self.failure


@contextmanager
def hdf5_file(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Open a new HDF5 file; yield it, and a function that raises if it cannot be written.

    That function is to be called now and then, so as not to go on in vain; in the end it
    is called here.

    Raises
    ------
    OSError
        When the file cannot be written, such as on a full disk.
    """
    with _Sink(path, "w+") as sink:
        try:
            with h5py.File(sink, "w") as file:
                yield file, sink.check
        finally:
            sink.check()


# What may be in memory whatever the file holds, and how often compression may pay.
_MOST_OF_NOTHING = 1 << 30
_MOST_COMPRESSED = 1 << 16


def check_stored(item: h5py.Group | h5py.Dataset) -> None:
    """Refuse what takes all memory, or never ends, to be read.

    That are datasets said to be large, of which the file holds next to nothing, and groups
    that are in themselves.

    Parameters
    ----------
    item
        A dataset, or a group with all in it.

    Raises
    ------
    ValueError
    """
    _check_stored(item, ())


def _check_stored(item: Any, above: tuple[Any, ...]) -> None:
    if isinstance(item, h5py.Group):
        if item in above:
            raise ValueError(f"expected a tree, received {item.name} that is in itself")
        for name in item:
            _check_stored(item.get(name), (*above, item))
    elif isinstance(item, h5py.Dataset) and item.size:
        stored = item.id.get_storage_size()
        if item.nbytes > _MOST_OF_NOTHING + _MOST_COMPRESSED * stored:
            raise ValueError(
                f"expected what the file holds, received {item.name[1:]} of {item.nbytes:,} bytes, "
                f"of which it holds {stored:,}"
            )
