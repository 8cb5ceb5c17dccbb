"""The methylation table: which sites are methylated in which cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.calls import labels_of_calls
from deepcpg_tf.errors import TableError
from deepcpg_tf.genome.reference import Genome


class Reference(NamedTuple):
    """The genome that a table lies on.

    ``name`` is that of its file. ``digest`` is the SHA-256 checksum of the names and
    lengths of the table's chromosomes and the checksums of their codes, so that any
    other base shows; see `deepcpg_tf.genome.reference.Genome.digest`.
    """

    name: str
    digest: str


@dataclass(frozen=True, eq=False)
class MethylationTable:
    """What was observed of sites in cells, most of which is missing.

    Attributes
    ----------
    cells : tuple of str
        Names of the cells.
    chromosomes : tuple of str
        Names of chromosomes, in the order of the reference.
    chromosome_ids : ndarray of int32, shape (sites,)
        Index into `chromosomes`; sites are sorted by chromosome and position.
    positions : ndarray of int64, shape (sites,)
        0-based positions of the forward-strand C.
    calls : scipy.sparse.csr_array of int8, shape (sites, cells)
        1 methylated, -1 unmethylated, absent where missing; see `deepcpg_tf.data.calls`.
    reference : Reference
        The genome that the sites lie on.
    """

    cells: tuple[str, ...]
    chromosomes: tuple[str, ...]
    chromosome_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int64]
    calls: scipy.sparse.csr_array
    reference: Reference

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
        )

    def check_reference(self, genome: Genome) -> None:
        """Refuse a genome that is not the table's.

        Its chromosomes may be called otherwise (see `deepcpg_tf.genome.names`), and it
        may have more of them.

        Raises
        ------
        TableError
        GenomeError
            When the genome lacks a chromosome or cannot be read.
        """
        digest = reference_of(genome, self.chromosomes).digest
        if digest != self.reference.digest:
            raise TableError(
                f"{genome.path}: expected the reference that the table was built on, "
                f"{self.reference.name} (digest {self.reference.digest[:12]}), "
                f"received another sequence (digest {digest[:12]})"
            )

    def on(self, genome: Genome) -> MethylationTable:
        """Return the table with the chromosomes named as a genome does, its reference.

        Raises
        ------
        TableError
            When the genome is not the table's, or calls two of its chromosomes the same.
        GenomeError
            As `check_reference`.
        """
        self.check_reference(genome)
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


def reference_of(genome: Genome, chromosomes: Sequence[str]) -> Reference:
    """Return the name and the digest of a genome, as far as some chromosomes go."""
    return Reference(genome.path.name, genome.digest(chromosomes))
