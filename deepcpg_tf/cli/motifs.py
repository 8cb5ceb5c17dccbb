"""``deepcpg-tf motifs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Debug, Sequences, Sites


def motifs(
    model: Annotated[
        str, typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL")
    ],
    out: Annotated[Path, typer.Option(help="A new folder to write.", metavar="DIR")],
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Labelled sites: a table (.h5ad) with --genome, or data files of the original.",
            metavar="[DATA]...",
            show_default=False,
        ),
    ] = None,
    sequences: Sequences = None,
    sites: Sites = None,
    genome: Annotated[
        Path | None,
        typer.Option(
            help="The reference of --sites, or of a table: FASTA, or a folder of it.",
            metavar="FASTA",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="A table (.h5ad) with labels of --sites, and with the neighbours that a Joint "
            "module reads.",
            metavar="TABLE",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="Motifs to compare with: a file in MEME's format, or jaspar, which the extra "
            "[jaspar] brings.",
            metavar="FILE",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Find the motifs of a model's first filters: meme.txt, stats.tsv, and a page to read.

    The windows are those of DATA, of --sequences, or of --sites with --genome.
    """
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.workflows.motifs import filter_motifs

    with shown_progress() as progress:
        found = filter_motifs(
            model,
            out=out,
            data=data or None,
            sequences=sequences,
            sites=sites,
            genome=genome,
            table=table,
            database=database,
            progress=progress,
        )
    print(f"{len(found.found)} of {len(found.filters)} filters have a motif: {out}")
