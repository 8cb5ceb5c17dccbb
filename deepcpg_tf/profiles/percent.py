"""Whether the percent of a line agrees with its counts, and what would if it does not.

Files with both columns in another order, or of another meaning, look right line by line;
only this tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from deepcpg_tf.profiles.formats import Layout

# A whole percent may be rounded or, as by MethylDackel, cut off; one with decimals differs
# by less than its first one says.
_OFF_WHOLE = 1.0
_OFF = 0.1
_COUNTS = ("methylated", "unmethylated", "other", "coverage")
_SLICE = 1 << 14


def rows_that_contradict(columns: tuple[str, ...], frame: pl.DataFrame) -> list[int]:
    """Return the indices of lines whose percent does not agree with their counts.

    A line without reads agrees with any percent.
    """
    if "percent" not in columns:
        return []
    names = [name for name in ("percent", *_COUNTS) if name in columns]
    rows: list[int] = []
    # A little at a time, which stays in the cache of the processor.
    for index, part in enumerate(frame.select(names).iter_slices(_SLICE)):
        percent, *counts = (part[name].to_numpy() for name in names)
        off = _off(percent, counts)
        if (off <= _OFF).all():
            continue
        is_whole = percent == np.floor(percent)
        wrong = off > np.where(is_whole, _OFF_WHOLE, _OFF)
        rows += (index * _SLICE + np.flatnonzero(wrong)).tolist()
    return rows


def _off(
    percent: npt.NDArray[np.float64], counts: Sequence[npt.NDArray[np.int64]]
) -> npt.NDArray[np.float64]:
    """Return by how much a percent is off at least."""
    if len(counts) > 1:  # methylated, unmethylated, other
        reads = sum(counts[1:], counts[0]).astype(np.float64)
        share = np.divide(counts[0] * 100.0, reads, out=percent.copy(), where=reads > 0)
        return np.abs(percent - share, out=share)
    # Of a percent and the reads alone: the least that there can be is one read's.
    least = 100.0 / np.maximum(counts[0], 1)
    return np.where((percent == 0) | (counts[0] == 0), 0, least - percent)


class _Reading(NamedTuple):
    """A way to read the columns: reads that are methylated, all reads, and 100 % as a number."""

    words: str
    methylated: npt.NDArray[np.int64]
    reads: npt.NDArray[np.int64]
    whole: float

    def fits(self, percent: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which lines agree with it."""
        share = np.round(percent * (100 / self.whole), 6)
        off = np.where(share == np.floor(share), _OFF_WHOLE, _OFF)
        near = np.abs(share * self.reads - 100.0 * self.methylated) <= off * self.reads
        return near & (self.methylated <= self.reads) & (percent <= self.whole)


def contradiction(layout: Layout, frame: pl.DataFrame, row: int) -> str:
    """Return what is wrong with a line whose percent does not agree with its counts.

    Parameters
    ----------
    layout
        That of the file.
    frame
        Lines of the file. Of the orders of columns that the one line fits, those are
        named that all lines fit, if there are such.
    row
        The index of the line.
    """
    number = {name: index for index, name in enumerate(layout.columns, 1)}
    percent = frame["percent"].to_numpy()
    if "methylated" not in layout.columns:
        coverage = int(frame["coverage"][row])
        return (
            f"expected 0 or the percent of one read or more in column {number['percent']} "
            f"(percent), {100 / coverage:.4g} for {coverage} reads in column {number['coverage']} "
            f"(coverage), received {percent[row]:g}: that fits a fraction, 0 to 1, of reads"
        )
    first, second = (frame[name].to_numpy() for name in ("methylated", "unmethylated"))
    other = frame["other"].to_numpy() if "other" in layout.columns else np.zeros_like(first)
    reads = first + second + other
    counts = f"columns {number['methylated']} and {number['unmethylated']}"
    readings = [
        _Reading(f"{counts} as {words}{scale}", methylated, total, whole)
        for scale, whole in (
            ("", 100.0),
            (f" and column {number['percent']} as a fraction, 0 to 1", 1.0),
        )
        for words, methylated, total in (
            ("methylated, unmethylated", first, reads),
            ("unmethylated, methylated", second, reads),
            ("methylated, all reads", first, second),
            ("all reads, methylated", second, first),
        )
    ]
    fitting = [reading for reading in readings if reading.fits(percent)[row]]
    fitting = [reading for reading in fitting if reading.fits(percent).all()] or fitting
    hint = " or ".join(reading.words for reading in fitting)
    return (
        f"expected {100 * first[row] / reads[row]:.4g} in column {number['percent']} (percent), "
        f"as {first[row]} of {reads[row]} reads are methylated by {counts}, received "
        f"{percent[row]:g}: " + (f"the line fits {hint}" if hint else "no order of columns fits")
    )
