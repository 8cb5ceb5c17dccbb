"""The observed sites next to those of a run, in the cell and in the others."""

from __future__ import annotations

import numpy as np

from deepcpg_tf.configs.local import NEAREST, NEAREST_WITH_ROWS, ROW_KERNELS
from deepcpg_tf.local.context import Context, distance_class
from deepcpg_tf.local.grid import BLOCK, REACH, Floats, Grid, log_of, mean_of

# Where there is none: further than all that are read.
_NO_DISTANCE = 1.2


class RowPairs:
    """How alike each site is to the observed ones around it, over the cells seen at both.

    Of each block there is a window of observed sites: 64 before it, and 128 from its start on.
    """

    def __init__(self, grid: Grid, context: Context) -> None:
        self._grid = grid
        observed = grid.observed
        self.starts = grid.before[:, 0] - BLOCK
        low, high = int(self.starts[0]), int(self.starts[-1]) + 3 * BLOCK
        inside = slice(max(low, 0), max(min(high, len(observed)), 0))
        states = np.zeros((high - low, observed.calls.shape[1]), np.float32)
        at = np.full(high - low, 1 << 40)
        states[inside.start - low : inside.stop - low] = observed.calls[inside].toarray()
        at[inside.start - low : inside.stop - low] = observed.positions[inside]
        rows = (self.starts - low)[:, None] + np.arange(3 * BLOCK)
        self._states = states[rows]
        self._seen = np.abs(self._states)
        distances = np.abs(grid.positions[:, :, None] - at[rows][:, None, :])
        self._distances = np.minimum(distances, REACH).astype(np.float32)
        # Alike wherever blocks begin: the next 64 on both sides, and not the site itself.
        steps = self.starts[:, None, None] + np.arange(3 * BLOCK) - grid.before[..., None]
        steps -= np.where(steps >= 0, grid.is_observed[..., None], False)
        self.beside = (steps >= -BLOCK) & (steps < BLOCK) & (distances > 0)
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
            result += [evidence, mean_of(sums, counts, 1), log_of(counts)]
        return result


def nearest(grid: Grid, rows: RowPairs) -> tuple[list[Floats], list[Floats]]:
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
    block = np.arange(len(seen))[:, None] // BLOCK
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
            inside = there & (column >= 0) & (column < 3 * BLOCK)
            flat = np.arange(len(seen))[:, None] * (3 * BLOCK) + np.where(inside, column, 0)
            inside &= rows.beside.reshape(-1)[flat]
            balance = rows.balance.reshape(-1)[flat] - states * state
            both = rows.both.reshape(-1)[flat] - seen
            agreement = state * balance / np.maximum(both + 1, 1)
            more += [means[index] * there, np.where(inside, agreement, np.float32(0))]
    shape = grid.states.shape
    return [x.reshape(shape) for x in near], [x.reshape(shape) for x in more]
