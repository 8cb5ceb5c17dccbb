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
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.cache import file_key
from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.names import CPG, DNA
from deepcpg_tf.configs.outputs import output_kind
from deepcpg_tf.data.calls import calls_of_labels, labels_of_calls, mean_states
from deepcpg_tf.data.legacy.neighbours import NEIGHBOURS, LegacyNeighbours
from deepcpg_tf.data.legacy.numbers import check_numbers, first_row, whole_numbers
from deepcpg_tf.data.legacy.windows import WINDOWS, LegacyWindows
from deepcpg_tf.data.statistics import MISSING
from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.hdf5 import check_stored
from deepcpg_tf.inputs import Arrays

_CELLS = "outputs/cpg"
_READING_FAILED = (OSError, KeyError, MemoryError, RuntimeError, TypeError, ValueError)


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
        parts: list[_Part] = []
        seen: set[Path] = set()
        for path in self.paths:
            if path.resolve() in seen:
                raise LegacyDataError(f"{path}: expected each file once, received it twice")
            seen.add(path.resolve())
            parts.append(_read_part(path))
            _check_agreement(path, parts[-1], self.paths[0], parts[0])
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
    def length(self) -> int:
        """Bases of a window.

        Raises
        ------
        LegacyDataError
            When the files have no windows.
        """
        return self.windows_on_disk().length

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
        return LegacyExamples(self, config)

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

    def windows(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Read the windows of some sites.

        Parameters
        ----------
        indices : ndarray of integers, shape (n,)
            In any order; reading is fast when they lie close together, or after `prepare`.

        Returns
        -------
        ndarray of uint8, shape (n, length)
            Codes A 0, T 1, G 2, C 3, N 4.

        Raises
        ------
        LegacyDataError
            When there are no windows, or they cannot be read or hold another code.
        """
        return self.windows_on_disk().windows(indices)

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
        return LegacyNeighbours(self.paths, self._counts, config.input_cells, width)

    def state_means(self, cells: tuple[str, ...]) -> tuple[float, ...]:
        """Return the share of the labels of each cell that are methylated, 0.5 of none."""
        own = {cell: i for i, cell in enumerate(self.cells)}
        means = mean_states(self.calls)
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


class LegacyExamples:
    """The sites of data files with what a module reads of them; see `Examples`.

    Parameters
    ----------
    data
        The files.
    config
        Of the module.
    """

    def __init__(self, data: LegacyData, config: ModuleConfig) -> None:
        self.reads = config.reads
        self._data = data
        self._windows: LegacyWindows | None = None
        self._neighbours: LegacyNeighbours | None = None
        if DNA in config.parts:
            self._windows = data.windows_on_disk()
            (length,) = self.reads.named("windows").shape
            if self._windows.length != length:
                raise LegacyDataError(
                    f"{data.paths[0]}: expected windows of {length} bases, as the model reads, "
                    f"found {self._windows.length}"
                )
        part = config.parts.get(CPG)
        if isinstance(part, DeepCpgCpgConfig):
            self._neighbours = data.neighbours_on_disk(part)
            self._part = part
            means = part.state_means or data.state_means(part.input_cells)
            self._means = dict(zip(part.input_cells, means, strict=True))

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""
        return self._data.cells

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of the chromosomes that `chromosome_ids` are indices into."""
        return self._data.chromosomes

    @property
    def chromosome_ids(self) -> npt.NDArray[np.int32]:
        """Chromosome of each site."""
        return self._data.chromosome_ids

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Position of each site, 0-based."""
        return self._data.positions

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return the labels of some sites, int8 [n, cells]: 1, 0, or -1 where missing."""
        return self._data.labels(indices)

    def arrays(self, indices: npt.NDArray[np.int64]) -> Arrays:
        """Return an array [n, ...] for each input of some sites."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        if self._windows is not None:
            arrays["windows"] = self._windows.windows(indices)
        if self._neighbours is not None:
            arrays |= self._neighbours.arrays(indices, self._part, self._means)
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
        for rows in (self._windows, self._neighbours):
            if rows is not None:
                rows.unpack(hold=hold)

    def origins(self) -> dict[str, str]:
        """Return a checksum of the files that windows and neighbours are in."""
        return {"inputs": file_key(*self._data.paths)}


class _Part(NamedTuple):
    """What one file holds, but for its windows and neighbours.

    ``neighbours`` is which cells they are of, and how many a site has.
    """

    cells: tuple[str, ...]
    length: int | None
    neighbours: tuple[tuple[str, ...], int] | None
    predicted: bool
    chromosomes: list[str]
    chromosome_ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    calls: scipy.sparse.csr_array


def _read_part(path: Path) -> _Part:
    if not path.is_file():
        raise LegacyDataError(f"{path}: expected a data file (HDF5), found no file there")
    try:
        with h5py.File(path) as file:
            return _parse(path, file)
    except _READING_FAILED as error:
        raise LegacyDataError(
            f"{path}: expected a data file of the original DeepCpG (HDF5), received something "
            f"else or a damaged file: {str(error).splitlines()[0]}"
        ) from None


def _parse(path: Path, file: h5py.File) -> _Part:
    missing = [name for name in ("chromo", "pos") if name not in file]
    if missing:
        raise LegacyDataError(
            f"{path}: expected a data file of the original DeepCpG (HDF5), "
            f"received a file without {' and '.join(missing)}"
        )
    positions = whole_numbers(path, "pos", _column(path, file, "pos")[()])
    if (row := first_row(positions < 1)) is not None:
        raise LegacyDataError(
            f"{path}: expected positions from 1 in pos, received {positions[row]} in row {row} "
            "(0-based)"
        )
    sites = len(positions)
    names, ids = _chromosomes(path, _column(path, file, "chromo", sites))
    cells = _cells(path, file)
    labels = np.empty((sites, len(cells)), np.int8)
    for column, cell in enumerate(cells):
        labels[:, column] = _labels(path, file, f"{_CELLS}/{cell}", sites)
    length = None
    if WINDOWS in file:
        windows = _dataset(path, file, WINDOWS)
        if windows.ndim != 2 or windows.shape[1] % 2 == 0:
            raise LegacyDataError(
                f"{path}: expected windows of an odd number of codes in {WINDOWS}, "
                f"received shape {windows.shape}"
            )
        _check_sites(path, windows, sites)
        check_numbers(path, WINDOWS, windows.dtype)
        length = int(windows.shape[1])
    calls = scipy.sparse.csr_array(calls_of_labels(labels))
    neighbours = _neighbours(path, file, sites)
    return _Part(cells, length, neighbours, "preds" in file, names, ids, positions - 1, calls)


def _neighbours(path: Path, file: h5py.File, sites: int) -> tuple[tuple[str, ...], int] | None:
    """Return of which cells there are neighbours, and how many a site has."""
    group = file.get(NEIGHBOURS)
    if not isinstance(group, h5py.Group) or not len(group):
        return None
    cells = tuple(sorted(group))
    width: int | None = None
    for cell in cells:
        for what in ("state", "dist"):
            name = f"{NEIGHBOURS}/{cell}/{what}"
            if name not in file:
                raise LegacyDataError(f"{path}: expected a dataset {name}, found none")
            data = _dataset(path, file, name)
            if data.ndim != 2 or data.shape[1] % 2 or data.shape[1] != (width or data.shape[1]):
                raise LegacyDataError(
                    f"{path}: expected an even number of neighbours of a site in {name}, the same "
                    f"in all of {NEIGHBOURS}, received shape {data.shape}"
                )
            _check_sites(path, data, sites)
            width = int(data.shape[1])
    return None if width is None else (cells, width)


def _cells(path: Path, file: h5py.File) -> tuple[str, ...]:
    if _CELLS not in file:
        return ()
    if not isinstance(file[_CELLS], h5py.Group):
        raise LegacyDataError(f"{path}: expected a group with a dataset a cell as {_CELLS}")
    return tuple(sorted(file[_CELLS]))


def _chromosomes(path: Path, data: h5py.Dataset) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the names of the chromosomes, and which of them each site is on."""
    values = data[()]
    if values.dtype.kind in "iuf":
        values = whole_numbers(path, "chromo", values)
    elif values.dtype.kind != "S" and h5py.check_string_dtype(data.dtype) is None:
        raise LegacyDataError(
            f"{path}: expected text in chromo, received values of type {data.dtype}"
        )
    names, ids = np.unique(values.astype(bytes), return_inverse=True)
    try:
        return [name.decode() for name in names.tolist()], ids
    except UnicodeDecodeError as error:
        raise LegacyDataError(
            f"{path}: expected text in UTF-8 in chromo, received {error.object!r}"
        ) from None


def _labels(path: Path, file: h5py.File, name: str, sites: int) -> npt.NDArray[np.int8]:
    data = _column(path, file, name, sites)
    if data.dtype.kind != "b":
        check_numbers(path, name, data.dtype)
    values = data[()]
    if (row := first_row(~np.isin(values, (-1, 0, 1)))) is not None:
        raise LegacyDataError(
            f"{path}: expected 1, 0 or -1 (missing) in {name}, received {values[row]} in row {row} "
            "(0-based)"
        )
    labels: npt.NDArray[np.int8] = values.astype(np.int8)
    return labels


def read_targets(path: Path, sites: int, outputs: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the targets [sites, outputs] in one file, -1 where missing.

    Raises
    ------
    LegacyDataError
        When the file lacks one, or holds what it cannot be.
    """
    result = np.empty((sites, len(outputs)), np.float32)
    try:
        with h5py.File(path) as file:
            for column, output in enumerate(outputs):
                result[:, column] = _targets(path, file, output, sites)
    except _READING_FAILED as error:
        raise LegacyDataError(f"{path}: cannot read: {str(error).splitlines()[0]}") from None
    return result


def _targets(path: Path, file: h5py.File, output: str, sites: int) -> npt.NDArray[np.float32]:
    name, kind = f"outputs/{output}", output_kind(output)
    assert kind is not None  # a configuration has no other names
    if name not in file:
        raise LegacyDataError(
            f"{path}: expected a dataset {name}, which the model predicts, found none "
            "(dcpg_data.py writes statistics with --cpg_stats and --win_stats)"
        )
    data = _column(path, file, name, sites)
    if data.dtype.kind != "b":
        check_numbers(path, name, data.dtype)
    values: npt.NDArray[np.float32] = data[()].astype(np.float32)
    in_range = (values >= 0) & (values <= np.float32(kind.largest) * np.float32(1 + 1e-6))
    fits = in_range if not kind.classes else in_range & (values == np.round(values))
    if (row := first_row(~(fits | (values == MISSING)))) is not None:
        what = "a whole number from 0" if kind.classes else "a number from 0"
        raise LegacyDataError(
            f"{path}: expected {what} to {kind.largest:g} or -1 (missing) in {name}, "
            f"received {values[row]} in row {row} (0-based)"
        )
    return values


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    data = file[name]
    if not isinstance(data, h5py.Dataset):
        raise LegacyDataError(f"{path}: expected a dataset as {name}, received a group")
    check_stored(data)
    return data


def _column(path: Path, file: h5py.File, name: str, sites: int | None = None) -> h5py.Dataset:
    """Return a dataset with a value a site."""
    data = _dataset(path, file, name)
    if data.ndim != 1:
        raise LegacyDataError(
            f"{path}: expected a value a site in {name}, received shape {data.shape}"
        )
    if sites is not None:
        _check_sites(path, data, sites)
    return data


def _check_sites(path: Path, data: h5py.Dataset, sites: int) -> None:
    if data.shape[0] != sites:
        raise LegacyDataError(
            f"{path}: expected {sites} sites, as pos has, "
            f"received {data.shape[0]} in {data.name[1:]}"
        )


def _check_agreement(path: Path, part: _Part, first_path: Path, first: _Part) -> None:
    if part.cells != first.cells:
        others = sorted(set(part.cells) ^ set(first.cells))
        shown = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise LegacyDataError(
            f"{path}: expected the {len(first.cells)} cells of {first_path}, "
            f"received {len(part.cells)}, which differ in {shown}"
        )
    if part.neighbours != first.neighbours:
        raise LegacyDataError(
            f"{path}: expected neighbours ({NEIGHBOURS}) of the same cells and as many as in "
            f"{first_path}, received others"
        )
    if part.length != first.length:
        raise LegacyDataError(
            f"{path}: expected windows of {first.length} bases as in {first_path}, "
            f"received {part.length}"
        )
