"""Lines of VCF: of text, plain or compressed with anything, and of BCF, which htslib makes text.

Bytes that are no UTF-8 are kept, so that a line can be written again as it was.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pysam

from deepcpg_tf.errors import VariantError
from deepcpg_tf.files import (
    DAMAGED,
    NoTextError,
    check_bgzip,
    is_gzip,
    open_bytes,
    what_is_there,
)

ENCODING, ENCODING_ERRORS = "utf-8", "surrogateescape"
"""What lines are decoded with, and must be encoded with again."""

COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
"""The columns that every record has."""

_VERSION = "##fileformat=VCFv4"
_FIRST = f"a first line {_VERSION}.x"
_BOM = "\ufeff"
_AT_ONCE = 1024  # records of BCF
_SHOWN = 60


class Lines(NamedTuple):
    """An opened file: its lines, without their ends, and how many of its bytes are read."""

    lines: Iterator[str]
    read: Callable[[], int]


def is_bcf(path: Path) -> bool:
    """Return whether a file is BCF, compressed as it is everywhere or not."""
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            return file.read(4) == b"BCF\2"
    except (OSError, *DAMAGED):
        return False  # whatever it is, it is told where it is read


@contextmanager
def open_lines(path: Path, *, binary: bool) -> Iterator[Lines]:
    """Open a file of variants.

    Parameters
    ----------
    path
        The file.
    binary
        Whether it is BCF.

    Raises
    ------
    VariantError
        When it cannot be read or is damaged; the iterator raises it, too.
    """
    if not path.is_file():
        raise VariantError(f"{path}: expected a VCF file, found {what_is_there(path)}")
    with _binary_lines(path) if binary else _text_lines(path) as lines:
        yield lines


def read_header(path: Path, lines: Iterator[str]) -> tuple[str, ...]:
    """Return all lines up to the names of columns.

    Raises
    ------
    VariantError
        When it is not the header of VCF 4.
    """
    first = next(lines, None)
    if first is None:
        raise VariantError(f"{path}: expected VCF, found an empty file")
    if first.startswith(_BOM):
        raise VariantError(
            f"{path}, line 1: expected {_FIRST}, received a byte order mark before it, which VCF "
            "must not have: save the file as UTF-8 without one"
        )
    if not first.startswith(_VERSION):
        raise VariantError(f"{path}, line 1: expected {_FIRST}, received {first[:_SHOWN]!r}")
    header = [first]
    for number, line in enumerate(lines, 2):
        if not line.startswith("##"):
            _check_columns(line, f"{path}, line {number}")
            return (*header, line)
        header.append(line)
    raise VariantError(f"{path}: expected a line {' '.join(COLUMNS)}, found none")


def _check_columns(line: str, where: str) -> None:
    names = line.split("\t")
    if len(names) == 1 and line.split()[: len(COLUMNS)] == list(COLUMNS):
        raise VariantError(f"{where}: expected tabs between columns, received spaces")
    if tuple(names[: len(COLUMNS)]) != COLUMNS or names[8:9] not in ([], ["FORMAT"]):
        raise VariantError(
            f"{where}: expected the columns {' '.join(COLUMNS)} (and FORMAT with samples), with "
            f"tabs between, received {line[:_SHOWN]!r}"
        )
    samples = names[9:]
    for index, sample in enumerate(samples):
        if not sample or (len(set(samples)) < len(samples) and sample in samples[:index]):
            raise VariantError(
                f"{where}: expected a name of its own for each sample, received {sample[:_SHOWN]!r}"
                f"{' again' if sample else ''}"
            )


@contextmanager
def _text_lines(path: Path) -> Iterator[Lines]:
    try:
        raw = open_bytes(path)
    except (NoTextError, OSError, *DAMAGED) as error:
        raise VariantError(_message(path, error)) from None
    # Only \n ends a line, as htslib has it.
    with io.TextIOWrapper(raw, ENCODING, ENCODING_ERRORS, newline="\n") as text:
        # Of other compressions, nothing tells how far reading is.
        below = raw.fileobj if isinstance(raw, gzip.GzipFile) else raw
        tells = isinstance(raw, gzip.GzipFile | io.BufferedReader)

        def lines() -> Iterator[str]:
            try:
                for line in text:
                    yield line.rstrip("\r\n")
            except (OSError, *DAMAGED) as error:
                raise VariantError(_message(path, error)) from None

        yield Lines(lines(), lambda: below.tell() if tells else 0)


def _message(path: Path, error: Exception) -> str:
    if isinstance(error, NoTextError):
        return f"{path}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{path}: cannot read it: {error.strerror}"
    return f"{path}: expected VCF, plain or compressed, but {error}"


@contextmanager
def _binary_lines(path: Path) -> Iterator[Lines]:
    try:
        check_bgzip(path)
        with quiet_htslib():
            file = pysam.VariantFile(str(path))
            header = str(file.header).rstrip("\n").split("\n")
    except (ValueError, OSError, *DAMAGED) as error:  # ValueError: of other letters, too
        raise VariantError(f"{path}: expected whole BCF, but {_said(error)}") from None
    try:

        def lines() -> Iterator[str]:
            yield from header
            done = 0
            while True:
                try:
                    with quiet_htslib():
                        some = [str(record).rstrip("\n") for record in islice(file, _AT_ONCE)]
                except (ValueError, OSError, zlib.error) as error:
                    raise VariantError(
                        f"{path}: expected whole BCF, but after record {done} or later: "
                        f"{_said(error)}"
                    ) from None
                if not some:
                    return
                done += len(some)
                yield from some

        yield Lines(lines(), lambda: min(int(file.tell()) >> 16, path.stat().st_size))
    finally:
        with suppress(OSError):  # of a damaged one, told before
            file.close()


def _said(error: Exception) -> str:
    """Return what htslib said in one line, without the path of the file."""
    text = " ".join(str(error).split())
    return "it is damaged" if not text or text.startswith("invalid file") else text


@contextmanager
def quiet_htslib() -> Iterator[None]:
    """Keep from stderr what htslib prints, which is said in one line of our own."""
    verbosity = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(verbosity)
