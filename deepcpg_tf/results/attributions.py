"""Attributions as AnnData (``.h5ad``), NumPy arrays (``.npz``), or a folder for TF-MoDISco."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, atomic_folder, check_writable
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.npz import Pieces, write_npz
from deepcpg_tf.prediction.sources import Keys
from deepcpg_tf.results.registry import open_table

if TYPE_CHECKING:
    from deepcpg_tf.variants.attributions import Attributions

ENDINGS = (".h5ad", ".npz")
"""Of files; what has no ending is a folder."""

LETTERS = "ACGT"


class Layout(NamedTuple):
    """What is written: so many windows of a length, with what tells how, by name."""

    windows: int
    length: int
    about: Mapping[str, Any]


Batches = Iterable[tuple[Keys, "Attributions"]]
"""Windows in order, with the columns that tell which they are."""


def check_path(path: Path) -> None:
    """Refuse a place that could not be written to, before anything is computed.

    Raises
    ------
    OutputError
    """
    if _is_folder(path):
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise OutputError(
                f"{path}: expected a new folder, found that it is there already; choose another, "
                "or remove it"
            )
        if Path.cwd().is_relative_to(path.resolve()):
            raise OutputError(f"{path}: expected a folder other than the one worked in")
    elif not path.name.endswith(ENDINGS):
        raise OutputError(
            f"{path}: expected a name ending in {', '.join(ENDINGS)}, or that of a folder, without "
            "ending"
        )
    elif path.is_dir():
        raise OutputError(f"{path}: expected the name of a file to write, received a folder")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")
    check_writable(path)


def write_attributions(path: Path, layout: Layout, batches: Batches) -> None:
    """Write attributions, whole or not at all, some windows at a time.

    Parameters
    ----------
    path
        ``.h5ad``, ``.npz`` or, without ending, a new folder; docs/attributions.md has the
        layouts.
    layout
        What they are of.
    batches
        Read once.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    check_path(path)
    if _is_folder(path):
        with atomic_folder(path) as folder:
            _write_folder(folder, layout, batches)
        return
    with atomic_file(path) as partial:
        (_write_h5ad if path.name.endswith(".h5ad") else _write_npz)(partial, layout, batches)


def _is_folder(path: Path) -> bool:
    return not path.suffix


class _Rows:
    """Columns with a value a window: what tells which they are, and what is explained."""

    def __init__(self) -> None:
        self._batches: list[dict[str, npt.NDArray[Any]]] = []

    def append(self, keys: Keys, found: Attributions) -> None:
        columns = {name: np.asarray(column) for name, column in keys.items()}
        columns["output"] = found.outputs
        if not np.isnan(found.references).all():
            columns["reference"] = found.references
        self._batches.append(columns)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        names = self._batches[0] if self._batches else {}
        return {name: np.concatenate([one[name] for one in self._batches]) for name in names}


class _Later:
    """An array that waits in a file without name until another one is written."""

    def __init__(self, file: IO[bytes], dtype: npt.DTypeLike, *shape: int) -> None:
        self._file, self._dtype, self._shape = file, np.dtype(dtype), shape

    def append(self, values: npt.NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(values, self._dtype).data)

    def pieces(self) -> Pieces:
        return Pieces(self._dtype, self._shape, self._read())

    def _read(self) -> Iterator[npt.NDArray[Any]]:
        self._file.seek(0)
        size = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        for _ in range(self._shape[0]):
            yield np.frombuffer(self._file.read(size), self._dtype)


def _write_npz(path: Path, layout: Layout, batches: Batches) -> None:
    shape = (layout.windows, layout.length, len(LETTERS))
    rows = _Rows()
    with ExitStack() as stack:

        def later(dtype: npt.DTypeLike, *shape: int) -> _Later:
            file = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
            return _Later(file, dtype, *shape)

        hypothetical = later(np.float32, *shape)
        scores, tokens = later(np.float32, *shape[:2]), later(np.uint8, *shape[:2])

        def values() -> Iterator[npt.NDArray[Any]]:
            for keys, found in batches:
                rows.append(keys, found)
                hypothetical.append(found.hypothetical)
                scores.append(found.scores)
                tokens.append(found.tokens)
                yield found.values

        def arrays() -> Iterator[tuple[str, npt.NDArray[Any] | Pieces]]:
            yield "values", Pieces(np.float32, shape, values())
            yield "hypothetical", hypothetical.pieces()
            yield "scores", scores.pieces()
            yield "tokens", tokens.pieces()
            yield "letters", np.array([*LETTERS])
            yield from ((name, np.asarray(one)) for name, one in layout.about.items())
            yield from rows.columns().items()

        write_npz(path, arrays())


def _write_folder(folder: Path, layout: Layout, batches: Batches) -> None:
    """Write what ``modisco motifs`` reads, and which windows these are."""
    shape = (layout.windows, len(LETTERS), layout.length)
    rows = _Rows()
    with tempfile.TemporaryFile(dir=folder) as file:
        hypothetical = _Later(file, np.float32, *shape)

        def one_hot() -> Iterator[npt.NDArray[Any]]:
            for keys, found in batches:
                rows.append(keys, found)
                hypothetical.append(found.hypothetical.transpose(0, 2, 1))
                yield found.one_hot.transpose(0, 2, 1)

        write_npz(folder / "ohe.npz", [("arr_0", Pieces(np.float32, shape, one_hot()))])
        write_npz(folder / "shap.npz", [("arr_0", hypothetical.pieces())])
    batch = pa.RecordBatch.from_pydict(rows.columns())
    with open_table(folder / "windows.tsv", batch.schema) as write:
        write(batch)


def _write_h5ad(path: Path, layout: Layout, batches: Batches) -> None:
    """Write rows of a window, and columns of a position and a letter."""
    from anndata.io import write_elem

    windows, length = layout.windows, layout.length
    width = len(LETTERS) * length
    rows = _Rows()
    with hdf5_file(path) as (file, check):

        def array(name: str, columns: int, dtype: npt.DTypeLike = np.float32) -> Any:
            dataset = file.create_dataset(
                name, (windows, columns), dtype, chunks=(1, columns), compression="gzip"
            )
            dataset.attrs["encoding-type"], dataset.attrs["encoding-version"] = "array", "0.2.0"
            return dataset

        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
        for group in ("layers", "obsm", "obsp", "varm", "varp"):
            write_elem(file, group, {})
        values = array("X", width)
        scores, tokens = array("obsm/scores", length), array("obsm/tokens", length, np.uint8)
        centred = None
        start = 0
        for keys, found in batches:
            part = slice(start, start + len(found.tokens))
            values[part] = found.values.reshape(-1, width)
            scores[part], tokens[part] = found.scores, found.tokens
            if found.hypothetical is not found.values:
                centred = array("layers/hypothetical", width) if centred is None else centred
                centred[part] = found.hypothetical.reshape(-1, width)
            rows.append(keys, found)
            start = part.stop
            check()
        if centred is None:
            file["layers/hypothetical"] = values  # the same data under a second name
        write_elem(file, "obs", _frame(rows.columns(), [str(i) for i in range(windows)]))
        write_elem(file, "var", _frame(*_positions(length)))
        write_elem(file, "uns", {"attributions": dict(layout.about)})


def _positions(length: int) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Return the position and letter of each column, and what the columns are called."""
    columns = {
        "position": np.repeat(np.arange(length), len(LETTERS)),
        "letter": np.tile(np.array([*LETTERS]), length),
    }
    names = [f"{at}:{letter}" for at in range(length) for letter in LETTERS]
    return columns, names


def _frame(columns: Mapping[str, npt.NDArray[Any]], index: list[str]) -> Any:
    import pandas as pd

    held = {
        name: pd.Categorical(column) if column.dtype.kind in "UO" else column
        for name, column in columns.items()
    }
    return pd.DataFrame(held, index=np.array(index, object))
