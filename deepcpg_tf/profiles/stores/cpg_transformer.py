"""CpG Transformer's folder: ``y.npz``, ``pos.npz``, and ``X.npz``, which is not read.

As its encoding scripts write them (data/README.md there): an array a chromosome, by name.
``pos`` has the 0-based positions of the C, ascending, ``y`` [sites, cells] 1 methylated,
0 unmethylated and -1 unknown, or with ``EncodeFromTsv.py --continuous`` levels from 0 to 1.
``X`` are the bases, which the reference has. There are no names of cells: ``cells.txt``, one
a line, is ours; without it they are ``cell_1`` and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.names import shown_names
from deepcpg_tf.npz import npz_array, npz_names, npz_pieces
from deepcpg_tf.profiles.formats import MOST, Layout
from deepcpg_tf.profiles.lines import Calls
from deepcpg_tf.profiles.stores.base import (
    Store,
    calls_of_table,
    check_names,
    check_positions,
    check_values,
    damaged,
    read_names,
)

STATES, POSITIONS, BASES, CELLS = "y.npz", "pos.npz", "X.npz", "cells.txt"
UNKNOWN = -1
_DIGITS = 6  # of a level, which are float32: so 0.1 and 0.9 are a tie


class CpgTransformer(Store):
    """A folder of CpG Transformer, of which a chromosome at a time is in memory.

    Raises
    ------
    ProfileError
        When one of its files is missing, or they do not fit together.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        for name in (STATES, POSITIONS):
            if not (path / name).is_file():
                raise ProfileError(
                    f"{path}: expected {STATES} and {POSITIONS} of CpG Transformer, found no {name}"
                )
        names, others = (_told(npz_names, path / name) for name in (STATES, POSITIONS))
        check_names(path, [*names, *others], "chromosomes")
        if not names or set(names) != set(others):
            raise ProfileError(
                f"{path}: expected the same chromosomes in {STATES} and {POSITIONS}, received "
                f"{shown_names(names) or 'none'} and {shown_names(others) or 'none'}"
            )
        self._chromosomes = names
        if (path / CELLS).is_file():
            cells = read_names(path / CELLS)
        else:
            first = next(_pieces(path / STATES, names[0]), np.zeros((0, 0)))
            cells = [f"cell_{i + 1}" for i in range(first.shape[1])]
        super().__init__(path, layout, cells)

    def calls(self) -> Iterator[tuple[int, Calls]]:
        """Yield the calls, of all cells of one chromosome after the other; see `Store.calls`."""
        for name in self._chromosomes:
            where = f"{self.path / POSITIONS}, {name}"
            positions = _told(npz_array, self.path / POSITIONS, name)
            if positions.ndim != 1 or positions.dtype.kind not in "iu":
                raise ProfileError(
                    f"{where}: expected whole numbers, received {positions.dtype} of shape "
                    f"{positions.shape}"
                )
            positions = check_positions(where, positions.astype(np.int64), self.layout.base)
            by_cell, shares = self._states(name, len(positions))
            methylated = np.rint(shares.astype(np.float64).round(_DIGITS) * MOST).astype(np.int64)
            yield from calls_of_table(name, positions, by_cell, methylated, MOST - methylated)

    def _states(
        self, name: str, sites: int
    ) -> tuple[scipy.sparse.csc_array, npt.NDArray[np.float32]]:
        """Return the states that are known, and their levels, by cell."""
        file = self.path / STATES
        rows, columns, levels, first = [], [], [], 0
        for states in _pieces(file, name):
            if states.shape[1] != len(self.cells):
                raise ProfileError(
                    f"{file}, {name}: expected {len(self.cells)} cells, as there are names or as "
                    f"{self._chromosomes[0]} has, received {states.shape[1]}"
                )
            known = states != UNKNOWN
            own_rows, own_columns = np.nonzero(known)
            self._check_states(name, states[known])
            rows.append(own_rows + first)
            columns.append(own_columns.astype(np.int32))
            levels.append(states[known].astype(np.float32))
            first += len(states)
        if first != sites:
            raise ProfileError(
                f"{file}, {name}: expected {sites} sites, as {POSITIONS} has, received {first}"
            )
        values = np.concatenate([*levels, np.zeros(0, np.float32)])
        where = np.concatenate([*rows, []]), np.concatenate([*columns, []])
        order = np.lexsort(where)
        pointers = np.searchsorted(where[1][order], np.arange(len(self.cells) + 1))
        by_cell = scipy.sparse.csc_array(
            (np.ones(len(order), np.int8), where[0][order].astype(np.int64), pointers),
            shape=(sites, len(self.cells)),
        )
        return by_cell, values[order]

    def _check_states(self, name: str, values: npt.NDArray[Any]) -> None:
        where = f"{self.path / STATES}, {name}"
        if values.dtype.kind != "f":
            check_values(where, values, (0, 1, UNKNOWN))
            return
        wrong = values[~((values >= 0) & (values <= 1))]
        if wrong.size:
            raise ProfileError(
                f"{where}: expected levels from 0 to 1, or {UNKNOWN}, received {wrong[0]:g}"
            )


def _pieces(file: Path, name: str) -> Iterator[npt.NDArray[Any]]:
    """Yield states of some sites in all cells."""
    try:
        for states in npz_pieces(file, name):
            if states.dtype.kind == "b":
                raise ProfileError(f"{file}, {name}: expected numbers, received {states.dtype}")
            if states.ndim == 1:  # of one cell, as the scripts for its data sets write
                yield states[:, None]
            elif states.ndim == 2:
                yield states
            else:
                raise ProfileError(
                    f"{file}, {name}: expected states of sites in cells, received an array of "
                    f"{states.ndim} dimensions"
                )
    except ProfileError:
        raise
    except (OSError, ValueError) as error:
        raise damaged(file, error) from None


def _told(read: Any, file: Path, *name: str) -> Any:
    try:
        return read(file, *name)
    except (OSError, ValueError, KeyError) as error:
        raise damaged(file, error) from None
