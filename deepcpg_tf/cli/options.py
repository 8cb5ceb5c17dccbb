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


def names(text: str | None) -> list[str] | None:
    """Return names that have commas between them."""
    return None if text is None else text.split(",")
