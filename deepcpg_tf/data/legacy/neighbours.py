"""The neighbours of sites in the original's data files.

``inputs/cpg/<cell>/state`` (int8: 1, 0) and ``dist`` (float32, base pairs), each
[sites, width]: first those to the left of a site, from far to near, then those to the
right, from near to far; -1 in both where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.data.legacy.numbers import check_numbers
from deepcpg_tf.data.legacy.rows import LegacyRows
from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.inputs import Arrays

NEIGHBOURS = "inputs/cpg"


class LegacyNeighbours(LegacyRows):
    """Neighbours in several files, one file after the other, on disk.

    Parameters
    ----------
    paths
        The files.
    counts
        Sites in each.
    cells
        Those of the files whose neighbours are read.
    width
        Neighbours of a site in the files.
    """

    def __init__(
        self, paths: Sequence[Path], counts: Sequence[int], cells: Sequence[str], width: int
    ) -> None:
        fields: list[Any] = []
        for cell in cells:
            fields.append((f"{NEIGHBOURS}/{cell}/state", np.int8, (width,)))
            fields.append((f"{NEIGHBOURS}/{cell}/dist", np.float32, (width,)))
        super().__init__(paths, counts, np.dtype(fields))
        self.width = width

    def arrays(
        self,
        indices: npt.NDArray[np.int64],
        config: DeepCpgCpgConfig,
        means: Mapping[str, float],
    ) -> Arrays:
        """Return state and distance as a CpG module reads them.

        Parameters
        ----------
        indices : ndarray of int64, shape (n,)
        config
            Of the module; it may read fewer neighbours than there are, the nearest ones.
        means
            What stands for the state of a neighbour that is not there, by cell.

        Returns
        -------
        mapping of str to ndarray of float32, shape (n, cells, neighbours)
        """
        rows = self.read(indices)
        first = (self.width - config.neighbours) // 2
        near = slice(first, first + config.neighbours)
        states, distances = [], []
        for cell in config.input_cells:
            state = rows[f"{NEIGHBOURS}/{cell}/state"][:, near]
            dist = rows[f"{NEIGHBOURS}/{cell}/dist"][:, near]
            is_there = state >= 0
            scaled = np.minimum(dist, config.max_distance) / np.float32(config.max_distance)
            states.append(np.where(is_there, state, np.float32(means[cell])))
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
        if wrong.any():
            row = int(np.argmax(wrong.any(axis=1)))
            raise LegacyDataError(
                f"{path}: expected {expected} in {name}, received {values[row][wrong[row]][0]} "
                f"in row {rows[row]} (0-based)"
            )
        return values
