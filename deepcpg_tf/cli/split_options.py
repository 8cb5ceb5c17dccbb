"""The options that say how sites are split, by chromosome."""

from __future__ import annotations

from typing import Annotated

import typer

SplitName = Annotated[
    str | None, typer.Option("--split", help="published: the split of the paper.", metavar="NAME")
]
Train = Annotated[
    str | None, typer.Option("--train", help="Chromosomes to train on: 1,3,5.", metavar="LIST")
]
Validation = Annotated[
    str | None, typer.Option("--validation", help="Chromosomes to validate on.", metavar="LIST")
]
Test = Annotated[
    str | None, typer.Option("--test", help="Chromosomes kept for evaluation.", metavar="LIST")
]
Fractions = Annotated[
    str | None,
    typer.Option("--fractions", help="Shares of sites, over whole chromosomes.", metavar="A,B,C"),
]
