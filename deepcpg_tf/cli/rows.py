"""Rows printed: for reading on a terminal, as TSV elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def print_rows(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table."""
    if not sys.stdout.isatty():
        for row in (header, *rows):
            print(*row, sep="\t")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=None, collapse_padding=True, pad_edge=False)
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)
