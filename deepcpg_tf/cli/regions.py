"""``deepcpg-tf regions``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Debug, names


def regions(
    data: Annotated[
        Path, typer.Argument(help="A table, or what impute wrote (.h5ad).", metavar="DATA")
    ],
    out: Annotated[Path, typer.Option(help="Write to this: .h5ad.", metavar="FILE")],
    regions: Annotated[
        Path | None, typer.Option(help="The intervals of this file.", metavar="BED")
    ] = None,
    bins: Annotated[
        str | None, typer.Option(help="Bins of this size: 500, 10kb, 1Mb.", metavar="SIZE")
    ] = None,
    hidden: Annotated[
        Path | None,
        typer.Option(
            help="With an imputed file, a table with calls that were hidden when it was imputed; "
            "intervals are fitted on these.",
            metavar="TABLE",
        ),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            help="Fit and check intervals on these chromosomes only, which the model was not "
            "trained on: 10,11.",
            metavar="LIST",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the methylated share of regions in each cell, with 90% intervals.

    What was observed counts as it is, what was imputed with its probability, which has to be
    calibrated. How far to trust the sum is fitted on some chromosomes, as neighbouring sites err
    together, and checked on others. The file has cells x regions with the layers mean, low, high,
    evidence, observed, methylated and sites, and those that MethSCAn and ALLCools make of
    calls: shrunken_residual, posterior_fraction and hypo_score.
    """
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.workflows.regions import summarise_regions

    with shown_progress() as progress:
        done = summarise_regions(
            data,
            out,
            regions=regions,
            bins=bins,
            hidden=hidden,
            held_out=names(held_out),
            progress=progress,
        )
    without = f" ({done.without_sites:,} without sites left out)" if done.without_sites else ""
    print(f"{done.out}: {done.regions:,} regions{without}, {done.cells} cells", file=sys.stderr)
