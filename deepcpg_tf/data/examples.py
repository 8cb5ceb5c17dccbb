"""Sites with windows and labels, whatever files they are in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import InputError

if TYPE_CHECKING:
    from deepcpg_tf.data.dataset import Examples
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.genome.reference import Genome

TABLE_ENDING = ".h5ad"


class TableExamples:
    """The sites of a methylation table, with windows cut from its genome.

    Parameters
    ----------
    table
        The table.
    genome
        Its reference, with the same names of chromosomes.
    length
        Bases of a window.
    """

    def __init__(self, table: MethylationTable, genome: Genome, length: int) -> None:
        self.table = table
        self.length = length
        self._genome = genome

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""
        return self.table.cells

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
        """Keep the genome in memory where `hold` asks for it, a byte a base."""
        if hold:
            self._genome.hold()

    def windows(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the codes of some sites, uint8 [n, length]."""
        table = self.table
        return self._genome.windows_of(
            table.chromosomes, table.chromosome_ids[indices], table.positions[indices], self.length
        )

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return the labels of some sites, int8 [n, cells]: 1, 0, or -1 where missing."""
        return self.table.labels(indices)


def open_examples(files: Sequence[Path], genome: Path | None, length: int | None) -> Examples:
    """Open a methylation table with its genome, or data files of the original program.

    Parameters
    ----------
    files
        One table (``.h5ad``), or any number of the original's HDF5 files.
    genome
        The reference of a table; the original's files hold the windows themselves.
    length
        Bases of a window. The original's files have one already, which must be it; None
        takes that.

    Raises
    ------
    InputError
        When files and genome do not go together, or windows have another length.
    DeepCpgError
        When a file cannot be read.
    """
    if files[0].suffix == TABLE_ENDING:
        return _open_table(files, genome, length)
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


def _open_table(files: Sequence[Path], genome: Path | None, length: int | None) -> Examples:
    from deepcpg_tf.data.table_file import read_table
    from deepcpg_tf.genome.reference import Genome

    if len(files) > 1:
        raise InputError(f"data: expected one table, received {', '.join(map(str, files))}")
    if genome is None:
        raise InputError(f"{files[0]}: expected --genome FASTA with a table, received none")
    reference = Genome(genome)
    table = read_table(files[0]).on(reference)
    return TableExamples(table, reference, length or 1001)


def digest(examples: Examples) -> str:
    """Return a SHA-256 checksum of cells, sites and labels, and so of what is learnt from."""
    result = hashlib.sha256("\t".join(examples.cells).encode())
    result.update("\t".join(examples.chromosomes).encode())
    result.update(np.ascontiguousarray(examples.chromosome_ids, np.int32).data)
    result.update(np.ascontiguousarray(examples.positions, np.int64).data)
    for start in range(0, len(examples.positions), 1 << 17):
        indices = np.arange(start, min(start + (1 << 17), len(examples.positions)))
        result.update(np.ascontiguousarray(examples.labels(indices)).data)
    return result.hexdigest()
