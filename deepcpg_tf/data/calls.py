"""Labels, and calls: the same as a sparse matrix holds them, where missing is absent.

Labels are 1 methylated, 0 unmethylated and -1 missing; calls are 1, -1 and 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# To be indexed with either, as the way back is the same; -1 counts from the end.
_EXCHANGED = np.array([-1, 1, 0], np.int8)


def labels_of_calls(calls: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return calls, of any shape, as labels."""
    return _EXCHANGED[calls]


def calls_of_labels(labels: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return labels, of any shape, as calls."""
    return _EXCHANGED[labels]
