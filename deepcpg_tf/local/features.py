"""The features of entries: numbers of what was observed near a site, in its cell and others.

The entry itself is in none of them: sums leave out the site of the entry in its cell, or are
put right by whole numbers, so that flipping its state changes no bit.

Sites are worked on in runs, those in blocks of 64, so that most of the work is products of
small matrices; see `deepcpg_tf.local.smoothing` and `deepcpg_tf.local.neighbours`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse

from deepcpg_tf.configs.local import KERNELS, RESIDUAL_KERNELS, LocalConfig
from deepcpg_tf.local.context import Context
from deepcpg_tf.local.grid import Floats, Grid, Ints, Run, log_of, mean_of
from deepcpg_tf.local.neighbours import RowPairs, nearest
from deepcpg_tf.local.observed import Observed
from deepcpg_tf.local.smoothing import Smoothed

# A product with a sparse matrix takes as long as with a dense one so many times as large.
_DENSE = 16


class Features(NamedTuple):
    """Features of all cells at some sites, feature by feature.

    ``cell`` is float32 [features, sites, cells], and ``site`` float32 [features, sites].
    """

    cell: Floats
    site: Floats


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
        grid = Grid(run.grid, self._observed)
        states, seen = grid.states, grid.seen
        smooth = Smoothed(grid)
        cell: dict[str, list[Floats]] = {"own": []}
        site: dict[str, list[Floats]] = {"around": []}
        for bp in KERNELS:
            sums, counts = smooth.states[bp], smooth.seen[bp]
            cell["own"] += [mean_of(sums, counts, 0.2), log_of(counts)]
            sums, counts = sums.sum(axis=-1), counts.sum(axis=-1)
            site["around"] += [mean_of(sums, counts, 0.2), log_of(counts)]
        rows = RowPairs(grid, self._context)
        cell["neighbours"], cell["neighbour_rows"] = nearest(grid, rows)
        others, number = grid.sums[..., None] - states, grid.counts[..., None] - seen
        cell["site"] = [mean_of(others, number, 0.5), log_of(number)]
        evidence, strength = self._weights[0].sums(states), self._weights[1].sums(seen)
        cell["similar"] = [evidence * 0.2, mean_of(evidence, strength, 1), log_of(strength)]
        cell["agreement"] = rows.agreement()
        cell["residual"] = [
            mean_of(smooth.residuals[bp], smooth.seen[bp], 0.5) for bp in RESIDUAL_KERNELS
        ]
        coverage = np.log(self._context.coverage + np.float32(1e-4)) * np.float32(0.3)
        cell["cell"] = [np.broadcast_to(x, states.shape) for x in (self._context.means, coverage)]
        site["rows"] = grid.rows_around()
        site["variability"] = [mean_of(*smooth.variability[bp], 0.2) for bp in RESIDUAL_KERNELS]
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
