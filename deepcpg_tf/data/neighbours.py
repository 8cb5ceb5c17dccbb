"""The observed sites around a site, in every cell of a methylation table.

Source: ``deepcpg/data/feature_extractor.py`` and ``deepcpg/models/cpg.py`` of DeepCpG 1.0.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig, cpg_part
from deepcpg_tf.data.calls import mean_states
from deepcpg_tf.data.keys import END, MOST_GROUPS, keys_of, positions_of
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import InputError, TableError
from deepcpg_tf.inputs import Arrays, Inputs


class NeighbourReader:
    """Reads ``state`` and ``dist``: the nearest observed sites on both sides, cell by cell.

    Of each cell first those to the left of the site, from far to near, then those to the
    right, from near to far; never the site itself, whether it is observed or not.
    ``state`` is 1 or 0, and ``dist`` the distance in base pairs as a share of
    ``max_distance``, at most 1. Where a side has too few, ``state`` is the mean
    methylation of the cell and ``dist`` is 1. (The original drew such
    states at random; its version 1.0.7 has 0.5 in an array of whole numbers, which is 0.)

    Parameters
    ----------
    table
        With the cells that the module reads, and chromosomes called as the sites' are.
    config
        Of a CpG module. Where it does not know the means of its cells, they are those of all
        sites of the table.

    Raises
    ------
    TableError
        When the table lacks a cell, or has too many cells and chromosomes.
    """

    def __init__(self, table: MethylationTable, config: DeepCpgCpgConfig) -> None:
        self.reads: Inputs = config.reads
        self._side = config.neighbours // 2
        self._max_distance = config.max_distance
        columns = _columns(table, config.input_cells)
        means = config.state_means or state_means(table, config.input_cells)
        self._chromosomes = {name: i for i, name in enumerate(table.chromosomes)}
        cells, chromosomes = len(columns), len(table.chromosomes)
        if cells * chromosomes > MOST_GROUPS:
            raise TableError(
                f"table: expected at most {MOST_GROUPS:,} cells times chromosomes, to read "
                f"neighbours of, received {cells:,} cells and {chromosomes:,} chromosomes"
            )
        calls = table.calls.tocsc()[:, columns]
        calls.sort_indices()  # by site, and so by chromosome and position
        groups = np.repeat(np.arange(cells, dtype=np.int64) * chromosomes, np.diff(calls.indptr))
        groups += table.chromosome_ids[calls.indices]
        keys = keys_of(groups, table.positions[calls.indices])
        self._keys = np.append(keys, END)
        self._states = np.append(calls.data > 0, False).astype(np.float32)
        self._groups = np.arange(cells, dtype=np.int64) * chromosomes
        starts = keys_of(np.arange(cells * chromosomes), 0)
        self._bounds = np.append(np.searchsorted(self._keys, starts), len(keys))
        self._means = np.array(means, np.float32)[:, None]

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """All chromosomes of the table: no others are known."""
        return tuple(self._chromosomes)

    @property
    def observed_chromosomes(self) -> frozenset[str]:
        """Those with an observed site in any of the cells."""
        sites = np.diff(self._bounds).reshape(len(self._groups), -1).sum(axis=0)
        return frozenset(name for name, n in zip(self.chromosomes, sites, strict=True) if n)

    def digest(self) -> str:
        """Return a SHA-256 checksum of all that it reads: chromosomes, sites, states, means."""
        result = hashlib.sha256("\t".join(self._chromosomes).encode())
        for array in (self._keys, self._states, self._means):
            result.update(array.data)
        return result.hexdigest()

    def prepare(self, *, hold: bool) -> None:
        """Do nothing: all is in memory."""

    def origins(self, chromosomes: Sequence[str]) -> dict[str, str]:
        """Return the checksum of all that it reads, on whatever chromosomes."""
        return {"neighbours": self.digest()}

    def arrays(self, sites: SiteColumns) -> Arrays:
        """Return ``state`` and ``dist`` of the neighbours of sites, 0 to 1.

        Parameters
        ----------
        sites
            n sites, 0-based, in any order; the table may lack them or their chromosomes.

        Returns
        -------
        mapping of str to ndarray of float32, shape (n, cells, neighbours)
            Cells are in the order in which the module reads them.
        """
        names = [self._chromosomes.get(name, -1) for name in sites.chromosomes]
        chromosomes = np.array(names, np.int64)[sites.chromosome_ids]
        positions = np.asarray(sites.positions, np.int64)[:, None]
        groups = np.maximum(chromosomes, 0)[:, None] + self._groups
        keys = keys_of(groups, positions)
        left = np.searchsorted(self._keys, keys)
        right = left + (self._keys[left] == keys)
        steps = np.arange(self._side)
        at = np.concatenate(
            [left[..., None] - self._side + steps, right[..., None] + steps], axis=-1
        )
        starts, ends = self._bounds[groups], self._bounds[groups + 1]
        is_there = (at >= starts[..., None]) & (at < ends[..., None])
        is_there &= (chromosomes >= 0)[:, None, None]
        at[~is_there] = 0
        distances = np.abs(positions_of(self._keys[at]) - positions[..., None])
        np.minimum(distances, self._max_distance, out=distances)
        dist = distances.astype(np.float32) / np.float32(self._max_distance)
        dist[~is_there] = 1
        return {"state": np.where(is_there, self._states[at], self._means), "dist": dist}


def neighbours_of(config: ModuleConfig, table: MethylationTable | None) -> NeighbourReader | None:
    """Return what reads of a table what a module reads of neighbours; None where it reads none.

    Parameters
    ----------
    config
        Of any module.
    table
        With chromosomes called as the sites' are; only asked for where neighbours are read.

    Raises
    ------
    InputError
        When there is no table.
    TableError
        When the table lacks a cell whose neighbours are read.
    """
    part = cpg_part(config)
    if part is None:
        return None
    if table is None:
        raise InputError(
            f"table: expected a methylation table, of which a {config.module} module reads "
            "neighbouring sites, received none"
        )
    return NeighbourReader(table, part)


def state_means(
    table: MethylationTable, cells: tuple[str, ...], sites: npt.NDArray[np.int64] | None = None
) -> tuple[float, ...]:
    """Return the share of the observed sites of each cell that are methylated, 0 to 1.

    Parameters
    ----------
    table
        The table.
    cells
        Names of the cells.
    sites : ndarray of int64, shape (n,), optional
        Indices of the sites that count, by default all.

    Returns
    -------
    tuple of float
        One for each of `cells`, 0.5 where none of the sites was observed.

    Raises
    ------
    TableError
        When the table lacks a cell.
    """
    means = mean_states(table.calls if sites is None else table.calls[sites])
    return tuple(means[column] for column in _columns(table, cells))


def _columns(table: MethylationTable, cells: tuple[str, ...]) -> list[int]:
    lacking = [cell for cell in cells if cell not in table.cells]
    if lacking:
        raise TableError(
            f"table: expected the cells whose neighbours the model reads, {', '.join(cells)}, "
            f"found none called {', '.join(lacking)} among {', '.join(table.cells)}"
        )
    own = {cell: i for i, cell in enumerate(table.cells)}
    return [own[cell] for cell in cells]
