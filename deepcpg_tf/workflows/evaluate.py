"""Evaluating a model on labelled sites."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from deepcpg_tf.errors import ConfigError
from deepcpg_tf.evaluation.evaluation import Evaluation
from deepcpg_tf.genome.names import shown_names
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.calibration import calibration_of, check_calibrated
from deepcpg_tf.workflows.local import is_local, predicted_sites
from deepcpg_tf.workflows.opening import (
    ModelLike,
    PathLike,
    check_other_than,
    check_report,
    columns_of,
    name_of,
    open_model,
    paths_of,
    trained_on,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.splits import Splitter

_PARTS = ("train", "validation", "test")
_USUAL_PART = "test"
_BATCH_SIZE = 4096


def evaluate(
    model: ModelLike,
    data: PathLike | Sequence[PathLike],
    out: PathLike | None = None,
    *,
    genome: PathLike | None = None,
    bulk: Sequence[PathLike] = (),
    split: Splitter | None = None,
    part: str | None = None,
    annotations: Sequence[PathLike] = (),
    predictions: PathLike | None = None,
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Evaluation:
    """Evaluate a model on labelled sites.

    Metrics are over all sites together; the original's are means over chunks of 100,000.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model.
    data
        A table (``.h5ad``), or data files of the original program.
    out
        A folder to write ``metrics.tsv``, figures and ``report.html`` into, if any.
    genome
        The reference of a table.
    bulk
        Profiles of many cells at once, whose levels the model predicts, beside a table.
    split
        What makes the parts; without it, all sites are evaluated.
    part
        With a split: ``"train"``, ``"validation"`` or, by default, ``"test"``.
    annotations
        BED files; metrics are also given for the sites within each.
    predictions
        A file to write the predictions to: ``.h5`` (the original's) or ``.parquet``.
    calibrated
        Whether to calibrate the probabilities of cells, and to tell how well calibrated they
        were before. Of a model that keeps no shares, these are of the sites that are not
        evaluated, or else of all.
    progress
        Who is told.

    Returns
    -------
    Evaluation

    Raises
    ------
    DeepCpgError
        When a file cannot be read or written, or the data lack a cell of the model.
    """
    from deepcpg_tf.results.contents import Contents, Kind
    from deepcpg_tf.results.registry import check_path, check_result, write_results

    files = paths_of(data)
    bulks = paths_of(bulk) if bulk else []
    beds = paths_of(annotations) if annotations else []
    folder = None if out is None else Path(out)
    kept = None if predictions is None else Path(predictions)
    check_other_than(kept, *files, *beds, *bulks, genome, model)
    if kept is not None:
        check_path(kept, Kind.EVALUATED)
    if folder is not None:
        check_report(folder)
    if part is not None and part not in _PARTS:
        raise ConfigError(f"part: expected one of {', '.join(_PARTS)}, received {part!r}")
    if part is not None and split is None:
        raise ConfigError(f"part: expected a split with it, received {part!r} alone")
    loaded = open_model(model)
    loaded.check_values()
    if kept is not None and loaded.config.outputs:
        raise ConfigError(
            "predictions: expected a model of cells alone, received one with the outputs "
            f"{', '.join(loaded.config.outputs)}"
        )
    if calibrated:
        check_calibrated(loaded)
    from deepcpg_tf.data.bulk import check_predicted
    from deepcpg_tf.data.examples import TableExamples
    from deepcpg_tf.data.opening import open_data
    from deepcpg_tf.data.splits import chromosomes_of
    from deepcpg_tf.evaluation.annotations import annotate
    from deepcpg_tf.evaluation.evaluation import about
    from deepcpg_tf.evaluation.run import evaluate_arrays, with_outputs
    from deepcpg_tf.models.values import values_of_logits
    from deepcpg_tf.results.blocks import shards_of

    reference = None if genome is None else Path(genome)
    opened = open_data(files, reference, bulks)
    check_predicted(bulks, loaded.config.outputs)
    examples = opened.examples(loaded.config)
    # Data files of the original do not tell which chromosomes their genome has.
    known = examples.genome_chromosomes if isinstance(examples, TableExamples) else None
    cells = opened.cells if is_local(loaded) else loaded.cells
    contents = Contents(cells, tuple(examples.chromosomes), kind=Kind.EVALUATED)
    if kept is not None:
        check_result(kept, contents)
    columns = columns_of(cells, opened)
    outputs = loaded.config.other_outputs
    indices = np.arange(len(examples.positions))
    how = "all sites"
    if split is not None:
        part = part or _USUAL_PART
        indices = getattr(split(examples), part)
        how = f"{part}: chromosomes {', '.join(chromosomes_of(examples, indices))}"
    if not len(indices):
        raise ConfigError(f"part: expected sites in {part}, found none")
    if seen := trained_on(loaded, opened, indices):
        progress.tells(
            f"the model was trained on sites of {shown_names(seen)}, which are among these: "
            "how it does on unseen ones, the part to test on of the same split tells"
        )
    ids, positions = examples.chromosome_ids[indices], examples.positions[indices]
    masks = annotate(beds, examples.chromosomes, ids, positions, known) if beds else {}
    for name, mask in masks.items():
        if not mask.any():
            progress.tells(f"annotation {name}: none of the {len(mask):,} sites lies within")
    adjustment = None
    told = about(name_of(model), loaded.config.architecture, files, how)
    if calibrated:
        others = np.setdiff1d(np.arange(len(examples.positions)), indices)
        found = calibration_of(loaded, examples, others if len(others) else indices)
        adjustment = found.calibration.offsets_and_temperatures(cells)
        progress.tells(found.told)
        told["probabilities"] = found.told
    # Before the long work: they may not be there.
    targets = opened.targets(loaded.config.outputs)[indices] if outputs else None
    labels = np.empty((len(indices), len(cells)), np.int8)
    progress.begins("evaluating", len(indices), "sites")
    for start in range(0, len(indices), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        labels[rows] = examples.labels(indices[rows])[:, columns]
    predicted = None
    if adjustment is None:
        values = predicted_sites(loaded, opened, examples, indices, "probabilities", progress)
    else:
        logits = predicted_sites(loaded, opened, examples, indices, "logits", progress)
        values = values_of_logits(logits, loaded.config, adjustment)
        predicted = expit(logits[:, : len(cells)])
    probabilities = values[:, : len(cells)]
    result = evaluate_arrays(labels, probabilities, cells, masks, told, predicted=predicted)
    if targets is not None:
        result = with_outputs(result, targets, values, outputs, masks)
    if folder is not None:
        from deepcpg_tf.evaluation.write import write_evaluation

        write_evaluation(result, folder)
    if kept is not None:
        shards = shards_of(examples.chromosomes, ids, positions, probabilities, labels)
        write_results(kept, contents, shards)
    return result
