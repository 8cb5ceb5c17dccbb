"""``deepcpg-tf evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepcpg_tf.cli.options import Debug, check_files, check_out
from deepcpg_tf.cli.split_options import (
    Fractions,
    SplitName,
    Test,
    Train,
    Validation,
    chosen_split,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Examples

_PARTS = ("train", "validation", "test")
_BATCH_SIZE = 4096


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
    split: SplitName = None,
    train_on: Train = None,
    validation: Validation = None,
    test: Test = None,
    fractions: Fractions = None,
    part: Annotated[
        str, typer.Option(help="With a split: train, validation or test.", metavar="PART")
    ] = "test",
    annotations: Annotated[
        list[Path] | None,
        typer.Option(help="BED files; metrics are also given for the sites within.", metavar="BED"),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Write the predictions: .h5 (the original's) or .parquet.", metavar="F"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Evaluate a model on labelled sites: metrics.tsv, figures and a report to read.

    Without a split, all sites are evaluated. Metrics are over all of them together; the
    original's are means over chunks of 100,000.
    """
    from deepcpg_tf.errors import ConfigError, OutputError

    check_files(*data, *(annotations or []))
    check_out(predictions, *data)
    if out.is_file():
        raise OutputError(f"{out}: expected the name of a folder to write, received a file")
    if part not in _PARTS:
        raise ConfigError(f"--part: expected one of {', '.join(_PARTS)}, received {part!r}")
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    import numpy as np

    from deepcpg_tf.cli.progress import progress
    from deepcpg_tf.data.examples import open_examples
    from deepcpg_tf.evaluation.annotations import annotate
    from deepcpg_tf.evaluation.evaluation import about
    from deepcpg_tf.evaluation.run import evaluate as evaluate_arrays
    from deepcpg_tf.evaluation.write import write_evaluation
    from deepcpg_tf.models.registry import load_model
    from deepcpg_tf.results.blocks import shards_of
    from deepcpg_tf.results.contents import Contents, Kind
    from deepcpg_tf.results.registry import check_result, write_results

    loaded = load_model(model)
    examples = open_examples(data, genome, loaded.reads)
    contents = Contents(loaded.cells, tuple(examples.chromosomes), kind=Kind.EVALUATED)
    if predictions is not None:
        check_result(predictions, contents)
    columns = _columns(loaded.cells, examples)
    indices = np.arange(len(examples.positions))
    how = "all sites"
    if any(option is not None for option in (split, train_on, validation, test, fractions)):
        parts = chosen_split(
            split=split,
            train=train_on,
            validation=validation,
            test=test,
            fractions=fractions,
            parts=[part],
        )(examples)
        indices = getattr(parts, part)
        how = f"{part}: chromosomes " + ", ".join(
            examples.chromosomes[i] for i in np.unique(examples.chromosome_ids[indices])
        )
    if not len(indices):
        raise ConfigError(f"--part: expected sites in {part}, found none")
    labels = np.empty((len(indices), len(loaded.cells)), np.int8)
    probabilities = np.empty(labels.shape, np.float32)
    with progress("evaluating", len(indices)) as advance:
        for start in range(0, len(indices), _BATCH_SIZE):
            rows = slice(start, start + _BATCH_SIZE)
            labels[rows] = examples.labels(indices[rows])[:, columns]
            probabilities[rows] = loaded.predict_arrays(examples.arrays(indices[rows]))
            advance(len(indices[rows]))
    masks = {}
    if annotations:
        masks = annotate(
            annotations,
            examples.chromosomes,
            examples.chromosome_ids[indices],
            examples.positions[indices],
        )
    told = about(model, loaded.config.architecture, data, how)
    result = evaluate_arrays(labels, probabilities, loaded.cells, masks, told)
    write_evaluation(result, out)
    if predictions is not None:
        sites = (examples.chromosome_ids[indices], examples.positions[indices])
        shards = shards_of(contents.chromosomes, *sites, probabilities, labels)
        write_results(predictions, contents, shards)
    print(out / "report.html")


def _columns(cells: tuple[str, ...], examples: Examples) -> list[int]:
    """Return where the data have the model's cells."""
    from deepcpg_tf.errors import ConfigError

    missing = [cell for cell in cells if cell not in examples.cells]
    if missing:
        raise ConfigError(
            f"data: expected the model's cells ({', '.join(cells)}), "
            f"found no {', '.join(missing)} among {', '.join(examples.cells)}"
        )
    return [examples.cells.index(cell) for cell in cells]
