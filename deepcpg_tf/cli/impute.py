"""``deepcpg-tf impute``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepcpg_tf.cli.options import Chromosomes, Debug, Regions, Thousandths, names

if TYPE_CHECKING:
    from deepcpg_tf.workflows.genome import Scanned


def impute(
    model: Annotated[
        str, typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL")
    ],
    data: Annotated[Path, typer.Argument(help="A table (.h5ad).", metavar="DATA")],
    genome: Annotated[
        Path,
        typer.Option(help="The reference of the table: FASTA, or a folder of it.", metavar="FASTA"),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Write to this: .parquet, .tsv, .tsv.gz, .h5ad, .h5; .bigwig or .bedgraph are "
            "folders with a file a cell.",
            metavar="FILE",
        ),
    ],
    chromosomes: Chromosomes = None,
    regions: Regions = None,
    thousandths: Thousandths = False,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            help="Leave predictions missing of which neither state has this probability, 0.5 to 1.",
            metavar="P",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Complete a table: the observed state where there is one, elsewhere the prediction.

    Every CpG of the genome is written, for each cell of the model; which values were
    observed is told by a column of each cell, or a layer. Killed at any moment, the same
    command goes on.

    Probabilities are calibrated: a model that was trained with balanced classes, as is the
    default, predicts as if half of the sites of each cell were methylated. That is undone by
    the share that was, which the model keeps, or else that of the table; and logits are
    divided by the temperatures of cells, where `calibrate` has fitted them.
    """
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.workflows.genome import impute as impute_table

    with shown_progress() as progress:
        done = impute_table(
            model,
            data,
            genome,
            out,
            chromosomes=names(chromosomes),
            regions=regions,
            thousandths=thousandths,
            min_confidence=min_confidence,
            progress=progress,
        )
    tell_scanned(
        done,
        f", {done.observed_cells} of them in the table; {done.observed_values:,} of "
        f"{done.sites * done.cells:,} values observed",
    )


def tell_scanned(done: Scanned, more: str = "") -> None:
    """Say on stderr what was written."""
    print(f"{done.out}: {done.sites:,} sites, {done.cells} cells{more}", file=sys.stderr)
