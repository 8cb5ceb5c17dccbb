"""The methylation table: which sites are methylated in which cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.calls import labels_of_calls
from deepcpg_tf.data.table_reference import Reference, reference_of
from deepcpg_tf.errors import TableError
from deepcpg_tf.genome.reference import Genome

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class MethylationTable:
    """What was observed of sites in cells, most of which is missing.

    Attributes
    ----------
    cells : tuple of str
        Names of the cells.
    chromosomes : tuple of str
        Names of chromosomes, in the order of the sites, as a rule that of the reference.
    chromosome_ids : ndarray of int32, shape (sites,)
        Index into `chromosomes`; sites are sorted by chromosome and position.
    positions : ndarray of int64, shape (sites,)
        0-based positions of the forward-strand C.
    calls : scipy.sparse.csr_array of int8, shape (sites, cells)
        1 methylated, -1 unmethylated, absent where missing; see `deepcpg_tf.data.calls`.
    reference : Reference
        The genome that the sites lie on.
    coverage : scipy.sparse.csr_array of int32, shape (sites, cells), or None
        Reads of each call, of both strands; None where they were not kept or not read.
    obs : pandas.DataFrame or None
        What is known of each cell, such as the account of its file; by name of the cell.
    settings : mapping
        How the table was made, as text and numbers.
    """

    cells: tuple[str, ...]
    chromosomes: tuple[str, ...]
    chromosome_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int64]
    calls: scipy.sparse.csr_array
    reference: Reference
    coverage: scipy.sparse.csr_array | None = None
    obs: pd.DataFrame | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.positions)

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return the labels of some sites in all cells.

        Parameters
        ----------
        indices : ndarray of integers, shape (n,)

        Returns
        -------
        ndarray of int8, shape (n, cells)
            1 methylated, 0 unmethylated, -1 missing.
        """
        return labels_of_calls(self.calls[indices].toarray())

    def by_chromosome(
        self,
    ) -> Iterator[tuple[str, npt.NDArray[np.int64], scipy.sparse.csr_array]]:
        """Yield each chromosome with the positions and calls of its sites."""
        bounds = np.searchsorted(self.chromosome_ids, np.arange(len(self.chromosomes) + 1))
        for chromosome, (first, last) in zip(self.chromosomes, pairwise(bounds), strict=True):
            if last > first:
                yield chromosome, self.positions[first:last], self.calls[first:last]

    def select(self, indices: npt.NDArray[np.int64]) -> MethylationTable:
        """Return the table of some sites, in the order of this one.

        Parameters
        ----------
        indices : ndarray of integers, shape (n,)
        """
        indices = np.unique(indices)
        return replace(
            self,
            chromosome_ids=self.chromosome_ids[indices],
            positions=self.positions[indices],
            calls=self.calls[indices],
            coverage=None if self.coverage is None else self.coverage[indices],
        )

    def on(self, genome: Genome) -> MethylationTable:
        """Return the table with the chromosomes named as a genome does, its reference.

        The genome may have more chromosomes.

        Raises
        ------
        TableError
            When the genome is not the table's, or calls two of its chromosomes the same;
            when a site is no CG of it.
        GenomeError
            When the genome lacks a chromosome or cannot be read.
        """
        self.reference.check(genome, self.chromosomes)
        self._check_sites(genome)
        names: dict[str, str] = {}
        for own in self.chromosomes:
            name = genome.resolve(own)
            if name in names:
                raise TableError(
                    f"table: expected one name a chromosome, received {names[name]} and {own}, "
                    f"both {name} of {genome.path.name}"
                )
            names[name] = own
        if tuple(names) == self.chromosomes:
            return self
        return replace(self, chromosomes=tuple(names), reference=reference_of(genome, tuple(names)))

    def _check_sites(self, genome: Genome) -> None:
        """Refuse sites that are no CG, which somebody must have moved."""
        bounds = np.searchsorted(self.chromosome_ids, np.arange(len(self.chromosomes) + 1))
        wrong, example = 0, ""
        for chromosome, (first, last) in zip(self.chromosomes, pairwise(bounds), strict=True):
            positions = self.positions[first:last]
            others = np.flatnonzero(~genome.is_cg(chromosome, positions))
            if others.size and not wrong:
                example = f"{chromosome}:{positions[others[0]]}"
            wrong += others.size
        if wrong:
            raise TableError(
                f"table: expected sites that are a CG of {genome.path.name}, by the 0-based "
                f"position of the C, received {wrong:,} of {len(self):,} that are none, the "
                f"first of them {example}"
            )
