"""A methylation table from one that has the coverage of its calls, with more reads asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse

from deepcpg_tf.data.cell_accounts import filtered_obs
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import Reference
from deepcpg_tf.errors import TableError


def filter_calls(
    table: MethylationTable, *, min_coverage: int, min_cells: int | None = None
) -> MethylationTable:
    """Drop calls of few reads, and sites that too few cells still observe.

    The result is that of building the table anew with these limits.

    Parameters
    ----------
    table
        With the coverage of its calls.
    min_coverage
        Reads that a call must have.
    min_cells
        Cells that must observe a site; by default as many as the table was built with.

    Raises
    ------
    TableError
        When the table lacks the coverage of a call, was built with higher limits, or has no
        site left.
    """
    built = {name: int(table.settings.get(name, 1)) for name in ("min_coverage", "min_cells")}
    asked = {
        "min_coverage": min_coverage,
        "min_cells": built["min_cells"] if min_cells is None else min_cells,
    }
    for name, least in built.items():
        if asked[name] < least:
            raise TableError(
                f"{name}: expected {least} or more, as the table was built with, "
                f"received {asked[name]}"
            )
    if table.coverage is None:
        raise TableError("table: expected the coverage of its calls, received none")
    without = table.calls.nnz - _calls_of(table, 1).nnz
    if without:
        raise TableError(
            f"table: expected the coverage of each call, received {without:,} of "
            f"{table.calls.nnz:,} calls without"
        )
    calls = _calls_of(table, min_coverage)
    coverage = scipy.sparse.csr_array(table.coverage.multiply(abs(calls)))
    sites = np.flatnonzero(np.diff(calls.indptr) >= asked["min_cells"])
    if not len(sites):
        raise TableError(
            f"table: expected sites that at least {asked['min_cells']} of {len(table.cells)} cells "
            f"observe with {min_coverage} reads or more, found none"
        )
    obs = table.obs
    if obs is not None:
        obs = filtered_obs(obs, table.calls, calls, coverage, calls[sites])
    result = replace(
        table, calls=calls, coverage=coverage, obs=obs, settings={**table.settings, **asked}
    )
    return _without_empty_chromosomes(result.select(sites))


def _calls_of(table: MethylationTable, min_coverage: int) -> scipy.sparse.csr_array:
    """Return the calls that have so many reads."""
    coverage = table.coverage
    assert coverage is not None
    enough = scipy.sparse.csr_array(
        ((coverage.data >= min_coverage).astype(np.int8), coverage.indices, coverage.indptr),
        shape=coverage.shape,
    )
    calls = scipy.sparse.csr_array(table.calls.multiply(enough))
    calls.eliminate_zeros()
    return calls


def _without_empty_chromosomes(table: MethylationTable) -> MethylationTable:
    checksums = table.reference.checksums
    if not checksums:
        return table
    used = np.unique(table.chromosome_ids)
    names = tuple(table.chromosomes[i] for i in used)
    return replace(
        table,
        chromosomes=names,
        chromosome_ids=np.searchsorted(used, table.chromosome_ids).astype(np.int32),
        reference=Reference.of(table.reference.name, {name: checksums[name] for name in names}),
    )
