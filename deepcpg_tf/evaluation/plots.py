"""Figures of an evaluation, readable with one cell and with a hundred."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepcpg_tf.evaluation.evaluation import Evaluation
from deepcpg_tf.evaluation.reliability import BINS, Reliability, Risk, ratio
from deepcpg_tf.files import atomic_file

# Okabe and Ito's palette, told apart with any kind of colour vision; yellow is too light.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
_MAIN, _CELL, _GUIDE = _COLOURS[0], "#A9BCCB", "#8A8A8A"
_MAX_NAMED_LINES = len(_COLOURS)
_MAX_NAMED_ROWS = 40
_MAX_NAME = 28
# A share of fewer labels than this is too rough to draw for a single cell.
_MIN_LABELS = 20
_DPI = 150


def figures(evaluation: Evaluation) -> dict[str, Figure]:
    """Return all figures of an evaluation, by the name of their file without ``.png``."""
    drawn = {
        "roc": roc_figure(evaluation),
        "precision_recall": precision_recall_figure(evaluation),
        "auc": auc_figure(evaluation),
        "calibration": calibration_figure(evaluation.calibration, evaluation.predicted),
        "risk_coverage": risk_figure(evaluation.calibration, evaluation.predicted),
    }
    if evaluation.annotations:
        drawn["annotations"] = annotations_figure(evaluation)
    return drawn


def save_png(figure: Figure, path: Path) -> bytes:
    """Write a figure as PNG and return the same bytes.

    Raises
    ------
    OutputError
        When the folder does not exist or cannot be written to.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A cell's name in a script that the font lacks shows as boxes.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        figure.savefig(buffer, format="png", dpi=_DPI)
    with atomic_file(path) as partial:
        partial.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def roc_figure(evaluation: Evaluation) -> Figure:
    """Draw the ROC curve of each cell, and their mean if there are many."""
    figure, axes = _square("false positive rate (1 - TNR)", "true positive rate (TPR)")
    curves = {
        i: (np.append(0, curve.false_positive_rate), np.append(0, curve.recall))
        for i, curve in enumerate(evaluation.curves)
        if curve is not None
    }
    _draw_cells(axes, curves, evaluation.scores.cells, evaluation.scores.values["auc"], "AUC")
    axes.plot([0, 1], [0, 1], color=_GUIDE, ls="--", lw=1, label="chance")
    _legend(axes, "lower right")
    return figure


def precision_recall_figure(evaluation: Evaluation) -> Figure:
    """Draw the precision-recall curve of each cell, and their mean if there are many."""
    figure, axes = _square("recall (TPR)", "precision")
    curves = {
        i: (curve.recall, curve.precision)
        for i, curve in enumerate(evaluation.curves)
        if curve is not None
    }
    scores = evaluation.scores
    _draw_cells(axes, curves, scores.cells, scores.values["ap"], "AP")
    if curves:
        share = float(evaluation.calibration.methylated[list(curves)].mean())
        axes.axhline(share, color=_GUIDE, ls="--", lw=1, label=f"chance ({share:.3f})")
        _legend(axes, "lower left")
    return figure


def calibration_figure(calibration: Reliability, predicted: Reliability | None = None) -> Figure:
    """Draw the share of methylated sites against the probability, and how many there are."""
    figure = Figure(figsize=(4.8, 5.4), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    axes.plot([0, 1], [0, 1], color=_GUIDE, ls="--", lw=1, label="perfect")
    cells = len(calibration.counts)
    if cells > 1:
        enough = np.where(calibration.counts >= _MIN_LABELS, calibration.counts, 0.0)
        means, shares = (
            ratio(p, enough) for p in (calibration.probabilities, calibration.positives)
        )
        for mean, share in zip(means, shares, strict=True):
            axes.plot(mean, share, color=_CELL, lw=0.8, alpha=_alpha(cells))
        axes.plot([], [], color=_CELL, lw=0.8, label="each cell")
    label = "all cells together" if cells > 1 else "this cell"
    if predicted is not None:
        axes.plot(*_line(predicted), "s--", color=_COLOURS[1], ms=4, lw=1.2, label="as predicted")
        label += ", calibrated"
    axes.plot(*_line(calibration), "o-", color=_MAIN, ms=5, lw=1.6, label=label)
    counts = calibration.counts.sum(axis=0)
    axes.set(ylabel="observed share methylated", xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.legend(frameon=False, loc="upper left")
    edges = np.linspace(0, 1, BINS + 1)
    below.bar(edges[:-1], counts, 1 / BINS, align="edge", color=_MAIN, ec="white", lw=0.8)
    below.set(xlabel="predicted probability of methylation", ylabel="labels")
    below.yaxis.set_major_formatter(lambda value, _: _short(value))
    below.locator_params(axis="y", nbins=3)
    _plain(axes, below)
    return figure


def _line(one: Reliability) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean probability and the share methylated of all labels, bin by bin."""
    counts = one.counts.sum(axis=0)
    return ratio(one.probabilities.sum(axis=0), counts), ratio(one.positives.sum(axis=0), counts)


def risk_figure(calibration: Reliability, predicted: Reliability | None = None) -> Figure:
    """Draw the share of wrong predictions among the surest ones, against how many these are."""
    figure = Figure(figsize=(4.8, 3.9), layout="constrained")
    axes = figure.subplots()
    cells = len(calibration.counts)
    if cells > 1:
        for risk in calibration.risks():
            axes.plot(*_steps(risk), color=_CELL, lw=0.8, alpha=_alpha(cells))
        axes.plot([], [], color=_CELL, lw=0.8, label="each cell")
    (pooled,) = calibration.pooled().risks()
    label = "all cells together" if cells > 1 else "this cell"
    if predicted is not None:
        (own,) = predicted.pooled().risks()
        axes.plot(*_steps(own), color=_COLOURS[1], ls="--", lw=1.2, label="as predicted")
        label += ", calibrated"
    axes.plot(*_steps(pooled), color=_MAIN, lw=1.8, label=label)
    axes.set(xlabel="share of labels whose prediction is kept", ylabel="wrong predictions")
    axes.set(xlim=(0, 1.01))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    _plain(axes)
    return figure


def _steps(risk: Risk) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what a line is drawn through: where anything is kept."""
    known = risk.coverage > 0
    return risk.coverage[known], risk.error[known]


def auc_figure(evaluation: Evaluation) -> Figure:
    """Draw the AUC of each cell: a named dot each, or a histogram of many cells."""
    values = evaluation.scores.values["auc"]
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    named = len(order) <= _MAX_NAMED_ROWS
    figure = Figure(
        figsize=(4.8, 1.5 + 0.2 * max(len(order), 2) if named else 3.4), layout="constrained"
    )
    axes = figure.subplots()
    if not len(order):
        return _nothing(figure, axes)
    if named:
        rows = np.arange(len(order))
        axes.hlines(rows, 0, values[order], color="0.9", lw=1)
        axes.plot(values[order], rows, "o", color=_MAIN, ms=6)
        axes.set_yticks(rows, [_name(evaluation.scores.cells[i]) for i in order], size=9)
        axes.set_ylim(-0.8, len(order) - 0.2)
    else:
        axes.hist(values[order], bins="auto", color=_MAIN, ec="white")
        axes.set_ylabel("cells")
        axes.locator_params(axis="y", integer=True)
    mean = float(values[order].mean())
    if len(order) > 1:
        axes.axvline(mean, color=_COLOURS[1], lw=1.4, label=f"mean ({mean:.3f})")
    _auc_axis(axes, values[order])
    return figure


def annotations_figure(evaluation: Evaluation) -> Figure:
    """Draw the mean AUC of the cells within each annotation, and each cell as a dot."""
    groups = [("all sites", evaluation.sites, evaluation.scores)]
    groups += [(name, one.sites, one.scores) for name, one in evaluation.annotations.items()]
    figure = Figure(figsize=(6.4, 1.3 + 0.5 * len(groups)), layout="constrained")
    axes = figure.subplots()
    for row, (_, _, scores) in enumerate(groups):
        values = scores.values["auc"][~np.isnan(scores.values["auc"])]
        if not len(values):
            axes.text(0.02, row, "no cell with both classes", va="center", color=_GUIDE, size=9)
            continue
        axes.barh(row, values.mean(), 0.62, color=_MAIN if row else _GUIDE, alpha=0.75)
        if len(values) > 1:
            # A fixed pattern spreads the dots, so that equal input draws equal figures.
            spread = row + 0.2 * np.sin(np.arange(len(values)) * 2.4)
            axes.plot(values, spread, "o", color="0.15", ms=3, alpha=_alpha(len(values)), mew=0)
        axes.text(1.015, row, f"{values.mean():.3f}", va="center", size=9)
    axes.axvline(0.5, color=_GUIDE, ls="--", lw=1)
    labels = [f"{_name(name)}\n{sites:,} sites" for name, sites, _ in groups]
    axes.set_yticks(range(len(groups)), labels, size=9)
    axes.set(xlim=(0, 1), ylim=(len(groups) - 0.5, -0.5))
    axes.set_xlabel("AUC (bar: mean of cells, dot: one cell, dashed: chance)")
    _plain(axes)
    return figure


def _square(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    _plain(axes)
    return figure, axes


def _draw_cells(
    axes: Axes,
    curves: dict[int, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]],
    cells: tuple[str, ...],
    values: npt.NDArray[np.float64],
    metric: str,
) -> None:
    """Draw a line a cell, in a colour of its own while there are few."""
    if not curves:
        axes.text(0.5, 0.55, "no cell with both classes", ha="center", color=_GUIDE)
    elif len(curves) <= _MAX_NAMED_LINES:
        for colour, (i, (x, y)) in zip(_COLOURS, curves.items(), strict=False):
            # matplotlib leaves labels that begin with "_" out of the legend.
            axes.plot(
                x, y, color=colour, lw=1.6, label=f" {_name(cells[i])} ({metric} {values[i]:.3f})"
            )
    else:
        for x, y in curves.values():
            axes.plot(x, y, color=_CELL, lw=0.8, alpha=_alpha(len(curves)))
        axes.plot([], [], color=_CELL, lw=0.8, label=f"each of {len(curves)} cells")
        grid = np.linspace(0, 1, 201)
        mean = np.mean([np.interp(grid, x, y) for x, y in curves.values()], axis=0)
        area = float(np.nanmean(values))
        axes.plot(grid, mean, color=_MAIN, lw=2.2, label=f"mean ({metric} {area:.3f})")


def _legend(axes: Axes, place: Literal["lower left", "lower right"]) -> None:
    axes.legend(frameon=False, loc=place, fontsize=9)


def _auc_axis(axes: Axes, values: npt.NDArray[np.float64]) -> None:
    low = min(0.48, float(values.min()) - 0.02)
    axes.axvline(0.5, color=_GUIDE, ls="--", lw=1, label="chance")
    axes.set(xlim=(low, 1.0), xlabel="AUC")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=9)
    _plain(axes)


def _nothing(figure: Figure, axes: Axes) -> Figure:
    axes.text(0.5, 0.5, "no cell with both classes", ha="center", va="center", color=_GUIDE)
    axes.set_axis_off()
    return figure


def _plain(*all_axes: Axes) -> None:
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)


def _alpha(lines: int) -> float:
    return max(0.35, min(1.0, 12 / max(lines, 1)))


def _name(name: str) -> str:
    """Return a name as matplotlib shows it as it is; a long one is cut in the middle."""
    if len(name) > _MAX_NAME:
        half = _MAX_NAME // 2
        name = f"{name[: half - 1]}…{name[-half:]}"
    return name.replace("$", r"\$")


def _short(number: float) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:g}"
