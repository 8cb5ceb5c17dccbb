"""Labels, and calls: the same as a sparse matrix holds them, where missing is absent.

Labels are 1 methylated, 0 unmethylated and -1 missing; calls are 1, -1 and 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse

# To be indexed with either, as the way back is the same; -1 counts from the end.
_EXCHANGED = np.array([-1, 1, 0], np.int8)


def labels_of_calls(calls: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return calls, of any shape, as labels."""
    return _EXCHANGED[calls]


def calls_of_labels(labels: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return labels, of any shape, as calls."""
    return _EXCHANGED[labels]


def mean_states(calls: scipy.sparse.csr_array) -> list[float]:
    """Return the share of the calls [sites, cells] of each cell that are methylated.

    A cell without any has 0.5.
    """
    by_cell = calls.tocsc()
    observed = np.diff(by_cell.indptr)
    sums = np.asarray(by_cell.sum(axis=0, dtype=np.int64)).reshape(-1)
    balance = np.divide(sums, observed, out=np.zeros(len(observed)), where=observed > 0)
    means: list[float] = (0.5 + 0.5 * balance).tolist()
    return means
