"""Cells by regions as AnnData, ``.h5ad``, written some regions at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.files import atomic_file
from deepcpg_tf.hdf5 import hdf5_file

COUNTS = ("observed", "methylated", "sites")
"""Layers that are whole numbers (int32); all others are float32."""

LATER = ("posterior_fraction", "hypo_score")
"""Layers that need all regions of a cell."""

_CELLS, _REGIONS = 128, 512
"""Of a chunk."""


class Rows(NamedTuple):
    """Some regions of one chromosome: 0-based and half-open; layers [regions, cells] by name."""

    chromosome: str
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    names: Sequence[str]
    layers: Mapping[str, npt.NDArray[Any]]


class RegionsFile:
    """A file that is being written.

    Parameters
    ----------
    file
        Empty.
    cells
        Their names.
    same
        Layers that hold the same as another, by that.
    """

    def __init__(self, file: h5py.File, cells: Sequence[str], same: Mapping[str, str]) -> None:
        self._file, self._cells, self._same = file, cells, same
        self._waiting: dict[str, list[npt.NDArray[Any]]] = {}
        self._count = 0
        self._written = 0
        self._places: list[Rows] = []

    def append(self, rows: Rows) -> None:
        """Append regions, of chromosomes one after another."""
        for name, values in rows.layers.items():
            dtype = np.int32 if name in COUNTS else np.float32
            self._waiting.setdefault(name, []).append(values.astype(dtype))
        self._places.append(rows._replace(layers={}))
        self._count += len(rows.starts)
        self._flush(self._count // _REGIONS * _REGIONS)

    def finish(self, about: Mapping[str, Any]) -> Iterator[tuple[slice, dict[str, Any]]]:
        """Write what is left, and yield cells with their counts, to be given `LATER` layers.

        Each is a slice of cells and a mapping, float64 [cells, regions] by name, which is
        to be filled before the next one is asked for.
        """
        from anndata.io import write_elem

        self._flush(self._count)
        self._file.attrs["encoding-type"], self._file.attrs["encoding-version"] = "anndata", "0.1.0"
        write_elem(self._file, "obs", _frame(np.array(self._cells, object), {}))
        write_elem(self._file, "var", self._regions())
        for name in ("obsm", "obsp", "varm", "varp"):
            write_elem(self._file, name, {})
        write_elem(self._file, "uns", {"regions": dict(about)})
        for name in LATER:
            self._layer(name, np.float32, self._count)
        for first in range(0, len(self._cells), _CELLS):
            cells = slice(first, min(first + _CELLS, len(self._cells)))
            content = {
                name: self._file[f"layers/{name}"][cells].astype(np.float64)
                for name in ("methylated", "observed")
            }
            yield cells, content
            for name in LATER:
                self._file[f"layers/{name}"][cells] = content[name]
        for name, other in self._same.items():
            self._file[_place(name)] = self._file[_place(other)]

    def _regions(self) -> Any:
        import pandas as pd

        sizes = [len(rows.starts) for rows in self._places]
        chromosomes = list(dict.fromkeys(rows.chromosome for rows in self._places))
        of_rows = [chromosomes.index(rows.chromosome) for rows in self._places]
        starts, ends = (
            np.concatenate([getattr(rows, name) for rows in self._places])
            for name in ("starts", "ends")
        )
        codes = np.repeat(of_rows, sizes)
        columns = {
            "chromosome": pd.Categorical.from_codes(codes, chromosomes),
            "start": starts,
            "end": ends,
        }
        names = [name for rows in self._places for name in rows.names]
        if any(names):
            columns["name"] = np.array(names, object)
        index = [
            f"{chromosomes[code]}:{start}-{end}"
            for code, start, end in zip(codes.tolist(), starts.tolist(), ends.tolist(), strict=True)
        ]
        return _frame(np.array(index, object), columns)

    def _flush(self, until: int) -> None:
        """Write regions that are waiting, up to one of them, in whole chunks."""
        size = until - self._written
        if size <= 0:
            return
        for name, parts in self._waiting.items():
            values = np.concatenate(parts)
            dataset = self._layer(name, values.dtype, until)
            dataset[:, self._written : until] = values[:size].T
            self._waiting[name] = [values[size:]]
        self._written = until

    def _layer(self, name: str, dtype: npt.DTypeLike, regions: int) -> h5py.Dataset:
        """Return a layer, or X, of so many regions."""
        place, cells = _place(name), len(self._cells)
        if place not in self._file:
            dataset = self._file.create_dataset(
                place,
                (cells, regions),
                dtype,
                maxshape=(cells, None),
                chunks=(min(_CELLS, max(cells, 1)), _REGIONS),
                compression="gzip",
            )
            dataset.attrs["encoding-type"], dataset.attrs["encoding-version"] = "array", "0.2.0"
        self._file[place].resize(regions, axis=1)
        return self._file[place]


@contextmanager
def regions_file(
    path: Path, cells: Sequence[str], same: Mapping[str, str]
) -> Iterator[RegionsFile]:
    """Open a file of regions that appears whole or not at all; see `RegionsFile`.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    with atomic_file(path) as partial, hdf5_file(partial) as (file, _):
        group = file.create_group("layers")
        group.attrs["encoding-type"], group.attrs["encoding-version"] = "dict", "0.1.0"
        yield RegionsFile(file, cells, same)


def _place(name: str) -> str:
    return name if name == "X" else f"layers/{name}"


def _frame(index: npt.NDArray[Any], columns: Mapping[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(dict(columns), index=index)
