"""A methylation table from the profiles of cells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.calls import calls_of_labels
from deepcpg_tf.data.cell_accounts import obs_of_accounts
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import reference_of
from deepcpg_tf.errors import TableError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.account import Account
from deepcpg_tf.profiles.cells import CellsFile
from deepcpg_tf.profiles.read import ChromosomeLabels, Profile


def table_of_profiles(
    profiles: Iterable[Profile], genome: Genome, *, min_cells: int = 1
) -> MethylationTable:
    """Put the profiles of cells together.

    Parameters
    ----------
    profiles
        One of each cell; the table has the cells in their order. They are taken one
        at a time, and only their sites and accounts are kept. If all have the coverage of
        their sites, so has the table.
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
    accounts: dict[str, Account] = {}
    observed: dict[str, list[tuple[int, ChromosomeLabels]]] = {}
    for column, profile in enumerate(profiles):
        _add_cell(paths, profile.cell, profile.path)
        accounts[profile.cell] = profile.account
        for chromosome, sites in profile.sites.items():
            observed.setdefault(chromosome, []).append((column, sites))
    if not paths:
        raise TableError("table: expected the profile of at least one cell, received none")

    has_coverage = all(
        sites.coverage is not None for parts in observed.values() for _, sites in parts
    )
    chromosomes, positions, calls, coverage = [], [], [], []
    for chromosome in genome.lengths:
        if chromosome not in observed:
            continue
        kept, values, reads = _chromosome_table(
            observed.pop(chromosome), len(paths), min_cells, has_coverage
        )
        if len(kept):
            chromosomes.append(chromosome)
            positions.append(kept)
            calls.append(values)
            coverage.append(reads)
    if not chromosomes:
        raise TableError(
            f"table: expected sites that at least {min_cells} of {len(paths)} cells "
            "observe, found none"
        )
    counts = [len(kept) for kept in positions]
    all_calls = _stacked(calls)
    return MethylationTable(
        tuple(paths),
        tuple(chromosomes),
        np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        np.concatenate(positions),
        all_calls,
        reference_of(genome, chromosomes),
        _stacked(coverage) if has_coverage else None,
        obs_of_accounts(accounts, all_calls),
    )


def check_cells(files: Iterable[CellsFile]) -> None:
    """Refuse files of which two have the same cell, before any of them is read.

    Raises
    ------
    TableError
    """
    paths: dict[str, Path] = {}
    for file in files:
        for cell in file.cells:
            _add_cell(paths, cell, file.path)


def _add_cell(paths: dict[str, Path], cell: str, path: Path) -> None:
    if cell in paths:
        raise TableError(
            f"{path}: expected a cell that no other file has, received {cell!r}, "
            f"the cell of {paths[cell]}"
        )
    paths[cell] = path


def _stacked(parts: list[scipy.sparse.csr_array]) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array(scipy.sparse.vstack(parts, format="csr"))


def _chromosome_table(
    observed: list[tuple[int, ChromosomeLabels]], cells: int, min_cells: int, has_coverage: bool
) -> tuple[npt.NDArray[np.int64], scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Return the sites of one chromosome, their calls in all cells, and the reads of these."""
    union, observations = np.unique(
        np.concatenate([sites.positions for _, sites in observed]), return_counts=True
    )
    kept = observations >= min_cells
    row_of_site = np.cumsum(kept, dtype=np.int32) - 1
    rows, columns, values, reads = [], [], [], []
    for column, sites in observed:
        at = np.searchsorted(union, sites.positions)
        own = kept[at]
        rows.append(row_of_site[at[own]])
        columns.append(np.full(len(rows[-1]), column, np.int32))
        values.append(calls_of_labels(sites.labels[own]))
        if has_coverage and sites.coverage is not None:
            reads.append(sites.coverage[own])
    indices = np.concatenate(rows), np.concatenate(columns)
    shape = (int(kept.sum()), cells)
    calls = scipy.sparse.coo_array((np.concatenate(values), indices), shape=shape).tocsr()
    coverage = scipy.sparse.csr_array(shape, dtype=np.int32)
    if has_coverage:
        coverage = scipy.sparse.coo_array((np.concatenate(reads), indices), shape=shape).tocsr()
    return union[kept], calls, coverage
