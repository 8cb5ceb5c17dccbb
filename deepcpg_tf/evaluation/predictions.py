"""Predictions beside what was measured, as the original's ``eval.h5`` or as Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file

if TYPE_CHECKING:
    from deepcpg_tf.data.dataset import Examples

ENDINGS = (".h5", ".parquet")


def check_predictions_path(path: Path | None) -> None:
    """Refuse an ending that names no format, or a folder that does not exist.

    Raises
    ------
    OutputError
    """
    if path is None:
        return
    if path.suffix not in ENDINGS:
        raise OutputError(f"{path}: expected a name ending in {', '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")


def write_predictions(
    path: Path,
    cells: Sequence[str],
    examples: Examples,
    indices: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int8],
    probabilities: npt.NDArray[np.float32],
) -> None:
    """Write labels and predictions of some sites.

    Parameters
    ----------
    path
        ``.h5`` is the layout of the original's ``dcpg_eval.py``: ``chromo``, ``pos``
        (1-based), ``outputs/cpg/<cell>`` and ``preds/cpg/<cell>``. ``.parquet`` has
        the columns chromosome, position (0-based), a probability ``<cell>`` and a
        label ``<cell>_label`` (null where missing) for each cell.
    cells
        Names of the columns.
    examples
        Where the sites are from.
    indices : ndarray of int64, shape (n,)
        Which sites of `examples` they are.
    labels : ndarray of int8, shape (n, cells)
        1 methylated, 0 unmethylated, -1 missing.
    probabilities : ndarray of float32, shape (n, cells)

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    names = np.array(examples.chromosomes)[examples.chromosome_ids[indices]]
    positions = examples.positions[indices]
    with atomic_file(path) as partial:
        if path.suffix == ".h5":
            _write_hdf5(partial, cells, names, positions, labels, probabilities)
        else:
            _write_parquet(partial, cells, names, positions, labels, probabilities)


def _write_hdf5(
    path: Path,
    cells: Sequence[str],
    names: npt.NDArray[np.str_],
    positions: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int8],
    probabilities: npt.NDArray[np.float32],
) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["chromo"] = np.char.encode(names, "ascii")
        file["pos"] = (positions + 1).astype(np.int32)
        for i, cell in enumerate(cells):
            file[f"outputs/cpg/{cell}"] = labels[:, i]
            file[f"preds/cpg/{cell}"] = probabilities[:, i]


def _write_parquet(
    path: Path,
    cells: Sequence[str],
    names: npt.NDArray[np.str_],
    positions: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int8],
    probabilities: npt.NDArray[np.float32],
) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    columns = {"chromosome": pa.array(names.tolist()), "position": pa.array(positions)}
    for i, cell in enumerate(cells):
        columns[cell] = pa.array(probabilities[:, i])
        columns[f"{cell}_label"] = pa.array(labels[:, i], mask=labels[:, i] < 0)
    pyarrow.parquet.write_table(pa.table(columns), path)
