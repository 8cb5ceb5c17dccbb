"""What files of several cells have in common: cells, and their calls a chromosome at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.profiles.formats import Layout, shown
from deepcpg_tf.profiles.lines import Calls

ZERO = "-zero"
"""What the name of a format ends with whose positions are counted from 0 instead of 1."""


class Store:
    """A file, or folder, with the calls of several cells.

    Parameters
    ----------
    path, layout, cells
        What it is, how positions are counted in it, and the names in it.

    Raises
    ------
    ProfileError
        When there is no cell, or two have the same name.
    """

    def __init__(self, path: Path, layout: Layout, cells: Sequence[str]) -> None:
        self.path = path
        self.layout = layout
        self.cells = tuple(cells)
        check_names(path, cells, "cells")
        if not cells:
            raise ProfileError(f"{path}: expected at least one cell, received none")
        twice = [cell for cell, count in Counter(cells).items() if count > 1]
        if twice:
            raise ProfileError(
                f"{path}: expected a name of its own for each cell, received {twice[0]!r} twice"
            )

    def calls(self) -> Iterator[tuple[int, Calls]]:
        """Yield all calls of a cell on a chromosome, by the index of the cell.

        Raises
        ------
        ProfileError
            When the file is damaged, or is something else.
        """
        raise NotImplementedError

    def other_format(self, move: int) -> str | None:
        """Return the format in which the file would be right, were it so many bases off."""
        name = self.layout.format
        if name.endswith(ZERO):
            return name.removesuffix(ZERO) if move < 0 else None
        return name + ZERO if move > 0 and self.layout.base == 1 else None


class Rows:
    """Numbers of rows, which are what messages name."""

    def number_of(self, row: int) -> int:
        """Return the number of a row."""
        return row

    def numbers_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of rows."""
        return rows


def calls_of_table(
    chromosome: str,
    positions: npt.NDArray[np.int64],
    by_cell: scipy.sparse.csc_array,
    methylated: npt.NDArray[np.int64],
    unmethylated: npt.NDArray[np.int64],
) -> Iterator[tuple[int, Calls]]:
    """Yield the calls of each cell on a chromosome.

    Parameters
    ----------
    chromosome
        Its name.
    positions : ndarray of int64, shape (sites,)
        0-based, ascending and unique.
    by_cell : scipy.sparse.csc_array, shape (sites, cells)
        Which sites each cell has; its values do not matter.
    methylated, unmethylated : ndarray of int64, shape (by_cell.nnz,)
        Reads, in the order of its values.
    """
    for cell, (first, last) in enumerate(zip(by_cell.indptr, by_cell.indptr[1:], strict=False)):
        if last > first:
            rows = by_cell.indices[first:last].astype(np.int64)
            yield (
                cell,
                Calls(
                    chromosome,
                    Rows(),
                    rows,
                    positions[rows],
                    np.zeros(len(rows), np.int64),
                    methylated[first:last],
                    unmethylated[first:last],
                ),
            )


def check_positions(
    where: str, positions: npt.NDArray[np.int64], base: int
) -> npt.NDArray[np.int64]:
    """Return positions as 0-based ones; refuse those that cannot be, or are out of order.

    Raises
    ------
    ProfileError
    """
    if len(positions) and positions.min() < base:
        raise ProfileError(f"{where}: expected positions from {base}, received {positions.min()}")
    falls = np.flatnonzero(np.diff(positions) <= 0)
    if falls.size:
        before, after = positions[falls[0]], positions[falls[0] + 1]
        raise ProfileError(
            f"{where}: expected ascending positions, each once, received {after} after {before}"
        )
    return positions - base


def check_names(path: Path, names: Iterable[str], what: str) -> None:
    """Refuse names that cannot be shown.

    Raises
    ------
    ProfileError
    """
    for name in names:
        if not name or not name.isprintable():
            raise ProfileError(f"{path}: expected names of {what}, received {shown(name)}")


def damaged(path: Path, error: Exception) -> ProfileError:
    """Return the error of a file that cannot be read."""
    if isinstance(error, OSError) and error.strerror:
        return ProfileError(f"{path}: cannot be read: {error.strerror}")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ProfileError(f"{path}: expected a whole file, received a damaged one: {reason}")


def read_names(path: Path) -> list[str]:
    """Return the names of cells in a text file, one a line, without spaces around them."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, error) from None
    return [name for line in lines if (name := line.strip())]


def check_values(where: str, values: npt.NDArray[np.generic], allowed: Sequence[int]) -> None:
    """Refuse values of calls that are none.

    Raises
    ------
    ProfileError
    """
    wrong = values[~np.isin(values, allowed)]
    if wrong.size:
        expected = ", ".join(map(str, allowed[:-1]))
        raise ProfileError(
            f"{where}: expected calls that are {expected} or {allowed[-1]}, received "
            f"{shown(str(wrong[0]))}"
        )
