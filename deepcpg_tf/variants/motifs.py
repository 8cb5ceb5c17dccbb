"""Motifs of the first convolution's filters, by the rules of the original program.

Windows go past twice: once for what their activations are like, which gives each filter its
threshold, and once for the bases that activate it. No more is held than a batch, and the
largest activations of each filter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.genome.sequence import LETTERS, N_CODE
from deepcpg_tf.variants.filters import Filters
from deepcpg_tf.variants.roles import FilterRoles
from deepcpg_tf.variants.similarity import Match

Windows = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

MOST = 25_000
"""Activations that pass the threshold of a filter, at most, but for equal ones."""

FEWEST = 10
"""Activating k-mers that make a motif."""

_SHARE = 0.5  # of the way from the mean to the largest activation
_LOG_OF = 1e-7  # is added to a frequency before its logarithm is taken

ACGT = "ACGT"
"""The letters of results, in order."""

_CODES = N_CODE + 1
TO_ACGT = [LETTERS.index(letter) for letter in ACGT]
"""The code of each letter of `ACGT`."""


class Activations(NamedTuple):
    """What the activations of each filter [filters] are like, over all windows and positions."""

    mean: Numbers
    deviation: Numbers
    largest: Floats
    threshold: Floats


class ActivationStatistics:
    """Adds up what the activations of filters are like, and keeps the largest of each.

    Parameters
    ----------
    filters
        The filters.
    most
        How many activations may pass a threshold.
    """

    def __init__(self, filters: Filters, most: int = MOST) -> None:
        self._filters = filters
        self._most = most
        self._seen = 0
        self._sum, self._squares = np.zeros((2, filters.count))
        self._largest = np.zeros(filters.count, np.float32)
        self._tops = [_Largest(most + 1) for _ in range(filters.count)]

    def add(self, windows: Windows) -> Floats:
        """Take some windows into account, and return their mean activations [n, filters]."""
        positions = self._filters.positions(windows.shape[1])
        means = np.empty((len(windows), self._filters.count), np.float32)
        for i, values in enumerate(self._filters.activations(windows)):
            sums = values.sum(axis=1)  # in float32 by halves, over windows in float64
            self._sum[i] += sums.sum(dtype=np.float64)
            self._squares[i] += np.square(values).sum(axis=1).sum(dtype=np.float64)
            self._largest[i] = max(self._largest[i], values.max())
            self._tops[i].add(values)
            means[:, i] = sums / positions
        self._seen += len(windows) * positions
        return means

    def result(self) -> Activations:
        """Return what the activations of all windows are like."""
        mean = self._sum / self._seen
        variance = np.maximum(self._squares / self._seen - mean**2, 0)
        # In float32, as the original's are, whose file holds activations so.
        rounded = mean.astype(np.float32)
        halfway = _SHARE * (self._largest - rounded).astype(np.float64) + rounded
        quantile = np.array([self._quantile(top) for top in self._tops])
        threshold = np.maximum(halfway, quantile).astype(np.float32)
        return Activations(mean, np.sqrt(variance), self._largest.copy(), threshold)

    def _quantile(self, top: _Largest) -> float:
        """Return the quantile, with linear interpolation, that leaves the allowed number."""
        values = top.values()
        if self._seen <= self._most:
            return float(values[0])
        share = self._most / self._seen
        return float(values[0]) * (1 - share) + float(values[1]) * share


class _Largest:
    """The largest of many values, as many as are asked for."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._kept: list[Floats] = []
        self._size = 0
        self._least = np.float32(-np.inf)

    def add(self, values: Floats) -> None:
        new = values[values > self._least]  # as many are kept that are at least this
        if not new.size:
            return
        self._kept.append(new)
        self._size += new.size
        if self._size >= 2 * self._number or (self._least < 0 and self._size >= self._number):
            self._shrink()

    def _shrink(self) -> None:
        kept = np.concatenate(self._kept)
        cut = len(kept) - self._number
        if cut > 0:
            kept = np.partition(kept, cut)[cut:]
        self._kept, self._size = [kept], len(kept)
        if cut >= 0:
            self._least = kept.min()

    def values(self) -> Floats:
        """Return them in ascending order."""
        self._shrink()
        return np.sort(self._kept[0])


class KmerCounts:
    """Counts the letters of the k-mers that activate filters.

    Activation j belongs to the k-mer in the middle of which base j lies, of the window cropped
    on both sides to as many bases as there are activations; k-mers that do not lie well inside
    of it do not count.

    Parameters
    ----------
    filters
        The filters.
    threshold : ndarray of float32, shape (filters,)
        The least activation of each that counts; infinite for none.
    """

    def __init__(self, filters: Filters, threshold: Floats) -> None:
        self._filters = filters
        self._threshold = threshold
        self._counts = np.zeros((filters.count, filters.width * _CODES), np.int64)
        self._sites = np.zeros(filters.count, np.int64)
        self._bases = np.zeros(_CODES, np.int64)

    def add(self, windows: Windows) -> None:
        """Take some windows into account."""
        length, width = windows.shape[1], self._filters.width
        positions = self._filters.positions(length)
        crop, half = (length - positions) // 2, width // 2
        cropped = windows[:, crop : crop + positions]
        self._bases += np.bincount(cropped.ravel(), minlength=_CODES)
        inside = slice(half, positions - width)
        own = max(0, positions - width - half)
        if not own:
            return
        steps = np.arange(width)
        for i, values in enumerate(self._filters.activations(windows)):
            rows, columns = np.nonzero(values[:, inside] >= self._threshold[i])
            # The k-mer of the first such activation begins where the cropped window does.
            kmers = cropped[rows[:, None], columns[:, None] + steps]
            self._counts[i] += np.bincount(
                (kmers + _CODES * steps).ravel(), minlength=self._counts.shape[1]
            )
            self._sites[i] += len(rows)

    @property
    def counts(self) -> Counts:
        """How often each letter, A, T, G, C or N, is at each position [filters, width, 5]."""
        return self._counts.reshape(self._filters.count, self._filters.width, _CODES)

    @property
    def sites(self) -> Counts:
        """How many k-mers activated each filter."""
        return self._sites.copy()

    @property
    def background(self) -> Numbers:
        """The share of A, C, G and T among the bases of cropped windows, each counted once more."""
        bases = self._bases[TO_ACGT] + 1
        shares: Numbers = bases / bases.sum()
        return shares


@dataclasses.dataclass(frozen=True)
class FilterMotifs:
    """Motifs of the filters of a first convolution.

    Attributes
    ----------
    values : ndarray of float32, shape (filters, width, 4)
        The share of A, C, G and T at each position of the k-mers that activate a filter; NaN
        for a filter without a motif.
    filters : tuple of str
        What each is called: ``filter0`` and so on.
    letters : tuple of str
        What each filter weighs most at each position.
    weights : ndarray of float32, shape (filters, width, 4)
        Of A, C, G and T.
    mean, deviation : ndarray of float64, shape (filters,)
        Of its activations at all positions of all windows.
    threshold : ndarray of float32, shape (filters,)
        The least activation of a k-mer that counts.
    sites : ndarray of int64, shape (filters,)
        How many k-mers counted.
    information : ndarray of float64, shape (filters,)
        Of the motif, as the original defines it: the sum of p log2 p + 1/2; 0 without a motif.
    background : ndarray of float64, shape (4,)
        The share of A, C, G and T in the windows.
    windows : int
        How many there were.
    roles : FilterRoles or None
        What the filters have to do with predictions and labels.
    matches : tuple of Match
        Motifs of a database that they are like, the best first for each filter.
    """

    values: Floats
    filters: tuple[str, ...]
    letters: tuple[str, ...]
    weights: Floats
    mean: Numbers
    deviation: Numbers
    threshold: Floats
    sites: Counts
    information: Numbers
    background: Numbers
    windows: int
    roles: FilterRoles | None = None
    matches: tuple[Match, ...] = ()

    @property
    def found(self) -> list[int]:
        """The filters that have a motif, by index."""
        return [int(i) for i in np.flatnonzero(~np.isnan(self.values[:, 0, 0]))]

    @property
    def best_matches(self) -> dict[int, Match]:
        """The best match of each filter that has any, by index."""
        best: dict[int, Match] = {}
        for match in self.matches:
            best.setdefault(match.filter, match)
        return best

    @property
    def order(self) -> list[int]:
        """All filters by mean activation, the highest first; equal ones by index."""
        return [int(i) for i in np.argsort(-self.mean, kind="stable")]


def motifs_of(
    filters: Filters, activations: Activations, counted: KmerCounts, windows: int
) -> FilterMotifs:
    """Put together what was counted.

    Parameters
    ----------
    filters
        The filters.
    activations
        What their activations were like.
    counted
        The k-mers that activate them.
    windows
        How many there were.
    """
    values = np.full((filters.count, filters.width, N_CODE), np.nan, np.float32)
    information = np.zeros(filters.count)
    dead = activations.mean == 0
    sites = np.where(dead, 0, counted.sites)
    for i in np.flatnonzero(sites >= FEWEST):
        frequencies = _frequencies(counted.counts[i, :, :N_CODE])
        values[i] = frequencies[:, TO_ACGT]
        information[i] = np.sum(frequencies * np.log2(frequencies + np.float32(_LOG_OF)) + 0.5)
    return FilterMotifs(
        values=values,
        filters=tuple(f"filter{i}" for i in range(filters.count)),
        letters=tuple(filters.letters),
        weights=np.ascontiguousarray(filters.kernel[:, TO_ACGT].transpose(2, 0, 1)),
        mean=activations.mean,
        deviation=activations.deviation,
        threshold=activations.threshold,
        sites=sites,
        information=information,
        background=counted.background,
        windows=windows,
    )


def _frequencies(counts: Counts) -> Floats:
    """Return the share of each letter, float32; a quarter each where only N was seen."""
    known = counts.sum(axis=1, keepdims=True)
    counts = np.where(known > 0, counts, 1)
    shares: Floats = counts.astype(np.float32) / counts.sum(axis=1, keepdims=True, dtype=np.float32)
    return shares


def filter_motifs(filters: Filters, batches: Sequence[Windows], most: int = MOST) -> FilterMotifs:
    """Return the motifs of filters in windows that are in memory.

    Parameters
    ----------
    filters
        The filters.
    batches : sequence of ndarray of uint8, shape (n, length)
        Windows as codes.
    most
        How many activations may pass the threshold of a filter.
    """
    statistics = ActivationStatistics(filters, most)
    for windows in batches:
        statistics.add(windows)
    activations = statistics.result()
    counted = KmerCounts(filters, thresholds_of(activations))
    for windows in batches:
        counted.add(windows)
    return motifs_of(filters, activations, counted, sum(map(len, batches)))


def thresholds_of(activations: Activations) -> Floats:
    """Return the thresholds, infinite for filters that are never active."""
    dead = activations.mean == 0
    return np.where(dead, np.float32(np.inf), activations.threshold).astype(np.float32)
