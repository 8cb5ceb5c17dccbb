"""The features of CaMelia (Tang et al., Bioinformatics 2021), of every entry of some sites.

After the paper and the authors' program, whose numbers they are: of the own cell its ten nearest
observed sites on either side, each log2(state + 1.01) times 1 - distance / the farthest of the
twenty; and of the other cells observed at the site the mean of r times log2(state + 1.01) over
those that agree with the own cell at a share r of at least 0.8 of the twenty sites around that both
observed. The program drops entries that lack a feature; here they have NaN, as every entry is
to be predicted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.data.neighbours import NeighbourReader
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.data.table import MethylationTable

SIDE, AGREEING = 10, 0.8
FEATURES = 2 * SIDE + 1
_FAR = 1 << 30

Floats = npt.NDArray[np.float32]


class CameliaFeatures:
    """Computes the features of entries of a table, none of which reads the entry itself."""

    def __init__(self, table: MethylationTable) -> None:
        self._table = table
        means = (0.5,) * len(table.cells)  # is never read: its distance says that it is none
        config = DeepCpgCpgConfig(
            cells=table.cells, neighbours=2 * SIDE, max_distance=_FAR, state_means=means
        )
        self._reader = NeighbourReader(table, config)
        self._by_cell = table.calls.tocsc()
        self._by_cell.sort_indices()

    def own(self, sites: npt.NDArray[np.int64], cells: npt.NDArray[np.int64]) -> Floats:
        """Return the features of the own cell's neighbours, [n, 2 * SIDE]."""
        table = self._table
        own = np.empty((len(sites), 2 * SIDE), np.float32)
        for start in range(0, len(sites), 20_000):
            batch = slice(start, start + 20_000)
            rows, at = np.unique(sites[batch], return_inverse=True)
            read = self._reader.arrays(
                SiteColumns(table.chromosomes, table.chromosome_ids[rows], table.positions[rows])
            )
            state, dist = (read[name][at, cells[batch]] for name in ("state", "dist"))
            farthest = dist.max(axis=1, keepdims=True)
            values = np.log2(state + 1.01) * (1 - dist / farthest)
            values[farthest[:, 0] >= 1] = np.nan  # a side has too few
            own[batch] = values
        return own

    def similar(self, sites: npt.NDArray[np.int64], cells: npt.NDArray[np.int64]) -> Floats:
        """Return the feature of the cells that agree with the own one around, [n]."""
        total = np.zeros(len(sites), np.float32)
        number = np.zeros(len(sites), np.float32)
        by_cell = np.argsort(cells, kind="stable")
        bounds = np.searchsorted(cells[by_cell], np.arange(len(self._table.cells) + 1))
        for cell in range(len(self._table.cells)):
            entries = by_cell[bounds[cell] : bounds[cell + 1]]
            if not len(entries):
                continue
            asked = sites[entries]
            for other in range(len(self._table.cells)):
                if other != cell:
                    self._add(cell, other, asked, entries, total, number)
        return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)

    def _add(
        self,
        cell: int,
        other: int,
        asked: npt.NDArray[np.int64],
        entries: npt.NDArray[np.int64],
        total: Floats,
        number: Floats,
    ) -> None:
        """Add what one other cell says of entries of a cell, where it is observed and agrees."""
        rows, states = self._column(cell)
        other_rows, other_states = self._column(other)
        place = np.minimum(np.searchsorted(other_rows, asked), max(len(other_rows) - 1, 0))
        if not len(other_rows):
            return
        is_there = other_rows[place] == asked
        place, asked, entries = place[is_there], asked[is_there], entries[is_there]
        both, at, other_at = np.intersect1d(
            rows, other_rows, assume_unique=True, return_indices=True
        )
        agreed = np.append(0, np.cumsum(states[at] == other_states[other_at]))
        # The site itself is skipped, whether the own cell was observed there or not.
        left = np.searchsorted(both, asked)
        right = np.searchsorted(both, asked, side="right")
        chromosomes = self._table.chromosome_ids
        of_both = chromosomes[both]
        first = np.searchsorted(of_both, chromosomes[asked])
        end = np.searchsorted(of_both, chromosomes[asked], side="right")
        has_all = (left - SIDE >= first) & (right + SIDE <= end)
        left, right, place, entries = (a[has_all] for a in (left, right, place, entries))
        agreement = agreed[left] - agreed[left - SIDE] + agreed[right + SIDE] - agreed[right]
        share = (agreement / (2 * SIDE)).astype(np.float32)
        chosen = share >= AGREEING
        state = (other_states[place[chosen]] > 0).astype(np.float32)
        total[entries[chosen]] += share[chosen] * np.log2(state + np.float32(1.01))
        number[entries[chosen]] += 1

    def _column(self, cell: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
        start, end = self._by_cell.indptr[cell], self._by_cell.indptr[cell + 1]
        return self._by_cell.indices[start:end].astype(np.int64), self._by_cell.data[start:end]

    def of(self, sites: npt.NDArray[np.int64], cells: npt.NDArray[np.int64]) -> Floats:
        """Return all features of entries.

        Parameters
        ----------
        sites, cells : ndarrays of int64, shape (n,)
            Where the entries are.

        Returns
        -------
        ndarray of float32, shape (n, FEATURES)
        """
        return np.column_stack([self.own(sites, cells), self.similar(sites, cells)])
