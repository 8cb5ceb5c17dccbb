"""Examples: sites with what a model reads of them, and with their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.data.readers import Reader, SiteColumns
from deepcpg_tf.errors import InputError
from deepcpg_tf.inputs import Arrays, Inputs

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable

TABLE_ENDING = ".h5ad"

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

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
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


def open_examples(
    files: Sequence[Path], genome: Path | None, reads: Inputs | None = None
) -> Examples:
    """Open a methylation table with its genome, or data files of the original program.

    Parameters
    ----------
    files
        One table (``.h5ad``), or any number of the original's HDF5 files.
    genome
        The reference of a table; the original's files hold the windows themselves.
    reads
        What a model reads of each site. None is windows of the length that the original's
        files have, or of 1001 bases.

    Raises
    ------
    InputError
        When files and genome do not go together, or windows have another length.
    DeepCpgError
        When a file cannot be read.
    """
    import h5py

    length = None if reads is None else reads.named("windows").shape[0]
    tables = [file for file in files if file.suffix == TABLE_ENDING]
    if tables and len(files) > 1:
        raise InputError(
            "data: expected one table (.h5ad), or data files of the original, "
            f"received {len(files)} files with {tables[0]} among them"
        )
    if tables:
        return _open_table(tables[0], genome, length or WINDOW_LENGTH)
    if genome is not None:
        raise InputError(
            f"genome: expected none with data files of the original, which have windows, "
            f"received {genome}"
        )
    for file in files:
        if file.is_file() and not h5py.is_hdf5(file):
            raise InputError(
                f"{file}: expected a methylation table (.h5ad, as deepcpg-tf data build makes it "
                "of profiles) or a data file of the original DeepCpG (HDF5), received neither"
            )
    from deepcpg_tf.data.legacy.hdf5 import LegacyData

    data = LegacyData(files)
    if not data.cells:
        raise InputError(f"{files[0]}: expected labels (outputs/cpg), found none")
    if length is not None and data.length != length:
        raise InputError(
            f"{files[0]}: expected windows of {length} bases, as the model reads, "
            f"found {data.length}"
        )
    return data


def _open_table(file: Path, genome: Path | None, length: int) -> Examples:
    from deepcpg_tf.data.readers import WindowReader
    from deepcpg_tf.data.table_file import read_table
    from deepcpg_tf.genome.reference import Genome

    if genome is None:
        raise InputError(f"{file}: expected `genome` with a table, received none")
    reference = Genome(genome)
    table = read_table(file).on(reference)
    return TableExamples(table, WindowReader(reference, length))


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
