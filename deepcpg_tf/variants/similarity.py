"""How alike motifs are, and how often chance makes them so: Tomtom's comparison.

Gupta et al., Genome Biology 8:R24 (2007), with complete scores: two motifs are laid beside each
other in every way in which they share a position, on both strands of the target. Columns that
lie on each other score by Pearson's correlation, columns of the query that lie on nothing score
the median of what they score against all columns of the database. How large a score chance
gives is computed, by dynamic programming, for columns that are drawn from the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Score = Callable[[Numbers, Numbers], Numbers]
"""Scores columns [a, 4] against others [b, 4], as [a, b]; more is more alike."""

# Into so many bins scores are rounded, as Tomtom does.
_BINS = 100


class Similarity(NamedTuple):
    """How alike one motif is to each of a database [targets].

    ``p_value`` is of the best of all ways to lay the two beside each other. In that way,
    column 0 of the target, as it is or reversed, lies on column ``-offset`` of the query;
    ``overlap`` columns lie on each other; ``reverse`` says whether the target is reversed.
    """

    p_value: Numbers
    offset: Integers
    overlap: Integers
    reverse: npt.NDArray[np.bool_]


class Match(NamedTuple):
    """A motif that a filter's is like; see `Similarity`.

    ``filter`` is an index; ``p_value`` is Tomtom's of this pair, ``q_value`` that of Benjamini
    and Hochberg over all motifs of the database, for this filter alone. ``strand`` is ``-``
    where the database's motif is reversed.
    """

    filter: int
    motif: str
    name: str
    p_value: float
    q_value: float
    offset: int
    overlap: int
    strand: str


def pearson(one: Numbers, other: Numbers) -> Numbers:
    """Return Pearson's correlation of columns; 0 with one whose letters are all as frequent."""
    return _standard(one) @ _standard(other).T


def _standard(columns: Numbers) -> Numbers:
    centred = columns - columns.mean(axis=1, keepdims=True)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    result: Numbers = np.divide(centred, size, out=np.zeros_like(centred), where=size > 1e-9)
    return result


class Database:
    """Motifs to compare others with.

    Parameters
    ----------
    motifs : sequence of ndarray, shape (width, 4)
        The frequencies of A, C, G, T at each position.
    score
        Of columns.
    """

    def __init__(self, motifs: Sequence[Numbers], score: Score = pearson) -> None:
        own = [np.asarray(motif, np.float64) for motif in motifs]
        self._score = score
        self._number = len(own)
        # The complement of A, C, G, T is its reverse.
        self._motifs = [*own, *(motif[::-1, ::-1] for motif in own)]
        self._widths = np.array([len(motif) for motif in self._motifs])
        self._columns = np.concatenate(self._motifs)

    def compare(self, motif: Numbers) -> Similarity:
        """Compare a motif, frequencies [width, 4], with each of the database."""
        width = len(motif)
        scores = self._score(np.asarray(motif, np.float64), self._columns)
        middle = (scores.shape[1] - 1) // 2
        scores = scores - np.partition(scores, middle, axis=1)[:, middle, None]
        # Whole numbers from 0 to the number of bins; a median lies at `aside`.
        least = np.floor(scores.min())
        scale = int(_BINS / max(scores.max() - least, 1.0))
        whole = np.floor((scores - least) * scale + 0.5).astype(np.int64)
        aside = int(-least * scale)
        best, place = self._best(whole, aside)
        p_value = self._survival(whole, aside, best)
        forward, reverse = p_value[: self._number], p_value[self._number :]
        least_p = np.minimum(forward, reverse)
        is_reverse = best[self._number :] > best[: self._number]
        chosen = np.arange(self._number) + is_reverse * self._number
        offset = place[chosen] - (width - 1)
        widths = self._widths[chosen]
        overlap = np.minimum(offset + width, widths) - np.maximum(offset, 0)
        return Similarity(least_p * (2 - least_p), offset, overlap, is_reverse)

    def _best(self, whole: Integers, aside: int) -> tuple[Integers, Integers]:
        """Return the best score against each target, and how far along it was found."""
        width = len(whole)
        ways = self._widths + width - 1
        starts = np.concatenate([[0], np.cumsum(ways)])
        # All targets after each other, with as many columns of nothing between two of them
        # as can stick out.
        padded = np.full((width, starts[-1] + width - 1), aside, np.int64)
        gaps = np.repeat(
            starts[:-1] + width - 1 - np.cumsum(self._widths) + self._widths, self._widths
        )
        padded[:, np.arange(len(gaps)) + gaps] = whole
        totals = np.zeros(starts[-1], np.int64)
        for i, row in enumerate(padded):
            totals += row[i : i + len(totals)]
        best = np.maximum.reduceat(totals, starts[:-1])
        at_best = np.flatnonzero(totals == np.repeat(best, ways))
        first = at_best[np.searchsorted(at_best, starts[:-1])]
        return best, first - starts[:-1]

    def _survival(self, whole: Integers, aside: int, best: Integers) -> Numbers:
        """Return how likely the best of all ways scores at least so much by chance."""
        spans = _survival_of_spans(whole, aside)
        width = len(whole)
        result = np.ones(len(best))
        for target in np.unique(self._widths):
            own = self._widths == target
            # The ways to lie beside each other count as independent.
            logs = np.zeros(spans[0][0].shape)
            with np.errstate(divide="ignore"):
                for first, last in _ways(width, int(target)):
                    logs += np.log1p(-spans[first][last - first])
            result[own] = -np.expm1(logs[best[own]])
        return np.clip(result, 0, 1)


def _ways(width: int, target: int) -> list[tuple[int, int]]:
    """Return the first and last column of a query on a target, for each way to lie so."""
    return [
        (max(0, -offset), min(width, target - offset) - 1) for offset in range(-(width - 1), target)
    ]


def _survival_of_spans(whole: Integers, aside: int) -> list[list[Numbers]]:
    """Return how likely each span of columns scores at least 0, 1, 2, … by chance.

    The columns outside of a span score as much as on nothing. The first index is the first
    column of the span, the second how many more there are.
    """
    width, columns = whole.shape
    size = width * (_BINS + 1) + 1
    chance = np.zeros((width, _BINS + 1))
    for i, row in enumerate(whole):
        chance[i] = np.bincount(row, minlength=_BINS + 1) / columns
    result = []
    for first in range(width):
        total = np.ones(1)
        spans = []
        for last in range(first, width):
            total = np.convolve(total, chance[last])
            start = aside * (width - (last - first + 1))
            density = np.zeros(size)
            density[start : start + len(total)] = total
            # Summed from the far end: what is rare stays exact.
            spans.append(np.minimum(np.cumsum(density[::-1])[::-1], 1.0))
        result.append(spans)
    return result


def benjamini_hochberg(p_values: Numbers) -> Numbers:
    """Return the smallest false discovery rate at which each is still found [n]."""
    number = len(p_values)
    order = np.argsort(p_values, kind="stable")
    shares = p_values[order] * number / np.arange(1, number + 1)
    result = np.empty(number)
    result[order] = np.minimum(np.minimum.accumulate(shares[::-1])[::-1], 1.0)
    return result
