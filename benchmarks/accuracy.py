"""How well hidden states are predicted: by trained modules, and by two simple means."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import Result, progress, spread, table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deepcpg_tf import TrainingSettings
    from deepcpg_tf.data.splits import Splitter

SEEDS = (0, 1, 2)
_BATCH = 2048

Scores = dict[str, float]


def baselines(data: Path, split: Splitter) -> dict[str, Scores]:
    """Return what two simple means score at the sites to test on."""
    from benchmarks.predictors import OtherCells, OwnNeighbours
    from deepcpg_tf import read_table

    table = read_table(data)
    parts = split(table)
    labels = table.labels(parts.test)
    found = {}
    for predictor in (OwnNeighbours(), OtherCells()):
        predictor.fit(table, parts.train, parts.validation, 0)
        found[predictor.name] = scores(predictor.predict(table, parts.test), labels)
    return found


def trained(
    data: Path, split: Splitter, out: Path, genome: Path | None = None, **how: Any
) -> tuple[Scores, Result]:
    """Train a module, and return what it scores at the sites to test on, and how it went."""
    import numpy as np

    from deepcpg_tf import train
    from deepcpg_tf.data.opening import open_data

    start = time.perf_counter()
    done = train(data, out, split=split, genome=genome, **how)
    minutes = (time.perf_counter() - start) / 60
    opened = open_data([data], genome)
    examples = opened.examples(done.model.config)
    labels, predicted = [], []
    for indices in _batches(split(opened).test):
        predicted.append(done.model.predict_arrays(examples.arrays(indices)))
        labels.append(examples.labels(indices))
    found = scores(np.concatenate(predicted), np.concatenate(labels))
    history = [
        {name: float(row[name]) for name in ("loss", "validation_loss", "validation_auc")}
        for row in done.history
    ]
    progress(f"  {out.name}: {minutes:.1f} min, {found}")
    return found, {"minutes": round(minutes, 1), "epochs": history}


def plain_settings(seed: int, **how: Any) -> TrainingSettings:
    """Return settings of a training without balanced classes and regularisation."""
    from deepcpg_tf import TrainingSettings

    return TrainingSettings(seed=seed, class_weights=False, l1=0, l2=0, **how)


def scores(predicted: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.int8]) -> Scores:
    """Return the AUROC, times 100, of all entries together, and the mean of those of cells."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    observed = labels >= 0
    of_cells = [
        roc_auc_score(truth[there], values[there])
        for truth, values, there in zip(labels.T, predicted.T, observed.T, strict=True)
    ]
    return {
        "pooled": 100 * float(roc_auc_score(labels[observed], predicted[observed])),
        "cells": 100 * float(np.mean(of_cells)),
    }


def spreads(of_seeds: Sequence[Scores]) -> Result:
    """Return the spread of each score over seeds."""
    return {name: spread([one[name] for one in of_seeds]) for name in of_seeds[0]}


def least_gain(better: Sequence[Scores], other: Sequence[Scores]) -> float:
    """Return how much the worst of one is above the best of another, pooled."""
    return min(one["pooled"] for one in better) - max(one["pooled"] for one in other)


def width(of_seeds: Sequence[Scores]) -> float:
    """Return how far the seeds lie apart, pooled."""
    pooled = [one["pooled"] for one in of_seeds]
    return max(pooled) - min(pooled)


def scores_table(rows: Mapping[str, Any]) -> str:
    """Return the table of scores: spreads over seeds, or a baseline's."""
    shown = [
        (name, *(_shown(of[score]) for score in ("pooled", "cells"))) for name, of in rows.items()
    ]
    return table(("", "AUROC x 100, all entries", "mean of the cells"), shown)


def _shown(score: Any) -> str:
    if isinstance(score, float):
        return f"{score:.2f}"
    return f"{score['median']:.2f} ({score['min']:.2f} to {score['max']:.2f})"


def _batches(indices: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    return [indices[start : start + _BATCH] for start in range(0, len(indices), _BATCH)]
