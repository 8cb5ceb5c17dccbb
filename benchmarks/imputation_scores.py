"""Scores of predicted entries: all together, cell by cell, and by how much else was observed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from benchmarks.hiding import Hidden
from deepcpg_tf.evaluation.scores import Observed, measure, sweep

SCORES = ("auc", "ap", "mcc", "tpr", "tnr", "ece", "brier")
BINS = 15
BLOCK, DRAWS = 500, 100  # neighbouring sites that are drawn together; draws
_OTHERS = {"0": (0, 0), "1-2": (1, 2), "3-5": (3, 5), ">=6": (6, None), ">=1": (1, None)}
_DENSITIES = ("sparsest", "middle", "densest")
_RANKS = 2000

Scores = dict[str, float]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def score_groups(hidden: Hidden, probabilities: npt.NDArray[np.float32]) -> dict[str, Scores]:
    """Return the scores of all entries, and of groups of them.

    Parameters
    ----------
    hidden
        The entries.
    probabilities : ndarray of float32, shape (n,)
        What was predicted of each.

    Returns
    -------
    mapping
        Of each group (`groups`) that has entries: ``n``; each of `SCORES` of all its entries
        together; with ``cell_`` before it the mean over the cells that have both classes in
        the group, of which ``cells`` is the number; and ``worst_auc``, of the worst cell.
    """
    order = np.argsort(probabilities, kind="stable")  # once: whatever is chosen of it is sorted
    truth, sorted_, cells = hidden.truth[order], probabilities[order], hidden.cells[order]
    result = {}
    for name, chosen in groups(hidden).items():
        there = chosen[order]
        if there.any():
            result[name] = _score_group(truth[there], sorted_[there], cells[there])
    return result


def groups(hidden: Hidden) -> dict[str, Bools]:
    """Return which entries belong to each group: masks [n].

    By the number of other cells observed at the site; by the density of the cell, in
    thirds of the cells.
    """
    result = {"all": np.ones(len(hidden.truth), bool)}
    for name, (least, most) in _OTHERS.items():
        chosen = hidden.others >= least
        if most is not None:
            chosen &= hidden.others <= most
        result[f"other cells {name}"] = chosen
    observed = np.bincount(hidden.table.calls.indices, minlength=len(hidden.table.cells))
    rank = np.empty(len(observed), np.int64)
    rank[np.argsort(observed, kind="stable")] = np.arange(len(observed))
    third = rank * len(_DENSITIES) // len(observed)
    for i, name in enumerate(_DENSITIES):
        result[f"cells {name}"] = third[hidden.cells] == i
    return result


def score(truth: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float32]) -> Scores:
    """Return `SCORES` of entries with increasing probabilities.

    MCC, TPR and TNR are at 0.5; AUROC and average precision NaN with one class only.
    """
    observed = Observed(np.arange(len(truth)), truth, probabilities)
    measured = measure(observed, sweep(observed))
    return {
        **{name: measured[name] for name in SCORES[:5]},
        "ece": calibration_error(truth, probabilities),
        "brier": float(np.mean((probabilities.astype(np.float64) - truth) ** 2)),
    }


def calibration_error(
    truth: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float32], bins: int = BINS
) -> float:
    """Return the expected calibration error of the probability of methylation.

    The mean distance of predicted and actual share, over bins of equal width, weighted by
    their entries.
    """
    at = np.minimum((probabilities.astype(np.float64) * bins).astype(np.int64), bins - 1)
    excess = np.bincount(at, probabilities.astype(np.float64) - truth, bins)
    return float(np.abs(excess).sum() / len(truth))


def bootstrap(
    hidden: Hidden, probabilities: npt.NDArray[np.float32], *, draws: int = DRAWS, seed: int = 0
) -> Floats:
    """Return AUROCs of all entries together, with blocks of neighbouring sites drawn anew.

    The standard deviation is the standard error of the AUROC; with the same entries and
    seed the same blocks are drawn, so that that of differences is the one of a difference.
    Probabilities count by rank, in 2,000 steps, which costs an AUROC less than 0.0001.

    Returns
    -------
    ndarray of float64, shape (draws,)
        NaN where all sites are in one block.
    """
    order = np.argsort(probabilities, kind="stable")
    values = probabilities[order]
    # Equal ones share a step, that of the first of them.
    first = np.searchsorted(values, values, side="left")
    steps = np.empty(len(order), np.int64)
    steps[order] = first * _RANKS // len(order)
    _, blocks = np.unique(hidden.sites // BLOCK, return_inverse=True)
    n = int(blocks.max()) + 1
    if n == 1:  # which can be drawn in one way only
        return np.full(draws, np.nan)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws).astype(np.float64)
    counts = []
    for state in (0, 1):
        chosen = hidden.truth == state
        flat = np.bincount(blocks[chosen] * _RANKS + steps[chosen], minlength=n * _RANKS)
        counts.append(drawn @ flat.reshape(n, _RANKS))
    negatives, positives = counts
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    found: Floats = (positives * below).sum(axis=1) / np.where(pairs, pairs, np.nan)
    return found


def _score_group(
    truth: npt.NDArray[np.int8],
    probabilities: npt.NDArray[np.float32],
    cells: npt.NDArray[np.int64],
) -> Scores:
    of_cells: list[Mapping[str, float]] = []
    by_cell = np.argsort(cells, kind="stable")  # within a cell still by probability
    bounds = np.flatnonzero(np.diff(cells[by_cell])) + 1
    for entries in np.split(by_cell, bounds):
        if 0 < int(truth[entries].sum()) < len(entries):
            of_cells.append(score(truth[entries], probabilities[entries]))
    result = {"n": float(len(truth)), **score(truth, probabilities), "cells": float(len(of_cells))}
    for name in SCORES:
        values = [one[name] for one in of_cells]
        result[f"cell_{name}"] = float(np.mean(values)) if values else float("nan")
    result["worst_auc"] = min((one["auc"] for one in of_cells), default=float("nan"))
    return result
