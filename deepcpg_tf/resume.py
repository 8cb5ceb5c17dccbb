"""A folder that one run owns, with what it is of, so that the same run can go on after a cut."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import deepcpg_tf
from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, parse_json

_IDENTITY, _LOCK = "identity.json", "lock"


def versions() -> dict[str, str]:
    """Return the versions of what computes, as a part of an identity."""
    found = {name: version(name) for name in ("keras", "tensorflow")}
    return {"deepcpg_tf": deepcpg_tf.__version__, **found}


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
    other = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if other:
        raise OutputError(
            f"{folder}: expected the unfinished run to have the same {', '.join(other)}; "
            "repeat that command, or remove the folder to begin anew"
        )


@contextmanager
def owned_folder(path: Path, identity: Mapping[str, Any], result: Path) -> Iterator[None]:
    """Hold a folder against other processes, for as long as this one is at it.

    The folder is made if need be. It stays once anything to go on with is in it, and who owns
    it removes it when all is done; a run that ends before leaves nothing, and binds nobody.

    Parameters
    ----------
    path
        The folder.
    identity
        What decides about the result, by name, as JSON can hold it. It is kept in the
        folder: whoever comes later must bring the same.
    result
        What the run is for, for messages.

    Raises
    ------
    OutputError
        When another process holds the folder, an unfinished run of something else is in
        it, or it cannot be written to.
    """
    lock = _lock(path, result)
    try:
        kept = path / _IDENTITY
        if kept.exists() and _has_results(path):
            check_identity(path, _read(kept), identity)
        else:
            with atomic_file(kept) as partial:
                partial.write_text(json.dumps(identity, indent=2, sort_keys=True))
        yield
    finally:
        if path.exists() and not _has_results(path):
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _has_results(path: Path) -> bool:
    """Return whether there is anything to go on with, not counting what is half-written."""
    return any(
        file.name not in (_IDENTITY, _LOCK) and not file.name.startswith(".")
        for file in path.iterdir()
    )


def _lock(path: Path, result: Path) -> int:
    """Return an open file in the folder that nothing else has locked."""
    while True:
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise OutputError(f"{path}: cannot write there: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise OutputError(
                f"{result}: expected nothing else to write it, found another run"
            ) from None
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)  # another run has just ended, and removed the folder


def _read(path: Path) -> dict[str, Any]:
    try:
        identity = parse_json(path.read_bytes())
        if not isinstance(identity, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise OutputError(
            f"{path}: expected what an unfinished run is of, but {error}; "
            "remove its folder to begin anew"
        ) from None
    return identity
