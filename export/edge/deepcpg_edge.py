#!/usr/bin/env python3
"""Predict DNA methylation in single cells with a TFLite model that deepcpg-tf exported.

Needs numpy and ai-edge-litert, and of deepcpg_tf nothing but this file.
"""

# Part of deepcpg_tf; licensed under Apache-2.0.

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import lzma
import os
import shutil
import signal
import sys
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn, TextIO

_BATCH = 8
"""Windows a call: more are no faster, and each takes a megabyte."""

# ---- Windows and the table: the same lines in every kit, so that each is one file ----

_LETTERS = "ACGTUNRYSWKMBDHVacgtunryswkmbdhv"
_BLOCK_HEADER, _LAST_BLOCK = 18, 28  # bytes of a block of bgzip: its header, the empty one


class Fault(Exception):  # noqa: N818
    """What a user can mend; the message is one line."""


class Record(NamedTuple):
    """A window as it was read: its name, what an error calls it, letters and their number."""

    name: str
    where: str
    letters: str
    size: int


class Windows:
    """The windows of a file: FASTA, a window a record, or text, a window a line.

    They can be gone through again and again, and each is checked every time.

    Parameters
    ----------
    file
        Plain or compressed (gzip, bgzip, bzip2, xz), at any position.
    name
        What an error calls the file.
    length
        Letters that each window must have.
    """

    def __init__(self, file: IO[bytes], name: str, length: int) -> None:
        self.file = file
        self.name = name
        self.length = length

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for name, where, letters, size in self._records():
            if size != self.length:
                raise Fault(f"{where}: expected a window of {self.length} letters, received {size}")
            if foreign := letters.lstrip(_LETTERS):
                raise Fault(
                    f"{where}, position {size - len(foreign) + 1}: expected a nucleotide "
                    "letter (A, C, G, T, U, N or another of IUPAC), "
                    f"received {foreign[0]!r}"
                )
            yield name, letters.encode()

    def _records(self) -> Iterator[Record]:
        numbered = enumerate(self._lines(), 1)
        filled = dropwhile(lambda numbered: not numbered[1].strip(), numbered)
        first = next(filled, None)
        if first is None:
            raise Fault(f"{self.name}: expected FASTA, or a window a line, found none")
        read = self._fasta if first[1].startswith((">", ";")) else self._plain
        return read(chain([first], filled))

    def _fasta(self, lines: Iterator[tuple[int, str]]) -> Iterator[Record]:
        number, name, size = 0, "", 0
        parts: list[str] = []
        for line_number, line in chain(lines, [(0, ">")]):
            text = line.strip()
            if line.startswith(">"):
                if number:
                    yield Record(name, self._where(number, name), "".join(parts), size)
                number, size, parts = number + 1, 0, []
                name = next(iter(text[1:].split()), str(number))
                if '"' in name:
                    raise Fault(
                        f"{self._where(number, name)}: expected a name without quotation marks"
                    )
            elif number:
                # Of a chromosome, given by mistake, no more is kept than tells its length.
                parts += [text] if size <= self.length else []
                size += len(text)
            elif text and not text.startswith(";"):
                raise Fault(
                    f"{self.name}, line {line_number}: expected FASTA, whose first record begins "
                    f"with '>', received {text[:60]!r}"
                )
        if number == 1:  # the line that ends the last record
            raise Fault(f"{self.name}: expected FASTA with a window a record, found none")

    def _where(self, number: int, name: str) -> str:
        return f"{self.name}, record {number} ({name})"

    def _plain(self, lines: Iterator[tuple[int, str]]) -> Iterator[Record]:
        empty = 0
        for number, line in lines:
            text = line.strip()
            if not text:
                empty = empty or number
                continue
            if empty:
                raise Fault(
                    f"{self.name}, line {empty}: expected a window of {self.length} letters, "
                    "received an empty line"
                )
            yield Record(str(number), f"{self.name}, line {number}", text, len(text))

    def _lines(self) -> Iterator[str]:
        """Yield lines, whatever ends them, without the mark that may begin a text."""
        self.file.seek(0)
        start = self.file.read(_BLOCK_HEADER)
        self.file.seek(0)
        file: Any = self.file
        if start.startswith(b"\x1f\x8b"):
            _check_bgzip(self.file, self.name)
            file = gzip.GzipFile(fileobj=self.file)
        elif start.startswith(b"BZh") and start[3:4].isdigit():
            file = bz2.BZ2File(self.file)
        elif start.startswith(b"\xfd7zXZ\0"):
            file = lzma.LZMAFile(self.file)  # noqa: SIM115
        text = io.TextIOWrapper(file, encoding="utf-8-sig")
        try:
            yield from text
        except UnicodeDecodeError as error:
            raise Fault(f"{self.name}: expected text, plain or compressed, but {error}") from None
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise Fault(f"{self.name}: cannot be read: {error}") from None
        finally:
            with suppress(ValueError):  # who has stopped reading may have closed the file
                text.detach()


def _check_bgzip(file: IO[bytes], name: str) -> None:
    """Refuse bgzip that was cut off between two of its blocks, which looks whole."""
    size = file.seek(0, io.SEEK_END)
    place = length = 0
    while place < size:
        file.seek(place)
        header = file.read(_BLOCK_HEADER)
        if header[:4] != b"\x1f\x8b\x08\x04" or header[12:16] != b"BC\x02\0":
            break  # gzip of another program
        length = int.from_bytes(header[16:18], "little") + 1
        place += length
    file.seek(0)
    if length and place >= size and length != _LAST_BLOCK:
        raise Fault(f"{name}: cannot be read: it is cut off, as bgzip ends with an empty block")


@contextmanager
def checked_windows(path: str, length: int) -> Iterator[Windows]:
    """Yield the windows of a file, or of stdin (``-``), after all of them were checked."""
    name = "stdin" if path == "-" else path
    with ExitStack() as stack:
        try:
            file = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
            if path == "-" or not file.seekable():
                # A pipe is read once, and windows are needed twice: to check, and to compute.
                copy = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, copy)
                file = copy
        except OSError as error:
            raise Fault(f"{name}: cannot be read: {error.strerror}") from None
        windows = Windows(file, name, length)
        deque(windows, maxlen=0)
        yield windows


def write_table(
    out: Path | None,
    cells: Sequence[str],
    windows: Iterable[tuple[str, bytes]],
    run: Callable[[list[bytes]], Iterable[Iterable[float]]],
    batch: int,
) -> None:
    """Predict windows, some at a time, and write a line of probabilities for each."""
    with _writing(out) as file:
        print("id", *cells, sep="\t", file=file)
        remaining = iter(windows)
        while some := list(islice(remaining, batch)):
            rows = run([letters for _, letters in some])
            for (name, _), row in zip(some, rows, strict=True):
                print(name, *(f"{value:.7g}" for value in row), sep="\t", file=file)


@contextmanager
def _writing(out: Path | None) -> Iterator[TextIO]:
    """Yield where to write; a file appears under its name once it is complete."""
    if out is None:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except OSError as error:
            # What is still to be written has nowhere to go, and would fail once more at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if isinstance(error, BrokenPipeError):
                sys.exit(1)  # whoever read the table has enough of it
            raise Fault(f"stdout: cannot be written: {error.strerror}") from None
        return
    if out.is_dir():
        raise Fault(f"{out}: expected the name of a file to write, received a folder")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with partial.open("x", encoding="utf-8") as file:
            yield file
        partial.replace(out)
    except OSError as error:
        raise Fault(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Fault(f"{message} (see --help)")


def end(program: str, main: Callable[[], None]) -> NoReturn:
    """Run a program and exit: 0 done, 2 what the user can mend, told in one line."""
    # How a service manager says stop: what is half written is removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main()
    except Fault as error:
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


# ---- The end of what every kit has ----


class Model:
    """A ``.tflite`` file, loaded.

    Attributes
    ----------
    cells : tuple of str
        Names of the cells, in the order of the outputs.
    length : int
        Letters of a window.
    batch : int
        Windows of a call, at most.
    """

    def __init__(self, path: str, threads: int) -> None:
        self.cells = _cells(path)
        try:
            import numpy as np
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise Fault(f"{error}: pip install numpy ai-edge-litert") from None
        self._array = np.frombuffer
        try:
            with _no_stderr():
                interpreter = Interpreter(model_path=path, num_threads=threads)
                self._runner = interpreter.get_signature_runner("tokens")
                shape = self._runner.get_input_details()["tokens"]["shape_signature"]
                self.batch, self.length = (_BATCH if size == -1 else int(size) for size in shape)
                # The first call prepares the weights, and tells of it on stderr.
                outputs = self.run([b"N" * self.length] * self.batch)
        except (ValueError, RuntimeError, KeyError) as error:
            raise Fault(f"{path}: expected a model that loads, but {error}") from None
        if outputs.shape[1] != len(self.cells):
            raise Fault(
                f"{path}: expected as many cells as outputs, {outputs.shape[1]}, "
                f"received {len(self.cells)} in its labels.txt"
            )

    def run(self, letters: list[bytes]) -> Any:
        """Return the probabilities [n, cells] of some windows, no more than ``batch``."""
        tokens = self._array(b"".join(letters), "u1").reshape(len(letters), self.length)
        return self._runner(tokens=tokens)["probabilities"]


def _cells(path: str) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.read("labels.txt").decode().splitlines())
    except OSError as error:
        raise Fault(f"{path}: cannot be read: {error.strerror}") from None
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise Fault(
            f"{path}: expected a .tflite file that deepcpg-tf exported, with names of cells at "
            "its end, found none there"
        ) from None


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Silence what the interpreter's library prints; its errors are exceptions too."""
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def main() -> None:
    """Read the arguments, check all windows, predict them."""
    parser = _Parser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", metavar="MODEL.tflite")
    parser.add_argument(
        "input", metavar="INPUT", help="FASTA or a window a line, plain or compressed; - is stdin"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: stdout)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, metavar="N")
    arguments = parser.parse_args()
    if arguments.threads < 1:
        raise Fault(f"--threads: expected at least 1, received {arguments.threads}")
    model = Model(arguments.model, arguments.threads)
    with checked_windows(arguments.input, model.length) as windows:
        write_table(arguments.out, model.cells, windows, model.run, model.batch)


if __name__ == "__main__":
    end("deepcpg_edge", main)
