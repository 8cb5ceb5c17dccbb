"""What is kept of the account of each cell's file: the columns of a table's ``obs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from deepcpg_tf.profiles.account import UNDER_MIN_COVERAGE, Account

if TYPE_CHECKING:
    import pandas as pd

SITES = "sites"


def obs_of_accounts(accounts: Mapping[str, Account], calls: scipy.sparse.csr_array) -> pd.DataFrame:
    """Return the accounts of cells, a row each.

    Parameters
    ----------
    accounts
        By cell, in the order of the columns of `calls`.
    calls : scipy.sparse.csr_array, shape (sites, cells)
        Those of the table, for the sites that each cell has there.
    """
    import pandas as pd

    rows = [account.columns() for account in accounts.values()]
    names = dict.fromkeys(name for row in rows for name in row)
    # A reason to drop that a file has no case of is not in its account.
    obs = pd.DataFrame(
        {name: [row.get(name, 0) for row in rows] for name in names},
        index=np.array(list(accounts), object),
    )
    obs["format"] = obs["format"].astype("category")
    obs[SITES] = np.bincount(calls.indices, minlength=len(rows))
    return obs


def filtered_obs(
    obs: pd.DataFrame,
    before: scipy.sparse.csr_array,
    calls: scipy.sparse.csr_array,
    coverage: scipy.sparse.csr_array,
    kept: scipy.sparse.csr_array,
) -> pd.DataFrame:
    """Return accounts after calls of low coverage were dropped; other columns stay.

    Parameters
    ----------
    obs
        The accounts, of which somebody may have deleted some columns.
    before, calls : scipy.sparse.csr_array, shape (sites, cells)
        The calls without and with the minimum coverage.
    coverage : scipy.sparse.csr_array, shape (sites, cells)
        That of `calls`.
    kept : scipy.sparse.csr_array, shape (sites, cells)
        Those of `calls` that are at sites which enough cells observe.
    """
    cells = len(obs)
    count = np.bincount(calls.indices, minlength=cells)
    low = np.bincount(before.indices, minlength=cells) - count
    methylated = np.bincount(calls.indices, weights=calls.data > 0, minlength=cells)
    reads = np.bincount(coverage.indices, weights=coverage.data, minlength=cells)
    with np.errstate(invalid="ignore"):
        rate, mean = methylated / count, reads / count
    obs = obs.copy()
    if {"kept", UNDER_MIN_COVERAGE} & set(obs.columns):
        obs[UNDER_MIN_COVERAGE] = obs.get(UNDER_MIN_COVERAGE, 0) + low
    if "kept" in obs:
        obs["kept"] = obs["kept"] - low
    now = {
        "methylation_rate": rate,
        "mean_coverage": mean,
        SITES: np.bincount(kept.indices, minlength=cells),
    }
    for name, values in now.items():
        if name in obs:
            obs[name] = values
    return obs
