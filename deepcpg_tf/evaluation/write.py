"""An evaluation as a folder with metrics, figures and a report."""

from __future__ import annotations

from pathlib import Path

from deepcpg_tf.evaluation.evaluation import Evaluation
from deepcpg_tf.evaluation.outputs import output_rows
from deepcpg_tf.evaluation.plots import figures, save_png
from deepcpg_tf.evaluation.reliability import Risk, figures_of, risk_rows
from deepcpg_tf.evaluation.report import report_html
from deepcpg_tf.evaluation.scores import (
    HEADER,
    write_metrics,
    write_metrics_by_annotation,
    write_rows,
)
from deepcpg_tf.files import atomic_files

METRICS_FILE = "metrics.tsv"
ANNOTATIONS_FILE = "metrics_by_annotation.tsv"
REPORT_FILE = "report.html"
CALIBRATION_FILE = "calibration.tsv"
RISK_FILE = "risk_coverage.tsv"

# What only an evaluation with annotations, or of cells, has.
_MAYBE = (ANNOTATIONS_FILE, "annotations.png", CALIBRATION_FILE, RISK_FILE)


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write ``metrics.tsv``, figures as PNG and ``report.html`` into a folder.

    ``calibration.tsv`` has the calibration error and Brier score of each cell, in the columns of
    ``metrics.tsv``, and ``risk_coverage.tsv`` what keeping confident predictions alone leaves.

    With annotations there is ``metrics_by_annotation.tsv`` too. What an earlier
    evaluation wrote there is replaced once all is complete; on an error it stays.

    Parameters
    ----------
    evaluation
        What to write.
    folder
        Made if need be; other files in it stay as they are.

    Raises
    ------
    OutputError
        When the folder cannot be made or written to.
    """
    with atomic_files(folder, _MAYBE) as stage:
        others = output_rows(evaluation.outputs)
        write_metrics(stage / METRICS_FILE, evaluation.scores, others)
        if cells := evaluation.scores.cells:
            figures_ = figures_of(cells, evaluation.calibration, evaluation.predicted)
            write_rows(stage / CALIBRATION_FILE, HEADER, figures_)
            write_rows(stage / RISK_FILE, Risk._fields, risk_rows(evaluation.calibration))
        if evaluation.annotations:
            scores = {name: one.scores for name, one in evaluation.annotations.items()}
            rows = {name: output_rows(one.outputs) for name, one in evaluation.annotations.items()}
            write_metrics_by_annotation(stage / ANNOTATIONS_FILE, scores, rows)
        # They are of cells.
        drawn = figures(evaluation) if cells else {}
        images = {name: save_png(figure, stage / f"{name}.png") for name, figure in drawn.items()}
        (stage / REPORT_FILE).write_text(report_html(evaluation, images), encoding="utf-8")
