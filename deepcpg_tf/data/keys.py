"""One number for a group, such as a chromosome of a cell, and a position in it.

Such keys sort by group and then position, and so many sites are found by one search.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_POSITION_BITS = 36
_POSITION = (1 << _POSITION_BITS) - 1

MOST_GROUPS = 1 << (63 - _POSITION_BITS)
"""As many groups have keys."""

END = np.iinfo(np.int64).max
"""Larger than any key of a site."""

Numbers = npt.NDArray[np.int64]


def keys_of(groups: npt.NDArray[np.integer], positions: npt.NDArray[np.integer] | int) -> Numbers:
    """Return a key, int64, for each group (from 0) and position (0-based, below 2 ** 36)."""
    return (np.asarray(groups, np.int64) << _POSITION_BITS) | positions


def positions_of(keys: Numbers) -> Numbers:
    """Return the positions that keys were made of."""
    return keys & _POSITION
