"""What cells are called in a result: columns, files and groups, each with a name of its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from deepcpg_tf.errors import OutputError

_LONGEST = 255  # bytes in the name of a file, on every common file system
_KEPT_DIGITS = 16


def check_columns(path: Path | str, columns: Iterable[tuple[str, str]], hint: str = "") -> None:
    """Refuse a table in which two columns have the same name.

    Parameters
    ----------
    path
        The table, for the message.
    columns
        Name of each column, and what it is for.
    hint
        What the message ends with.

    Raises
    ------
    OutputError
        Naming both that the column would be for.
    """
    owners: dict[str, str] = {}
    for name, owner in columns:
        if name in owners:
            raise OutputError(
                f"{path}: expected a name of its own for each column, received {name!r} both "
                f"for {owners[name]} and for {owner}{hint}"
            )
        owners[name] = owner


def check_groups(path: Path, cells: Sequence[str]) -> None:
    """Refuse cells that HDF5 would take for the same path, or one for a folder of another.

    Raises
    ------
    OutputError
        Naming both cells.
    """
    seen: dict[tuple[str, ...], str] = {}
    for cell in cells:
        parts = tuple(part for part in cell.split("/") if part not in ("", "."))
        if not parts or "\0" in cell:
            raise OutputError(
                f"{path}: expected cells that can be names in HDF5, received {cell!r}"
            )
        seen.setdefault(parts, cell)
        if seen[parts] != cell:
            _refuse_groups(path, seen[parts], cell)
    for parts, cell in seen.items():
        for i in range(1, len(parts)):
            if parts[:i] in seen:
                _refuse_groups(path, seen[parts[:i]], cell)


def _refuse_groups(path: Path, one: str, other: str) -> None:
    raise OutputError(
        f"{path}: expected cells of which none is a folder of another (a slash makes folders "
        f"in HDF5), received {one!r} and {other!r}"
    )


def file_names(cells: Sequence[str], ending: str) -> list[str]:
    """Return a name of a file for each cell, all different, and the cell's own if it can be.

    What a name cannot hold is percent-encoded, as in URLs: slashes, control characters, a dot
    at the beginning, the percent sign itself, and, of cells that differ only in what some file
    systems do not tell apart (case, the composition of letters), all but lower-case letters,
    digits, ``_``, ``-`` and ``.``. A name that is too long ends in ``%~`` and a checksum.

    Parameters
    ----------
    cells
        All different.
    ending
        What the names end with.
    """
    folded = [_folded(cell) for cell in cells]
    return [
        _shortened(_encoded(cell, plain=folded.count(fold) == 1), ending) + ending
        for cell, fold in zip(cells, folded, strict=True)
    ]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _encoded(cell: str, *, plain: bool) -> str:
    unsafe = r"[%/\x00-\x1f\x7f\ud800-\udfff]|^\." if plain else r"[^a-z0-9_.-]|^\."

    def encode(found: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in found[0].encode(errors="surrogatepass"))

    return re.sub(unsafe, encode, cell) or "%"


def _shortened(name: str, ending: str) -> str:
    room = _LONGEST - len(ending.encode())
    if len(name.encode()) <= room:
        return name
    tail = "%~" + sha256(name.encode()).hexdigest()[:_KEPT_DIGITS]
    head = name.encode()[: room - len(tail)].decode(errors="ignore")
    return head + tail
