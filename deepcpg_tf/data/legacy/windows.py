"""The windows in the original's data files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcpg_tf.data.legacy.numbers import first_row, whole_numbers
from deepcpg_tf.data.legacy.rows import LegacyRows
from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.genome.sequence import N_CODE

WINDOWS = "inputs/dna"


class LegacyWindows(LegacyRows):
    """Windows of several files, one file after the other, on disk.

    Parameters
    ----------
    paths
        The files.
    counts
        Sites in each.
    length
        Bases of a window.
    """

    def __init__(self, paths: Sequence[Path], counts: Sequence[int], length: int) -> None:
        super().__init__(paths, counts, np.dtype([(WINDOWS, np.uint8, (length,))]))
        self.length = length

    def windows(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Read the windows of some sites.

        Parameters
        ----------
        indices : ndarray of int64, shape (n,)
            In any order; reading is fast when they lie close together, or after `unpack`.

        Returns
        -------
        ndarray of uint8, shape (n, length)
            Codes A 0, T 1, G 2, C 3, N 4.

        Raises
        ------
        LegacyDataError
            When they cannot be read, or hold another code.
        """
        windows: npt.NDArray[np.uint8] = self.read(indices)[WINDOWS]
        return windows

    def checked(
        self, path: Path, name: str, values: npt.NDArray[Any], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint8]:
        """Return windows, which must be codes."""
        if values.dtype.kind == "f":
            values = whole_numbers(path, name, values, rows)
        wrong = (values < 0) | (values > N_CODE)
        if (row := first_row(wrong)) is not None:
            raise LegacyDataError(
                f"{path}: expected codes from 0 to {N_CODE} in {name}, received "
                f"{values[row][wrong[row]][0]} in row {rows[row]} (0-based)"
            )
        return values.astype(np.uint8)
