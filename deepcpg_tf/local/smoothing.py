"""What was observed around the sites of a run, the less the further: exponential kernels.

Within a block it is a product with the decays between its sites; what comes from before and
after a block is carried over, as decays multiply.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepcpg_tf.configs.local import KERNELS, RESIDUAL_KERNELS
from deepcpg_tf.local.grid import BLOCK, Floats, Grid, Ints


class Smoothed:
    """Sums over what was observed around each site, the less the further, without the site.

    ``states``, ``seen`` and ``residuals`` are float32 [blocks, 64, cells] by the base pairs of
    the kernel, and ``variability`` two [blocks, 64] each.
    """

    def __init__(self, grid: Grid) -> None:
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


def _smooth(values: Floats, grid: Grid, bp: int, names: Sequence[str]) -> Floats:
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
    within[:, np.arange(BLOCK), np.arange(BLOCK)] = 0
    decays = np.concatenate([within, from_start[..., None], to_end[..., None]], axis=-1)
    return np.matmul(decays, np.concatenate([values, left[:, None], right[:, None]], axis=1))


def _at(grid: Grid, rows: slice) -> Ints:
    return grid.observed.positions[rows]


def _decay(distances: Ints, bp: int) -> Floats:
    result = distances.astype(np.float32)
    result *= np.float32(-1 / bp)
    return np.exp(result, out=result)


def _carried(grid: Grid, rows: slice, decays: Floats, names: Sequence[str]) -> Floats:
    """Return the sums of what was observed before or after a run, in the order of values."""
    observed = grid.observed
    states, seen, residuals = observed.values
    kinds = {"states": states, "seen": seen, "residuals": residuals}
    parts = [kinds[name][rows].T @ decays for name in names]
    if "residuals" in names:
        parts.append(np.array([one[rows] @ decays for one in observed.variability], np.float32))
    return np.concatenate(parts)
