"""One data file of the original program; see `deepcpg_tf.data.legacy.hdf5`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.configs.outputs import output_kind
from deepcpg_tf.data.calls import calls_of_labels
from deepcpg_tf.data.legacy.neighbours import NEIGHBOURS
from deepcpg_tf.data.legacy.numbers import check_numbers, first_row, whole_numbers
from deepcpg_tf.data.legacy.windows import WINDOWS
from deepcpg_tf.data.statistics import MISSING
from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.hdf5 import check_stored

_CELLS = "outputs/cpg"
_READING_FAILED = (OSError, KeyError, MemoryError, RuntimeError, TypeError, ValueError)


class DataFile(NamedTuple):
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


def read_file(path: Path) -> DataFile:
    """Read a file, but for windows, neighbours and other outputs.

    Raises
    ------
    LegacyDataError
        When it is missing, damaged or something else.
    """
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


def _parse(path: Path, file: h5py.File) -> DataFile:
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
    return DataFile(cells, length, neighbours, "preds" in file, names, ids, positions - 1, calls)


def _neighbours(path: Path, file: h5py.File, sites: int) -> tuple[tuple[str, ...], int] | None:
    """Return of which cells there are neighbours, and how many a site has."""
    group = file.get(NEIGHBOURS)
    if not isinstance(group, h5py.Group) or not len(group):
        return None
    cells = tuple(sorted(group))
    width = 0
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
    return cells, width


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


def check_agreement(path: Path, part: DataFile, first_path: Path, first: DataFile) -> None:
    """Refuse a file that does not go together with the first.

    Raises
    ------
    LegacyDataError
    """
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
