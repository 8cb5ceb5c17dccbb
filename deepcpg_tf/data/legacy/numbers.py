"""Whole numbers in files that may hold them as any type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import LegacyDataError


def check_numbers(path: Path, name: str, dtype: np.dtype[Any]) -> None:
    """Refuse a dataset of another type than numbers.

    Raises
    ------
    LegacyDataError
    """
    if dtype.kind not in "iuf":
        raise LegacyDataError(
            f"{path}: expected numbers in {name}, received values of type {dtype}"
        )


def whole_numbers(
    path: Path, name: str, values: npt.NDArray[Any], rows: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """Return numbers as int64; none is cut off to be whole.

    Parameters
    ----------
    path, name
        Of the dataset, for messages.
    values : ndarray, shape (n, ...)
    rows : ndarray of int64, shape (n,)
        Which rows of the dataset they are, where that is not all.

    Raises
    ------
    LegacyDataError
        When a value is no number, not whole, or too large.
    """
    check_numbers(path, name, values.dtype)
    with np.errstate(invalid="ignore"):  # NaN and what is too large become others, as is seen
        whole = values.astype(np.int64)
    wrong = whole != values
    if (row := first_row(wrong)) is not None:
        raise LegacyDataError(
            f"{path}: expected whole numbers in {name}, received {values[row][wrong[row]].flat[0]} "
            f"in row {row if rows is None else rows[row]} (0-based)"
        )
    return whole


def first_row(which: npt.NDArray[np.bool_]) -> int | None:
    """Return the first row, of an array of any shape, in which anything is true, or None."""
    return int(np.argwhere(which)[0, 0]) if which.any() else None
