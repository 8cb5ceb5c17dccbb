"""What is hidden of a table to be predicted: entry by entry, or in stretches.

Both protocols give the table that a predictor sees and the entries that are scored. An entry
hidden alone stays in the table, and whoever predicts it must not read it: every predictor is
held to that. A stretch is taken out of the table, so that nobody can read it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.splits import PARTS, OnChromosomes, Split, chromosomes_of
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import SplitError

ENTRIES, STRETCHES = "hidden entries", "hidden stretches"
ALONE = "entries of these stretches, each hidden alone"
RUN, ONE_OF = 10, 10  # entries of a stretch; of how many stretches one is hidden at a time


class Hidden(NamedTuple):
    """Entries to predict.

    ``table`` is what a predictor sees. ``sites`` (int64 [n], ascending) and ``cells``
    (int64 [n]) say where the entries are, and ``truth`` (int8 [n]) is 1 where methylated,
    else 0. ``others`` (int64 [n]) is the number of other cells observed at the site in
    ``table``.
    """

    table: MethylationTable
    sites: npt.NDArray[np.int64]
    cells: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int8]
    others: npt.NDArray[np.int64]


def check_split(table: OnChromosomes, split: Split) -> None:
    """Refuse a split that has a chromosome in two of its parts.

    Neighbouring sites tell each other's states: who learnt from those between the sites of
    a test has seen most of the answers.

    Raises
    ------
    SplitError
    """
    of_parts = [chromosomes_of(table, part) for part in split]
    for i, part in enumerate(of_parts):
        for j in range(i):
            if both := sorted(set(part) & set(of_parts[j])):
                raise SplitError(
                    f"split: expected parts of different chromosomes, received {both[0]} in both "
                    f"{PARTS[j]} and {PARTS[i]}; a random split leaks: not a test"
                )


def draw_sites(
    table: MethylationTable, sites: npt.NDArray[np.int64], entries: float, seed: int
) -> npt.NDArray[np.int64]:
    """Return sites, drawn at random, that hold about so many observed entries; all if fewer."""
    order = np.random.default_rng(seed).permutation(sites)
    held = np.cumsum(np.diff(table.calls.indptr)[order])
    return np.sort(order[: int(np.searchsorted(held, entries)) + 1])


def hide_entries(table: MethylationTable, sites: npt.NDArray[np.int64]) -> Hidden:
    """Return every observed entry of some sites, each to be predicted as if it were missing."""
    is_asked = np.zeros(len(table), bool)
    is_asked[sites] = True
    return _hidden(table, _entries(table, is_asked))


def hide_stretches(
    table: MethylationTable,
    sites: npt.NDArray[np.int64],
    *,
    run: int = RUN,
    one_of: int = ONE_OF,
    seed: int = 0,
) -> Hidden:
    """Take stretches out of the rows of cells, so that none has its own nearest neighbours.

    Parameters
    ----------
    table
        The table.
    sites : ndarray of int64, shape (n,)
        The sites on which entries are hidden.
    run
        Observed entries of a cell, next to each other on a chromosome, that are a stretch.
    one_of
        About one of so many stretches is hidden; the others stay to predict from.
    seed
        Of what is drawn.
    """
    is_asked = np.zeros(len(table), bool)
    is_asked[sites] = True
    rows, cells, states = _entries(table, is_asked)
    chromosomes = table.chromosome_ids[rows]
    by_cell = np.lexsort((rows, cells))
    group = cells[by_cell] * len(table.chromosomes) + chromosomes[by_cell]
    is_first = np.ones(len(group), bool)
    is_first[1:] = group[1:] != group[:-1]
    starts = np.flatnonzero(is_first)
    number = np.cumsum(is_first) - 1
    rng = np.random.default_rng(seed)
    # Stretches do not begin where the chromosome does.
    place = np.arange(len(group)) - starts[number] + rng.integers(0, run, len(starts))[number]
    begins = is_first.copy()
    begins |= place % run == 0
    stretch = np.cumsum(begins) - 1
    is_hidden = rng.random(int(begins.sum())) < 1 / one_of
    chosen = np.sort(by_cell[is_hidden[stretch]])  # by site again
    hidden = (rows[chosen], cells[chosen], states[chosen])
    shape = table.calls.shape
    taken = scipy.sparse.csr_array((hidden[2], hidden[:2]), shape=shape, dtype=np.int8)
    left = scipy.sparse.csr_array(table.calls - taken)
    left.eliminate_zeros()
    left.sort_indices()
    return _hidden(replace(table, calls=left, coverage=None), hidden)


def hide_alone(table: MethylationTable, hidden: Hidden) -> Hidden:
    """Return the entries of hidden stretches, each to be predicted of the whole table.

    What stretches cost is told by the same entries: others may be harder by themselves.
    """
    states = np.where(hidden.truth > 0, 1, -1).astype(np.int8)
    return _hidden(table, (hidden.sites, hidden.cells, states))


def _entries(
    table: MethylationTable, is_asked: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Return site, cell and call of the observed entries of some sites, by site."""
    calls = table.calls
    rows = np.repeat(np.arange(len(table)), np.diff(calls.indptr))
    chosen = is_asked[rows]
    return rows[chosen], calls.indices[chosen].astype(np.int64), calls.data[chosen]


def _hidden(
    table: MethylationTable,
    entries: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int8]],
) -> Hidden:
    rows, cells, states = entries
    there = np.diff(table.calls.indptr)[rows]
    keys = rows * len(table.cells) + cells
    calls = table.calls
    all_rows = np.repeat(np.arange(len(table)), np.diff(calls.indptr))
    own = np.isin(keys, all_rows * len(table.cells) + calls.indices).astype(np.int64)
    return Hidden(table, rows, cells, (states > 0).astype(np.int8), there - own)
