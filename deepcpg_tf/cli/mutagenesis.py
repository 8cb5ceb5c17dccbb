"""``deepcpg-tf mutagenesis``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Debug, GenomeOfSites, Neighbours, Sequences, Sites, names


def mutagenesis(
    model: Annotated[
        str,
        typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL"),
    ],
    out: Annotated[Path, typer.Option(help="Write to this file: .h5ad or .npz.", metavar="FILE")],
    sequences: Sequences = None,
    sites: Sites = None,
    genome: GenomeOfSites = None,
    table: Neighbours = None,
    summary: Annotated[
        str | None,
        typer.Option(
            help="In place of all cells, summaries over them: mean, var, l2.", metavar="LIST"
        ),
    ] = None,
    cells: Annotated[
        str | None, typer.Option(help="These cells of the model only.", metavar="LIST")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="A folder for a picture of each window, 100 at most: the mean over the cells.",
            metavar="DIR",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Put every letter in every place of windows: what each does to the logit of every cell.

    A value is the logit with the letter there less that of the window as it is. Only what a
    substitution changes is computed anew.
    """
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.workflows.mutagenesis import write_mutagenesis

    with shown_progress() as progress:
        done = write_mutagenesis(
            model,
            out,
            sequences=sequences,
            sites=sites,
            genome=genome,
            table=table,
            summary=names(summary),
            cells=names(cells),
            plot=plot,
            progress=progress,
        )
    what = f"{done.windows:,} windows, {done.cells} cells"
    summaries = f", summarised ({summary})" if summary is not None else ""
    pictures = f", {done.pictures} pictures in {plot}" if plot is not None else ""
    print(f"{done.out}: {what}{summaries}{pictures}", file=sys.stderr)
