"""Regions: bins of one size, or the intervals of a BED file, and the sites in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import InputError
from deepcpg_tf.genome.intervals import NamedIntervals

Ints = npt.NDArray[np.int64]

_SIZE = re.compile(r"([1-9][0-9]{0,10})(bp|kb|mb)?", re.IGNORECASE)
_UNITS = {"bp": 1, "kb": 1_000, "mb": 1_000_000}

SCALES = (200, 2_000, 20_000)
"""Bases of the blocks within which sites may vary together; a region as a whole is another.

Each is a multiple of the one before, so that blocks lie in blocks.
"""


class Places(NamedTuple):
    """Regions of one chromosome that have sites, sorted by start and end.

    ``starts`` and ``ends`` are int64 [n], 0-based and half-open, ``names`` are text or empty, and
    ``firsts`` and ``lasts`` say which sites of the chromosome lie in each, as a slice does.
    """

    starts: Ints
    ends: Ints
    names: tuple[str, ...]
    firsts: Ints
    lasts: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, first: int, last: int) -> Places:
        """Return some of them."""
        own = slice(first, last)
        return Places(
            self.starts[own], self.ends[own], self.names[own], self.firsts[own], self.lasts[own]
        )


def bin_size(text: str) -> int:
    """Return the bases of ``500``, ``10kb`` or ``1Mb``.

    Raises
    ------
    InputError
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"bins: expected a size as 500, 10kb or 1Mb, received {text!r}")
    return int(found[1]) * _UNITS[(found[2] or "bp").lower()]


def bins_of(positions: Ints, size: int) -> Places:
    """Return the bins of one size, from the beginning of a chromosome on, that have sites.

    Parameters
    ----------
    positions : ndarray of int64, shape (sites,)
        0-based, ascending.
    size
        Bases.
    """
    bins, firsts = np.unique(positions // size, return_index=True)
    starts = bins * size
    lasts = np.append(firsts[1:], len(positions)).astype(np.int64)
    return Places(starts, starts + size, ("",) * len(bins), firsts.astype(np.int64), lasts)


def intervals_of(positions: Ints, intervals: NamedIntervals) -> Places:
    """Return the intervals that have sites.

    Parameters
    ----------
    positions : ndarray of int64, shape (sites,)
        0-based, ascending.
    intervals
        Those of the chromosome.
    """
    firsts = np.searchsorted(positions, intervals.starts)
    lasts = np.searchsorted(positions, intervals.ends)
    some = np.flatnonzero(lasts > firsts)
    names = tuple(intervals.names[i] for i in some.tolist())
    return Places(intervals.starts[some], intervals.ends[some], names, firsts[some], lasts[some])


def runs_of(places: Places, sites: int) -> Iterator[Places]:
    """Yield regions in runs that have about so many sites together, or one region."""
    start = 0
    while start < len(places):
        ends = np.maximum.accumulate(places.lasts[start:])
        stop = start + max(1, int(np.searchsorted(ends, places.firsts[start] + sites, "right")))
        # What overlaps is read once, but counts in each region.
        sizes = np.cumsum(places.lasts[start:stop] - places.firsts[start:stop])
        stop = start + max(1, int(np.searchsorted(sizes, 2 * sites, "right")))
        yield places.part(start, stop)
        start = stop


class Blocks:
    """Sums over sites by blocks of each of `SCALES`, within regions, and by regions.

    Parameters
    ----------
    positions : ndarray of int64, shape (sites,)
        0-based, ascending, of one chromosome.
    places
        Regions whose sites are among them.
    first
        Which site of the chromosome is the first of `positions`.

    Attributes
    ----------
    rows : slice or ndarray of int64, shape (rows,)
        The sites of all regions, region by region: what sums are taken of.
    """

    def __init__(self, positions: Ints, places: Places, first: int = 0) -> None:
        firsts, lasts = places.firsts - first, places.lasts - first
        sizes = lasts - firsts
        starts = np.cumsum(sizes) - sizes
        self.rows: slice | Ints = slice(int(firsts[0]), int(lasts[-1]))
        if (firsts[1:] != lasts[:-1]).any():
            self.rows = np.arange(sizes.sum()) + np.repeat(firsts - starts, sizes)
        of_region = np.repeat(np.arange(len(places)), sizes)
        own = positions[self.rows]
        # Where the blocks of each scale start, among those of the one before; then the regions.
        self._starts: list[Ints] = []
        for scale in (*SCALES, None):
            block = np.zeros_like(own) if scale is None else own // scale
            new = np.append(True, (np.diff(block) != 0) | (np.diff(of_region) != 0))
            at = np.flatnonzero(new)
            self._starts.append(at)
            own, of_region = own[at], of_region[at]
        self._regions = starts

    def sums(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        """Return the sums of values [rows, n] over each region, float64 [regions, n]."""
        return np.add.reduceat(values, self._regions, axis=0, dtype=np.float64)

    def nested(self, values: npt.NDArray[np.generic]) -> list[npt.NDArray[np.float64]]:
        """Return the sums of values [rows, n] over the blocks of each scale, then the regions."""
        result: list[npt.NDArray[np.float64]] = []
        for at in self._starts:
            own = result[-1] if result else values
            result.append(np.add.reduceat(own, at, axis=0, dtype=np.float64))
        return result

    def products(
        self,
        one: Sequence[npt.NDArray[np.float64]],
        other: Sequence[npt.NDArray[np.float64]],
        of: int = -1,
    ) -> npt.NDArray[np.float64]:
        """Return what products of such sums add up to, by region.

        The product of the sums over a block is that over all pairs of its sites, of a site
        with itself too.

        Parameters
        ----------
        one, other
            Of `nested`.
        of
            By the blocks of this scale, by its index, in place of regions; all sites of such a
            block lie in one of each larger scale.

        Returns
        -------
        ndarray of float64, shape (scales, regions or blocks, n)
        """
        of %= len(one)
        whole = one[of] * other[of]
        result = np.broadcast_to(whole, (len(one), *whole.shape)).copy()
        at = np.arange(len(whole))
        for scale in reversed(range(of)):
            at = self._starts[scale + 1][at]
            result[scale] = np.add.reduceat(one[scale] * other[scale], at, axis=0)
        return result


def chunks(total: int, size: int) -> Iterator[slice]:
    """Yield slices of some size that cover a range; the last one has what is left."""
    for first, last in pairwise([*range(0, total, size), total]):
        yield slice(first, last)
