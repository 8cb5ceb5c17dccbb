"""The scopes that the original gives the names of its layers."""

from __future__ import annotations

DNA = "dna"
"""The layers of the DNA module, and its input."""

HEAD = "cpg"
"""The heads, one a cell: ``cpg/<cell>``."""


def head_name(cell: str) -> str:
    """Return the original's name of the head of a cell."""
    return f"{HEAD}/{cell}"
