"""Metrics of outputs other than cells, those that the original gives each kind.

Of numbers ``mse``, ``mad`` (mean absolute difference) and ``cor`` (Pearson's); of statistics
also ``kendall`` (tau-b, over all sites); of two classes, and of levels rounded to two, the
metrics of cells but for ``ap``; of several classes ``cat_acc`` and ``auc_<class>``. ``n`` is
the number of sites with a target; without any, all else is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.outputs import Output
from deepcpg_tf.evaluation.scores import METRICS, measure, observe, sweep

OutputScores = dict[str, dict[str, float]]
"""For each output its metrics."""

Numbers = npt.NDArray[np.float64]


def score_outputs(
    targets: npt.NDArray[np.float32], values: npt.NDArray[np.float32], outputs: Sequence[Output]
) -> OutputScores:
    """Score the predictions of outputs.

    Parameters
    ----------
    targets : ndarray of float32, shape (n, outputs)
        -1 where missing.
    values : ndarray of float32, shape (n, units)
        All that a model predicts.
    outputs
        In the order of the targets.
    """
    return {
        one.name: _score(one, targets[:, i], values[:, one.columns])
        for i, one in enumerate(outputs)
    }


def output_rows(scores: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str, float]]:
    """Yield metric, output, value of all outputs."""
    for name, own in scores.items():
        for metric, value in own.items():
            yield metric, name, value


def _score(
    output: Output, targets: npt.NDArray[np.float32], values: npt.NDArray[np.float32]
) -> dict[str, float]:
    known = targets >= 0
    y, z = targets[known].astype(np.float64), values[known].astype(np.float64)
    result: dict[str, float] = {}
    for one in output.kind.measures:
        if one == "regression":
            result |= _regression(y, z[:, 0])
        elif one == "rank":
            result["kendall"] = _kendall(y, z[:, 0])
        elif one == "binary":
            result |= _binary(output.name, y, z[:, 0])
        else:
            result |= _classes(output.name, y, z)
    return {**result, "n": float(len(y))}


def _regression(y: Numbers, z: Numbers) -> dict[str, float]:
    if not len(y):
        return dict.fromkeys(("mse", "mad", "cor"), math.nan)
    varies = np.ptp(y) > 0 and np.ptp(z) > 0
    return {
        "mse": float(np.mean((y - z) ** 2)),
        "mad": float(np.mean(np.abs(y - z))),
        "cor": float(np.corrcoef(y, z)[0, 1]) if varies else math.nan,
    }


def _kendall(y: Numbers, z: Numbers) -> float:
    from scipy.stats import kendalltau

    varies = len(y) and np.ptp(y) > 0 and np.ptp(z) > 0
    return float(kendalltau(y, z).statistic) if varies else math.nan


def _binary(name: str, y: Numbers, z: Numbers) -> dict[str, float]:
    observed = observe(np.round(y).astype(np.int8), z.astype(np.float32), name)
    measured = measure(observed, sweep(observed))
    return {metric: measured[metric] for metric in METRICS if metric not in ("ap", "n")}


def _classes(name: str, y: Numbers, z: Numbers) -> dict[str, float]:
    hits = z.argmax(axis=1) == y
    result = {"cat_acc": float(hits.mean()) if len(y) else math.nan}
    for i, column in enumerate(z.T):
        observed = observe((y == i).astype(np.int8), column.astype(np.float32), name)
        result[f"auc_{i}"] = measure(observed, sweep(observed))["auc"]
    return result
