"""Examples: sites with what a model reads of them, and with their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.data.readers import Reader, SiteColumns
from deepcpg_tf.inputs import Arrays, Inputs

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable

WINDOW_LENGTH = 1001
"""Bases of a window where nothing else says how many: those of the published models."""


class Examples(Protocol):
    """Sites with the arrays that a model reads of them and their labels, by index."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""

    @property
    def reads(self) -> Inputs:
        """What is read of each site."""

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of the chromosomes that `chromosome_ids` are indices into."""

    @property
    def chromosome_ids(self) -> npt.NDArray[np.int32]:
        """Chromosome of each site."""

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Position of each site, 0-based."""

    def prepare(self, *, hold: bool) -> None:
        """Make reading in random order fast; with `hold`, from memory."""

    def arrays(self, indices: npt.NDArray[np.int64]) -> Arrays:
        """Return an array [n, ...] for each input of some sites."""

    def labels(
        self, indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int8] | npt.NDArray[np.float32]:
        """Return the labels [n, cells] of some sites: 1, 0, or -1 where missing."""

    def origins(self) -> dict[str, str]:
        """Return checksums of what the arrays are made of, by what that is."""


class TableExamples:
    """The sites and labels of a methylation table, with a reader of what belongs to them.

    Parameters
    ----------
    table
        The table.
    reader
        Made for the table's chromosomes.
    """

    def __init__(self, table: MethylationTable, reader: Reader) -> None:
        self.table = table
        self._reader = reader

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""
        return self.table.cells

    @property
    def reads(self) -> Inputs:
        """What is read of each site."""
        return self._reader.reads

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of the chromosomes that `chromosome_ids` are indices into."""
        return self.table.chromosomes

    @property
    def genome_chromosomes(self) -> tuple[str, ...]:
        """Names of all chromosomes of the genome."""
        return self._reader.chromosomes

    @property
    def chromosome_ids(self) -> npt.NDArray[np.int32]:
        """Chromosome of each site."""
        return self.table.chromosome_ids

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Position of each site, 0-based."""
        return self.table.positions

    def prepare(self, *, hold: bool) -> None:
        """Make reading in random order fast; with `hold`, from memory."""
        self._reader.prepare(hold=hold)

    def arrays(self, indices: npt.NDArray[np.int64]) -> Arrays:
        """Return an array [n, ...] for each input of some sites."""
        table = self.table
        sites = SiteColumns(
            table.chromosomes, table.chromosome_ids[indices], table.positions[indices]
        )
        return self._reader.arrays(sites)

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return the labels of some sites, int8 [n, cells]: 1, 0, or -1 where missing."""
        return self.table.labels(indices)

    def origins(self) -> dict[str, str]:
        """Return checksums of what the arrays are made of, by what that is."""
        return self._reader.origins(self.table.chromosomes)


class Data(Protocol):
    """Sites with labels, before it is known what a model reads of them."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of the chromosomes that `chromosome_ids` are indices into."""

    @property
    def chromosome_ids(self) -> npt.NDArray[np.int32]:
        """Chromosome of each site."""

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Position of each site, 0-based."""

    @property
    def window_length(self) -> int | None:
        """Bases of its windows, or None where it has none, or of any length."""

    @property
    def neighbours(self) -> int | None:
        """Neighbours of a site in its files, or None where it has none, or any number."""

    def state_means(
        self, cells: tuple[str, ...], sites: npt.NDArray[np.int64]
    ) -> tuple[float, ...]:
        """Return the share of some sites that are methylated, of those observed in each cell."""

    def targets(self, outputs: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the targets [sites, outputs] of outputs other than cells, -1 where missing."""

    def examples(self, config: ModuleConfig) -> Examples:
        """Return the sites with what a module reads of them."""


def digest(examples: Examples) -> str:
    """Return a SHA-256 checksum of cells, sites and labels, not of what is read of them."""
    result = hashlib.sha256("\t".join(examples.cells).encode())
    result.update("\t".join(examples.chromosomes).encode())
    result.update(np.ascontiguousarray(examples.chromosome_ids, np.int32).data)
    result.update(np.ascontiguousarray(examples.positions, np.int64).data)
    for start in range(0, len(examples.positions), 1 << 17):
        indices = np.arange(start, min(start + (1 << 17), len(examples.positions)))
        result.update(np.ascontiguousarray(examples.labels(indices)).data)
    return result.hexdigest()
