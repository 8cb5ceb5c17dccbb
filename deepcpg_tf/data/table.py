"""The methylation table: which sites are methylated in which cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.errors import TableError
from deepcpg_tf.genome.reference import Genome

if TYPE_CHECKING:
    from deepcpg_tf.profiles.read import ChromosomeStates, Profile

# From states (0 missing, -1 unmethylated) to labels (-1 missing, 0 unmethylated) and back:
# to be indexed with either; -1 counts from the end.
_EXCHANGE = np.array([-1, 1, 0], np.int8)


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
    """States of sites in cells, most of them missing.

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
    states : scipy.sparse.csr_array of int8, shape (sites, cells)
        1 methylated, -1 unmethylated, absent where missing.
    reference : Reference
        The genome that the sites lie on.
    """

    cells: tuple[str, ...]
    chromosomes: tuple[str, ...]
    chromosome_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int64]
    states: scipy.sparse.csr_array
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
        return labels_of_states(self.states, indices)

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
            states=self.states[indices],
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

    def save(self, path: Path) -> None:
        """Write the table as an AnnData file; see `deepcpg_tf.data.table_file`.

        Raises
        ------
        OutputError
            When the folder does not exist or cannot be written to.
        """
        from deepcpg_tf.data.table_file import write_table

        write_table(self, path)

    @classmethod
    def load(cls, path: Path) -> MethylationTable:
        """Read a table that `save` wrote.

        Raises
        ------
        TableError
            When the file is missing, damaged or something else.
        """
        from deepcpg_tf.data.table_file import read_table

        return read_table(path)


def labels_of_states(
    states: scipy.sparse.csr_array, indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.int8]:
    """Return rows of sparse states as labels; see `MethylationTable.labels`."""
    return _EXCHANGE[states[indices].toarray()]


def states_of_labels(labels: npt.NDArray[np.int8]) -> scipy.sparse.csr_array:
    """Return labels [n, cells] as sparse states; the reverse of `labels_of_states`."""
    return scipy.sparse.csr_array(_EXCHANGE[labels])


def reference_of(genome: Genome, chromosomes: Sequence[str]) -> Reference:
    """Return the name and the digest of a genome, as far as some chromosomes go."""
    return Reference(genome.path.name, genome.digest(chromosomes))


def build_table(
    profiles: Iterable[Profile], genome: Genome, *, min_cells: int = 1
) -> MethylationTable:
    """Put the profiles of cells together.

    Parameters
    ----------
    profiles
        One of each cell; the table has the cells in their order. They are taken one
        at a time, and only their sites are kept.
    genome
        The reference of all of them.
    min_cells
        Sites observed in fewer cells are left out.

    Raises
    ------
    TableError
        When there is no profile, two have the same cell, or no site is left.
    """
    paths: dict[str, Path] = {}
    observed: dict[str, list[tuple[int, ChromosomeStates]]] = {}
    for column, profile in enumerate(profiles):
        _add_cell(paths, profile.cell, profile.path)
        for chromosome, sites in profile.sites.items():
            observed.setdefault(chromosome, []).append((column, sites))
    if not paths:
        raise TableError("table: expected the profile of at least one cell, received none")

    chromosomes, positions, states = [], [], []
    for chromosome in genome.lengths:
        if chromosome not in observed:
            continue
        kept, values = _chromosome_table(observed.pop(chromosome), len(paths), min_cells)
        if len(kept):
            chromosomes.append(chromosome)
            positions.append(kept)
            states.append(values)
    if not chromosomes:
        raise TableError(
            f"table: expected sites that at least {min_cells} of {len(paths)} cells "
            "observe, found none"
        )
    counts = [len(kept) for kept in positions]
    return MethylationTable(
        tuple(paths),
        tuple(chromosomes),
        np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        np.concatenate(positions),
        scipy.sparse.csr_array(scipy.sparse.vstack(states, format="csr")),
        reference_of(genome, chromosomes),
    )


def check_cells(profiles: Iterable[Path]) -> None:
    """Refuse files with the same cell, before any of them is read.

    Raises
    ------
    TableError
    """
    from deepcpg_tf.profiles.read import cell_name

    paths: dict[str, Path] = {}
    for path in profiles:
        _add_cell(paths, cell_name(path), path)


def _add_cell(paths: dict[str, Path], cell: str, path: Path) -> None:
    if cell in paths:
        raise TableError(
            f"{path}: expected a cell that no other file has, received {cell!r}, "
            f"the cell of {paths[cell]}"
        )
    paths[cell] = path


def _chromosome_table(
    observed: list[tuple[int, ChromosomeStates]], cells: int, min_cells: int
) -> tuple[npt.NDArray[np.int64], scipy.sparse.csr_array]:
    """Return the sites of one chromosome and their states in all cells."""
    union, observations = np.unique(
        np.concatenate([sites.positions for _, sites in observed]), return_counts=True
    )
    kept = observations >= min_cells
    row_of_site = np.cumsum(kept, dtype=np.int32) - 1
    rows, columns, values = [], [], []
    for column, sites in observed:
        at = np.searchsorted(union, sites.positions)
        own = kept[at]
        rows.append(row_of_site[at[own]])
        columns.append(np.full(len(rows[-1]), column, np.int32))
        values.append(_EXCHANGE[sites.states[own]])
    indices = np.concatenate(rows), np.concatenate(columns)
    shape = (int(kept.sum()), cells)
    states = scipy.sparse.coo_array((np.concatenate(values), indices), shape=shape).tocsr()
    return union[kept], states
