"""What substitutions in windows do, as AnnData (``.h5ad``) or NumPy arrays (``.npz``)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, check_writable
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.npz import Pieces, write_npz

ENDINGS = (".h5ad", ".npz")

LETTERS = "ACGT"

Columns: TypeAlias = Mapping[str, Sequence[str] | npt.NDArray[np.int64]]


class Substituted(NamedTuple):
    """What is written of some windows.

    ``keys`` are columns that tell which windows they are; ``tokens`` their letters, uint8 ASCII
    [n, length]; ``values`` float32 [n, length, 4, names], the letters in the order of `LETTERS`.
    """

    keys: Columns
    tokens: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float32]


class Layout(NamedTuple):
    """What a file is of: so many windows of a length, and the names of the values' last axis.

    The names are those of cells, or of summaries over the ``cells``.
    """

    windows: int
    length: int
    of: Literal["cell", "summary"]
    names: tuple[str, ...]
    cells: tuple[str, ...]


def check_path(path: Path) -> None:
    """Refuse a file that could not be written, before anything is computed.

    Raises
    ------
    OutputError
    """
    if not path.name.endswith(ENDINGS):
        raise OutputError(f"{path}: expected a name ending in {', '.join(ENDINGS)}")
    if path.is_dir():
        raise OutputError(f"{path}: expected the name of a file to write, received a folder")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")
    check_writable(path)


def write_substitutions(path: Path, layout: Layout, batches: Iterable[Substituted]) -> None:
    """Write a file, whole or not at all, some windows at a time.

    Parameters
    ----------
    path
        Ending in ``.h5ad`` or ``.npz``; docs/mutagenesis.md has the layout of both.
    layout
        What it is of.
    batches
        All windows, in order; read once.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    check_path(path)
    for name in (*layout.names, *layout.cells):
        if "\0" in name:
            raise OutputError(f"{path}: expected cells that can be text in HDF5, received {name!r}")
    with atomic_file(path) as partial:
        (_write_h5ad if path.name.endswith(".h5ad") else _write_npz)(partial, layout, batches)


def _write_h5ad(path: Path, layout: Layout, batches: Iterable[Substituted]) -> None:
    """Write rows of a window and a name, and columns of a position and a letter."""
    from anndata.io import write_elem

    width, names = len(LETTERS) * layout.length, len(layout.names)
    keys: list[Columns] = []
    with hdf5_file(path) as (file, check):
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
        values = _array(file, "X", (layout.windows * names, width), np.float32)
        for group in ("layers", "obsm", "obsp", "varm", "varp"):
            write_elem(file, group, {})
        about = {"letters": LETTERS, "cells": np.array(layout.cells, object)}
        write_elem(file, "uns", about)
        tokens = _array(file, "uns/tokens", (layout.windows, layout.length), np.uint8)
        start = 0
        for batch in batches:
            stop = start + len(batch.tokens)
            rows = np.moveaxis(batch.values, -1, 1)  # [n, names, length, 4]
            values[start * names : stop * names] = rows.reshape(-1, width)
            tokens[start:stop] = batch.tokens
            keys.append(batch.keys)
            start = stop
            check()
        write_elem(file, "obs", _rows(layout, _joined(keys)))
        write_elem(file, "var", _columns(layout))


def _array(
    file: h5py.File, name: str, shape: tuple[int, int], dtype: npt.DTypeLike
) -> h5py.Dataset:
    dataset = file.create_dataset(
        name, shape, dtype, chunks=(1, shape[1]), compression="gzip", shuffle=True
    )
    dataset.attrs["encoding-type"], dataset.attrs["encoding-version"] = "array", "0.2.0"
    return dataset


def _rows(layout: Layout, keys: Columns) -> Any:
    import pandas as pd

    names = len(layout.names)
    columns: dict[str, Any] = {"window": np.repeat(np.arange(layout.windows), names)}
    for key, column in keys.items():
        repeated = np.repeat(np.asarray(column), names)
        columns[key] = repeated if repeated.dtype.kind == "i" else pd.Categorical(repeated)
    codes = np.tile(np.arange(names), layout.windows)
    columns[layout.of] = pd.Categorical.from_codes(codes, list(layout.names))
    index = [f"{window}:{name}" for window in range(layout.windows) for name in layout.names]
    return pd.DataFrame(columns, index=np.array(index, object))


def _columns(layout: Layout) -> Any:
    import pandas as pd

    positions = np.repeat(np.arange(layout.length), len(LETTERS))
    codes = np.tile(np.arange(len(LETTERS)), layout.length)
    index = [f"{position}:{letter}" for position in range(layout.length) for letter in LETTERS]
    columns = {"position": positions, "letter": pd.Categorical.from_codes(codes, list(LETTERS))}
    return pd.DataFrame(columns, index=np.array(index, object))


def _write_npz(path: Path, layout: Layout, batches: Iterable[Substituted]) -> None:
    """Write an array of all values, or one a summary, and what tells their axes."""
    shape = (layout.windows, layout.length, len(LETTERS))
    keys: list[Columns] = []
    names = layout.names if layout.of == "summary" else ("values",)
    with ExitStack() as stack:
        # A file of arrays has one after the other: what comes later waits beside it.
        later = [
            stack.enter_context(tempfile.TemporaryFile(dir=path.parent)) for _ in range(len(names))
        ]
        last = later[-1]

        def first() -> Iterator[npt.NDArray[Any]]:
            for batch in batches:
                keys.append(batch.keys)
                last.write(batch.tokens.tobytes())
                if layout.of == "cell":
                    yield batch.values
                    continue
                for i, file in enumerate(later[:-1], 1):
                    file.write(batch.values[..., i].tobytes())
                yield batch.values[..., 0]

        def arrays() -> Iterator[tuple[str, npt.NDArray[Any] | Pieces]]:
            full = (*shape, len(layout.names)) if layout.of == "cell" else shape
            yield names[0], Pieces(np.float32, full, first())
            for name, file in zip(names[1:], later[:-1], strict=True):
                yield name, Pieces(np.float32, shape, _pieces(file, np.float32, shape))
            yield "tokens", Pieces(np.uint8, shape[:2], _pieces(last, np.uint8, shape[:2]))
            yield "letters", np.array([*LETTERS])
            yield "cells", np.array(layout.cells)
            for name, column in _joined(keys).items():
                yield name, np.asarray(column)

        write_npz(path, arrays())


def _pieces(
    file: IO[bytes], dtype: npt.DTypeLike, shape: tuple[int, ...]
) -> Iterator[npt.NDArray[Any]]:
    file.seek(0)
    size = int(np.prod(shape[1:])) * np.dtype(dtype).itemsize
    for _ in range(shape[0]):
        yield np.frombuffer(file.read(size), dtype)


def _joined(keys: list[Columns]) -> Columns:
    """Return the columns of all batches."""
    names = list(keys[0]) if keys else []
    return {name: np.concatenate([np.asarray(one[name]) for one in keys]) for name in names}
