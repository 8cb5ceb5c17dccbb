"""Calls taken out of a table, to tell how well they are predicted by what is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import TableError

SHARE, STRETCH = 0.1, 1000


def hide_calls(
    table: MethylationTable, *, share: float = SHARE, stretch: int = STRETCH, seed: int = 0
) -> MethylationTable:
    """Return a table that lacks some of the calls, in whole stretches of a cell.

    Sites that are observed by the same reads are hidden together, as they are missing together:
    of a call whose neighbours on the read stay, these tell the most.

    Parameters
    ----------
    table
        The table.
    share
        Of the stretches that have calls, in each cell; above 0 and below 1.
    stretch
        Bases of one.
    seed
        Of what is drawn.

    Returns
    -------
    MethylationTable
        With the same sites; without coverage and accounts of the cells, which tell of all calls.

    Raises
    ------
    TableError
        When a number is out of range, or no call is hidden, or none is left.
    """
    if not 0 < share < 1:
        raise TableError(f"share: expected more than 0 and less than 1, received {share:g}")
    if stretch < 1:
        raise TableError(f"stretch: expected at least 1 base, received {stretch}")
    calls = table.calls
    site = np.repeat(np.arange(len(table)), np.diff(calls.indptr))
    places = np.stack(
        [table.chromosome_ids[site], table.positions[site] // stretch, calls.indices], axis=1
    )
    of_call = np.unique(places, axis=0, return_inverse=True)[1].ravel()
    stretches = int(of_call.max(initial=-1)) + 1
    is_hidden = (np.random.default_rng(seed).random(stretches) < share)[of_call]
    if is_hidden.all() or not is_hidden.any():
        raise TableError(
            f"table: expected calls to hide and to keep with a share of {share:g}, found "
            f"{len(is_hidden):,} calls in {stretches:,} stretches, of which "
            f"{int(is_hidden.sum()):,} calls would be hidden"
        )
    left = calls.copy()
    left.data[is_hidden] = 0
    left.eliminate_zeros()
    hidden = {"share": share, "stretch": stretch, "seed": seed}
    settings = {**table.settings, "hidden": hidden}
    return replace(table, calls=left, coverage=None, obs=None, settings=settings)
