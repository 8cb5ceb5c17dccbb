"""amethyst's HDF5: a table of calls of each barcode and context.

As premethyst's calls2h5 (version 1) and Facet (2) write it: ``/CONTEXT/BARCODE/1``, of early
versions ``/CONTEXT/BARCODE``, is an array of rows with the fields ``chr``, ``pos`` (from 1),
``c`` and ``t``, the methylated and unmethylated reads, and in early versions ``pct``, 0 to 100.
Beside ``1`` there may be levels of windows, which are not looked at. A position is that of the
cytosine on its own strand; the strand is not told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.names import shown_names
from deepcpg_tf.hdf5 import check_stored
from deepcpg_tf.profiles.formats import MOST, Layout
from deepcpg_tf.profiles.lines import Calls
from deepcpg_tf.profiles.order import OrderedCalls
from deepcpg_tf.profiles.stores.base import Rows, Store, check_names, damaged

CONTEXT, CALLS, METADATA = "CG", "1", "metadata"
VERSION = "amethyst2.0.0"
_COUNTS, _PERCENT = ("c", "t"), "pct"
_FAILED = (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError)


class Amethyst(Store):
    """A file of amethyst, of which a barcode at a time is in memory.

    Raises
    ------
    ProfileError
        When it is something else, or has no calls in CG.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        try:
            with h5py.File(path) as file:
                cells = _cells(path, file)
                fields = _dataset(path, file, cells[0]).dtype.names if cells else _COUNTS
        except ProfileError:
            raise
        except _FAILED as error:
            raise damaged(path, error) from None
        if not set(_COUNTS).issubset(fields or ()):
            layout = Layout(layout.format, ("chrom", "start", "value"), layout.base)
        super().__init__(path, layout, cells)

    def calls(self) -> Iterator[tuple[int, Calls]]:
        """Yield the calls, of one cell after the other; see `Store.calls`."""
        try:
            with h5py.File(self.path) as file:
                for index, cell in enumerate(self.cells):
                    one = _Cell(self.path, self.layout, cell)
                    data = _dataset(self.path, file, cell)
                    for calls in OrderedCalls(one, one.calls(data)):
                        yield index, calls
        except ProfileError:
            raise
        except _FAILED as error:
            raise damaged(self.path, error) from None


class _Cell:
    """The rows of one cell, and where they are."""

    def __init__(self, path: Path, layout: Layout, cell: str) -> None:
        self.path = path
        self.layout = layout
        self._cell = cell

    def place(self, line: int) -> str:
        """Return where a row is."""
        return f"{self.path}, {self._cell}, row {line + 1}"

    def error(self, line: int, fault: str) -> ProfileError:
        """Return the error of a row."""
        return ProfileError(f"{self.place(line)}: {fault}")

    def calls(self, dataset: h5py.Dataset) -> Iterator[Calls]:
        """Yield the calls of each chromosome, sorted by position."""
        check_stored(dataset)
        rows: Any = dataset[()]
        positions = self._whole(rows, "pos", self.layout.base) - self.layout.base
        methylated, unmethylated = self._reads(rows)
        names, codes = _names(rows["chr"])
        check_names(self.path, names, "chromosomes")
        order = np.arange(len(rows))
        if (np.diff(codes) < 0).any() or ((np.diff(positions) < 0) & (np.diff(codes) == 0)).any():
            order = np.lexsort((positions, codes))
        codes = codes[order]
        for code, name in enumerate(names):
            first, last = np.searchsorted(codes, (code, code + 1))
            own = order[first:last]
            yield Calls(
                name,
                Rows(),
                own,
                positions[own],
                np.zeros(len(own), np.int64),
                methylated[own],
                unmethylated[own],
            )

    def _reads(self, rows: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        if self.layout.has_coverage:
            methylated, unmethylated = (self._whole(rows, name, 0) for name in _COUNTS)
            return methylated, unmethylated
        percent = self._numbers(rows, _PERCENT).astype(np.float64)
        wrong = np.flatnonzero(~((percent >= 0) & (percent <= 100)))
        if wrong.size:
            raise self.error(
                int(wrong[0]), f"expected {_PERCENT} from 0 to 100, received {percent[wrong[0]]:g}"
            )
        methylated = np.rint(percent / 100 * MOST).astype(np.int64)
        return methylated, MOST - methylated

    def _numbers(self, rows: Any, name: str) -> npt.NDArray[Any]:
        if name not in rows.dtype.names:
            raise ProfileError(
                f"{self.path}, {self._cell}: expected the fields chr, pos, c and t in all cells, "
                f"or chr, pos and pct, received {', '.join(rows.dtype.names)}"
            )
        values: npt.NDArray[Any] = rows[name]
        if values.dtype.kind not in "iuf" or values.ndim != 1:
            raise ProfileError(
                f"{self.path}, {self._cell}: expected numbers as {name}, received {values.dtype}"
            )
        return values

    def _whole(self, rows: Any, name: str, least: int) -> npt.NDArray[np.int64]:
        values = self._numbers(rows, name)
        right = (values >= least) & (values <= MOST)
        if values.dtype.kind == "f":
            right &= values == np.floor(values)
        wrong = np.flatnonzero(~right)
        if wrong.size:
            raise self.error(
                int(wrong[0]),
                f"expected a whole number from {least} to {MOST} as {name}, received "
                f"{values[wrong[0]]}",
            )
        return values.astype(np.int64)


def _cells(path: Path, file: h5py.File) -> list[str]:
    contexts = [name for name in file if name != METADATA]
    if CONTEXT in contexts and isinstance(file[CONTEXT], h5py.Group):
        return list(file[CONTEXT])
    if "X" in file and "obs" in file:
        raise ProfileError(
            f"{path}: expected methylation profiles, received an AnnData file (.h5ad), perhaps a "
            "methylation table, of which there is nothing to build"
        )
    if "chromo" in file and "pos" in file:
        raise ProfileError(
            f"{path}: expected methylation profiles, received a data file of the original "
            "DeepCpG; make a table of it: deepcpg-tf data import-legacy"
        )
    raise ProfileError(
        f"{path}: expected calls in the context {CONTEXT}, as amethyst's files have them "
        f"(/{CONTEXT}/BARCODE/{CALLS}), received {shown_names(contexts) or 'none'} alone"
    )


def _dataset(path: Path, file: h5py.File, cell: str) -> h5py.Dataset:
    item = file[CONTEXT][cell]
    if isinstance(item, h5py.Group):
        if CALLS not in item:
            raise ProfileError(
                f"{path}, {cell}: expected the calls of bases, /{CONTEXT}/{cell}/{CALLS}, received "
                f"{shown_names(list(item)) or 'none'} alone"
            )
        item = item[CALLS]
    is_list = isinstance(item, h5py.Dataset) and item.ndim == 1
    fields: tuple[str, ...] = (item.dtype.names or ()) if is_list else ()
    known = {"chr", "pos"}.issubset(fields)
    if not known or not (_PERCENT in fields or set(_COUNTS).issubset(fields)):
        raise ProfileError(
            f"{path}, {cell}: expected rows with the fields chr, pos, c and t, or chr, pos and "
            f"{_PERCENT}, received {', '.join(fields) or 'none'}"
        )
    return item


def _names(column: npt.NDArray[Any]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the chromosomes in their order, and which one each row is of."""
    if not len(column):
        return [], np.zeros(0, np.int64)
    starts = np.flatnonzero(np.append(True, column[1:] != column[:-1]))
    codes: dict[str, int] = {}
    runs = []
    for value in column[starts].tolist():
        name = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        runs.append(codes.setdefault(name, len(codes)))
    lengths = np.diff(np.append(starts, len(column)))
    return list(codes), np.repeat(np.array(runs, np.int64), lengths)
