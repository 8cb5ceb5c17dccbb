"""Profiles of cells, whether a file has one or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.files import what_is_there
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.account import Account
from deepcpg_tf.profiles.formats import FORMATS, STORES, Layout
from deepcpg_tf.profiles.names import cell_name, found_name
from deepcpg_tf.profiles.placement import Placement
from deepcpg_tf.profiles.read import Profile, Reading, Wanted, read_profile
from deepcpg_tf.profiles.stores.amethyst import Amethyst
from deepcpg_tf.profiles.stores.base import Store
from deepcpg_tf.profiles.stores.cpg_transformer import POSITIONS, STATES, CpgTransformer
from deepcpg_tf.profiles.stores.methscan import HEADER, MethScan

_METHSCAN, _AMETHYST, _CPG_TRANSFORMER = "methscan", "amethyst", "cpg-transformer"
_OPENERS: dict[str, Callable[[Path, Layout], Store]] = {
    _METHSCAN: MethScan,
    f"{_METHSCAN}-zero": MethScan,
    _AMETHYST: Amethyst,
    f"{_AMETHYST}-zero": Amethyst,
    _CPG_TRANSFORMER: CpgTransformer,
}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZARR = (".zgroup", ".zattrs", ".zmetadata", "zarr.json", ".ALLCools")


@dataclass(frozen=True)
class CellsFile:
    """A file, or folder, with the profiles of some cells, of which none was read yet.

    Attributes
    ----------
    path
        The file.
    cells
        Names of its cells.
    store
        The file, opened, if it is of several cells.
    """

    path: Path
    cells: tuple[str, ...]
    store: Store | None

    def profiles(
        self,
        genome: Genome,
        *,
        format: str | None,  # noqa: A002
        min_coverage: int,
        hydroxymethylation: str,
        min_reference_match: float,
        keep_coverage: bool,
    ) -> Iterator[Profile]:
        """Yield the profile of each cell; see `deepcpg_tf.profiles.read.read_profile`.

        Of a file of several cells, all together have to fit the reference: a single cell may
        have no site at all.
        """
        if self.store is None:
            yield read_profile(
                self.path,
                genome,
                format=format,
                min_coverage=min_coverage,
                hydroxymethylation=hydroxymethylation,
                min_reference_match=min_reference_match,
                keep_coverage=keep_coverage,
                cell=self.cells[0],
            )
            return
        if hydroxymethylation != "methylated":
            raise ProfileError(
                f"{self.path}: expected a format that tells 5hmC from 5mC (modkit's bedMethyl of "
                "18 columns), as `hydroxymethylation` asks, received "
                f"{self.store.layout.format}"
            )
        wanted = Wanted(min_coverage, min_reference_match, keep_coverage)
        wanted.check()
        wanted.check_layout(self.path, self.store.layout)
        yield from _read(self.store, self.cells, genome, wanted)


def open_cells(path: Path, format: str | None, pattern: str | None) -> CellsFile:  # noqa: A002
    """Open a file of one or several cells, told by its content.

    Parameters
    ----------
    path
        A profile, a file of amethyst, or a folder of MethSCAn or CpG Transformer.
    format
        What it is, by name.
    pattern
        What finds the name of a cell in that of its file, or in the name that a file of
        several cells gives it; see `deepcpg_tf.profiles.names.cell_name`.

    Raises
    ------
    ProfileError
        When it is none of these, or damaged; when the pattern gives no name.
    """
    if format is not None and format not in (known := (*FORMATS, *STORES)):
        raise ProfileError(
            f"unknown format of a profile: expected one of {', '.join(known)}, received {format!r}"
        )
    name = _store_format(path) if format is None else format
    if name not in STORES:
        _check_file(path)
        return CellsFile(path, (cell_name(path, pattern),), None)
    _check_kind(path, name)
    store = _OPENERS[name](path, STORES[name])
    cells = store.cells
    if pattern is not None:
        cells = tuple(found_name(cell, pattern, path) for cell in cells)
    return CellsFile(path, cells, store)


def _read(store: Store, cells: tuple[str, ...], genome: Genome, wanted: Wanted) -> list[Profile]:
    placement = Placement(genome, lambda _: str(store.path))
    accounts = [Account.of(store.path, store.layout, cell) for cell in cells]
    readings = [Reading(account, placement, wanted) for account in accounts]
    for index, calls in store.calls():
        accounts[index].read += len(calls.positions)
        readings[index].take(calls)
        readings[index].end()
    if not placement.names:
        raise ProfileError(f"{store.path}: expected sites in {len(cells)} cells, received none")
    placement.check(store, wanted.min_reference_match)
    for account in accounts:
        account.absent = placement.absent
    return [
        Profile(cell, store.path, reading.sites(), account)
        for cell, reading, account in zip(cells, readings, accounts, strict=True)
    ]


def _store_format(path: Path) -> str | None:
    """Return the format of a file of several cells by its content; None for others."""
    if not path.is_dir():
        return _AMETHYST if path.is_file() and _starts_with(path, _HDF5) else None
    if (path / STATES).is_file() or (path / POSITIONS).is_file():
        return _CPG_TRANSFORMER
    if (path / HEADER).is_file() or any(path.glob("*.npz")):
        return _METHSCAN
    if any((path / name).exists() for name in _ZARR):
        raise ProfileError(
            f"{path}: expected calls of single sites, received a Zarr store, such as ALLCools' "
            "MCDS, which counts whole regions: build the table from the allc files it was made of"
        )
    raise ProfileError(
        f"{path}: expected a profile, or a folder of MethSCAn ({HEADER}) or CpG Transformer "
        f"({STATES}, {POSITIONS}), received another folder"
    )


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise ProfileError(f"{path}: expected a file, found {what_is_there(path)}")
    if path.name in (STATES, POSITIONS) and _starts_with(path, b"PK"):
        raise ProfileError(
            f"{path}: expected the folder of CpG Transformer's {STATES} and {POSITIONS}, "
            "received one of the files"
        )


def _check_kind(path: Path, name: str) -> None:
    is_folder = _OPENERS[name] is not Amethyst
    if is_folder != path.is_dir() or not path.exists():
        expected = "a folder" if is_folder else "a file"
        found = "a file" if path.is_file() else what_is_there(path)
        raise ProfileError(f"{path}: expected {expected}, as of {name}, found {found}")


def _starts_with(path: Path, signature: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(signature)) == signature
