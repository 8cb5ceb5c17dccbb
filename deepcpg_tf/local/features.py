"""The features of entries: numbers of what was observed near a site, in its cell and others.

The entry itself is in none of them: sums leave out the site of the entry in its cell, or are
put right by whole numbers, so that flipping its state changes no bit.

Sites are worked on in runs, those in blocks of 64, so that most of the work is products of
small matrices: smoothing is a product with the decays between the sites of a block, and what
comes from before and after a block is carried over, as decays of exponential kernels multiply.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.configs.local import (
    KERNELS,
    NEAREST,
    NEAREST_WITH_ROWS,
    RESIDUAL_KERNELS,
    ROW_KERNELS,
    ROWS_AROUND,
    LocalConfig,
)
from deepcpg_tf.local.context import Context, distance_class
from deepcpg_tf.local.observed import Observed

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

REACH = 150_000
"""Base pairs beyond which no neighbour of an entry is looked for, and kernels are below 1e-6."""

_BLOCK = 64
_MOST_ENTRIES = 1 << 17
"""Entries of a run: what memory and caches hold well."""

# A product with a sparse matrix takes as long as with a dense one so many times as large.
_DENSE = 16

# Where there is none: further than all that are read.
_NO_DISTANCE = 1.2


class Features(NamedTuple):
    """Features of all cells at some sites, feature by feature.

    ``cell`` is float32 [features, sites, cells], and ``site`` float32 [features, sites].
    """

    cell: Floats
    site: Floats


class Run(NamedTuple):
    """Sites that are worked on together: which of those asked for, and among which others."""

    sites: slice
    grid: Ints
    asked: Ints


def runs_of(positions: Ints, observed: Observed, cells: int) -> Iterator[Run]:
    """Cut sites of a chromosome into runs, which lie on a grid with all that were observed.

    Parameters
    ----------
    positions : ndarray of int64, shape (n,)
        0-based, ascending.
    observed
        What was observed on the chromosome.
    cells
        Cells of it.
    """
    most = max(_MOST_ENTRIES // (_BLOCK * cells), 1) * _BLOCK
    before = np.searchsorted(observed.positions, positions)
    # Observed sites between two that are asked for are on the grid as well.
    between = np.diff(before, prepend=before[:1])
    new = np.append(observed.positions, -1)[before] != positions
    start = 0
    while start < len(positions):
        # Of each site, how large the grid is that ends with it.
        ahead = slice(start, start + most)
        rows = before[ahead] - before[start] + np.cumsum(new[ahead]) + ~new[ahead]
        far = np.flatnonzero((between[ahead] > _BLOCK) | (rows > most))
        far = far[far > 0]
        end = start + (int(far[0]) if far.size else len(rows))
        own = positions[start:end]
        inside = slice(*np.searchsorted(observed.positions, (own[0], own[-1] + 1)))
        grid = np.union1d(own, observed.positions[inside])
        yield Run(slice(start, end), grid, np.searchsorted(grid, own))
        start = end


class FeatureMaker:
    """Makes the features of the entries at sites of a chromosome.

    Parameters
    ----------
    observed
        What was observed on the chromosome.
    context
        What is known of the cells outside of what the sites lie in.
    config
        Of the module: which features.
    """

    def __init__(self, observed: Observed, context: Context, config: LocalConfig) -> None:
        self._observed = observed
        self._context = context
        self._config = config
        self._weights = [_Weights(x) for x in (context.weights, abs(context.weights))]

    def features(self, run: Run) -> Features:
        """Return the features of the entries at the sites of a run, in all cells."""
        grid = _Grid(run.grid, self._observed)
        states, seen = grid.states, grid.seen
        smooth = _Smoothed(grid)
        cell: dict[str, list[Floats]] = {"own": []}
        site: dict[str, list[Floats]] = {"around": []}
        for bp in KERNELS:
            sums, counts = smooth.states[bp], smooth.seen[bp]
            cell["own"] += [_mean(sums, counts, 0.2), _log(counts)]
            sums, counts = sums.sum(axis=-1), counts.sum(axis=-1)
            site["around"] += [_mean(sums, counts, 0.2), _log(counts)]
        rows = _RowPairs(grid, self._context)
        cell["neighbours"], cell["neighbour_rows"] = _nearest(grid, rows)
        others, number = grid.sums[..., None] - states, grid.counts[..., None] - seen
        cell["site"] = [_mean(others, number, 0.5), _log(number)]
        evidence, strength = self._weights[0].sums(states), self._weights[1].sums(seen)
        cell["similar"] = [evidence * 0.2, _mean(evidence, strength, 1), _log(strength)]
        cell["agreement"] = rows.agreement()
        cell["residual"] = [
            _mean(smooth.residuals[bp], smooth.seen[bp], 0.5) for bp in RESIDUAL_KERNELS
        ]
        coverage = np.log(self._context.coverage + np.float32(1e-4)) * np.float32(0.3)
        cell["cell"] = [np.broadcast_to(x, states.shape) for x in (self._context.means, coverage)]
        site["rows"] = grid.rows_around()
        site["variability"] = [_mean(*smooth.variability[bp], 0.2) for bp in RESIDUAL_KERNELS]
        groups = self._config.groups
        chosen = [
            [x for name, own in kind.items() if name in groups for x in own]
            for kind in (cell, site)
        ]
        return Features(*(_stacked(own, run.asked) for own in chosen))


class _Weights:
    """Weights of cells for each cell; as a dense matrix where that is the faster."""

    def __init__(self, weights: scipy.sparse.csr_array) -> None:
        self._sparse = weights
        is_dense = weights.nnz * _DENSE > weights.shape[0] ** 2
        self._dense: Floats | None = weights.T.toarray() if is_dense else None

    def sums(self, values: Floats) -> Floats:
        """Return the weighted sums over the cells of values [blocks, 64, cells]."""
        if self._dense is not None:
            result: Floats = np.matmul(values, self._dense)
            return result
        by_cell = values.reshape(-1, values.shape[-1]).T
        return np.asarray((self._sparse @ by_cell).T, np.float32).reshape(values.shape)


class _Grid:
    """The sites of a run in blocks, with what was observed at each; the last block is filled up.

    Arrays are [blocks, 64, …], and zero where nothing was observed.
    """

    def __init__(self, positions: Ints, observed: Observed) -> None:
        self.observed = observed
        at = observed.positions
        first, last = np.searchsorted(at, (positions[0], positions[-1] + 1))
        self.inside = slice(int(first), int(last))
        blocks = -(-len(positions) // _BLOCK)
        padded = np.full(blocks * _BLOCK, positions[-1])
        padded[: len(positions)] = positions
        self.positions = padded.reshape(blocks, _BLOCK)
        own = np.searchsorted(positions, at[self.inside])
        cells = observed.calls.shape[1]
        states = np.zeros((len(padded), cells), np.float32)
        states[own] = observed.calls[self.inside].toarray()
        self.states = states.reshape(blocks, _BLOCK, cells)
        self.seen = np.abs(self.states)
        self.sums, self.counts = np.zeros((2, blocks, _BLOCK), np.float32)
        self.sums.reshape(-1)[own] = observed.sums[self.inside]
        self.counts.reshape(-1)[own] = observed.counts[self.inside]
        # Of each site, how many observed ones lie before it on the chromosome.
        self.before = np.searchsorted(at, padded).reshape(blocks, _BLOCK)
        self.is_observed = self.counts > 0
        low, high = np.searchsorted(at, (positions[0] - REACH, positions[-1] + REACH + 1))
        self.left, self.right = slice(int(low), int(first)), slice(int(last), int(high))

    def rows_around(self) -> list[Floats]:
        """Return mean and number of cells of the next observed sites on both sides."""
        around = ROWS_AROUND
        sums = np.pad(self.observed.sums, around)
        counts = np.pad(self.observed.counts, around)
        after = self.before + self.is_observed
        result = []
        for i in range(around):
            for at in (self.before - 1 - i, after + i):
                result += [_mean(sums[at + around], counts[at + around], 0.5)]
                result += [_log(counts[at + around])]
        return result


class _Smoothed:
    """Sums over what was observed around each site, the less the further, without the site.

    ``states``, ``seen`` and ``residuals`` are float32 [blocks, 64, cells] by the base pairs of
    the kernel, and ``variability`` two [blocks, 64] each.
    """

    def __init__(self, grid: _Grid) -> None:
        cells = grid.states.shape[-1]
        counts = grid.counts[..., None]
        means = (grid.sums[..., None] - grid.states) / np.maximum(counts, 1)
        residuals = (grid.states - means) * grid.seen
        spread, several = (np.zeros_like(grid.sums) for _ in range(2))
        for padded, own in zip((spread, several), grid.observed.variability, strict=True):
            padded[grid.is_observed] = own[grid.inside]
        pair = np.stack([spread, several], axis=-1)
        self.states: dict[int, Floats] = {}
        self.seen: dict[int, Floats] = {}
        self.residuals: dict[int, Floats] = {}
        self.variability: dict[int, tuple[Floats, Floats]] = {}
        for bp in sorted({*KERNELS, *RESIDUAL_KERNELS}):
            parts = [grid.seen]
            names: list[str] = ["seen"]
            if bp in KERNELS:
                parts.append(grid.states)
                names.append("states")
            if bp in RESIDUAL_KERNELS:
                parts += [residuals, pair]
                names.append("residuals")
            result = _smooth(np.concatenate(parts, axis=-1), grid, bp, names)
            for i, name in enumerate(names):
                getattr(self, name)[bp] = result[..., i * cells : (i + 1) * cells]
            if bp in RESIDUAL_KERNELS:
                self.variability[bp] = (result[..., -2], result[..., -1])


def _smooth(values: Floats, grid: _Grid, bp: int, names: Sequence[str]) -> Floats:
    """Return the sums of values [blocks, 64, n] around each site, by an exponential kernel."""
    at = grid.positions
    starts, ends = at[:, 0], at[:, -1]
    from_start = _decay(at - starts[:, None], bp)
    to_end = _decay(ends[:, None] - at, bp)
    left = np.empty((len(at), values.shape[-1]), np.float32)
    right = np.empty_like(left)
    left[0] = _carried(grid, grid.left, _decay(starts[0] - _at(grid, grid.left), bp), names)
    right[-1] = _carried(grid, grid.right, _decay(_at(grid, grid.right) - ends[-1], bp), names)
    sums = np.matmul(np.stack([to_end, from_start], axis=1), values)
    across = _decay(ends - starts, bp)
    gaps = _decay(starts[1:] - ends[:-1], bp)
    for i in range(1, len(at)):
        left[i] = (left[i - 1] * across[i - 1] + sums[i - 1, 0]) * gaps[i - 1]
    for i in range(len(at) - 2, -1, -1):
        right[i] = (right[i + 1] * across[i + 1] + sums[i + 1, 1]) * gaps[i]
    within = _decay(np.abs(at[:, :, None] - at[:, None, :]), bp)
    within[:, np.arange(_BLOCK), np.arange(_BLOCK)] = 0
    decays = np.concatenate([within, from_start[..., None], to_end[..., None]], axis=-1)
    return np.matmul(decays, np.concatenate([values, left[:, None], right[:, None]], axis=1))


def _at(grid: _Grid, rows: slice) -> Ints:
    return grid.observed.positions[rows]


def _decay(distances: Ints, bp: int) -> Floats:
    result = distances.astype(np.float32)
    result *= np.float32(-1 / bp)
    return np.exp(result, out=result)


def _carried(grid: _Grid, rows: slice, decays: Floats, names: Sequence[str]) -> Floats:
    """Return the sums of what was observed before or after a run, in the order of values."""
    observed = grid.observed
    states, seen, residuals = observed.values
    kinds = {"states": states, "seen": seen, "residuals": residuals}
    parts = [kinds[name][rows].T @ decays for name in names]
    if "residuals" in names:
        parts.append(np.array([one[rows] @ decays for one in observed.variability], np.float32))
    return np.concatenate(parts)


class _RowPairs:
    """How alike each site is to the observed ones around it, over the cells seen at both.

    Of each block there is a window of observed sites: 64 before it, and 128 from its start on.
    """

    def __init__(self, grid: _Grid, context: Context) -> None:
        self._grid = grid
        observed = grid.observed
        self.starts = grid.before[:, 0] - _BLOCK
        low, high = int(self.starts[0]), int(self.starts[-1]) + 3 * _BLOCK
        inside = slice(max(low, 0), max(min(high, len(observed)), 0))
        states = np.zeros((high - low, observed.calls.shape[1]), np.float32)
        at = np.full(high - low, 1 << 40)
        states[inside.start - low : inside.stop - low] = observed.calls[inside].toarray()
        at[inside.start - low : inside.stop - low] = observed.positions[inside]
        rows = (self.starts - low)[:, None] + np.arange(3 * _BLOCK)
        self._states = states[rows]
        self._seen = np.abs(self._states)
        distances = np.abs(grid.positions[:, :, None] - at[rows][:, None, :])
        self._distances = np.minimum(distances, REACH).astype(np.float32)
        # Alike wherever blocks begin: the next 64 on both sides, and not the site itself.
        steps = self.starts[:, None, None] + np.arange(3 * _BLOCK) - grid.before[..., None]
        steps -= np.where(steps >= 0, grid.is_observed[..., None], False)
        self.beside = (steps >= -_BLOCK) & (steps < _BLOCK) & (distances > 0)
        # Cells that are alike at both sites less those that are not, and both together.
        self.balance = np.matmul(grid.states, self._states.transpose(0, 2, 1))
        self.both = np.matmul(grid.seen, self._seen.transpose(0, 2, 1))
        self._concordance = context.concordance

    def agreement(self) -> list[Floats]:
        """Return what its own neighbours tell of an entry, by how the other cells have it."""
        states, seen = self._grid.states, self._grid.seen
        classes = distance_class(self._distances)
        prior = (2 * self._concordance)[classes]
        alike, unlike = (self.both + self.balance) * 0.5, (self.both - self.balance) * 0.5
        log_alike, log_unlike = np.log(alike + prior), np.log(unlike + (2 - prior))
        # Where the entry was observed its cell is among those, and is taken off, before anything
        # is rounded.
        log_one_less_alike = np.log(np.maximum(alike - 1, 0) + prior)
        log_one_less_unlike = np.log(np.maximum(unlike - 1, 0) + (2 - prior))
        odds = log_alike - log_unlike
        odds_if_alike = log_one_less_alike - log_unlike
        odds_if_unlike = log_alike - log_one_less_unlike
        is_up, is_down = states > 0, states < 0
        up, down = (self._states > 0).astype(np.float32), (self._states < 0).astype(np.float32)
        result = []
        for bp in ROW_KERNELS:
            near = np.exp(self._distances * np.float32(-1 / bp)) * self.beside
            alike_up, alike_down = np.split(
                np.matmul(near * odds_if_alike, np.concatenate([up, down], axis=-1)), 2, axis=-1
            )
            unlike_up, unlike_down = np.split(
                np.matmul(near * odds_if_unlike, np.concatenate([up, down], axis=-1)), 2, axis=-1
            )
            evidence = np.matmul(near * odds, self._states)
            np.copyto(evidence, alike_up - unlike_down, where=is_up)
            np.copyto(evidence, unlike_up - alike_down, where=is_down)
            evidence *= np.float32(0.2)
            # In steps of 1/64 products and sums are exact, so that what is the entry's own can
            # be taken off again.
            wide = np.exp(self._distances * np.float32(-1 / (4 * bp))) * self.beside
            wide = np.rint(wide * 64) * np.float32(1 / 64)
            own = np.matmul(wide, self._seen)
            sums = np.matmul(wide * self.balance, self._states) - states * own
            counts = np.matmul(wide * self.both, self._seen) - seen * own
            result += [evidence, _mean(sums, counts, 1), _log(counts)]
        return result


def _nearest(grid: _Grid, rows: _RowPairs) -> tuple[list[Floats], list[Floats]]:
    """Return states and distances of the nearest observed neighbours, and of their sites more.

    That is the mean of the other cells there, and how much these agree with the site of the
    entry, with the sign of the neighbour.
    """
    observed = grid.observed
    low, high = grid.left.start, grid.right.stop
    calls = observed.calls[low:high]
    by_cell = calls.tocsc()
    by_cell.sort_indices()
    at, data = by_cell.indices + low, by_cell.data
    # From the run's start, as 32 bits hold them.
    positions = (observed.positions[at] - grid.positions[0, 0]).astype(np.int32)
    means = (observed.sums[at] - data) / (observed.counts[at] - 0.5)
    # None is the last of each array.
    at, data, positions, means = (
        np.append(x, x.dtype.type(0)) for x in (at, data, positions, means.astype(np.float32))
    )
    seen = grid.seen.reshape(-1, grid.seen.shape[-1])
    before_run = np.bincount(calls[: grid.left.stop - low].indices, minlength=seen.shape[1])
    starts, ends = by_cell.indptr[:-1], by_cell.indptr[1:]
    after = (starts + before_run).astype(np.int32) + np.cumsum(seen, axis=0, dtype=np.int32)
    before = after - seen.astype(np.int32)
    own_positions = (grid.positions - grid.positions[0, 0]).astype(np.int32).reshape(-1, 1)
    block = np.arange(len(seen))[:, None] // _BLOCK
    states = grid.states.reshape(seen.shape)
    near: list[Floats] = []
    more: list[Floats] = []
    for i in range(NEAREST):
        left, right = before - 1 - i, after + i
        for index, there in ((left, left >= starts), (right, right < ends)):
            index = np.where(there, index, len(data) - 1)
            state = data[index]
            apart = np.abs(positions[index] - own_positions).astype(np.float32)
            there &= apart <= REACH
            distance = np.log1p(apart) * np.float32(0.1)
            state = state * there
            near += [state, np.where(there, distance, np.float32(_NO_DISTANCE))]
            if i >= NEAREST_WITH_ROWS:
                continue
            column = at[index] - rows.starts[block]
            inside = there & (column >= 0) & (column < 3 * _BLOCK)
            flat = np.arange(len(seen))[:, None] * (3 * _BLOCK) + np.where(inside, column, 0)
            inside &= rows.beside.reshape(-1)[flat]
            balance = rows.balance.reshape(-1)[flat] - states * state
            both = rows.both.reshape(-1)[flat] - seen
            agreement = state * balance / np.maximum(both + 1, 1)
            more += [means[index] * there, np.where(inside, agreement, np.float32(0))]
    shape = grid.states.shape
    return [x.reshape(shape) for x in near], [x.reshape(shape) for x in more]


def _mean(sums: Floats, counts: Floats, more: float) -> Floats:
    """Return sums as means, nearer to 0 where there are few."""
    result: Floats = sums / (counts + np.float32(more))
    return result


def _log(counts: Floats) -> Floats:
    """Return counts on a scale of about 0 to 1."""
    result: Floats = np.log1p(counts)
    result *= np.float32(0.35)
    return result


def _stacked(features: Sequence[Floats], asked: Ints) -> Floats:
    """Return features [blocks, 64, …] as one array [features, sites asked for, …]."""
    if not features:
        return np.empty((0, len(asked)), np.float32)
    rows: Ints | slice = asked
    if asked[-1] - asked[0] + 1 == len(asked):
        rows = slice(int(asked[0]), int(asked[-1]) + 1)
    shape = features[0].shape[2:]
    result = np.empty((len(features), len(asked), *shape), np.float32)
    for place, one in zip(result, features, strict=True):
        place[:] = one.reshape(-1, *shape)[rows]
    return result
