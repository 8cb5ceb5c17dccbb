"""What a window holds: the only place that cuts them.

The window of a site at p has an odd number of bases, ``length``, with the forward-strand
C in the middle: ``reference[p - length // 2 : p + length // 2 + 1]``. Bases off the
chromosome are N.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError
from deepcpg_tf.genome.pieces import Pieces
from deepcpg_tf.genome.sequence import N_CODE

_N = bytes([N_CODE])
_SITES_AT_ONCE = 4096


def stretch(codes: npt.NDArray[np.uint8], start: int, length: int) -> npt.NDArray[np.uint8]:
    """Return some bases of a sequence, with N where they are off its ends.

    Parameters
    ----------
    codes : ndarray of uint8, shape (bases,)
        The sequence.
    start
        0-based position of the first of them; it may be negative.
    length
        How many.

    Returns
    -------
    ndarray of uint8, shape (length,)
        A part of `codes` itself where all of it is on the sequence.
    """
    inside = codes[max(start, 0) : max(start + length, 0)]
    if len(inside) == length:
        return inside
    result = np.full(length, N_CODE, np.uint8)
    first = max(-start, 0)
    result[first : first + len(inside)] = inside
    return result


def cut_windows(
    pieces: Pieces,
    offsets: npt.NDArray[np.int64],
    bases: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64],
    length: int,
) -> npt.NDArray[np.uint8]:
    """Cut windows from a file of codes.

    Parameters
    ----------
    pieces
        The file, a byte a base.
    offsets, bases : ndarray of int64, shape (n,)
        Where the chromosome of each site starts in the file, and its length.
    positions : ndarray of int64, shape (n,)
        0-based positions of the sites, on their chromosomes.
    length
        Bases of a window.

    Returns
    -------
    ndarray of uint8, shape (n, length)

    Raises
    ------
    GenomeError
        When `length` is no odd number of bases.
    """
    if length < 1 or length % 2 == 0:
        raise GenomeError(f"length: expected an odd number of bases, received {length}")
    starts = positions - length // 2
    firsts = np.maximum(starts, 0)
    lasts = np.minimum(starts + length, bases)
    sizes = lasts - firsts
    at = firsts + offsets
    windows = np.empty((len(positions), length), np.uint8)
    # Some at a time: many small pieces of memory are slow to come by.
    for first in range(0, len(positions), _SITES_AT_ONCE):
        part = slice(first, first + _SITES_AT_ONCE)
        rows = pieces.read(zip(at[part].tolist(), sizes[part].tolist(), strict=True))
        for row in np.flatnonzero(sizes[part] < length):
            i = first + row
            before, after = firsts[i] - starts[i], starts[i] + length - lasts[i]
            rows[row] = _N * before + rows[row] + _N * after
        windows[part] = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, length)
    return windows


def check_positions(
    positions: npt.NDArray[np.int64],
    bases: npt.NDArray[np.int64],
    chromosome: Callable[[int], str],
) -> None:
    """Refuse positions that are not on their chromosome.

    Parameters
    ----------
    positions : ndarray of int64, shape (n,)
        0-based.
    bases : ndarray of int64, shape (n,)
        Lengths of their chromosomes.
    chromosome
        Gives the chromosome of the position with an index.

    Raises
    ------
    GenomeError
        At the first position that is not on its chromosome.
    """
    wrong = np.flatnonzero((positions < 0) | (positions >= bases))
    if wrong.size:
        first = int(wrong[0])
        raise GenomeError(
            f"chromosome {chromosome(first)}: expected positions from 0 to {bases[first] - 1}, "
            f"received {positions[first]}"
        )
