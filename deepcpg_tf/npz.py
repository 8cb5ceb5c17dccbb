"""Files of NumPy arrays (``.npz``) that may be damaged, or larger than the memory."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

_PIECE = 1 << 22  # numbers


class Pieces(NamedTuple):
    """An array that is written some of its rows at a time."""

    dtype: npt.DTypeLike
    shape: tuple[int, ...]
    pieces: Iterable[npt.NDArray[Any]]


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return all arrays of a file by name.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is something else, or damaged.
    """
    with _reading(path) as file, np.load(file) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    for name, array in found.items():
        _check_array(name, array)
    return found


def npz_names(path: Path) -> list[str]:
    """Return the names of the arrays of a file; errors as of `read_npz`."""
    with _reading(path) as file, np.load(file) as arrays:
        return list(arrays.files)


def npz_array(path: Path, name: str) -> npt.NDArray[Any]:
    """Return one array of a file; errors as of `read_npz`."""
    with _reading(path) as file, np.load(file) as arrays:
        found: npt.NDArray[Any] = arrays[name]
    _check_array(name, found)
    return found


def npz_pieces(path: Path, name: str) -> Iterator[npt.NDArray[Any]]:
    """Yield an array of numbers some of its rows at a time, few enough for the memory.

    An array that lies in the file by columns is yielded as a whole.

    Raises
    ------
    OSError, ValueError
        As of `read_npz`; when it is another array.
    """
    with (
        _reading(path) as file,
        zipfile.ZipFile(file) as archive,
        archive.open(f"{name}.npy") as member,
    ):
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(member)]
        shape, by_columns, dtype = read_header(member)
        if not shape or dtype.kind not in "iufb":
            raise ValueError(f"{name} is {dtype} of shape {shape}, no list of numbers")
        if by_columns and len(shape) > 1:
            yield npz_array(path, name)
            return
        width = math.prod(shape[1:])
        rows = max(1, _PIECE // max(1, width))
        for first in range(0, shape[0], rows):
            count = min(rows, shape[0] - first)
            data = _exactly(member, count * width * dtype.itemsize)
            yield np.frombuffer(data, dtype).reshape(count, *shape[1:])


def write_npz(path: Path, arrays: Iterable[tuple[str, npt.NDArray[Any] | Pieces]]) -> None:
    """Write a compressed file of arrays with their names, one after the other.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays:
            entry = zipfile.ZipInfo(f"{name}.npy")  # of no date
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                if isinstance(array, Pieces):
                    _write_pieces(member, array)
                else:
                    np.lib.format.write_array(member, array, allow_pickle=False)


def _write_pieces(member: IO[bytes], array: Pieces) -> None:
    dtype = np.dtype(array.dtype)
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(member, header)
    for piece in array.pieces:
        member.write(np.ascontiguousarray(piece, dtype).data)


def _exactly(member: IO[bytes], size: int) -> bytes:
    data = member.read(size)
    if len(data) != size:
        raise ValueError("it is cut off")
    return data


def _check_array(name: str, array: object) -> None:
    if not isinstance(array, np.ndarray):  # NumPy returns the bytes of what is no array
        raise ValueError(f"no whole file of arrays: {name} is none")


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError:
        raise
    except Exception as error:  # of a flipped bit: nearly any there is
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"no whole file of arrays: {reason}") from None
