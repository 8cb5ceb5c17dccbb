"""From labels and probabilities to a folder with metrics, figures and a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import EvaluationError, OutputError
from deepcpg_tf.evaluation.curves import BINS, Calibration, Curve, calibrate, thin
from deepcpg_tf.evaluation.scores import (
    Scores,
    check_arrays,
    collect,
    measure,
    observe,
    sweep,
    write_metrics,
    write_metrics_by_annotation,
)
from deepcpg_tf.files import atomic_file

METRICS_FILE = "metrics.tsv"
ANNOTATIONS_FILE = "metrics_by_annotation.tsv"
REPORT_FILE = "report.html"


class AnnotationScores(NamedTuple):
    """How many of the sites lie in an annotation, and the metrics of those."""

    sites: int
    scores: Scores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well probabilities of methylation fit the labels of some sites.

    Attributes
    ----------
    sites : int
        Number of sites.
    scores : Scores
        Metrics of each cell over all sites.
    annotations : dict of str to AnnotationScores
        Those of the sites within each annotation.
    curves : tuple of Curve or None
        One of each cell, None where it shows one class only.
    calibration : Calibration
        Measured against predicted methylation.
    about : mapping of str to object
        What was evaluated, for the reader of the report.
    """

    sites: int
    scores: Scores
    annotations: dict[str, AnnotationScores]
    curves: tuple[Curve | None, ...]
    calibration: Calibration
    about: Mapping[str, object] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``metrics.tsv``, figures as PNG and ``report.html`` into a folder.

        With annotations there is ``metrics_by_annotation.tsv`` too. The folder is
        made if need be; what an earlier evaluation wrote there is replaced.

        Parameters
        ----------
        folder
            Other files in it stay as they are.

        Raises
        ------
        OutputError
            When the folder cannot be made or written to.
        """
        from deepcpg_tf.evaluation.plots import figures, save_png
        from deepcpg_tf.evaluation.report import report_html

        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot make the folder: {error.strerror}") from error
        write_metrics(folder / METRICS_FILE, self.scores)
        if self.annotations:
            scores = {name: one.scores for name, one in self.annotations.items()}
            write_metrics_by_annotation(folder / ANNOTATIONS_FILE, scores)
        else:
            for stale in (ANNOTATIONS_FILE, "annotations.png"):
                (folder / stale).unlink(missing_ok=True)
        images = {
            name: save_png(figure, folder / f"{name}.png") for name, figure in figures(self).items()
        }
        with atomic_file(folder / REPORT_FILE) as partial:
            partial.write_text(report_html(self, images), encoding="utf-8")


def evaluate(
    labels: npt.NDArray[np.int8],
    probabilities: npt.NDArray[np.float32],
    cells: Sequence[str],
    annotations: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    about: Mapping[str, object] | None = None,
    advance: Callable[[int], object] = lambda cells: None,
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
        `deepcpg_tf.genome.intervals.annotate`.
    about
        What was evaluated: the model, data, split and so on, in the words that the
        report shows.
    advance
        Called after each cell with 1.

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
    bins = np.zeros((3, len(cells), BINS))
    for i, cell in enumerate(cells):
        observed = observe(labels[:, i], probabilities[:, i], cell)
        found = sweep(observed)
        overall.append(measure(observed, found))
        curves.append(None if found is None else thin(found))
        bins[:, i] = calibrate(observed)
        for name, mask in masks.items():
            part = observed.within(mask)
            within[name].append(measure(part, sweep(part)))
        advance(1)
    return Evaluation(
        len(labels),
        collect(cells, overall),
        {
            name: AnnotationScores(int(np.count_nonzero(mask)), collect(cells, within[name]))
            for name, mask in masks.items()
        },
        tuple(curves),
        Calibration(*bins),
        about or {},
    )
