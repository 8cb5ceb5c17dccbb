"""``deepcpg-tf evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Calibrated, Debug
from deepcpg_tf.cli.split_options import (
    Fractions,
    SplitName,
    Test,
    Train,
    Validation,
    chosen_split,
)


def evaluate(
    model: Annotated[
        str, typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL")
    ],
    data: Annotated[
        list[Path],
        typer.Argument(help="A table (.h5ad), or data files of the original.", metavar="DATA..."),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write into.", metavar="DIR")],
    genome: Annotated[
        Path | None, typer.Option(help="The reference of a table.", metavar="FASTA")
    ] = None,
    bulk: Annotated[
        list[Path] | None,
        typer.Option(
            help="Profiles of many cells at once, for the outputs bulk/NAME.", metavar="PROFILE"
        ),
    ] = None,
    split: SplitName = None,
    train: Train = None,
    validation: Validation = None,
    test: Test = None,
    fractions: Fractions = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="With a split: train, validation or test (default: test).", metavar="PART"
        ),
    ] = None,
    annotations: Annotated[
        list[Path] | None,
        typer.Option(help="BED files; metrics are also given for the sites within.", metavar="BED"),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Write the predictions: .h5 (the original's) or .parquet.", metavar="F"),
    ] = None,
    calibrated: Calibrated = False,
    debug: Debug = False,
) -> None:
    """Evaluate a model on labelled sites: metrics.tsv, figures and a report to read.

    Without a split, all sites are evaluated. Metrics are over all of them together; the
    original's are means over chunks of 100,000.
    """
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.evaluation.write import REPORT_FILE
    from deepcpg_tf.workflows.evaluate import evaluate as evaluate_model

    ways = (split, train, validation, test, fractions)
    chosen = None
    if any(way is not None for way in ways):
        chosen = chosen_split(
            split=split,
            train=train,
            validation=validation,
            test=test,
            fractions=fractions,
            parts=[part or "test"],
        )
    with shown_progress() as progress:
        evaluate_model(
            model,
            data,
            out,
            genome=genome,
            bulk=bulk or [],
            split=chosen,
            part=part,
            annotations=annotations or [],
            predictions=predictions,
            calibrated=calibrated,
            progress=progress,
        )
    print(out / REPORT_FILE)
