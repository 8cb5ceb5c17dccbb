"""Reading text that may be gzipped, and writing so that nothing half-written stays."""

from __future__ import annotations

import bz2
import errno
import fcntl
import gzip
import hashlib
import io
import json
import lzma
import os
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO, cast

from deepcpg_tf.errors import DeepCpgError, OutputError
from deepcpg_tf.kinds import HEAD, kind_of_no_text

_GZIP_MAGIC = b"\x1f\x8b"
_BZIP2_MAGIC = b"BZh"
_XZ_MAGIC = b"\xfd7zXZ\0"
# The block without content that ends a file of bgzip (SAM specification, 4.1.2).
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

_ATTEMPTS = 100  # to open a lock whose folder other runs remove as they end

DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
"""What reading a damaged compressed file raises; bzip2 raises an `OSError` without number."""


class NoTextError(Exception):
    """A file that is no text, with what is expected and received."""


# Read once: it can only be read by setting it, which threads would notice.
_UMASK = os.umask(0)
os.umask(_UMASK)


def is_gzip(path: Path) -> bool:
    """Return whether a file starts with the signature of gzip (bgzip has the same)."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def is_bgzip(path: Path) -> bool:
    """Return whether a file starts with a block of bgzip."""
    with path.open("rb") as file:
        return _size_of_bgzip_block(file.read(18)) > 0


def check_bgzip(path: Path) -> None:
    """Refuse a bgzip file that was cut off between two of its blocks, which looks whole.

    What is no bgzip, or goes on as other gzip does, passes.

    Raises
    ------
    EOFError
        When the blocks end, and the last one is not that which ends a file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if not _size_of_bgzip_block(file.read(18)):
            return
        file.seek(max(0, size - len(_BGZIP_END)))
        if file.read() == _BGZIP_END:
            return
        place = 0
        while place < size:
            file.seek(place)
            length = _size_of_bgzip_block(file.read(18))
            if not length:
                return  # gzip of another program follows
            place += length
    if place == size:
        raise EOFError(
            "it is cut off: bgzip ends a file with an empty block, which is missing (should it be "
            "whole all the same, write it anew: gunzip -c OLD | bgzip > NEW)"
        )


def _size_of_bgzip_block(header: bytes) -> int:
    """Return the bytes of a block by its first 18, or 0 when it is none of bgzip."""
    is_block = header[:4] == b"\x1f\x8b\x08\x04" and header[12:16] == b"BC\x02\0"
    return int.from_bytes(header[16:18], "little") + 1 if is_block else 0


def open_bytes(path: Path) -> IO[bytes]:
    """Open a text file for reading as bytes, decompressed: gzip, bgzip, bzip2 and xz by content.

    Raises
    ------
    OSError
        When the file cannot be opened.
    NoTextError
        When it is a pipe or device, or its first bytes are those of something that is no text.
    EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, OSError without number
        When its compression is damaged.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise NoTextError(f"expected a file, found {what_is_there(path)}")
    with path.open("rb") as raw:
        magic = raw.read(len(_XZ_MAGIC))
    file: Any
    if magic.startswith(_GZIP_MAGIC):
        check_bgzip(path)
        file = gzip.GzipFile(path)
    elif magic.startswith(_BZIP2_MAGIC) and magic[3:4].isdigit():
        file = bz2.BZ2File(path)
    elif magic.startswith(_XZ_MAGIC):
        file = lzma.LZMAFile(path)  # noqa: SIM115
    else:
        file = path.open("rb")
    try:
        kind = kind_of_no_text(file.peek(HEAD)[:HEAD])
        if kind is not None:
            raise NoTextError(
                f"expected text, plain or compressed (gzip, bgzip, bzip2, xz), received {kind}"
            )
    except BaseException:
        file.close()
        raise
    return cast("IO[bytes]", file)


def open_text(path: Path) -> TextIO:
    """Open UTF-8 text for reading, as `open_bytes` does.

    Any line ending is accepted and a byte order mark is dropped.
    """
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig")


def what_is_there(path: Path) -> str:
    """Return what is in the place of a file that was expected, for a message."""
    if path.is_dir():
        return "a folder"
    return "a pipe or device, which cannot be read twice" if path.exists() else "none there"


@contextmanager
def reading_text(path: Path, fault: type[DeepCpgError]) -> Iterator[TextIO]:
    """Open text as `open_text` does; what is no text, or damaged, is a fault of the given type."""
    try:
        with open_text(path) as file:
            yield file
    except NoTextError as error:
        raise fault(f"{path}: {error}") from None
    except (UnicodeDecodeError, *DAMAGED) as error:
        raise fault(f"{path}: expected text, plain or compressed, but {error}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise fault(f"{path}: expected text, plain or compressed, but {error}") from None


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; every way in which it can be none is a `ValueError`.

    Raises
    ------
    ValueError
        When the text is no JSON, or nested deeper than can be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def check_writable(path: Path, *, inside: bool = False) -> None:
    """Refuse a place that cannot be written to, before anything is computed.

    Parameters
    ----------
    path
        The file or folder to write. Folders that are missing on the way to it count as made.
    inside
        Whether files go into the folder, rather than the folder in the place of another.

    Raises
    ------
    OutputError
    """
    folder = path.resolve() if inside else path.resolve().parent
    while not folder.exists():
        folder = folder.parent
    with _told(path), tempfile.TemporaryFile(dir=folder):
        pass


def _unused(folder: Path, prefix: str, suffix: str = "") -> Path:
    """Return a path that nothing has: known before it is made, a signal then cannot lose it."""
    return folder / f"{prefix}{secrets.token_hex(8)}{suffix}"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise an error of ours where `path` cannot be written."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot write there: {error.strerror}") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the name of `path` on success.

    On any error the partial file is removed and `path` stays as it was.

    Raises
    ------
    OutputError
        When the folder does not exist or cannot be written to, or `path` is a folder.
    """
    if path.is_dir():
        raise OutputError(f"{path}: expected the name of a file to write, received a folder")
    path = path.resolve()  # what a link points to is replaced, not the link
    partial = _unused(path.parent, f".{path.name}.", ".partial")
    try:
        with _told(path):
            partial.touch(0o600, exist_ok=False)
        with _room_to_write(path):
            yield partial
        partial.chmod(path.stat().st_mode if path.exists() else 0o666 & ~_UMASK)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` to fill; it takes the place of `path` on success.

    On any error it is removed and `path` stays as it was.

    Raises
    ------
    OutputError
        When the parent folder cannot be written to, or `path` is a file.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: expected the name of a folder to write, received a file")
    path = path.resolve()
    if Path.cwd().is_relative_to(path):
        raise OutputError(f"{path}: expected a folder other than the one worked in")
    workspace = _unused(path.parent, f".{path.name}.")
    try:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            workspace.mkdir(0o700)
        filled = workspace / "new"
        filled.mkdir()
        with _room_to_write(path):
            yield filled
        old = workspace / "old"
        try:
            if path.exists():
                path.rename(old)
            filled.rename(path)
        except BaseException:  # a signal, too
            if old.exists() and not path.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


@contextmanager
def atomic_files(folder: Path, stale: Collection[str] = ()) -> Iterator[Path]:
    """Yield a folder to write files to; they all move into `folder` on success.

    `folder` is made if need be, and other files in it stay. On any error it is as it was.

    Parameters
    ----------
    folder
        Where the files go.
    stale
        Names of files that are removed from `folder` if they are not written again.

    Raises
    ------
    OutputError
        When the folder cannot be made or written to, or has a folder in the place of a
        file.
    """
    folder = folder.resolve()
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder: {error.strerror}") from error
    # Inside, because what is beside the folder may be another disk.
    stage = _unused(folder, ".", ".partial")
    try:
        with _told(folder):
            stage.mkdir(0o700)
        with _room_to_write(folder):
            yield stage
        names = {path.name for path in stage.iterdir()}
        for name in sorted({*names, *stale}):
            if (folder / name).is_dir():
                raise OutputError(
                    f"{folder / name}: expected the name of a file to write, received a folder"
                )
        for name in names:
            (stage / name).replace(folder / name)
        for name in set(stale) - names:
            (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for path in made:
            with suppress(OSError):  # not empty: it stays
                path.rmdir()


def lock_file(path: Path) -> int:
    """Return an open file that this process alone has locked; its folder is made if need be.

    Raises
    ------
    BlockingIOError
        When another process has locked it.
    OutputError
        When the folder cannot be written to, or its file system cannot lock.
    """
    attempts = 0
    while True:
        attempts += 1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            # Another run that has just ended may have moved the folder away in between.
            moved = isinstance(error, FileNotFoundError | FileExistsError)
            if moved and attempts < _ATTEMPTS:
                continue
            raise OutputError(f"{path.parent}: cannot write there: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if isinstance(error, BlockingIOError):
                raise
            raise OutputError(f"{path.parent}: cannot be locked: {error.strerror}") from error
        if is_locked(path, lock):
            return lock
        os.close(lock)  # another run has just ended, and removed the file


def is_locked(path: Path, lock: int) -> bool:
    """Return whether the file in a place is still the one that `lock_file` returned."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except OSError:
        return False


@contextmanager
def _room_to_write(path: Path) -> Iterator[None]:
    """Say where it was that there was no room: libraries often do not."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OutputError(f"{path}: cannot write there: {os.strerror(error.errno)}") from error
        raise
