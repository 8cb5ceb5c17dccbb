"""What files of numbers a position and a letter of windows have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import check_writable
from deepcpg_tf.npz import Pieces

ENDINGS = (".h5ad", ".npz")

LETTERS = "ACGT"
"""The letters in the order of results."""

Columns: TypeAlias = Mapping[str, Sequence[str] | npt.NDArray[Any]]
"""Columns with a value a window, by name."""


def check_path(path: Path, otherwise: str = "") -> None:
    """Refuse a file that could not be written, before anything is computed.

    `otherwise` says what else the name may be.

    Raises
    ------
    OutputError
    """
    if not path.name.endswith(ENDINGS):
        raise OutputError(f"{path}: expected a name ending in {', '.join(ENDINGS)}{otherwise}")
    if path.is_dir():
        raise OutputError(f"{path}: expected the name of a file to write, received a folder")
    check_place(path)


def check_place(path: Path) -> None:
    """Refuse a folder that is not there, or cannot be written into.

    Raises
    ------
    OutputError
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")
    check_writable(path)


class Later:
    """An array that waits in a file without name until another one is written.

    A file of arrays has one after the other, and windows come a few at a time.
    """

    def __init__(self, file: IO[bytes], dtype: npt.DTypeLike, *shape: int) -> None:
        self._file, self._dtype, self._shape = file, np.dtype(dtype), shape

    def append(self, values: npt.NDArray[Any]) -> None:
        """Append the values of some windows."""
        self._file.write(np.ascontiguousarray(values, self._dtype).data)

    def pieces(self) -> Pieces:
        """Return all of it, a window at a time."""
        return Pieces(self._dtype, self._shape, self._read())

    def _read(self) -> Iterator[npt.NDArray[Any]]:
        self._file.seek(0)
        size = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        for _ in range(self._shape[0]):
            yield np.frombuffer(self._file.read(size), self._dtype)


def joined(parts: Sequence[Columns]) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of all batches of windows as one."""
    names = list(parts[0]) if parts else []
    return {name: np.concatenate([np.asarray(one[name]) for one in parts]) for name in names}


def new_anndata(file: h5py.File) -> None:
    """Make an empty file one of AnnData, without `X`, ``obs``, ``var`` and ``uns``."""
    from anndata.io import write_elem

    file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
    for group in ("layers", "obsm", "obsp", "varm", "varp"):
        write_elem(file, group, {})


def new_array(
    file: h5py.File, name: str, shape: tuple[int, int], dtype: npt.DTypeLike = np.float32
) -> h5py.Dataset:
    """Make an array to be filled row by row."""
    dataset = file.create_dataset(
        name, shape, dtype, chunks=(1, shape[1]), compression="gzip", shuffle=True
    )
    dataset.attrs["encoding-type"], dataset.attrs["encoding-version"] = "array", "0.2.0"
    return dataset


def positions_and_letters(length: int) -> Any:
    """Return the frame of columns: every letter in every position of windows."""
    columns = {
        "position": np.repeat(np.arange(length), len(LETTERS)),
        "letter": np.tile(np.array([*LETTERS]), length),
    }
    return frame(columns, [f"{at}:{letter}" for at in range(length) for letter in LETTERS])


def frame(columns: Columns, index: Sequence[str]) -> Any:
    """Return a frame whose columns of text are categories."""
    import pandas as pd

    arrays = {name: np.asarray(column) for name, column in columns.items()}
    held = {
        name: pd.Categorical(array) if array.dtype.kind in "UO" else array
        for name, array in arrays.items()
    }
    return pd.DataFrame(held, index=np.array(index, object))
