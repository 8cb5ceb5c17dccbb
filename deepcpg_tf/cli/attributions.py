"""``deepcpg-tf attributions``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from deepcpg_tf.cli.options import Debug, GenomeOfSites, Neighbours, Sequences, Sites, names

if TYPE_CHECKING:
    from deepcpg_tf.variants.attributions import Method
    from deepcpg_tf.variants.targets import Summary


def attributions(
    model: Annotated[
        str,
        typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL"),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Write to this: .h5ad, .npz, or a new folder with the ohe.npz and shap.npz that "
            "TF-MoDISco reads.",
            metavar="PATH",
        ),
    ],
    sequences: Sequences = None,
    sites: Sites = None,
    genome: GenomeOfSites = None,
    table: Neighbours = None,
    method: Annotated[
        str,
        typer.Option(
            help="gradient, integrated-gradients, deeplift or mutagenesis.", metavar="HOW"
        ),
    ] = "gradient",
    summary: Annotated[
        str, typer.Option(help="Of the cells: mean or var.", metavar="WHAT")
    ] = "mean",
    cells: Annotated[
        str | None, typer.Option(help="These cells of the model only.", metavar="LIST")
    ] = None,
    shuffles: Annotated[
        int,
        typer.Option(
            help="References of each window, for integrated-gradients and deeplift.", metavar="N"
        ),
    ] = 20,
    steps: Annotated[
        int,
        typer.Option(
            help="Points between a reference and its window, for integrated-gradients.",
            metavar="N",
        ),
    ] = 16,
    seed: Annotated[int, typer.Option(help="Of the shuffles.", metavar="N")] = 0,
    debug: Debug = False,
) -> None:
    """Tell what each base of windows contributes to the prediction.

    gradient is that of the mean or variance of the cells' probabilities, as of the original. The
    other methods explain the mean or variance of logits, against shuffles of each window that
    keep its dinucleotides, or by all substitutions.
    """
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.workflows.attributions import write_attributions

    with shown_progress() as progress:
        done = write_attributions(
            model,
            out,
            sequences=sequences,
            sites=sites,
            genome=genome,
            table=table,
            method=cast("Method", method),
            summary=cast("Summary", summary),
            cells=names(cells),
            shuffles=shuffles,
            steps=steps,
            seed=seed,
            progress=progress,
        )
    adding = ""
    if done.remainder is not None:
        adding = (
            f"; scores add up to differences of up to {done.difference:.3g} but for "
            f"{done.remainder:.2g}"
        )
    print(f"{done.out}: {done.windows:,} windows, {done.cells} cells{adding}", file=sys.stderr)
