# What Matplotlib says of its types is wider than what it returns.
# mypy: disable-error-code="arg-type, attr-defined, call-arg, index"

import sys

import numpy as np
import pytest

from deepcpg_tf.errors import OutputError
from deepcpg_tf.evaluation.plots import (
    annotations_figure,
    auc_figure,
    calibration_figure,
    figures,
    precision_recall_figure,
    risk_figure,
    roc_figure,
    save_png,
)
from deepcpg_tf.evaluation.run import evaluate_arrays as evaluate
from tests.evaluation.examples import random


def example(cells, n=2000, annotations=None):
    return evaluate(*random(n, cells), annotations)


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_few_cells_are_named_with_their_scores():
    evaluation = example(2)
    auc, ap = (evaluation.scores.values[metric] for metric in ("auc", "ap"))
    assert legend(roc_figure(evaluation)) == [
        f" c0 (AUC {auc[0]:.3f})",
        f" c1 (AUC {auc[1]:.3f})",
        "chance",
    ]
    share = evaluation.calibration.methylated.mean()
    assert legend(precision_recall_figure(evaluation)) == [
        f" c0 (AP {ap[0]:.3f})",
        f" c1 (AP {ap[1]:.3f})",
        f"chance ({share:.3f})",
    ]


def test_a_roc_line_is_the_curve():
    evaluation = example(1)
    line = roc_figure(evaluation).axes[0].get_lines()[0]
    assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(
        evaluation.scores.values["auc"][0], abs=2e-4
    )
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (0, 0)


def test_many_cells_share_a_legend():
    evaluation = example(30, 300)
    mean = evaluation.scores.values["auc"].mean()
    figure = roc_figure(evaluation)
    assert legend(figure) == ["each of 30 cells", f"mean (AUC {mean:.3f})", "chance"]
    lines = figure.axes[0].get_lines()
    average = next(line for line in lines if line.get_label().startswith("mean"))
    assert np.trapezoid(average.get_ydata(), average.get_xdata()) == pytest.approx(mean, abs=0.01)


def test_calibration_points():
    labels = np.repeat(np.array([1, 0, 0, 0], np.int8), 25)[:, None]
    probabilities = np.full((100, 1), 0.3125, np.float32)
    probabilities[:25] = 0.75
    figure = calibration_figure(evaluate(labels, probabilities, ["c"]).calibration)
    points, bars = figure.axes[0].get_lines()[-1], figure.axes[1].patches
    known = ~np.isnan(points.get_ydata())
    assert points.get_xdata()[known].tolist() == [0.3125, 0.75]
    assert points.get_ydata()[known].tolist() == [0, 1]
    assert [bar.get_height() for bar in bars] == [0] * 4 + [75] + [0] * 6 + [25] + [0] * 3


def test_risk_line():
    """From all labels, a quarter of them wrong, to the surest, none of them."""
    labels = np.array([[1, 0, 1, 0]], np.int8).T
    probabilities = np.array([[0.95, 0.85, 0.7, 0.0]], np.float32).T
    (line,) = risk_figure(evaluate(labels, probabilities, ["c"]).calibration).axes[0].get_lines()
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (1, 0.25)
    assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (0.25, 0)
    assert set(line.get_xdata()) == {1, 0.75, 0.5, 0.25}


@pytest.mark.parametrize("figure", [calibration_figure, risk_figure])
def test_what_was_predicted_is_drawn_beside_what_is_calibrated(figure):
    labels, probabilities, cells = random(200, 2)
    both = evaluate(labels, probabilities, cells, predicted=probabilities**2)
    alone = evaluate(labels, probabilities**2, cells)
    drawn = figure(both.calibration, both.predicted)
    (own,) = [line for line in drawn.axes[0].get_lines() if line.get_label() == "as predicted"]
    assert "all cells together, calibrated" in legend(drawn)
    (other,) = [
        line
        for line in figure(alone.calibration).axes[0].get_lines()
        if line.get_label() == "all cells together"
    ]
    np.testing.assert_array_equal(own.get_ydata(), other.get_ydata())


def test_cells_by_auc():
    evaluation = example(12)
    figure = auc_figure(evaluation)
    order = np.argsort(evaluation.scores.values["auc"])
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [f"c{i}" for i in order]
    dots = figure.axes[0].get_lines()[0]
    np.testing.assert_array_equal(dots.get_xdata(), evaluation.scores.values["auc"][order])
    mean = evaluation.scores.values["auc"].mean()
    assert legend(figure) == [f"mean ({mean:.3f})", "chance"]


def test_a_hundred_cells_are_a_histogram():
    figure = auc_figure(example(100, 300))
    bars = figure.axes[0].patches
    assert sum(bar.get_height() for bar in bars) == 100
    assert figure.axes[0].get_ylabel() == "cells"


def test_annotation_bars():
    masks = {"half": np.arange(2000) % 2 == 0, "none": np.zeros(2000, bool)}
    evaluation = example(3, annotations=masks)
    axes = annotations_figure(evaluation).axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(
        [
            evaluation.scores.values["auc"].mean(),
            evaluation.annotations["half"].scores.values["auc"].mean(),
        ]
    )
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["all sites\n2,000 sites", "half\n1,000 sites", "none\n0 sites"]
    assert "no cell with both classes" in [text.get_text() for text in axes.texts]


def test_names_are_shown_as_they_are(tmp_path):
    labels, probabilities, _ = random(300, 4)
    names = ["_hidden", "$x^", "細胞", "a_very_long_name_of_a_cell_that_needs_to_be_cut"]
    masks = {"$y_{": np.ones(300, bool)}
    drawn = figures(evaluate(labels, probabilities, names, masks))
    assert [text.split(" (")[0] for text in legend(drawn["roc"])] == [
        " _hidden",
        r" \$x^",
        " 細胞",
        " a_very_long_n…eeds_to_be_cut",
        "chance",
    ]
    for figure in drawn.values():
        assert save_png(figure, tmp_path / "a.png")


def test_png(tmp_path):
    figure = roc_figure(example(3))
    content = save_png(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == content
    assert content.startswith(b"\x89PNG")
    with pytest.raises(OutputError):
        save_png(figure, tmp_path / "no" / "a.png")


def test_equal_evaluations_draw_equal_figures(tmp_path):
    masks = {"half": np.arange(2000) % 2 == 0}
    first, second = (figures(example(5, annotations=masks)) for _ in range(2))
    for name, figure in first.items():
        assert save_png(figure, tmp_path / "a.png") == save_png(second[name], tmp_path / "b.png")


def test_no_figure_is_registered_with_pyplot():
    figures(example(2))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
