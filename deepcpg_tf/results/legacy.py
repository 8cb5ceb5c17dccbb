"""``.h5``: the layout of the original's evaluations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.genome.names import names_without_chr
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.results.blocks import ROWS, blocks
from deepcpg_tf.results.contents import Contents, Format, Kind
from deepcpg_tf.results.names import check_groups
from deepcpg_tf.scan.shards import Shard, confidence

_BESIDE = ("probability", "confidence")
"""What is beside imputed values, called as the layers of ``.h5ad``."""


def _check(path: Path, contents: Contents) -> None:
    check_groups(path, contents.cells)


def _write(path: Path, contents: Contents, shards: Iterable[Shard]) -> None:
    """Write positions from 1, chromosomes without ``chr``, and -1 where nothing is known.

    Imputed values are no predictions to compare with the labels: they are these, where there
    are any. What was predicted is beside them, and how sure that is, which the original does not
    know and leaves alone.
    """
    imputed = contents.kind is Kind.IMPUTED
    names = np.array(names_without_chr(contents.chromosomes), "S")
    # The original's names are at least two bytes wide.
    names = names.astype(f"S{max(2, names.itemsize)}")
    with hdf5_file(path) as (file, check):

        def create(name: str, dtype: npt.DTypeLike) -> h5py.Dataset:
            return file.create_dataset(
                name, (0,), dtype, maxshape=(None,), chunks=(ROWS,), compression="gzip"
            )

        datasets = [create("chromo", names.dtype), create("pos", np.int32)]
        datasets += [create(f"outputs/cpg/{cell}", np.int8) for cell in contents.cells]
        datasets += [create(f"preds/cpg/{cell}", np.float32) for cell in contents.cells]
        if imputed:
            datasets += [
                create(f"{name}/cpg/{cell}", np.float32)
                for name in _BESIDE
                for cell in contents.cells
            ]
            file["preds"].attrs["values"] = contents.kind.value
        missing = np.full((ROWS, len(contents.cells)), -1, np.int8)
        for block in blocks(shards, contents.chromosomes):
            start, end = len(datasets[0]), len(datasets[0]) + len(block.positions)
            labels = missing[: end - start] if block.labels is None else block.labels
            columns = [names[block.chromosome_ids], block.positions + 1]
            columns += [*labels.T, *(block.values.T if imputed else ()), *block.probabilities.T]
            columns += [*confidence(block.probabilities, labels).T] if imputed else []
            for dataset, column in zip(datasets, columns, strict=True):
                dataset.resize(end, axis=0)
                dataset[start:] = column
            check()


H5 = Format(".h5", frozenset(Kind), _check, _write)
