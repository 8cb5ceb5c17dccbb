"""The sites of the original's data files with what a module reads of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.cache import file_key
from deepcpg_tf.data.legacy.neighbours import LegacyNeighbours
from deepcpg_tf.data.legacy.windows import LegacyWindows
from deepcpg_tf.inputs import Arrays, Inputs


class Sites(Protocol):
    """Sites with their labels, of some files: those of `LegacyData`."""

    paths: tuple[Path, ...]
    cells: tuple[str, ...]
    chromosomes: tuple[str, ...]
    chromosome_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int64]

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return the labels [n, cells] of some sites."""


class LegacyExamples:
    """The sites of data files with what a module reads of them; see `Examples`.

    Parameters
    ----------
    sites
        The sites.
    reads
        What the module reads.
    windows, neighbours
        Where it reads them.
    """

    def __init__(
        self,
        sites: Sites,
        reads: Inputs,
        windows: LegacyWindows | None,
        neighbours: LegacyNeighbours | None,
    ) -> None:
        self.reads = reads
        self._sites = sites
        self._windows = windows
        self._neighbours = neighbours
        self.cells = sites.cells
        self.chromosomes = sites.chromosomes
        self.chromosome_ids = sites.chromosome_ids
        self.positions = sites.positions

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return the labels of some sites, int8 [n, cells]: 1, 0, or -1 where missing."""
        return self._sites.labels(indices)

    def arrays(self, indices: npt.NDArray[np.int64]) -> Arrays:
        """Return an array [n, ...] for each input of some sites."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        if self._windows is not None:
            arrays["windows"] = self._windows.windows(indices)
        if self._neighbours is not None:
            arrays |= self._neighbours.arrays(indices)
        return arrays

    def prepare(self, *, hold: bool) -> None:
        """Prepare for reading in random order.

        The files are compressed in blocks of many sites, so that one of them costs
        a thousand. This copies what is read to the cache folder once, from where
        any site is read as fast as the next; with `hold`, it then keeps it in memory.

        Raises
        ------
        LegacyDataError
            When it cannot be read.
        OutputError
            When the cache cannot be written to.
        """
        if self._windows is not None:
            self._windows.unpack(hold=hold)
        if self._neighbours is not None:
            self._neighbours.unpack(hold=hold)

    def origins(self) -> dict[str, str]:
        """Return a checksum of the files that windows and neighbours are in."""
        return {"inputs": file_key(*self._sites.paths)}
