"""Imputation: what was observed where it was, and what is predicted elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import TableError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.scan.shards import Shard


class Observations:
    """The labels of a table, by the cells of a model.

    Parameters
    ----------
    table
        The table.
    genome
        The reference, which the table may call by other names.
    cells
        The cells of the model; those that the table lacks were observed nowhere.

    Attributes
    ----------
    shared : int
        Cells of the model that the table has.
    used : int
        Labels that went into shards so far.

    Raises
    ------
    TableError
        When the table has none of the cells, another reference, or sites that are no CG.
    GenomeError
        When the genome lacks a chromosome of the table.
    """

    def __init__(self, table: MethylationTable, genome: Genome, cells: tuple[str, ...]) -> None:
        self._table = table.on(genome)
        known = {cell: column for column, cell in enumerate(table.cells)}
        self._columns = [known.get(cell, -1) for cell in cells]
        self.used = 0
        self.shared = sum(column >= 0 for column in self._columns)
        if not self.shared:
            raise TableError(
                f"table: expected some of the model's cells ({', '.join(cells[:3])}, …), "
                f"received {', '.join(table.cells[:3])}, …"
            )
        self._chromosomes = {name: i for i, name in enumerate(self._table.chromosomes)}

    def labels(self, chromosome: str, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return what was observed at some sites, int8 [n, cells]: 1, 0, or -1 for nothing.

        Parameters
        ----------
        chromosome
            Its name in the genome.
        positions : ndarray of int64, shape (n,)
            0-based, sorted.
        """
        result = np.full((len(positions), len(self._columns)), -1, np.int8)
        index = self._chromosomes.get(chromosome)
        if index is None or not len(positions):
            return result
        table = self._table
        first, last = np.searchsorted(table.chromosome_ids, [index, index + 1])
        own = table.positions[first:last]
        at = np.searchsorted(own, positions)
        there = at < len(own)
        there[there] = own[at[there]] == positions[there]
        labels = table.labels(first + at[there])
        for cell, column in enumerate(self._columns):
            if column >= 0:
                result[there, cell] = labels[:, column]
        return result

    def impute(
        self, shards: Iterable[Shard], min_confidence: float | None = None
    ) -> Iterator[Shard]:
        """Add to each shard what was observed in it, and how sure what is predicted has to be."""
        for shard in shards:
            labels = self.labels(shard.chromosome, shard.positions)
            self.used += int((labels >= 0).sum())
            yield shard._replace(labels=labels, min_confidence=min_confidence or 0.0)
