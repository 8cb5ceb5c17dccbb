"""A methylation table from the profiles of cells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.calls import calls_of_labels
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import reference_of
from deepcpg_tf.errors import TableError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.names import cell_name
from deepcpg_tf.profiles.read import ChromosomeLabels, Profile


def table_of_profiles(
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
    observed: dict[str, list[tuple[int, ChromosomeLabels]]] = {}
    for column, profile in enumerate(profiles):
        _add_cell(paths, profile.cell, profile.path)
        for chromosome, sites in profile.sites.items():
            observed.setdefault(chromosome, []).append((column, sites))
    if not paths:
        raise TableError("table: expected the profile of at least one cell, received none")

    chromosomes, positions, calls = [], [], []
    for chromosome in genome.lengths:
        if chromosome not in observed:
            continue
        kept, values = _chromosome_table(observed.pop(chromosome), len(paths), min_cells)
        if len(kept):
            chromosomes.append(chromosome)
            positions.append(kept)
            calls.append(values)
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
        scipy.sparse.csr_array(scipy.sparse.vstack(calls, format="csr")),
        reference_of(genome, chromosomes),
    )


def cells_of(profiles: Iterable[Path], pattern: str | None = None) -> list[str]:
    """Return the cells of files, before any of them is read.

    Parameters
    ----------
    profiles
        A file for each cell.
    pattern
        As for `deepcpg_tf.profiles.names.cell_name`.

    Raises
    ------
    ProfileError
        When the pattern gives no name.
    TableError
        When two have the same cell.
    """
    paths: dict[str, Path] = {}
    for path in profiles:
        _add_cell(paths, cell_name(path, pattern), path)
    return list(paths)


def _add_cell(paths: dict[str, Path], cell: str, path: Path) -> None:
    if cell in paths:
        raise TableError(
            f"{path}: expected a cell that no other file has, received {cell!r}, "
            f"the cell of {paths[cell]}"
        )
    paths[cell] = path


def _chromosome_table(
    observed: list[tuple[int, ChromosomeLabels]], cells: int, min_cells: int
) -> tuple[npt.NDArray[np.int64], scipy.sparse.csr_array]:
    """Return the sites of one chromosome and their calls in all cells."""
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
        values.append(calls_of_labels(sites.labels[own]))
    indices = np.concatenate(rows), np.concatenate(columns)
    shape = (int(kept.sum()), cells)
    calls = scipy.sparse.coo_array((np.concatenate(values), indices), shape=shape).tocsr()
    return union[kept], calls
