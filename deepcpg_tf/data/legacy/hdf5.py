"""The data files of the original program, as ``dcpg_data.py`` wrote them.

HDF5 with, for each site, ``chromo`` and ``pos`` (1-based), and where present
``inputs/dna`` (int8 [sites, length], codes A 0, T 1, G 2, C 3), ``inputs/cpg`` (see
`deepcpg_tf.data.legacy.neighbours`), ``outputs/cpg/<cell>`` (int8: 1, 0, or -1 where
missing) and other outputs, such as ``outputs/cpg_stats/mean`` (float32, -1 where missing).
Other types do where they hold the same: whole numbers as floats or in 64 bits,
chromosomes as text or whole numbers. What else they hold is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig, cpg_part
from deepcpg_tf.configs.names import DNA
from deepcpg_tf.data.calls import labels_of_calls, mean_states
from deepcpg_tf.data.legacy.examples import LegacyExamples
from deepcpg_tf.data.legacy.file import DataFile, check_agreement, read_file, read_targets
from deepcpg_tf.data.legacy.neighbours import NEIGHBOURS, LegacyNeighbours
from deepcpg_tf.data.legacy.windows import WINDOWS, LegacyWindows
from deepcpg_tf.errors import LegacyDataError


class LegacyData:
    """Sites of one or many data files, one file after the other.

    Sites and labels are in memory; windows and neighbours stay on disk and are read by
    index. Several threads may read at the same time.

    Parameters
    ----------
    paths
        The files. All must have the same cells, windows of one length, and as many
        neighbours.

    Attributes
    ----------
    cells : tuple of str
        Names below ``outputs/cpg``, in the order of HDF5: that of their bytes, so
        ``c10`` comes before ``c2``. Empty when the files have no outputs.
    chromosomes : tuple of str
        Names of chromosomes as in the files, in the order of the files.
    chromosome_ids : ndarray of int32, shape (sites,)
        Index into `chromosomes`.
    positions : ndarray of int64, shape (sites,)
        0-based positions of the forward-strand C.
    calls : scipy.sparse.csr_array of int8, shape (sites, cells)
        1 methylated, -1 unmethylated, absent where missing.
    predicted : bool
        Whether the first file has predictions.

    Raises
    ------
    LegacyDataError
        When a file is missing, damaged, something else, given twice, or does not
        agree with the first.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise LegacyDataError("data files: expected at least one, received none")
        self.paths = tuple(paths)
        parts: list[DataFile] = []
        seen: set[Path] = set()
        for path in self.paths:
            if path.resolve() in seen:
                raise LegacyDataError(f"{path}: expected each file once, received it twice")
            seen.add(path.resolve())
            parts.append(read_file(path))
            check_agreement(path, parts[-1], self.paths[0], parts[0])
        if not any(len(part.positions) for part in parts):
            raise LegacyDataError(f"{self.paths[0]}: expected sites in pos, found none")
        self.cells = parts[0].cells
        self.predicted = parts[0].predicted
        counts = [len(part.positions) for part in parts]
        self._counts = counts
        length = parts[0].length
        self._windows = None if length is None else LegacyWindows(self.paths, counts, length)
        self._neighbours = parts[0].neighbours
        self.positions: npt.NDArray[np.int64] = np.concatenate([part.positions for part in parts])
        ids: dict[str, int] = {}
        for part in parts:
            for name in part.chromosomes:
                ids.setdefault(name, len(ids))
        self.chromosomes = tuple(ids)
        self.chromosome_ids: npt.NDArray[np.int32] = np.concatenate(
            [
                np.array([ids[name] for name in part.chromosomes], np.int32)[part.chromosome_ids]
                for part in parts
            ]
        )
        self.calls = scipy.sparse.csr_array(
            scipy.sparse.vstack([part.calls for part in parts], format="csr")
        )

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def window_length(self) -> int | None:
        """Bases of a window, or None where the files have no windows."""
        return None if self._windows is None else self._windows.length

    @property
    def neighbours(self) -> int | None:
        """Neighbours of a site, or None where the files have none."""
        return None if self._neighbours is None else self._neighbours[1]

    def examples(self, config: ModuleConfig) -> LegacyExamples:
        """Return the sites with what a module reads of them.

        Raises
        ------
        LegacyDataError
            When the files lack it, or have windows of another length, other cells or
            fewer neighbours.
        """
        windows, neighbours = None, None
        if DNA in config.parts:
            windows = self.windows_on_disk()
            (length,) = config.reads.named("windows").shape
            if windows.length != length:
                raise LegacyDataError(
                    f"{self.paths[0]}: expected windows of {length} bases, as the model reads, "
                    f"found {windows.length}"
                )
        if (part := cpg_part(config)) is not None:
            neighbours = self.neighbours_on_disk(part)
        return LegacyExamples(self, config.reads, windows, neighbours)

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return the labels of some sites in all cells.

        Parameters
        ----------
        indices : ndarray of integers, shape (n,)

        Returns
        -------
        ndarray of int8, shape (n, cells)
            1 methylated, 0 unmethylated, -1 missing.
        """
        return labels_of_calls(self.calls[indices].toarray())

    def neighbours_on_disk(self, config: DeepCpgCpgConfig) -> LegacyNeighbours:
        """Return the neighbours on disk that a CpG module reads.

        Raises
        ------
        LegacyDataError
            When the files have none, lack a cell, or have fewer of each.
        """
        if self._neighbours is None:
            raise LegacyDataError(
                f"{self.paths[0]}: expected neighbours ({NEIGHBOURS}), found none"
            )
        cells, width = self._neighbours
        lacking = [cell for cell in config.input_cells if cell not in cells]
        if lacking:
            raise LegacyDataError(
                f"{self.paths[0]}: expected the cells whose neighbours the model reads in "
                f"{NEIGHBOURS}, found no {', '.join(lacking)} among {', '.join(cells)}"
            )
        if width < config.neighbours:
            raise LegacyDataError(
                f"{self.paths[0]}: expected {config.neighbours} neighbours of a site in "
                f"{NEIGHBOURS}, as the model reads, found {width}"
            )
        means = config.state_means or self.state_means(config.input_cells)
        return LegacyNeighbours(self.paths, self._counts, width, config, means)

    def state_means(
        self, cells: tuple[str, ...], sites: npt.NDArray[np.int64] | None = None
    ) -> tuple[float, ...]:
        """Return the share of the labels of each cell that are methylated.

        A cell without labels has 0.5. `sites` are the indices of those that count, by default all.
        """
        own = {cell: i for i, cell in enumerate(self.cells)}
        means = mean_states(self.calls if sites is None else self.calls[sites])
        return tuple(means[own[cell]] if cell in own else 0.5 for cell in cells)

    def targets(self, outputs: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the targets [sites, outputs] of outputs other than cells, -1 where missing.

        Raises
        ------
        LegacyDataError
            When a file lacks one, or holds what it cannot be.
        """
        return np.concatenate(
            [
                read_targets(path, own, outputs)
                for path, own in zip(self.paths, self._counts, strict=True)
            ]
        )

    def windows_on_disk(self) -> LegacyWindows:
        """Return the windows on disk.

        Raises
        ------
        LegacyDataError
            When the files have none.
        """
        if self._windows is None:
            instead = "predictions (preds)" if self.predicted else "none"
            raise LegacyDataError(f"{self.paths[0]}: expected windows ({WINDOWS}), found {instead}")
        return self._windows
