"""Data as they lie on disk: sites with labels, and what reads of them what a module reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.names import DNA
from deepcpg_tf.configs.outputs import bulk_of, statistic_of
from deepcpg_tf.data.examples import Data, Examples, TableExamples
from deepcpg_tf.data.readers import NoReader, Reader, Readers, WindowReader
from deepcpg_tf.errors import ConfigError, InputError

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.genome.reference import Genome

TABLE_ENDING = ".h5ad"


class TableData:
    """The sites and labels of a methylation table; see `Data`.

    Parameters
    ----------
    table
        The table.
    genome
        Its reference, which a module that reads windows needs, and so do bulk profiles.
    bulk
        Profiles of many cells at once, whose levels can be predicted.

    Raises
    ------
    InputError
        When there are bulk profiles, and no genome.
    TableError
        When two of them have the same name.
    """

    window_length: int | None = None
    neighbours: int | None = None

    def __init__(
        self, table: MethylationTable, genome: Genome | None, bulk: Sequence[Path] = ()
    ) -> None:
        from deepcpg_tf.data.bulk import bulk_files

        if bulk and genome is None:
            raise InputError("genome: expected the reference of the bulk profiles, received none")
        self._bulk = bulk_files(bulk)
        self.table = table if genome is None else table.on(genome)
        self.genome = genome
        self.cells = table.cells
        self.chromosomes = self.table.chromosomes
        self.chromosome_ids = self.table.chromosome_ids
        self.positions = self.table.positions

    def state_means(
        self, cells: tuple[str, ...], sites: npt.NDArray[np.int64]
    ) -> tuple[float, ...]:
        """Return the share of some sites that are methylated, of those observed in each cell."""
        from deepcpg_tf.data.neighbours import state_means

        return state_means(self.table, cells, sites)

    def targets(self, outputs: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the targets [sites, outputs] of outputs other than cells, -1 where missing.

        Statistics are over all cells of the table.

        Raises
        ------
        ConfigError
            When there is no profile of a bulk.
        DeepCpgError
            When it cannot be read.
        """
        from deepcpg_tf.data.bulk import bulk_levels
        from deepcpg_tf.data.statistics import cell_statistics

        table = self.table
        result = np.empty((len(table), len(outputs)), np.float32)
        for column, output in enumerate(outputs):
            name = bulk_of(output)
            if name is None:
                continue
            if name not in self._bulk or self.genome is None:
                raise ConfigError(
                    f"bulk: expected a profile for the output {output}, a file called {name}, "
                    f"received {', '.join(self._bulk) or 'none'}"
                )
            result[:, column] = bulk_levels(self._bulk[name], self.genome, table)
        columns = [(i, one) for i, name in enumerate(outputs) if (one := statistic_of(name))]
        result[:, [i for i, _ in columns]] = cell_statistics(
            table.calls, table.chromosome_ids, table.positions, [one for _, one in columns]
        )
        return result

    def examples(self, config: ModuleConfig) -> TableExamples:
        """Return the sites with what a module reads of them.

        Raises
        ------
        InputError
            When it reads windows, and there is no genome.
        TableError
            When the table lacks a cell whose neighbours are read.
        """
        return TableExamples(self.table, reader_of(config, self.genome, self.table))


def reader_of(
    config: ModuleConfig, genome: Genome | None, table: MethylationTable | None
) -> Reader:
    """Return what reads of sites what a module reads of them.

    Parameters
    ----------
    config
        Of the module.
    genome
        For windows.
    table
        For neighbours, with chromosomes called as the sites' are.

    Raises
    ------
    InputError
        When the one that is needed is not given.
    TableError
        When the table lacks a cell whose neighbours are read.
    """
    from deepcpg_tf.data.neighbours import neighbours_of

    readers: list[Reader] = []
    if DNA in config.parts:
        if genome is None:
            raise InputError(
                f"genome: expected a reference, of which a {config.module} module reads "
                "windows, received none"
            )
        (length,) = config.reads.named("windows").shape
        readers.append(WindowReader(genome, length))
    if (neighbours := neighbours_of(config, table)) is not None:
        readers.append(neighbours)
    if not readers:
        known = genome.lengths if genome is not None else table.chromosomes if table else ()
        return NoReader(tuple(known))
    return readers[0] if len(readers) == 1 else Readers(readers)


def open_examples(files: Sequence[Path], genome: Path | None, config: ModuleConfig) -> Examples:
    """Open data as `open_data` does, with what a module reads of it."""
    return open_data(files, genome).examples(config)


def open_data(files: Sequence[Path], genome: Path | None, bulk: Sequence[Path] = ()) -> Data:
    """Open a methylation table with its genome, or data files of the original program.

    Parameters
    ----------
    files
        One table (``.h5ad``), or any number of the original's HDF5 files.
    genome
        The reference of a table; of the original's files, windows are those in them.
    bulk
        Profiles of many cells at once, beside a table; the original's files hold their levels.

    Raises
    ------
    InputError
        When files, genome and bulk profiles do not go together.
    DeepCpgError
        When a file cannot be read.
    """
    import h5py

    tables = [file for file in files if file.suffix == TABLE_ENDING]
    if tables and len(files) > 1:
        raise InputError(
            "data: expected one table (.h5ad), or data files of the original, "
            f"received {len(files)} files with {tables[0]} among them"
        )
    if tables:
        from deepcpg_tf.data.table_file import read_table
        from deepcpg_tf.genome.reference import Genome

        reference = None if genome is None else Genome(genome)
        return TableData(read_table(tables[0]), reference, bulk)
    if bulk:
        raise InputError(
            "bulk: expected none with data files of the original, which hold the levels "
            f"(outputs/bulk), received {bulk[0]}"
        )
    if genome is not None:
        raise InputError(
            "genome: expected none with data files of the original, which are read without one "
            f"(windows are those in inputs/dna), received {genome}"
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
    return data
