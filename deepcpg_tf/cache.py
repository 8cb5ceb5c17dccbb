"""The folder where downloads, and what is made of files, are kept between calls.

What is made of files is called by a checksum of them, so that it is never taken for that of
others. When it was used last is its time of change.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import deepcpg_tf
from deepcpg_tf.errors import ConfigError, DeepCpgError, OutputError
from deepcpg_tf.files import atomic_file, parse_json

_VARIABLE = "DEEPCPG_TF_HOME"
_BOUND = "DEEPCPG_TF_CACHE_GB"
_USUAL_BOUND = 20

CHECKSUM = "checksum"
"""The kind of the notes of which files there are checksums."""

_CHECKSUMS = "checksums"
_BOUNDED = {"codes": "genome", "windows": "windows"}
_MADE = {**_BOUNDED, "fasta-indexes": "index", _CHECKSUMS: CHECKSUM}
_BROUGHT = {"presets": "preset", "training-data": "training data"}

# A file that has just changed may do so again within one tick of its time of change.
_TICK = 2_000_000_000
# Of this process, for a cache that cannot be written to: when reading began, and the key.
_keys: dict[str, tuple[int, str]] = {}
# What is half-written is another process's, unless that has been silent for so long.
_SILENT = 3600


class Kept(NamedTuple):
    """A file in the cache.

    ``kind`` is what it is, ``used`` when it was used last (seconds since 1970), ``of`` the
    files that it was made of, where that is known, and ``made`` whether it is made anew
    when it is needed.
    """

    path: Path
    kind: str
    bytes: int
    used: float
    of: tuple[str, ...]
    made: bool


def cache_folder() -> Path:
    """Return the folder for downloads and indexes: ``$DEEPCPG_TF_HOME``, or the user's cache."""
    home = os.environ.get(_VARIABLE)
    if home:
        return Path(home).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("deepcpg_tf"))


@contextmanager
def writing_to_cache() -> Iterator[None]:
    """Turn a failure to write to the cache into one line that says what can be done.

    Raises
    ------
    OutputError
    """
    try:
        yield
    except (OSError, OutputError) as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else error
        raise OutputError(
            f"{cache_folder()}: cannot write to the cache: {reason}; "
            f"{_VARIABLE} can name another folder"
        ) from error


def file_key(*paths: Path) -> str:
    """Return a name for what is made of files: a checksum of their names and contents.

    What is made is bound to this release. The files are read once for each state that they
    are in, by inode, size and times of change: size and time of change of the content stay
    when a file is replaced by ``cp -p`` or ``rsync -t``.
    """
    state, changed = _state(paths)
    seen = cache_folder() / _CHECKSUMS / state
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = parse_json(seen.read_bytes())
        if noted["began"] - changed > _TICK:
            return str(noted["key"])
    if state in _keys and _keys[state][0] - changed > _TICK:
        return _keys[state][1]
    began = time.time_ns()
    digest = hashlib.blake2b(deepcpg_tf.__version__.encode(), digest_size=32)
    for path in paths:
        digest.update(f"\n{path.name}\n{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    key = digest.hexdigest()
    if _state(paths)[0] == state:
        _keys[state] = began, key
        note = {"key": key, "began": began, "files": [str(path.resolve()) for path in paths]}
        # Without it, another process reads the files again.
        with suppress(OSError, OutputError):
            seen.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(seen) as partial:
                partial.write_text(json.dumps(note))
    return key


def check_unchanged(key: str, *paths: Path, fault: type[DeepCpgError]) -> None:
    """Refuse to keep what was made of files that are no longer those of a key.

    To be asked once all is read: what was put in their place meanwhile would be kept under
    the key of what was there before.

    Raises
    ------
    DeepCpgError
        Of the given type.
    """
    if file_key(*paths) != key:
        found = "it" if len(paths) == 1 else "it, or another one read with it,"
        raise fault(
            f"{paths[0]}: expected a file that stays as it is, "
            f"found {found} changed since it was opened"
        )


def _state(paths: tuple[Path, ...]) -> tuple[str, int]:
    """Return a name for the state that files are in, and when they came into it."""
    stats = [path.stat() for path in paths]
    text = "\n".join(
        f"{path.resolve()} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        for path, stat in zip(paths, stats, strict=True)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32], max(stat.st_ctime_ns for stat in stats)


def note_use(path: Path) -> None:
    """Note that a file of the cache is in use now."""
    with suppress(OSError):
        os.utime(path)


def bound() -> int:
    """Return how many bytes encoded genomes and unpacked windows may take together.

    Raises
    ------
    ConfigError
        When ``$DEEPCPG_TF_CACHE_GB`` is no number from 0.
    """
    text = os.environ.get(_BOUND) or str(_USUAL_BOUND)
    try:
        gigabytes = float(text)
        if not 0 <= gigabytes < float("inf"):
            raise ValueError
    except ValueError:
        raise ConfigError(f"{_BOUND}: expected a number of GB from 0, received {text!r}") from None
    return int(gigabytes * 1e9)


def make_room(newest: Path) -> None:
    """Remove encoded genomes and unpacked windows, unused for longest first, but the newest.

    A process that has one open keeps it.
    """
    large = [kept for kept in kept_files() if kept.kind in _BOUNDED.values()]
    excess = sum(kept.bytes for kept in large) - bound()
    for kept in sorted(large, key=lambda kept: kept.used):
        if excess > 0 and kept.path != newest and _is_idle(kept):
            excess -= kept.bytes
            with suppress(OSError):
                kept.path.unlink()


def kept_files() -> list[Kept]:
    """Return what is in the cache, by kind."""
    found = []
    for folders, made in ((_MADE, True), (_BROUGHT, False)):
        for folder, kind in folders.items():
            for path in sorted((cache_folder() / folder).rglob("*")):
                with suppress(OSError):  # removed just now
                    if path.is_file():
                        stat = path.stat()
                        found.append(Kept(path, kind, stat.st_size, stat.st_mtime, (), made))
    of = _noted(kept.path for kept in found if kept.kind == CHECKSUM)
    return [kept._replace(of=of.get(kept.path.stem, ())) for kept in found]


def clear(kept: list[Kept]) -> int:
    """Remove files of the cache, and return how many bytes they had.

    A process that has one open keeps it; what is half-written is left to who writes it.

    Raises
    ------
    OutputError
        When one cannot be removed.
    """
    idle = [one for one in kept if _is_idle(one)]
    for one in idle:
        with writing_to_cache():
            one.path.unlink(missing_ok=True)
    return sum(one.bytes for one in idle)


def _is_idle(kept: Kept) -> bool:
    return not kept.path.name.startswith(".") or time.time() - kept.used > _SILENT


def _noted(notes: Iterator[Path]) -> dict[str, tuple[str, ...]]:
    """Return the files that each key is of."""
    of = {}
    for note in notes:
        with suppress(OSError, ValueError, KeyError, TypeError):
            noted = parse_json(note.read_bytes())
            of[str(noted["key"])] = tuple(map(str, noted["files"]))
    return of
