"""Fitting what makes the probabilities of a model calibrated, on sites not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.errors import OutputError, SplitError
from deepcpg_tf.files import check_writable
from deepcpg_tf.genome.names import common_name, shown_names
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.calibration import calibration_of, check_calibrated, needs_shares
from deepcpg_tf.workflows.local import is_local, predicted_sites
from deepcpg_tf.workflows.opening import (
    ModelLike,
    PathLike,
    check_new,
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
    from deepcpg_tf.evaluation.evaluation import Evaluation
    from deepcpg_tf.models.base import MethylationModel

_BATCH_SIZE = 4096


class CalibratedCell(NamedTuple):
    """What was fitted of a cell, on how many labels, and how calibrated these are.

    ``own`` says whether its labels say more about its temperature than other cells do.
    """

    cell: str
    labels: int
    temperature: float
    own: bool
    ece_predicted: float
    ece: float
    brier_predicted: float
    brier: float


class CalibratedModel(NamedTuple):
    """A model that was calibrated, where it was written, and what was fitted of each cell."""

    model: MethylationModel
    folder: Path
    cells: list[CalibratedCell]
    evaluation: Evaluation


def calibrate(
    model: ModelLike,
    data: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    split: Splitter,
    genome: PathLike | None = None,
    report: PathLike | None = None,
    progress: Progress = SILENT,
) -> CalibratedModel:
    """Fit a temperature for each cell on the sites to validate on, and write the model with it.

    The balance of classes in training is undone first, with the methylated shares that the
    model keeps, or else those of the data but for the sites to test on. Every entry is
    predicted without its own state. Weights stay as they are.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model.
    data
        A table (``.h5ad``), or data files of the original program.
    out
        The folder to write: a preset.
    split
        Of which the part to validate on is used; see `deepcpg_tf.data.splits`.
    genome
        The reference of a table, for a module that reads DNA.
    report
        A folder to write an evaluation of these sites into, before and after.
    progress
        Who is told.

    Returns
    -------
    CalibratedModel

    Raises
    ------
    DeepCpgError
        When a file cannot be read or written, the data lack a cell of the model, or the
        model was trained on some of the sites.
    """
    files, out = paths_of(data), Path(out)
    folder = None if report is None else Path(report)
    check_other_than(out, *files, genome, model)
    check_new(out)
    check_writable(out)
    if folder is not None:
        if folder.resolve().is_relative_to(out.resolve()):
            raise OutputError(f"{folder}: expected a folder outside of that of the model, {out}")
        check_report(folder)
    loaded = open_model(model)
    loaded.check_values()
    check_calibrated(loaded)
    from deepcpg_tf.data.opening import open_data
    from deepcpg_tf.data.splits import chromosomes_of
    from deepcpg_tf.evaluation.evaluation import about
    from deepcpg_tf.evaluation.run import evaluate_arrays
    from deepcpg_tf.evaluation.temperatures import fit_temperatures
    from deepcpg_tf.weights.preset_folder import save_folder

    opened = open_data(files, None if genome is None else Path(genome))
    parts = split(opened)
    sites = parts.validation
    if not len(sites):
        raise SplitError("validation: expected chromosomes to fit temperatures on, received none")
    names = chromosomes_of(opened, sites)
    if seen := trained_on(loaded, opened, sites):
        raise SplitError(
            f"validation: expected chromosomes that the model was not trained on, received "
            f"{shown_names(seen)}: there it looks surer than it can be elsewhere"
        )
    if same := _called_as_trained_on(loaded, names):
        progress.tells(
            f"chromosomes called {shown_names(same)} were trained on, of other data: if these are "
            "of the same cells, the model looks surer here than it can be elsewhere"
        )
    examples = opened.examples(loaded.config)
    cells = opened.cells if is_local(loaded) else loaded.cells
    columns = columns_of(cells, opened)
    others = np.setdiff1d(np.arange(len(opened.positions)), parts.test)
    kept = calibration_of(loaded, examples, others).calibration
    labels = np.empty((len(sites), len(cells)), np.int8)
    if needs_shares(loaded):
        progress.tells(
            "the model does not keep the methylated share of each cell, by which the balance of "
            "classes in training is undone: it is that of the data, but for the sites to test on"
        )
    progress.begins("predicting", len(sites), "sites")
    for start in range(0, len(sites), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        labels[rows] = examples.labels(sites[rows])[:, columns]
    logits = predicted_sites(loaded, opened, examples, sites, "logits", progress)[:, : len(cells)]
    shifted = logits + kept.offsets_and_temperatures(cells).offsets
    fitted = fit_temperatures(shifted, labels)
    shares = dict(zip(kept.cells, kept.shares, strict=False))
    calibration = Calibration(
        cells=cells,
        shares=tuple(shares.get(cell) for cell in cells) if kept.has_shares else (),
        temperatures=tuple(fitted.own),
        temperature=fitted.common,
    )
    adjustment = calibration.offsets_and_temperatures(cells)
    told = about(
        name_of(model),
        loaded.config.architecture,
        files,
        f"validation: chromosomes {', '.join(names)}, on which temperatures were fitted",
    )
    evaluation = evaluate_arrays(
        labels, expit(adjustment.of_logits(logits)), cells, about=told, predicted=expit(logits)
    )
    if fitted.mostly_common:
        few = [cells[i] for i in fitted.mostly_common]
        progress.tells(
            f"{len(few)} of {len(cells)} cells have too few observed sites there for a "
            f"temperature of their own, and take that of all, or nearly: {shown_names(few)}"
        )
    calibrated = _with(loaded, calibration)
    calibrated.provenance = {
        **loaded.provenance,
        "calibrated": {
            "data": [file.name for file in files],
            "chromosomes": names,
            "sites": len(sites),
        },
    }
    save_folder(calibrated.checkpoint(), out)
    if folder is not None:
        from deepcpg_tf.evaluation.write import write_evaluation

        write_evaluation(evaluation, folder)
    _remember(loaded.digest(), calibrated.digest(), progress)
    common = set(fitted.mostly_common)
    return CalibratedModel(
        calibrated, out, _rows(evaluation, adjustment.temperatures, common), evaluation
    )


def _with(model: MethylationModel, calibration: Calibration) -> MethylationModel:
    """Return the model with other values that calibrate it; the one given stays as it is."""
    from deepcpg_tf.models.registry import build_model

    checkpoint = model.checkpoint()
    return build_model(checkpoint._replace(config=checkpoint.config.with_calibration(calibration)))


def _called_as_trained_on(model: MethylationModel, chromosomes: Sequence[str]) -> list[str]:
    """Return those of some chromosomes whose names are among those that a model trained on."""
    match model.provenance:
        case {"split": {"train": {"chromosomes": [*names]}}}:
            trained = {common_name(str(name)) for name in names}
            return [name for name in chromosomes if common_name(name) in trained]
    return []


def _rows(
    evaluation: Evaluation, temperatures: npt.NDArray[np.float32], common: set[int]
) -> list[CalibratedCell]:
    after, before = evaluation.calibration, evaluation.predicted
    assert before is not None
    counts = after.counts.sum(axis=1)
    return [
        CalibratedCell(
            cell,
            int(counts[i]),
            float(temperatures[i]),
            i not in common,
            *(float(one[i]) for one in (before.ece, after.ece, before.brier, after.brier)),
        )
        for i, cell in enumerate(evaluation.scores.cells)
    ]


def _remember(before: str, after: str, progress: Progress) -> None:
    """Have an export of the calibrated model find the data that the model was trained on."""
    from deepcpg_tf.data.training_data import recall, remember

    known = recall(before)
    try:
        if known is not None:
            remember(after, known)
    except OutputError as error:
        progress.tells(f"an export will not find the training data by itself: {error}")
