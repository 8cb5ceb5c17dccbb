"""The learning curve, as a table and as a figure."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from deepcpg_tf.files import atomic_file

CSV_FILE = "history.csv"
FIGURE_FILE = "learning_curve.png"


def write_history(history: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Write ``history.csv``, a row an epoch."""
    with atomic_file(folder / CSV_FILE) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def write_figure(history: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Write ``learning_curve.png``: losses, and the mean AUC of validation if there is one."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    validated = "validation_loss" in history[0]
    has_auc = "validation_auc" in history[0]
    figure = Figure(figsize=(9, 3.5) if has_auc else (5, 3.5), layout="constrained")
    axes = figure.subplots(1, 2 if has_auc else 1, squeeze=False)[0]
    axes[0].plot(epochs, [row["loss"] for row in history], "o-", ms=3, label="training")
    axes[0].set(xlabel="epoch", ylabel="loss (with regularisation)")
    if validated:
        losses = [row["validation_loss"] for row in history]
        axes[0].plot(epochs, losses, "o-", ms=3, label="validation")
        best = epochs[losses.index(min(losses))]
        if has_auc:
            areas = [row["validation_auc"] for row in history]
            axes[1].plot(epochs, areas, "o-", ms=3, color="C1")
            axes[1].set(xlabel="epoch", ylabel="mean AUC, validation")
        for one in axes:
            one.axvline(best, color="0.6", ls="--", lw=1)
        axes[0].plot([], [], color="0.6", ls="--", lw=1, label="weights kept")
    axes[0].legend(frameon=False)
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
    with atomic_file(folder / FIGURE_FILE) as partial:
        figure.savefig(partial, format="png", dpi=150)
