"""``deepcpg-tf calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Debug
from deepcpg_tf.cli.split_options import (
    Fractions,
    SplitName,
    Test,
    Train,
    Validation,
    chosen_split,
)

_HEADER = ("cell", "labels", "temperature", "ECE before", "ECE", "Brier before", "Brier")


def calibrate(
    model: Annotated[
        str, typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL")
    ],
    data: Annotated[
        list[Path],
        typer.Argument(help="A table (.h5ad), or data files of the original.", metavar="DATA..."),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write the model into.", metavar="DIR")],
    genome: Annotated[
        Path | None, typer.Option(help="The reference of a table.", metavar="FASTA")
    ] = None,
    split: SplitName = None,
    train: Train = None,
    validation: Validation = None,
    test: Test = None,
    fractions: Fractions = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write an evaluation of the sites to validate on, too.", metavar="DIR"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Fit a temperature for each cell, so that probabilities can be taken at their word.

    The balance of classes in training is undone by the methylated share of each cell, and
    temperatures are fitted on the sites to validate on, which must not be trained on. The model
    is written with both; its weights, and what `predict` gives, stay as they are. `evaluate
    --calibrated` on the sites to test on tells how well that does.
    """
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.cli.rows import print_rows
    from deepcpg_tf.workflows.calibrate import calibrate as calibrate_model

    chosen = chosen_split(
        split=split,
        train=train,
        validation=validation,
        test=test,
        fractions=fractions,
        parts=["validation"],
    )
    with shown_progress() as progress:
        done = calibrate_model(
            model, data, out, split=chosen, genome=genome, report=report, progress=progress
        )
    rows = [
        (
            one.cell,
            one.labels,
            f"{one.temperature:.3f}",
            *(f"{x:.4f}" for x in (one.ece_predicted, one.ece, one.brier_predicted, one.brier)),
        )
        for one in done.cells
    ]
    print_rows(_HEADER, rows)
