"""What a methylation table holds, in numbers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from deepcpg_tf.data.table import MethylationTable

ALL = "all"


class Summary(NamedTuple):
    """A cell on one chromosome, or on all of them.

    ``sites`` are those of the table there and ``observed`` those that the cell has.
    """

    cell: str
    chromosome: str
    sites: int
    observed: int
    methylated: int

    @property
    def coverage(self) -> float:
        """Share of the table's sites that the cell has, 0 to 1."""
        return self.observed / self.sites if self.sites else math.nan

    @property
    def methylation_rate(self) -> float:
        """Share of the observed sites that are methylated, 0 to 1; NaN without any."""
        return self.methylated / self.observed if self.observed else math.nan


def summarize(table: MethylationTable) -> list[Summary]:
    """Count sites cell by cell on each chromosome; then cell by cell on all of them."""
    cells = len(table.cells)
    bounds = np.searchsorted(table.chromosome_ids, np.arange(len(table.chromosomes) + 1))
    sites = np.diff(bounds)
    observed = np.zeros((len(sites), cells), np.int64)
    methylated = np.zeros_like(observed)
    calls = table.calls
    for i, (first, last) in enumerate(pairwise(bounds)):
        own = slice(calls.indptr[first], calls.indptr[last])
        columns, values = calls.indices[own], calls.data[own]
        observed[i] = np.bincount(columns, minlength=cells)
        methylated[i] = np.bincount(columns[values > 0], minlength=cells)
    by_chromosome = [
        Summary(cell, name, int(sites[i]), int(observed[i, j]), int(methylated[i, j]))
        for j, cell in enumerate(table.cells)
        for i, name in enumerate(table.chromosomes)
    ]
    totals = observed.sum(axis=0), methylated.sum(axis=0)
    return by_chromosome + [
        Summary(cell, ALL, len(table), int(totals[0][j]), int(totals[1][j]))
        for j, cell in enumerate(table.cells)
    ]
