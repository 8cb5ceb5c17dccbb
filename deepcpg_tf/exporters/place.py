"""The folder of an export: one run is at it at a time, and what is in it changes as a whole.

All is prepared in a hidden folder within, as what is beside may be another disk, or not ours
to write to. It is put in place by renaming, the file that makes it count last; a plan of it
is written before, so that what is cut off in between can be undone by whoever comes next.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import lock_file, parse_json

WORKSPACE, LOCK = ".export", ".export.lock"
PASSED_OVER = (WORKSPACE, LOCK, "lost+found")
"""What is in the folder and no part of an export; the last is of the root of a disk."""

_PLAN = "plan.json"

_NO_ROOM = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class Place:
    """A folder that this run holds.

    Attributes
    ----------
    out
        The folder.
    new
        Where to prepare what goes into it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.workspace = out / WORKSPACE
        self.new = self.workspace / "new"
        self._old = self.workspace / "old"

    def publish(self, placed: Sequence[str], removed: Sequence[str], last: str) -> None:
        """Put what is prepared in place, in this order, or change nothing.

        Parameters
        ----------
        placed
            Paths within `new`, files or folders; each takes the place of what is there.
        removed
            Paths within the folder that are to go.
        last
            The file that makes the others count.

        Raises
        ------
        OutputError
            When something cannot be moved; all is as it was then.
        """
        plan = {"placed": [*placed], "removed": [*removed], "last": last}
        partial = self.workspace / f"{_PLAN}.partial"
        try:
            _write_through(partial, json.dumps(plan))
            partial.replace(self.workspace / _PLAN)
            for name in (*placed, *removed):
                if (self.out / name).exists():
                    _move(self.out / name, self._old / name)
                if name in placed:
                    _move(self.new / name, self.out / name)
            (self.new / last).replace(self.out / last)
        except BaseException as error:
            self.undo()
            if isinstance(error, OSError):
                raise OutputError(
                    f"{self.out}: cannot put the export in place: {error.strerror}; "
                    "what was there is there still"
                ) from error
            raise
        (self.workspace / _PLAN).unlink()

    def undo(self) -> None:
        """Take back what was not put in place to the end."""
        path = self.workspace / _PLAN
        if not path.exists():
            return
        try:
            plan = parse_json(path.read_bytes())
            moves = (*plan["placed"], *plan["removed"])
        except (ValueError, KeyError, TypeError):
            raise OutputError(
                f"{path}: expected the plan of an export that was cut off, found it damaged; what "
                f"was there before is in {self._old}: move it back to {self.out}, and remove "
                f"{self.workspace}"
            ) from None
        if (self.new / plan["last"]).exists():
            for name in reversed(plan["placed"]):
                if not (self.new / name).exists() and (self.out / name).exists():
                    _move(self.out / name, self.new / name)
            for name in moves:
                if (self._old / name).exists():
                    _move(self._old / name, self.out / name)
        path.unlink()

    def clear(self) -> None:
        """Remove what was prepared, unless it is needed to undo."""
        if not cut_off(self.out):
            shutil.rmtree(self.workspace, ignore_errors=True)


@contextmanager
def claim(out: Path) -> Iterator[Place]:
    """Hold a folder, which is made if need be; nothing new stays in it but what is published.

    Raises
    ------
    OutputError
        When another run holds it, it cannot be written to, or its disk is full.
    """
    out = out.resolve()
    made = [path for path in (out, *out.parents) if not path.exists()]
    try:
        lock = lock_file(out / LOCK)
    except BlockingIOError:
        raise OutputError(
            f"{out}: expected no other export at work there, found one; wait for its end"
        ) from None
    place = Place(out)
    try:
        with room_to_write(out):
            place.undo()
            place.clear()
            place.new.mkdir(parents=True)
            yield place
    finally:
        try:
            place.clear()
            with suppress(OSError):
                (out / LOCK).unlink()
            for path in made:
                with suppress(OSError):  # not empty: it stays
                    path.rmdir()
        finally:
            os.close(lock)


def cut_off(out: Path) -> bool:
    """Return whether an export is but partly in place."""
    return (out / WORKSPACE / _PLAN).exists()


@contextmanager
def room_to_write(out: Path) -> Iterator[None]:
    """Say where it was that there was no room: libraries do not, or have errors of their own."""
    try:
        yield
    except Exception as error:
        reason = _no_room(error)
        if reason is None or isinstance(error, OutputError):
            raise
        raise OutputError(f"{out}: cannot write there: {reason}") from error


def _no_room(error: BaseException | None) -> str | None:
    while error is not None:
        for reason in _NO_ROOM:
            if reason in str(error):
                return reason
        error = error.__cause__ or error.__context__
    return None


def _write_through(path: Path, text: str) -> None:
    """Write a file that is there whole even if the power fails now."""
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _move(source: Path, target: Path) -> None:
    """Rename, making the folders that lead there, and removing those that nothing is left in."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    with suppress(OSError):
        source.parent.rmdir()
