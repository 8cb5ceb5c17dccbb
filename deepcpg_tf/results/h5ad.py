"""``.h5ad``: AnnData, cells by sites, written site by site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.data.calls import calls_of_labels
from deepcpg_tf.errors import OutputError
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.results.blocks import ROWS, blocks
from deepcpg_tf.results.contents import Contents, Format, Kind
from deepcpg_tf.scan.shards import Shard, confidence

# SciPy counts in 64 bits only what it must.
_MOST_IN_INT32 = np.iinfo(np.int32).max


def _check(path: Path, contents: Contents) -> None:
    for cell in contents.cells:
        if "\0" in cell:
            raise OutputError(f"{path}: expected cells that can be text in HDF5, received {cell!r}")


def _write(path: Path, contents: Contents, shards: Iterable[Shard]) -> None:
    """Write what AnnData's own writer would, which needs all of it in memory.

    The layout is https://anndata.readthedocs.io/en/stable/fileformat-prose.html.
    """
    import pandas as pd
    from anndata.io import write_elem

    with hdf5_file(path) as (file, check):
        _encode(file, "anndata", "0.1.0")
        write_elem(file, "obs", pd.DataFrame(index=np.array(contents.cells, object)))
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            write_elem(file, name, {})
        cells = len(contents.cells)
        sites = _Sites(file.create_group("var"), contents.chromosomes)
        values = _matrix(file, "X", cells)
        probabilities = sure = observed = None
        if contents.kind is Kind.IMPUTED:
            probabilities = _matrix(file, "layers/probability", cells)
            sure = _matrix(file, "layers/confidence", cells)
            observed = _Sparse(file.create_group("layers/observed"), cells)
            file["layers/imputed"] = file["X"]  # the same data under a second name
        for block in blocks(sites.noted(shards), contents.chromosomes):
            sites.append(block.chromosome_ids, block.positions)
            _append(values, block.values.T)
            if probabilities is not None and sure is not None and observed is not None:
                assert block.labels is not None
                _append(probabilities, block.probabilities.T)
                _append(sure, confidence(block.probabilities, block.labels).T)
                observed.append(calls_of_labels(block.labels))
            check()
        sites.finish()
        if observed is not None:
            observed.finish()


class _Sites:
    """The table of sites: an index of ``chromosome:position``, and both as columns."""

    def __init__(self, group: h5py.Group, chromosomes: tuple[str, ...]) -> None:
        _encode(group, "dataframe", "0.2.0")
        group.attrs["_index"] = "_index"
        group.attrs["column-order"] = np.array(["chromosome", "position"], h5py.string_dtype())
        self._index = _column(group, "_index", h5py.string_dtype(), "string-array")
        self._positions = _column(group, "position", np.int64)
        self._categories = _encode(group.create_group("chromosome"), "categorical", "0.2.0")
        self._categories.attrs["ordered"] = False
        self._codes = _column(
            self._categories, "codes", np.min_scalar_type(-max(len(chromosomes), 1))
        )
        self._names = chromosomes
        self._ids = {name: i for i, name in enumerate(chromosomes)}
        self._code_of = np.full(len(chromosomes), -1, np.int64)
        self._seen: dict[str, int] = {}

    def noted(self, shards: Iterable[Shard]) -> Iterator[Shard]:
        """Note which chromosomes there are, with or without sites."""
        for shard in shards:
            code = self._seen.setdefault(shard.chromosome, len(self._seen))
            self._code_of[self._ids[shard.chromosome]] = code
            yield shard

    def append(self, ids: npt.NDArray[np.int32], positions: npt.NDArray[np.int64]) -> None:
        rows = zip(ids.tolist(), positions.tolist(), strict=True)
        _append(self._index, np.array([f"{self._names[i]}:{at}" for i, at in rows], object))
        _append(self._positions, positions)
        _append(self._codes, self._code_of[ids])

    def finish(self) -> None:
        categories = _column(self._categories, "categories", h5py.string_dtype(), "string-array")
        _append(categories, np.array(list(self._seen), object))


class _Sparse:
    """A matrix of cells by sites with the values of one site after those of another."""

    def __init__(self, group: h5py.Group, cells: int) -> None:
        self._group = _encode(group, "csc_matrix", "0.1.0")
        self._cells = cells
        self._data, self._indices, self._ends = (
            _plain_column(group, name, dtype)
            for name, dtype in (("data", np.int8), ("indices", np.int32), ("indptr", np.int32))
        )
        _append(self._ends, np.zeros(1, np.int32))

    def append(self, rows: npt.NDArray[np.int8]) -> None:
        """Append sites, int8 [n, cells]; 0 is nothing."""
        sites, cells = np.nonzero(rows)
        counts = np.bincount(sites, minlength=len(rows))
        ends = len(self._data) + np.cumsum(counts)
        if ends[-1] > _MOST_IN_INT32 and self._ends.dtype == np.int32:
            self._widen()
        _append(self._ends, ends)
        _append(self._indices, cells)
        _append(self._data, rows[sites, cells])

    def finish(self) -> None:
        self._group.attrs["shape"] = np.array([self._cells, len(self._ends) - 1])

    def _widen(self) -> None:
        wide = _plain_column(self._group, "wide", np.int64)
        for start in range(0, len(self._ends), ROWS):
            _append(wide, self._ends[start : start + ROWS])
        del self._group["indptr"]
        self._group.move("wide", "indptr")
        self._ends = wide


def _encode(item: Any, kind: str, version: str) -> Any:
    """Say on a group or dataset what it is."""
    item.attrs["encoding-type"], item.attrs["encoding-version"] = kind, version
    return item


def _matrix(file: h5py.File, name: str, cells: int) -> h5py.Dataset:
    dataset = file.create_dataset(
        name,
        (cells, 0),
        np.float32,
        maxshape=(cells, None),
        chunks=(1, ROWS),
        compression="gzip",
    )
    return _encode(dataset, "array", "0.2.0")


def _plain_column(group: h5py.Group, name: str, dtype: npt.DTypeLike) -> h5py.Dataset:
    return group.create_dataset(
        name, (0,), dtype, maxshape=(None,), chunks=(ROWS,), compression="gzip"
    )


def _column(
    group: h5py.Group, name: str, dtype: npt.DTypeLike, kind: str = "array"
) -> h5py.Dataset:
    return _encode(_plain_column(group, name, dtype), kind, "0.2.0")


def _append(dataset: h5py.Dataset, values: npt.NDArray[Any]) -> None:
    """Append along the last axis."""
    axis = dataset.ndim - 1
    start, more = dataset.shape[axis], values.shape[axis]
    if more:
        dataset.resize(start + more, axis=axis)
        dataset[..., start:] = values


H5AD = Format(".h5ad", frozenset({Kind.PREDICTED, Kind.IMPUTED}), _check, _write)
