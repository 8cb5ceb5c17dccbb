"""From labels and probabilities to metrics of each cell and each annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.outputs import Output
from deepcpg_tf.errors import EvaluationError
from deepcpg_tf.evaluation.curves import Curve, thin
from deepcpg_tf.evaluation.evaluation import AnnotationScores, Evaluation
from deepcpg_tf.evaluation.outputs import score_outputs
from deepcpg_tf.evaluation.reliability import Reliability, reliability, together
from deepcpg_tf.evaluation.scores import check_arrays, collect, measure, observe, sweep
from deepcpg_tf.progress import SILENT, Progress


def evaluate_arrays(
    labels: npt.NDArray[np.int8],
    probabilities: npt.NDArray[np.float32],
    cells: Sequence[str],
    annotations: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    about: Mapping[str, object] | None = None,
    progress: Progress = SILENT,
    predicted: npt.NDArray[np.float32] | None = None,
) -> Evaluation:
    """Evaluate the predictions for all cells; one column at a time is copied.

    Parameters
    ----------
    labels : ndarray of int8, shape (n, cells)
        1 methylated, 0 unmethylated, -1 missing. May be memory-mapped.
    probabilities : ndarray of float32, shape (n, cells)
        Probabilities of methylation. May be memory-mapped.
    cells
        Names of the columns.
    annotations : mapping of str to ndarray of bool, shape (n,)
        The sites within each annotation, see
        `deepcpg_tf.evaluation.annotations.annotate`.
    about
        What was evaluated: the model, data, split and so on, in the words that the
        report shows.
    progress
        Who is told of the cells done.
    predicted : ndarray of float32, shape (n, cells), optional
        Where `probabilities` are calibrated, those that the model predicts.

    Raises
    ------
    EvaluationError
        When shapes differ, a cell is named twice, or a value is impossible.
    """
    check_arrays(labels, probabilities, cells)
    masks = annotations or {}
    for name, mask in masks.items():
        if mask.shape != (len(labels),):
            raise EvaluationError(
                f"annotation {name}: expected a value for each of {len(labels)} sites, "
                f"received the shape {list(mask.shape)}"
            )
    overall: list[dict[str, float]] = []
    within: dict[str, list[dict[str, float]]] = {name: [] for name in masks}
    curves: list[Curve | None] = []
    sums: list[Reliability] = []
    for i, cell in enumerate(cells):
        observed = observe(labels[:, i], probabilities[:, i], cell)
        found = sweep(observed)
        overall.append(measure(observed, found))
        curves.append(None if found is None else thin(found))
        sums.append(reliability(observed))
        for name, mask in masks.items():
            part = observed.within(mask)
            within[name].append(measure(part, sweep(part)))
        progress.advances(1)
    return Evaluation(
        len(labels),
        collect(cells, overall),
        {
            name: AnnotationScores(int(np.count_nonzero(mask)), collect(cells, within[name]))
            for name, mask in masks.items()
        },
        tuple(curves),
        together(sums),
        about or {},
        predicted=None if predicted is None else _reliability(labels, predicted, cells),
    )


def _reliability(
    labels: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float32], cells: Sequence[str]
) -> Reliability:
    check_arrays(labels, probabilities, cells)
    return together(
        reliability(observe(labels[:, i], probabilities[:, i], cell))
        for i, cell in enumerate(cells)
    )


def with_outputs(
    evaluation: Evaluation,
    targets: npt.NDArray[np.float32],
    values: npt.NDArray[np.float32],
    outputs: Sequence[Output],
    annotations: Mapping[str, npt.NDArray[np.bool_]],
) -> Evaluation:
    """Return an evaluation with the metrics of outputs other than cells.

    Parameters
    ----------
    evaluation
        Of the cells of the same sites, and within the same annotations.
    targets, values, outputs
        As in `deepcpg_tf.evaluation.outputs.score_outputs`.
    annotations
        The sites within each.
    """
    within = {
        name: one._replace(
            outputs=score_outputs(targets[annotations[name]], values[annotations[name]], outputs)
        )
        for name, one in evaluation.annotations.items()
    }
    scores = score_outputs(targets, values, outputs)
    return replace(evaluation, annotations=within, outputs=scores)
