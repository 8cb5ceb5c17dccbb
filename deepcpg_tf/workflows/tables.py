"""Methylation tables: from profiles, from the original's data files, from other tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import deepcpg_tf
from deepcpg_tf.data.build import check_cells, table_of_profiles
from deepcpg_tf.data.filter import filter_calls
from deepcpg_tf.data.hide import SHARE, STRETCH, hide_calls
from deepcpg_tf.data.legacy.hdf5 import LegacyData
from deepcpg_tf.data.legacy.tables import table_of_legacy_data
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_file import check_table_path, read_table, write_table
from deepcpg_tf.profiles import MIN_MATCH
from deepcpg_tf.profiles.cells import open_cells
from deepcpg_tf.profiles.read import Profile
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    PathLike,
    check_files,
    check_other_than,
    open_genome,
    open_table,
    paths_of,
)


def build_table(
    profiles: PathLike | Sequence[PathLike],
    genome: GenomeLike,
    out: PathLike | None = None,
    *,
    min_coverage: int = 1,
    min_cells: int = 1,
    min_reference_match: float = MIN_MATCH,
    format: str | None = None,  # noqa: A002
    hydroxymethylation: str = "methylated",
    cell_name: str | None = None,
    keep_coverage: bool = False,
    progress: Progress = SILENT,
) -> MethylationTable:
    """Make a table from methylation profiles: sites of the genome by cells.

    Parameters
    ----------
    profiles
        A file for each cell, see `deepcpg_tf.profiles.read.read_profile`, or files and folders
        of several cells, of MethSCAn, amethyst and CpG Transformer; see
        `deepcpg_tf.profiles.cells.open_cells`.
    genome
        The reference of all of them.
    out
        The table to write (``.h5ad``), if any.
    min_coverage
        Reads that a site must have in a cell.
    min_cells
        Cells that must observe a site.
    min_reference_match
        Share of a file's positions that must be a C or a G of the genome, 0 to 1, on each
        chromosome: in another assembly about half are.
    format
        Format of the profiles; by default told by their content.
    hydroxymethylation
        What reads with 5hmC count as, where a format tells them from 5mC: ``methylated``
        (as bisulfite reads them), ``ignore`` or ``unmethylated``.
    cell_name
        A regular expression that finds the name of a cell in the name of its file, or in that
        which a file of several cells gives it; by default, see
        `deepcpg_tf.profiles.names.cell_name`.
    keep_coverage
        Whether the table has the reads of each call too, for `filter_table`.
    progress
        Who is told what was read, kept and dropped of each file.

    Returns
    -------
    MethylationTable

    Raises
    ------
    ProfileError, TableError, GenomeError
        When a file cannot be read or does not fit the genome, two files have the same cell,
        or no site is left.
    OutputError
        When the table cannot be written.
    """
    paths = paths_of(profiles, folders=True)
    target = None if out is None else check_table_path(Path(out))
    check_other_than(target, *paths, genome)
    files = [open_cells(path, format, cell_name) for path in paths]
    check_cells(files)
    reference = open_genome(genome)

    def read() -> Iterator[Profile]:
        progress.begins("reading profiles", len(paths), "files")
        for file in files:
            for profile in file.profiles(
                reference,
                format=format,
                min_coverage=min_coverage,
                hydroxymethylation=hydroxymethylation,
                min_reference_match=min_reference_match,
                keep_coverage=keep_coverage,
            ):
                progress.tells(str(profile.account))
                yield profile
            progress.advances(1)

    settings = {
        "min_coverage": min_coverage,
        "min_cells": min_cells,
        "min_reference_match": float(min_reference_match),
        "format": format or "told by content",
        "hydroxymethylation": hydroxymethylation,
        "cell_name": cell_name or "told by the file",
        "versions": _versions(),
    }
    table = table_of_profiles(read(), reference, min_cells=min_cells)
    table = replace(table, settings=settings)
    if target is not None:
        write_table(table, target)
    return table


def filter_table(
    table: PathLike | MethylationTable,
    out: PathLike | None = None,
    *,
    min_coverage: int,
    min_cells: int | None = None,
) -> MethylationTable:
    """Make a table of the calls of a table that have more reads, as if it were built anew.

    Parameters
    ----------
    table
        A table with the coverage of its calls; see `build_table`.
    out
        The table to write (``.h5ad``), if any.
    min_coverage
        Reads that a site must have in a cell.
    min_cells
        Cells that must observe a site; by default as many as for the table.

    Returns
    -------
    MethylationTable

    Raises
    ------
    TableError
        When the table cannot be read, has no coverage, was built with higher limits, or has
        no site left.
    OutputError
        When the table cannot be written.
    """
    target = None if out is None else check_table_path(Path(out))
    if not isinstance(table, MethylationTable):
        check_files(Path(table))
        check_other_than(target, Path(table))
        table = read_table(Path(table), coverage=True)
    result = filter_calls(table, min_coverage=min_coverage, min_cells=min_cells)
    result = replace(result, settings={**result.settings, "versions": _versions()})
    if target is not None:
        write_table(result, target)
    return result


def hide_table(
    table: PathLike | MethylationTable,
    out: PathLike | None = None,
    *,
    share: float = SHARE,
    stretch: int = STRETCH,
    seed: int = 0,
) -> MethylationTable:
    """Make a table that lacks some calls of another, to tell how well they are predicted.

    Parameters
    ----------
    table
        The table.
    out
        The table to write (``.h5ad``), if any.
    share, stretch, seed
        As of `deepcpg_tf.data.hide.hide_calls`.

    Returns
    -------
    MethylationTable

    Raises
    ------
    TableError
        When the table cannot be read, or its calls cannot be hidden so.
    OutputError
        When the table cannot be written.
    """
    target = None if out is None else check_table_path(Path(out))
    if not isinstance(table, MethylationTable):
        check_files(Path(table))
        check_other_than(target, Path(table))
    result = hide_calls(open_table(table), share=share, stretch=stretch, seed=seed)
    if target is not None:
        write_table(result, target)
    return result


def import_table(
    files: PathLike | Sequence[PathLike], genome: GenomeLike, out: PathLike | None = None
) -> MethylationTable:
    """Make a table from data files that the original DeepCpG wrote.

    Parameters
    ----------
    files
        Any number of them (HDF5).
    genome
        The reference of their sites.
    out
        The table to write (``.h5ad``), if any.

    Returns
    -------
    MethylationTable

    Raises
    ------
    LegacyDataError, GenomeError
        When a file cannot be read or does not fit the genome.
    OutputError
        When the table cannot be written.
    """
    paths = paths_of(files)
    target = None if out is None else check_table_path(Path(out))
    check_other_than(target, *paths, genome)
    table = table_of_legacy_data(LegacyData(paths), open_genome(genome))
    table = replace(table, settings={"versions": _versions()})
    if target is not None:
        write_table(table, target)
    return table


def _versions() -> dict[str, str]:
    """Return the versions of what reads and writes tables."""
    found = {name: version(name) for name in ("anndata", "numpy", "polars", "scipy")}
    return {"deepcpg_tf": deepcpg_tf.__version__, **found}
