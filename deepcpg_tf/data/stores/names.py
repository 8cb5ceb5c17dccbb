"""Names of cells and chromosomes that a format of another program cannot hold."""

from __future__ import annotations

from collections.abc import Iterable

from deepcpg_tf.errors import TableError


def check_line_names(names: Iterable[str], what: str, format_: str) -> None:
    """Refuse names that are no line of text by themselves.

    Raises
    ------
    TableError
    """
    for name in names:
        if not name or name != name.strip() or not name.isprintable():
            raise TableError(
                f"table: expected names of {what} that {format_} can hold, a line each without "
                f"spaces around it, received {name!r}"
            )


def check_path_names(names: Iterable[str], what: str, format_: str) -> None:
    """Refuse names that a file, or a group of HDF5, cannot have.

    Raises
    ------
    TableError
    """
    for name in names:
        if not name or "/" in name or not name.isprintable() or name.startswith("."):
            raise TableError(
                f"table: expected names of {what} that {format_} can hold, without / and no . in "
                f"front, received {name!r}"
            )
