"""The neighbours of sites in the original's data files.

``inputs/cpg/<cell>/state`` (int8: 1, 0) and ``dist`` (float32, base pairs), each
[sites, width]: first those to the left of a site, from far to near, then those to the
right, from near to far; -1 in both where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.data.legacy.numbers import check_numbers, first_row
from deepcpg_tf.data.legacy.rows import LegacyRows
from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.inputs import Arrays

NEIGHBOURS = "inputs/cpg"


class LegacyNeighbours(LegacyRows):
    """Neighbours in several files, one file after the other, on disk, as a CpG module reads them.

    Parameters
    ----------
    paths
        The files.
    counts
        Sites in each.
    width
        Neighbours of a site in the files.
    config
        Of the module. It may read fewer cells and fewer neighbours, the nearest ones.
    means
        What stands for the state of a neighbour that is not there, of each cell that is read.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        counts: Sequence[int],
        width: int,
        config: DeepCpgCpgConfig,
        means: Sequence[float],
    ) -> None:
        fields: list[Any] = []
        for cell in config.input_cells:
            fields.append((f"{NEIGHBOURS}/{cell}/state", np.int8, (width,)))
            fields.append((f"{NEIGHBOURS}/{cell}/dist", np.float32, (width,)))
        super().__init__(paths, counts, np.dtype(fields))
        first = (width - config.neighbours) // 2
        self._near = slice(first, first + config.neighbours)
        self._cells = config.input_cells
        self._max_distance = config.max_distance
        self._means = tuple(map(np.float32, means))

    def arrays(self, indices: npt.NDArray[np.int64]) -> Arrays:
        """Return ``state`` and ``dist`` of some sites as the module reads them, 0 to 1.

        Parameters
        ----------
        indices : ndarray of int64, shape (n,)

        Returns
        -------
        mapping of str to ndarray of float32, shape (n, cells, neighbours)

        Raises
        ------
        LegacyDataError
            When they cannot be read or hold what they cannot be, such as a state without a
            distance.
        """
        rows = self.read(indices)
        states, distances = [], []
        for cell, mean in zip(self._cells, self._means, strict=True):
            name = f"{NEIGHBOURS}/{cell}"
            state, dist = rows[f"{name}/state"][:, self._near], rows[f"{name}/dist"][:, self._near]
            is_there = state >= 0
            if (at := first_row(is_there & (dist < 0))) is not None:
                path, row = self.place(indices[at])
                raise LegacyDataError(
                    f"{path}: expected the distance of each state in {name}, received a state "
                    f"without one in row {row} (0-based)"
                )
            scaled = np.minimum(dist, self._max_distance) / np.float32(self._max_distance)
            states.append(np.where(is_there, state, mean))
            distances.append(np.where(is_there, scaled, np.float32(1)))
        return {"state": np.stack(states, axis=1), "dist": np.stack(distances, axis=1)}

    def checked(
        self, path: Path, name: str, values: npt.NDArray[Any], rows: npt.NDArray[np.int64]
    ) -> npt.NDArray[Any]:
        """Return states, which must be 1, 0 or -1, or distances, -1 or more."""
        check_numbers(path, name, values.dtype)
        if name.endswith("/state"):
            wrong, expected = ~np.isin(values, (-1, 0, 1)), "1, 0 or -1 (none)"
        else:
            wrong, expected = ~(np.isfinite(values) & (values >= -1)), "base pairs or -1 (none)"
        if (row := first_row(wrong)) is not None:
            raise LegacyDataError(
                f"{path}: expected {expected} in {name}, received {values[row][wrong[row]][0]} "
                f"in row {rows[row]} (0-based)"
            )
        return values
