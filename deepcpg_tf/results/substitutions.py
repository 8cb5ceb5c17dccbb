"""What substitutions in windows do, as AnnData (``.h5ad``) or NumPy arrays (``.npz``)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.npz import Pieces, write_npz
from deepcpg_tf.results.windows import (
    LETTERS,
    Columns,
    Later,
    check_path,
    joined,
    new_anndata,
    new_array,
    positions_and_letters,
)


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
        new_anndata(file)
        values = new_array(file, "X", (layout.windows * names, width))
        write_elem(file, "uns", {"letters": LETTERS, "cells": np.array(layout.cells, object)})
        tokens = new_array(file, "uns/tokens", (layout.windows, layout.length), np.uint8)
        start = 0
        for batch in batches:
            stop = start + len(batch.tokens)
            rows = np.moveaxis(batch.values, -1, 1)  # [n, names, length, 4]
            values[start * names : stop * names] = rows.reshape(-1, width)
            tokens[start:stop] = batch.tokens
            keys.append(batch.keys)
            start = stop
            check()
        write_elem(file, "obs", _rows(layout, joined(keys)))
        write_elem(file, "var", positions_and_letters(layout.length))


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


def _write_npz(path: Path, layout: Layout, batches: Iterable[Substituted]) -> None:
    """Write an array of all values, or one a summary, and what tells their axes."""
    shape = (layout.windows, layout.length, len(LETTERS))
    keys: list[Columns] = []
    names = layout.names if layout.of == "summary" else ("values",)
    with ExitStack() as stack:

        def later(dtype: npt.DTypeLike, *shape: int) -> Later:
            file = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
            return Later(file, dtype, *shape)

        others = [later(np.float32, *shape) for _ in names[1:]]
        tokens = later(np.uint8, *shape[:2])

        def first() -> Iterator[npt.NDArray[Any]]:
            for batch in batches:
                keys.append(batch.keys)
                tokens.append(batch.tokens)
                for i, other in enumerate(others, 1):
                    other.append(batch.values[..., i])
                yield batch.values if layout.of == "cell" else batch.values[..., 0]

        def arrays() -> Iterator[tuple[str, npt.NDArray[Any] | Pieces]]:
            full = (*shape, len(layout.names)) if layout.of == "cell" else shape
            yield names[0], Pieces(np.float32, full, first())
            yield from zip(names[1:], (other.pieces() for other in others), strict=True)
            yield "tokens", tokens.pieces()
            yield "letters", np.array([*LETTERS])
            yield "cells", np.array(layout.cells)
            yield from joined(keys).items()

        write_npz(path, arrays())
