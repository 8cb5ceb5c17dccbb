"""Predictions beside what was measured, as files that are written batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file
from deepcpg_tf.genome.names import names_without_chr

_ROWS = 1 << 16
_KEYS = ("chromosome", "position")


class Batch(NamedTuple):
    """Some sites with labels and predictions.

    ``chromosome_ids`` (integers, shape (n,)) index the chromosomes of the file,
    ``positions`` (integers, shape (n,), 0-based) are those of the forward-strand C,
    ``labels`` (int8, shape (n, cells)) are 1, 0 and -1 for missing, and
    ``probabilities`` are float32, shape (n, cells).
    """

    chromosome_ids: npt.NDArray[np.integer]
    positions: npt.NDArray[np.integer]
    labels: npt.NDArray[np.int8]
    probabilities: npt.NDArray[np.float32]


Write = Callable[[Batch], None]


@contextmanager
def _legacy_file(path: Path, cells: Sequence[str], chromosomes: Sequence[str]) -> Iterator[Write]:
    """Write the original's layout: positions from 1, chromosomes without ``chr``."""
    names = np.array(names_without_chr(chromosomes), "S")
    # The original's names are at least two bytes wide.
    names = names.astype(f"S{max(2, names.itemsize)}")
    with h5py.File(path, "w") as file:

        def create(name: str, dtype: npt.DTypeLike) -> h5py.Dataset:
            return file.create_dataset(
                name, (0,), dtype, maxshape=(None,), chunks=(_ROWS,), compression="gzip"
            )

        chromo, pos = create("chromo", names.dtype), create("pos", np.int32)
        outputs = [create(f"outputs/cpg/{cell}", np.int8) for cell in cells]
        preds = [create(f"preds/cpg/{cell}", np.float32) for cell in cells]

        def write(batch: Batch) -> None:
            start = len(pos)
            columns = [names[batch.chromosome_ids], batch.positions + 1]
            columns += [*batch.labels.T, *batch.probabilities.T]
            for dataset, column in zip([chromo, pos, *outputs, *preds], columns, strict=True):
                dataset.resize(start + len(column), axis=0)
                dataset[start:] = column

        yield write


@contextmanager
def _parquet_file(path: Path, cells: Sequence[str], chromosomes: Sequence[str]) -> Iterator[Write]:
    """Write columns chromosome, position (from 0), ``<cell>`` and ``<cell>_label`` (or null)."""
    columns = _columns(cells)
    names = pa.array(chromosomes, pa.string())
    types = [pa.float32(), pa.int8()] * len(cells)
    key_types = [pa.dictionary(pa.int32(), pa.string()), pa.int64()]
    schema = pa.schema(zip((*_KEYS, *columns), (*key_types, *types), strict=True))
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:

        def write(batch: Batch) -> None:
            ids = pa.array(batch.chromosome_ids, pa.int32())
            arrays = [pa.DictionaryArray.from_arrays(ids, names)]
            arrays.append(pa.array(batch.positions, pa.int64()))
            for labels, probabilities in zip(batch.labels.T, batch.probabilities.T, strict=True):
                arrays += [pa.array(probabilities, pa.float32())]
                arrays += [pa.array(labels, pa.int8(), mask=labels < 0)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

        yield write


_WRITERS = {".h5": _legacy_file, ".parquet": _parquet_file}


def _columns(cells: Sequence[str]) -> list[str]:
    return [name for cell in cells for name in (cell, f"{cell}_label")]


def check_predictions(path: Path, cells: Sequence[str]) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Raises
    ------
    OutputError
        When the ending is unknown, the folder does not exist, or two columns of a table
        would have the same name.
    """
    if path.suffix not in _WRITERS:
        raise OutputError(f"{path}: expected a name ending in {' or '.join(_WRITERS)}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")
    if path.suffix == ".parquet":
        names = [*_KEYS, *_columns(cells)]
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            raise OutputError(
                f"{path}: expected cells that give each column a name of its own, "
                f"received {twice!r} twice; a file ending in .h5 has no such limit"
            )


@contextmanager
def open_predictions(
    path: Path, cells: Sequence[str], chromosomes: Sequence[str]
) -> Iterator[Write]:
    """Yield a function that writes a batch of sites with labels and predictions.

    The file appears under its name once everything is written; on an error there is
    none. Memory does not grow with the number of sites.

    Parameters
    ----------
    path
        ``.h5`` has the layout of the original's evaluations: ``chromo`` (bytes,
        without ``chr``), ``pos`` (int32, 1-based), ``outputs/cpg/<cell>`` (int8, -1
        missing) and ``preds/cpg/<cell>`` (float32). ``.parquet`` has the columns
        ``chromosome``, ``position`` (int64, 0-based), and for each cell ``<cell>``
        (float32) and ``<cell>_label`` (int8, null where missing).
    cells
        Names of the columns of labels and probabilities.
    chromosomes
        Names that `Batch.chromosome_ids` index.

    Raises
    ------
    OutputError
        As `check_predictions`, and when the place cannot be written to.
    """
    check_predictions(path, cells)
    with (
        atomic_file(path) as partial,
        _WRITERS[path.suffix](partial, cells, chromosomes) as write,
        _buffered(write) as gather,
    ):
        yield gather


@contextmanager
def _buffered(write: Write) -> Iterator[Write]:
    """Gather small batches, which both formats would store poorly."""
    waiting: list[Batch] = []

    def flush() -> None:
        if waiting:
            write(Batch(*(np.concatenate(parts) for parts in zip(*waiting, strict=True))))
            waiting.clear()

    def gather(batch: Batch) -> None:
        waiting.append(batch)
        if sum(len(one.positions) for one in waiting) >= _ROWS:
            flush()

    yield gather
    flush()
