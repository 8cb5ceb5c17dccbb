"""The text of a methylation profile: whole lines with their numbers, a block at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.files import DAMAGED, NoTextError, open_bytes
from deepcpg_tf.profiles.formats import number_in

_BLOCK = 1 << 24
_SKIPPED = (b"#", b"track", b"browser")
# Only lines that start with one of these may be no data.
_SUSPECTS = np.frombuffer(b"#tb \t\n\v\f", np.uint8)


@dataclass(frozen=True)
class Block:
    """Whole lines, the first of which has a number, counted from 1."""

    first: int
    text: bytes

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of data, neither empty nor comments nor of tracks, with numbers."""
        for number, line in enumerate(io.BytesIO(self.text), self.first):
            if line.strip() and not line.startswith(_SKIPPED):
                yield number, line.rstrip(b"\n")

    def data(self) -> bytes:
        """Return the text of the lines of data."""
        if self._is_all_data:
            return self.text
        return b"\n".join(line for _, line in self.lines())

    @cached_property
    def _is_all_data(self) -> bool:
        letters = np.frombuffer(b"\n" + self.text, np.uint8)
        starts = letters[1:][letters[:-1] == ord("\n")]
        return not np.isin(starts, _SUSPECTS).any()

    def number_of(self, row: int) -> int:
        """Return the number of the line of data with an index, counted from 0."""
        return next(islice(self.lines(), row, None))[0]

    def numbers_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of some lines of data, by their indices."""
        return self.first + rows if self._is_all_data else self._numbers[rows]

    @cached_property
    def _numbers(self) -> npt.NDArray[np.int64]:
        return np.fromiter((number for number, _ in self.lines()), np.int64)

    def without_header(self) -> Block:
        """Return the block with its first line of data made a comment if it has no number."""
        number, line = next(self.lines(), (0, b"0"))
        if not all(np.isnan(number_in(field)) for field in line.decode(errors="replace").split()):
            return self
        lines = self.text.split(b"\n")
        lines[number - self.first] = b"#"
        return Block(self.first, b"\n".join(lines))


def read_blocks(path: Path) -> Iterator[Block]:
    r"""Yield a file, plain or compressed, in blocks of lines that end with ``\n``.

    Any line ending is accepted and a byte order mark is dropped.

    Raises
    ------
    ProfileError
        When the file cannot be read, is no text, or its compression is damaged.
    """
    first, rest = 1, b""
    try:
        with open_bytes(path) as file:
            while chunk := file.read(_BLOCK):
                text = rest + chunk
                end = text.rfind(b"\n") + 1
                rest = text[end:]
                if end:
                    block = _block(first, text[:end])
                    yield block
                    first += block.text.count(b"\n")
    except NoTextError as error:
        raise ProfileError(f"{path}: {error}") from None
    except DAMAGED as error:
        raise _damaged(path, first, error) from None
    except OSError as error:
        if error.errno is None:
            raise _damaged(path, first, error) from None
        raise ProfileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if rest:
        yield _block(first, rest)


def _damaged(path: Path, first: int, error: Exception) -> ProfileError:
    return ProfileError(
        f"{path}, line {first} or later: expected a whole compressed file, received a damaged "
        f"one: {error}"
    )


def _block(first: int, text: bytes) -> Block:
    if first == 1:
        text = text.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return Block(first, text)
