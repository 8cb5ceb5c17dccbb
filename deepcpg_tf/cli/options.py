"""What the options of several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.", show_default=False)
]
Chromosomes = Annotated[
    str | None, typer.Option(help="Every CpG of these chromosomes only: 1,X.", metavar="LIST")
]
Regions = Annotated[
    Path | None, typer.Option(help="Every CpG within these intervals only.", metavar="BED")
]
Thousandths = Annotated[
    bool,
    typer.Option("--thousandths", help="Whole thousandths in tables: smaller than float32."),
]

Calibrated = Annotated[
    bool,
    typer.Option(
        "--calibrated",
        help="Calibrate probabilities: undo the balance of classes in training by the methylated "
        "share of each cell (kept by the model, or else that of the data), and use the "
        "temperatures that calibrate fitted.",
    ),
]

Sequences = Annotated[
    Path | None, typer.Option(help="A text file with a window a line.", metavar="FILE")
]
Sites = Annotated[
    Path | None,
    typer.Option(
        help="Sites to cut windows around: BED, or chromosome and 1-based position.",
        metavar="FILE",
    ),
]
GenomeOfSites = Annotated[
    Path | None,
    typer.Option(
        "--genome",
        help="The reference of --sites: FASTA, plain or bgzip, or a folder of it.",
        metavar="FASTA",
    ),
]
Neighbours = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="A table (.h5ad) of the cells whose neighbouring sites a Joint module reads.",
        metavar="TABLE",
    ),
]


def names(text: str | None) -> list[str] | None:
    """Return names that have commas between them."""
    return None if text is None else text.split(",")
