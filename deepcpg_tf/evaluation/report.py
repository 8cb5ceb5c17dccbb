"""The evaluation as one HTML file that opens anywhere, without a network."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from deepcpg_tf.evaluation.scores import METRICS, Scores

if TYPE_CHECKING:
    from deepcpg_tf.evaluation.run import Evaluation

_DEFINITIONS = {
    "n": "sites at which the cell was measured",
    "auc": "area under the ROC curve: how often a methylated site has a higher probability than an "
    "unmethylated one; 0.5 is chance",
    "ap": "average precision, the area under the precision-recall curve",
    "acc": "share of sites called right, a probability above 0.5 being a call of methylated",
    "tpr": "share of methylated sites called methylated",
    "tnr": "share of unmethylated sites called unmethylated",
    "f1": "harmonic mean of precision and recall of the methylated sites",
    "mcc": "Matthews correlation of calls and measurements, from -1 to 1; 0 is chance",
}

_CAPTIONS = {
    "auc": "AUC of each cell, lowest first. Cells far below the others are often thinly measured.",
    "roc": "ROC curves: further towards the upper left is better; the diagonal is chance.",
    "precision_recall": "Precision-recall curves: of the sites called methylated, the share that "
    "is, as more and more of the methylated sites are found.",
    "calibration": "Calibration: among sites given a probability, the share that is methylated. On "
    "the diagonal, probabilities mean what they say.",
    "annotations": "AUC within each annotation, over all sites first.",
}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
tfoot td { font-weight: 600; }
dt { font-weight: 600; } dd { margin: 0 0 0.4rem 1rem; }
figure { margin: 1.5rem 0; } img { max-width: 100%; } figcaption { color: #555; }
"""


def report_html(evaluation: Evaluation, images: Mapping[str, bytes]) -> str:
    """Return the report of an evaluation.

    Parameters
    ----------
    evaluation
        What to report.
    images
        Figures as PNG, by the names that `deepcpg_tf.evaluation.plots.figures` gives.
    """
    about = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>"
        for name, value in evaluation.about.items()
    )
    pictures = "".join(
        f'<figure><img alt="{escape(name)}" src="data:image/png;base64,'
        f'{base64.b64encode(image).decode()}"><figcaption>{_CAPTIONS.get(name, "")}</figcaption>'
        "</figure>"
        for name, image in images.items()
    )
    within = "".join(
        f"<h3>{escape(name)}: {one.sites:,} sites</h3>{_table(one.scores)}"
        for name, one in evaluation.annotations.items()
    )
    definitions = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in _DEFINITIONS.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Evaluation of DeepCpG</title><style>{_STYLE}</style></head><body>"
        f"<h1>Evaluation of DeepCpG</h1><dl>{about}</dl>"
        f"<p>{evaluation.sites:,} sites, {len(evaluation.scores.cells)} cells.</p>"
        f"<h2>Cells</h2>{_table(evaluation.scores)}<h2>Figures</h2>{pictures}"
        + (f"<h2>Annotations</h2>{within}" if within else "")
        + f"<h2>What the metrics mean</h2><dl>{definitions}</dl></body></html>\n"
    )


def _table(scores: Scores) -> str:
    names = ["n", *(name for name in METRICS if name != "n")]
    head = _row("th", ["cell", *names])
    rows = "".join(
        _row("td", [cell, *(_shown(name, scores.values[name][i]) for name in names)])
        for i, cell in enumerate(scores.cells)
    )
    mean = _row("td", ["mean ± sd", *(_mean(scores.values[name]) for name in names)])
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody><tfoot>{mean}</tfoot></table>"


def _row(tag: str, values: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(value)}</{tag}>" for value in values) + "</tr>"


def _shown(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if name == "n" else f"{value:.3f}"


def _mean(values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    if not len(known):
        return "-"
    digits = 0 if known.max() > 1 else 3
    return f"{known.mean():,.{digits}f} ± {known.std():,.{digits}f}"
