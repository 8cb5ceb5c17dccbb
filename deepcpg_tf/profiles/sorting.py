"""The calls of a profile whose lines are in any order: all in memory, compact, and sorted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.files import is_gzip
from deepcpg_tf.profiles.lines import Calls, ProfileLines

# Bytes of calls that may be in memory: some 40 million, of 20 to 30 bytes each.
_MOST = 1 << 30


class UnsortedError(ProfileError):
    """A profile whose chromosomes or positions are not in order, from ``line`` on."""

    line = 0


class _Lines:
    """Numbers of lines, by themselves: what rows are of a block, they are here."""

    def number_of(self, row: int) -> int:
        return row

    def numbers_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return rows


class _Compact(NamedTuple):
    """Calls of one chromosome, in the smallest types that hold them."""

    lines: npt.NDArray[np.signedinteger]
    positions: npt.NDArray[np.signedinteger]
    strands: npt.NDArray[np.signedinteger]
    methylated: npt.NDArray[np.signedinteger]
    unmethylated: npt.NDArray[np.signedinteger]


class SortedCalls:
    """The calls of a profile, a chromosome after the other and sorted by position.

    Those of one position and strand follow each other in the order of their lines.

    Parameters
    ----------
    lines
        The profile from its start, with the calls of a block grouped by chromosome.
    fault
        Why they have to be sorted.
    """

    def __init__(self, lines: ProfileLines, fault: UnsortedError) -> None:
        self._lines = lines
        self._fault = fault

    def __iter__(self) -> Iterator[Calls]:
        """Yield the calls, all of a chromosome at once.

        Raises
        ------
        ProfileError
            When they are too many for the memory; and as `ProfileLines`.
        """
        pieces: dict[str, list[_Compact]] = {}
        size = 0
        for calls in self._lines:
            compact = _Compact(calls.block.numbers_of(calls.rows), *calls[3:])
            compact = _Compact(*map(_smallest, compact))
            size += sum(array.nbytes for array in compact)
            if size > _MOST:
                raise ProfileError(
                    f"{self._fault}; it is too large to be sorted here ({_MOST >> 20} MiB): sort "
                    f"it first, {_command(self._lines.path)}"
                )
            pieces.setdefault(calls.chromosome, []).append(compact)
        for chromosome in list(pieces):
            arrays = [
                np.concatenate(parts).astype(np.int64)
                for parts in zip(*pieces.pop(chromosome), strict=True)
            ]
            order = np.argsort(in_order(*arrays[1:3]), kind="stable")
            yield Calls(chromosome, _Lines(), *(array[order] for array in arrays))


def in_order(
    positions: npt.NDArray[np.int64], strands: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return what calls are sorted by: their positions, then the strands +, unknown, -."""
    return 3 * positions - strands


def _smallest(array: npt.NDArray[np.int64]) -> npt.NDArray[np.signedinteger]:
    least, most = int(array.min()), int(array.max())
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max:
            return array.astype(kind)
    return array


def _command(path: Path) -> str:
    programs = {".bz2": "bzcat", ".xz": "xzcat"}
    program = "zcat" if is_gzip(path) else programs.get(path.suffix)
    sort = "sort -k1,1 -k2,2n"
    return f"{program} {path.name} | {sort} > SORTED" if program else f"{sort} {path.name} > SORTED"
