"""The scopes that the original gives the names of its layers."""

from __future__ import annotations

DNA = "dna"
"""The layers of the DNA module, and its input."""

CPG = "cpg"
"""The layers of the CpG module, and its inputs ``cpg/state`` and ``cpg/dist``."""

JOINT = "joint"
"""The layers after the concatenation of both embeddings, which itself has no scope."""

LOCAL = "local"
"""The layers of the local module, which the original has not."""

HEAD = "cpg"
"""The heads, one a cell: ``cpg/<cell>``, in the scope of the CpG module too."""


def head_name(cell: str) -> str:
    """Return the original's name of the head of a cell."""
    return f"{HEAD}/{cell}"
