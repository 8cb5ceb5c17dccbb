"""Metrics of each cell, defined as in the original program's ``dcpg_eval.py``.

A probability above 0.5 predicts a methylated site (one of exactly 0.5 does not,
as rounding makes it 0). Sites whose label is missing count nowhere.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import EvaluationError
from deepcpg_tf.files import atomic_file

METRICS = ("acc", "ap", "auc", "f1", "mcc", "n", "tnr", "tpr")
_OUTPUT = "cpg/{}"
HEADER = ("metric", "output", "value")

Row = tuple[str, str, float]
"""A metric, an output, a value."""


class Observed(NamedTuple):
    """The sites where one cell was measured, by increasing probability.

    ``sites`` (int64, shape (m,)) are their rows in the arrays that they come from,
    ``labels`` (int8) are 1 methylated and 0 unmethylated, ``probabilities`` float32.
    """

    sites: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int8]
    probabilities: npt.NDArray[np.float32]

    def within(self, mask: npt.NDArray[np.bool_]) -> Observed:
        """Return those of the rows that a mask, of the shape (n,), is true for."""
        kept = mask[self.sites]
        return Observed(self.sites[kept], self.labels[kept], self.probabilities[kept])


class Sweep(NamedTuple):
    """What each threshold finds, from one above every probability down to the lowest.

    ``false_positives`` and ``true_positives`` (float64, shape (thresholds + 1,)) are
    numbers of sites; both begin with 0 and end with all sites of their class.
    """

    false_positives: npt.NDArray[np.float64]
    true_positives: npt.NDArray[np.float64]


class Scores(NamedTuple):
    """Metrics of some cells.

    ``values`` has an array (float64, shape (cells,)) for each of `METRICS`, NaN where
    the metric is not defined.
    """

    cells: tuple[str, ...]
    values: dict[str, npt.NDArray[np.float64]]

    def rows(self) -> Iterator[tuple[str, str, float]]:
        """Yield the long table: metric, output (``cpg/<cell>``), value; sorted by both."""
        columns = {_OUTPUT.format(cell): i for i, cell in enumerate(self.cells)}
        for metric in METRICS:
            for output in sorted(columns):
                yield metric, output, float(self.values[metric][columns[output]])


def check_arrays(
    labels: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float32], cells: Sequence[str]
) -> None:
    """Refuse labels, probabilities and cells whose shapes differ, and a cell named twice.

    Raises
    ------
    EvaluationError
    """
    if labels.ndim != 2 or labels.shape != probabilities.shape or labels.shape[1] != len(cells):
        raise EvaluationError(
            f"evaluation: expected labels and probabilities of [sites, {len(cells)} cells], "
            f"received {list(labels.shape)} and {list(probabilities.shape)}"
        )
    seen: set[str] = set()
    for cell in cells:
        if cell in seen:
            raise EvaluationError(f"evaluation: expected each cell once, received {cell!r} twice")
        seen.add(cell)


def observe(
    labels: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float32], cell: str
) -> Observed:
    """Return the measured sites of one cell, ready to be scored.

    Parameters
    ----------
    labels : ndarray of int8, shape (n,)
        1 methylated, 0 unmethylated, -1 missing; a column of a larger array will do.
    probabilities : ndarray of float32, shape (n,)
        Probabilities of methylation; looked at where the label is not missing.
    cell
        Its name, for messages.

    Raises
    ------
    EvaluationError
        When a label is something else, or a probability is not within [0, 1].
    """
    if len(labels) and not -1 <= labels.min() <= labels.max() <= 1:
        raise EvaluationError(
            f"cell {cell}: expected labels 1, 0 and -1 (missing), "
            f"received {labels.min()} to {labels.max()}"
        )
    sites = np.flatnonzero(labels >= 0)
    chosen = probabilities[sites]
    order = np.argsort(chosen)
    chosen = chosen[order]
    # NaN sorts behind everything, so that both ends tell about all.
    if len(chosen) and not (chosen[0] >= 0 and chosen[-1] <= 1):
        wrong = chosen[0] if chosen[0] < 0 else chosen[-1]
        raise EvaluationError(
            f"cell {cell}: expected probabilities from 0 to 1, received {wrong}"
            + ("; the model's weights are broken or its training diverged" * bool(np.isnan(wrong)))
        )
    sites = sites[order]
    return Observed(sites, labels[sites], chosen)


def sweep(observed: Observed) -> Sweep | None:
    """Return what all thresholds find, or None where the cell shows one class only."""
    from sklearn.metrics import roc_curve

    positives = int(observed.labels.sum(dtype=np.int64))
    negatives = len(observed.labels) - positives
    if not positives or not negatives:
        return None
    # Handed over in order, the function's own sort takes linear time.
    fpr, tpr, _ = roc_curve(observed.labels, observed.probabilities, drop_intermediate=False)
    return Sweep(np.rint(fpr * negatives), np.rint(tpr * positives))


def measure(observed: Observed, found: Sweep | None) -> dict[str, float]:
    """Return each of `METRICS` for one cell.

    What is not defined follows the original: with one class only, AUC (and average
    precision, which it does not have) is NaN; a rate or MCC whose denominator is 0
    is 0; TNR comes from the first row of a confusion matrix that has rows for the
    classes that occur, so that it is NaN if there are no unmethylated sites, but 1 if
    nothing is predicted unmethylated either. Without any site n is 0 and all else NaN.

    Parameters
    ----------
    observed
        The sites, see `observe`.
    found
        The result of `sweep` for the same sites.
    """
    n = len(observed.labels)
    if n == 0:
        return dict.fromkeys(METRICS, math.nan) | {"n": 0.0}
    predicted = observed.probabilities > 0.5
    actual = observed.labels == 1
    tp = int(np.count_nonzero(predicted & actual))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(actual)) - tp
    tn = n - tp - fp - fn
    margins = float(tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return {
        "acc": (tp + tn) / n,
        "ap": math.nan if found is None else _average_precision(found),
        "auc": math.nan if found is None else _area(found),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "mcc": _ratio(tp * tn - fp * fn, math.sqrt(margins)),
        "n": float(n),
        "tnr": (1.0 if tp == n else math.nan) if tn + fp == 0 else tn / (tn + fp),
        "tpr": _ratio(tp, tp + fn),
    }


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


def _area(found: Sweep) -> float:
    from sklearn.metrics import auc

    pairs = found.false_positives[-1] * found.true_positives[-1]
    return float(auc(found.false_positives, found.true_positives) / pairs)


def _average_precision(found: Sweep) -> float:
    """Return the precision at each threshold, weighted by the recall that it adds."""
    true, false = found.true_positives[1:], found.false_positives[1:]
    added = np.diff(found.true_positives)
    return float(np.sum(added * (true / (true + false))) / true[-1])


def collect(cells: Iterable[str], measured: Iterable[Mapping[str, float]]) -> Scores:
    """Put the metrics of cells, in the same order, together."""
    rows = list(measured)
    return Scores(tuple(cells), {name: np.array([row[name] for row in rows]) for name in METRICS})


def score(
    labels: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float32], cells: Sequence[str]
) -> Scores:
    """Score the predictions for all cells; one column at a time is copied.

    Parameters
    ----------
    labels : ndarray of int8, shape (n, cells)
        1 methylated, 0 unmethylated, -1 missing.
    probabilities : ndarray of float32, shape (n, cells)
        Probabilities of methylation.
    cells
        Names of the columns.

    Raises
    ------
    EvaluationError
        When shapes differ, a cell is named twice, or a value is impossible.
    """
    check_arrays(labels, probabilities, cells)
    observed = (observe(labels[:, i], probabilities[:, i], cell) for i, cell in enumerate(cells))
    return collect(cells, (measure(one, sweep(one)) for one in observed))


def write_metrics(path: Path, scores: Scores, others: Iterable[Row] = ()) -> None:
    """Write the columns metric, output and value, as the original does; NaN is empty.

    Sorted by metric and output, those of other outputs among those of cells.

    Raises
    ------
    OutputError
        When the folder does not exist or cannot be written to.
    """
    write_rows(path, HEADER, _sorted(scores, others))


def write_metrics_by_annotation(
    path: Path,
    annotations: Mapping[str, Scores],
    others: Mapping[str, Iterable[Row]] | None = None,
) -> None:
    """Write `write_metrics`'s columns behind a first one, the name of the annotation.

    Raises
    ------
    OutputError
        When the folder does not exist or cannot be written to.
    """
    others = others or {}
    rows = (
        (name, *row)
        for name, scores in annotations.items()
        for row in _sorted(scores, others.get(name, ()))
    )
    write_rows(path, ("annotation", *HEADER), rows)


def _sorted(scores: Scores, others: Iterable[Row]) -> list[Row]:
    return sorted([*scores.rows(), *others], key=lambda row: row[:2])


def write_rows(path: Path, header: Sequence[str], rows: Iterable[tuple[str | float, ...]]) -> None:
    """Write a table as text; a number that is NaN, at the end of a row, is empty."""
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows((*row[:-1], "" if row[-1] != row[-1] else row[-1]) for row in rows)
