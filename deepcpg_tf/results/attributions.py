"""Attributions as AnnData (``.h5ad``), NumPy arrays (``.npz``), or a folder for TF-MoDISco."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, atomic_folder
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.npz import Pieces, write_npz
from deepcpg_tf.prediction.sources import Keys
from deepcpg_tf.results.registry import open_table
from deepcpg_tf.results.windows import (
    LETTERS,
    Columns,
    Later,
    check_place,
    frame,
    joined,
    new_anndata,
    new_array,
    positions_and_letters,
)
from deepcpg_tf.results.windows import check_path as check_file

if TYPE_CHECKING:
    from deepcpg_tf.variants.attributions import Attributions


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
    if not _is_folder(path):
        check_file(path, ", or that of a folder, without ending")
        return
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise OutputError(
            f"{path}: expected a new folder, found that it is there already; choose another, or "
            "remove it"
        )
    if Path.cwd().is_relative_to(path.resolve()):
        raise OutputError(f"{path}: expected a folder other than the one worked in")
    check_place(path)


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


def _columns(keys: Keys, found: Attributions) -> Columns:
    """Return columns with a value a window: which they are, and what is explained."""
    columns: dict[str, Any] = {**keys, "output": found.outputs}
    if not np.isnan(found.references).all():
        columns["reference"] = found.references
    return columns


def _write_npz(path: Path, layout: Layout, batches: Batches) -> None:
    shape = (layout.windows, layout.length, len(LETTERS))
    rows: list[Columns] = []
    with ExitStack() as stack:

        def later(dtype: npt.DTypeLike, *shape: int) -> Later:
            file = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
            return Later(file, dtype, *shape)

        hypothetical = later(np.float32, *shape)
        scores, tokens = later(np.float32, *shape[:2]), later(np.uint8, *shape[:2])

        def values() -> Iterator[npt.NDArray[Any]]:
            for keys, found in batches:
                rows.append(_columns(keys, found))
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
            yield from joined(rows).items()

        write_npz(path, arrays())


def _write_folder(folder: Path, layout: Layout, batches: Batches) -> None:
    """Write what ``modisco motifs`` reads, and which windows these are."""
    shape = (layout.windows, len(LETTERS), layout.length)
    rows: list[Columns] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        hypothetical = Later(file, np.float32, *shape)

        def one_hot() -> Iterator[npt.NDArray[Any]]:
            for keys, found in batches:
                rows.append(_columns(keys, found))
                hypothetical.append(found.hypothetical.transpose(0, 2, 1))
                yield found.one_hot.transpose(0, 2, 1)

        write_npz(folder / "ohe.npz", [("arr_0", Pieces(np.float32, shape, one_hot()))])
        write_npz(folder / "shap.npz", [("arr_0", hypothetical.pieces())])
    batch = pa.RecordBatch.from_pydict(joined(rows))
    with open_table(folder / "windows.tsv", batch.schema) as write:
        write(batch)


def _write_h5ad(path: Path, layout: Layout, batches: Batches) -> None:
    """Write rows of a window, and columns of a position and a letter."""
    from anndata.io import write_elem

    windows, length = layout.windows, layout.length
    width = len(LETTERS) * length
    rows: list[Columns] = []
    with hdf5_file(path) as (file, check):
        new_anndata(file)
        values = new_array(file, "X", (windows, width))
        scores = new_array(file, "obsm/scores", (windows, length))
        tokens = new_array(file, "obsm/tokens", (windows, length), np.uint8)
        centred = None
        start = 0
        for keys, found in batches:
            part = slice(start, start + len(found.tokens))
            values[part] = found.values.reshape(-1, width)
            scores[part], tokens[part] = found.scores, found.tokens
            if found.hypothetical is not found.values:
                if centred is None:
                    centred = new_array(file, "layers/hypothetical", (windows, width))
                centred[part] = found.hypothetical.reshape(-1, width)
            rows.append(_columns(keys, found))
            start = part.stop
            check()
        if centred is None:
            file["layers/hypothetical"] = values  # the same data under a second name
        write_elem(file, "obs", frame(joined(rows), [str(i) for i in range(windows)]))
        write_elem(file, "var", positions_and_letters(length))
        write_elem(file, "uns", {"attributions": dict(layout.about)})
