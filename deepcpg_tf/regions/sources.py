"""What is known of sites in cells: the calls of a table, or an imputed file read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import h5py
import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.calls import labels_of_calls
from deepcpg_tf.data.elements import read_element, read_sparse
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import DeepCpgError, GenomeError, TableError
from deepcpg_tf.genome.names import find_name
from deepcpg_tf.regions.places import Ints, chunks

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]

SITES = 1 << 16
"""Sites that are read at a time."""

_ENTRIES = 1 << 22
"""Sites times cells that are dealt with at a time."""


class Piece(NamedTuple):
    """What is known of some sites of a chromosome, in some cells.

    ``labels`` is int8 [sites, cells]: 1, 0, or -1 where nothing was observed. Of an imputed file,
    ``probabilities`` is float32 of the same shape, and ``tested`` says of which observed states
    the probabilities know nothing.
    """

    cells: slice
    labels: Labels
    probabilities: Floats | None = None
    tested: Mask | None = None


class Source(Protocol):
    """Cells, sites, and what is known of them."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of the chromosomes that have sites, in their order."""

    @property
    def imputed(self) -> bool:
        """Whether there are probabilities."""

    def positions(self, chromosome: str) -> Ints:
        """Return the sites of a chromosome, 0-based and ascending."""

    def pieces(
        self, chromosome: str, first: int, last: int, *, calls: bool = False
    ) -> Iterator[Piece]:
        """Yield what is known of some sites of a chromosome, all cells one after another.

        With `calls`, only what was observed.
        """


def site_counts(source: Source, chromosome: str) -> tuple[Ints, Ints]:
    """Return in how many cells each site of a chromosome is methylated, and observed."""
    sites = len(source.positions(chromosome))
    methylated, observed = np.zeros(sites, np.int64), np.zeros(sites, np.int64)
    for part in chunks(sites, SITES):
        for piece in source.pieces(chromosome, part.start, part.stop, calls=True):
            methylated[part] += (piece.labels == 1).sum(axis=1)
            observed[part] += (piece.labels >= 0).sum(axis=1)
    return methylated, observed


def levels_of_cells(source: Source) -> npt.NDArray[np.float64]:
    """Return the methylated share of the calls of each cell.

    That of all cells counts as a call more, so that no cell is taken for all or none.
    """
    total, count = np.zeros(len(source.cells)), np.zeros(len(source.cells))
    for chromosome in source.chromosomes:
        for part in chunks(len(source.positions(chromosome)), SITES):
            for piece in source.pieces(chromosome, part.start, part.stop, calls=True):
                total[piece.cells] += (piece.labels >= 0).sum(axis=0)
                count[piece.cells] += (piece.labels == 1).sum(axis=0)
    common = (count.sum() + 0.5) / (total.sum() + 1)
    return np.asarray((count + common) / (total + 1))


class TableSource:
    """The calls of a table; what no cell observed is no site."""

    imputed = False

    def __init__(self, table: MethylationTable) -> None:
        self._table = table
        self.cells = table.cells
        bounds = np.searchsorted(table.chromosome_ids, np.arange(len(table.chromosomes) + 1))
        self._bounds = {
            name: (int(first), int(last))
            for name, first, last in zip(table.chromosomes, bounds[:-1], bounds[1:], strict=True)
            if last > first
        }
        self.chromosomes = tuple(self._bounds)

    def positions(self, chromosome: str) -> Ints:
        """Return the sites of a chromosome."""
        return self._table.positions[slice(*self._bounds[chromosome])]

    def pieces(
        self, chromosome: str, first: int, last: int, *, calls: bool = False
    ) -> Iterator[Piece]:
        """Yield the calls of some sites."""
        start = self._bounds[chromosome][0]
        rows = self._table.calls[start + first : start + last].tocsc()
        for cells in chunks(len(self.cells), max(1, _ENTRIES // max(last - first, 1))):
            yield Piece(cells, labels_of_calls(rows[:, cells].toarray()))


class ImputedSource:
    """An imputed ``.h5ad``, and a table with states that were hidden from the imputation.

    Parameters
    ----------
    file
        The file, opened.
    path
        Its name, for errors.
    table
        A table of some of its cells, by name. What it observed and the file did not is
        tested, in place of what the file observed.

    Raises
    ------
    TableError
        When the file is something else or damaged, or the table is of other cells or
        chromosomes, or nothing was hidden.
    """

    imputed = True

    def __init__(self, file: h5py.File, path: Path, table: MethylationTable | None = None) -> None:
        self._path = path
        missing = [name for name in _NEEDED if name not in file]
        if missing:
            raise TableError(
                f"{path}: expected a table, or a file that deepcpg-tf impute wrote, received one "
                f"without {', '.join(missing)}"
            )
        self.cells = tuple(map(str, read_element(file, "obs").index))
        chromosomes = read_element(file, "var/chromosome")
        self._bounds, self._positions = _sites(path, chromosomes, file["var/position"])
        self.chromosomes = tuple(self._bounds)
        shape = (len(self.cells), len(self._positions))
        self._probability = file["layers/probability"]
        if getattr(self._probability, "shape", None) != shape:
            raise TableError(
                f"{path}: expected layers/probability of {shape[0]} cells and {shape[1]} sites, "
                "as obs and var have, received another"
            )
        self._observed = _Columns(path, file, "layers/observed", shape)
        self._hidden = None if table is None else _Hidden(table, self)

    def positions(self, chromosome: str) -> Ints:
        """Return the sites of a chromosome."""
        return self._positions[slice(*self._bounds[chromosome])]

    def pieces(
        self, chromosome: str, first: int, last: int, *, calls: bool = False
    ) -> Iterator[Piece]:
        """Yield the states and probabilities of some sites."""
        start = self._bounds[chromosome][0]
        observed = self._observed.part(start + first, start + last)
        hidden = None if self._hidden is None else self._hidden.part(chromosome, first, last)
        for cells in chunks(len(self.cells), max(1, _ENTRIES // max(last - first, 1))):
            labels = labels_of_calls(observed[cells].toarray().T)
            tested = labels >= 0
            if hidden is not None:
                known = labels_of_calls(hidden[:, cells].toarray())
                tested = (known >= 0) & ~tested
                labels[tested] = known[tested]
            if calls:
                yield Piece(cells, labels)
                continue
            own = np.asarray(self._probability[cells, start + first : start + last], np.float32).T
            if not ((own >= 0) & (own <= 1)).all():
                wrong = own[~((own >= 0) & (own <= 1))][0]
                raise TableError(
                    f"{self._path}: expected probabilities, 0 to 1, in layers/probability, "
                    f"received {wrong} on {chromosome}"
                )
            yield Piece(cells, labels, own, tested)


_NEEDED = ("obs", "var/chromosome", "var/position", "layers/observed", "layers/probability")
_READING_FAILED = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError),
    MemoryError,
)


def is_imputed(path: Path) -> bool:
    """Return whether a file is told to be imputed, and not a table, by what it has."""
    try:
        with h5py.File(path) as file:
            return "layers/probability" in file or isinstance(file.get("X"), h5py.Dataset)
    except OSError:
        return False  # what reads tables tells what it is


@contextmanager
def imputed_source(path: Path, table: MethylationTable | None = None) -> Iterator[ImputedSource]:
    """Open an imputed file; what is wrong with it is an error while it is read, too.

    Raises
    ------
    TableError
    """
    try:
        with h5py.File(path) as file:
            yield ImputedSource(file, path, table)
    except DeepCpgError:
        raise
    except _READING_FAILED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(
            f"{path}: expected a file that deepcpg-tf impute wrote, received something else or a "
            f"damaged file: {reason}"
        ) from None


def _sites(
    path: Path, chromosomes: Any, column: h5py.Dataset
) -> tuple[dict[str, tuple[int, int]], Ints]:
    """Return where the sites of each chromosome begin and end, and the positions of all."""
    import pandas as pd

    names = pd.Categorical(chromosomes)
    codes, positions = np.asarray(names.codes), np.asarray(column[:])
    if positions.dtype.kind not in "iu" or positions.shape != codes.shape:
        raise TableError(f"{path}: expected a whole number a site as var/position")
    positions = positions.astype(np.int64)
    starts = np.flatnonzero(np.diff(codes, prepend=-2))
    of_parts = codes[starts].tolist()
    falls = (np.diff(positions) <= 0) & (np.diff(codes) == 0)
    if len(set(of_parts)) < len(of_parts) or -1 in of_parts or falls.any():
        raise TableError(
            f"{path}: expected different sites, sorted by chromosome and position, received others"
        )
    if not len(positions):
        raise TableError(f"{path}: expected sites, received none")
    ends = [*starts[1:].tolist(), len(codes)]
    bounds = {
        str(names.categories[code]): (int(start), int(end))
        for code, start, end in zip(of_parts, starts, ends, strict=True)
    }
    return bounds, positions


class _Columns:
    """A sparse matrix of cells by sites, in a file, of which some sites are read at a time."""

    def __init__(self, path: Path, file: h5py.File, name: str, shape: tuple[int, int]) -> None:
        group = file[name]
        self._name, self._path = name, path
        self._cells = shape[0]
        if tuple(group.attrs.get("shape", ())) != shape:
            raise TableError(
                f"{path}: expected {name}, sparse, of {shape[0]} cells and {shape[1]} sites, as "
                "obs and var have, received another"
            )
        self._whole = None
        if group.attrs["encoding-type"] == "csc_matrix":
            self._ends = np.asarray(group["indptr"][:], np.int64)
            self._rows, self._values = group["indices"], group["data"]
        else:  # another program wrote it
            self._whole = read_sparse(file, name).tocsc()

    def part(self, first: int, last: int) -> scipy.sparse.csr_array:
        """Return some sites, int8 [cells, sites]."""
        if self._whole is not None:
            own = self._whole[:, first:last]
        else:
            ends = self._ends[first : last + 1]
            within = slice(int(ends[0]), int(ends[-1]))
            content = (self._values[within], self._rows[within], ends - ends[0])
            own = scipy.sparse.csc_array(content, shape=(self._cells, last - first))
            own.check_format(full_check=True)
        if not np.isin(own.data, (-1, 0, 1)).all():
            raise TableError(f"{self._path}: expected 1, -1 and 0 (missing) in {self._name}")
        return scipy.sparse.csr_array(own.astype(np.int8))


class _Hidden:
    """The calls of a table, by the cells and sites of an imputed file."""

    def __init__(self, table: MethylationTable, of: ImputedSource) -> None:
        columns = {cell: column for column, cell in enumerate(table.cells)}
        shared = [columns.get(cell, -1) for cell in of.cells]
        if not any(column >= 0 for column in shared):
            raise TableError(
                f"hidden: expected a table of some of the imputed cells ({', '.join(of.cells[:3])},"
                f" …), received {', '.join(table.cells[:3])}, …"
            )
        self._table, self._of, self._columns = TableSource(table), of, shared
        self._calls = table.calls
        self._starts = np.searchsorted(table.chromosome_ids, np.arange(len(table.chromosomes)))
        self._order = table.chromosomes

    def part(self, chromosome: str, first: int, last: int) -> scipy.sparse.csc_array:
        """Return the calls of some sites of the imputed file, int8 [sites, cells]."""
        shape = (last - first, len(self._columns))
        try:
            own = find_name(chromosome, self._table.chromosomes)
        except GenomeError as error:
            raise TableError(f"hidden: {error}") from None
        if own is None:
            return scipy.sparse.csc_array(shape, dtype=np.int8)
        wanted = self._of.positions(chromosome)[first:last]
        there = self._table.positions(own)
        at = np.searchsorted(there, wanted)
        found = np.flatnonzero(there[np.minimum(at, len(there) - 1)] == wanted)
        start = int(self._starts[self._order.index(own)])
        rows = self._calls[start + at[found]].tocoo()
        column_of = np.full(self._calls.shape[1], -1, np.int64)
        for column, theirs in enumerate(self._columns):
            if theirs >= 0:
                column_of[theirs] = column
        kept = column_of[rows.col] >= 0
        place = (found[rows.row[kept]], column_of[rows.col[kept]])
        return scipy.sparse.csc_array((rows.data[kept], place), shape=shape)
