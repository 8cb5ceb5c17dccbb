"""A folder that one run owns, with what it is of, so that the same run can go on after a cut."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import deepcpg_tf
from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, is_locked, lock_file, parse_json

_IDENTITY, _LOCK = "identity.json", "lock"
_REMOVED = ".removed"

# Of the machine rather than the command: told with values, and what sets them.
_OF_THE_MACHINE = {"threads": "; TF_NUM_INTRAOP_THREADS sets it", "device": ""}


def versions() -> dict[str, str]:
    """Return the versions of what computes, as a part of an identity."""
    found = {name: version(name) for name in ("keras", "tensorflow")}
    return {"deepcpg_tf": deepcpg_tf.__version__, **found}


def arithmetic() -> dict[str, str]:
    """Return what else decides about the last bits of a result, as a part of an identity.

    Sums are split between threads, and other kernels sum in another order. To be asked once
    TensorFlow is imported, which settles the kernels; without it, no device is told.
    """
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS") or str(_usable_processors())
    found = {"threads": threads, "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "")}
    if tensorflow := sys.modules.get("tensorflow"):
        found["device"] = "GPU" if tensorflow.config.list_physical_devices("GPU") else "CPU"
    return found


def check_identity(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with an unfinished run of something else.

    Parameters
    ----------
    folder
        Where the unfinished run is, for the message.
    before, now
        What decides about the result, by name, as JSON can hold it: of the unfinished run
        and of the one that would go on.

    Raises
    ------
    OutputError
        Naming all that differs.
    """
    before, now = (json.loads(json.dumps(one)) for one in (before, now))
    other = list(_differing(before, now))
    if other:
        raise OutputError(
            f"{folder}: expected the unfinished run to have the same {', '.join(other)}; "
            "repeat that command, or remove the folder to begin anew"
        )


@contextmanager
def held_folder(path: Path, result: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Hold a folder against other processes, for as long as this one is at it.

    The folder is made if need be. It stays once anything to go on with is in it, and who owns
    it removes it when all is done (`remove_owned`); a run that ends before leaves nothing, and
    binds nobody. Folders above it are made too, and removed where nothing came to be in them.

    Parameters
    ----------
    path
        The folder.
    result
        What the run is for, for messages.

    Yields
    ------
    callable
        To be told what decides about the result, by name, as JSON can hold it, before
        anything else in the folder is looked at. It is kept there: whoever comes later must
        bring the same. It raises `OutputError` when an unfinished run of something else, or
        of nobody knows what, is there.

    Raises
    ------
    OutputError
        When another process holds the folder, or it cannot be written to, or not be locked.
    """
    made = [parent for parent in path.parents if not parent.exists()]
    try:
        lock = lock_file(path / _LOCK)
    except BlockingIOError:
        raise OutputError(
            f"{result}: expected nothing else to write it, found another run"
        ) from None

    def begin(identity: Mapping[str, Any]) -> None:
        if _has_results(path):
            check_identity(path, _read_identity(path), identity)
        else:
            with atomic_file(path / _IDENTITY) as partial:
                partial.write_text(json.dumps(identity, indent=2, sort_keys=True))

    try:
        _remove(_aside(path))
        yield begin
    finally:
        if is_locked(path / _LOCK, lock) and not _has_results(path):
            with suppress(OSError):
                remove_owned(path)
        os.close(lock)
        for parent in made:
            with suppress(OSError):  # not empty: it stays
                parent.rmdir()


@contextmanager
def owned_folder(path: Path, identity: Mapping[str, Any], result: Path) -> Iterator[None]:
    """Hold a folder as `held_folder` does, where it is known at once what the run is of.

    Raises
    ------
    OutputError
        When another process holds the folder, an unfinished run of something else, or of
        nobody knows what, is in it, or it cannot be written to.
    """
    with held_folder(path, result) as begin:
        begin(identity)
        yield


def remove_owned(path: Path) -> None:
    """Remove a folder that this process owns, in one step for whoever looks at it.

    Files go one by one: cut off amid that, what is left would lack what it is of. So the
    folder takes a name first that nobody goes on from; the next run removes it.
    """
    aside = _aside(path)
    _remove(aside)
    path.rename(aside)
    _remove(aside)


def _aside(path: Path) -> Path:
    return path.with_name(path.name + _REMOVED)


def _remove(path: Path) -> None:
    # On a network file system, a file that is still open stays until it is closed.
    shutil.rmtree(path, ignore_errors=True)


def _has_results(path: Path) -> bool:
    """Return whether there is anything to go on with, not counting what is half-written."""
    return any(
        file.name not in (_IDENTITY, _LOCK) and not file.name.startswith(".")
        for file in path.iterdir()
    )


def _read_identity(folder: Path) -> dict[str, Any]:
    try:
        identity = parse_json((folder / _IDENTITY).read_bytes())
        if not isinstance(identity, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(
            f"{folder}: expected {_IDENTITY} to say what the unfinished run in it is of, but "
            f"{reason}; remove the folder to begin anew"
        ) from None
    return identity


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of what differs, one within another as ``settings.seed``.

    Those that the machine decides have both values with them.
    """
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from (f"{key}.{name}" for name in _differing(one, other))
        elif one != other:
            told = key in _OF_THE_MACHINE and None not in (one, other)
            yield f"{key} ({one}, now {other}{_OF_THE_MACHINE[key]})" if told else key


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
