"""The report: one HTML file that holds everything and opens without a network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from deepcpg_tf.evaluation.evaluation import Evaluation
from deepcpg_tf.evaluation.scores import Scores

_COLUMNS = {
    "auc": "AUC",
    "ap": "AP",
    "acc": "ACC",
    "tpr": "TPR",
    "tnr": "TNR",
    "f1": "F1",
    "mcc": "MCC",
}
_DEFINITIONS = {
    "n": "Number of sites where the cell was measured. All other figures are over these.",
    "methylated": "Share of these sites that are methylated.",
    "AUC": "Area under the ROC curve: how often a methylated site has a higher probability than "
    "an unmethylated one. 1 is perfect, 0.5 is chance; independent of the share methylated.",
    "AP": "Average precision: area under the precision-recall curve. Chance is the share "
    "methylated, so compare it only between cells whose shares are alike.",
    "ACC": "Accuracy: share of sites predicted rightly. Always answering with the commoner "
    "state already reaches that state's share.",
    "TPR": "True positive rate (recall): share of the methylated sites predicted methylated.",
    "TNR": "True negative rate: share of the unmethylated sites predicted unmethylated.",
    "F1": "Harmonic mean of precision and recall.",
    "MCC": "Matthews correlation coefficient of measured and predicted states: 1 is perfect, "
    "0 is no better than chance; fair when one state is rare.",
    "ECE": "Expected calibration error: how far, on average, the probability is from the share of "
    "sites methylated, in 15 equal bins of the probability. 0 is perfect; independent of how well "
    "sites are told apart.",
    "Brier": "Mean squared error of the probability: 0 is perfect, and lower is better both for "
    "telling sites apart and for being calibrated.",
}
_CONVENTIONS = (
    "A site counts as predicted methylated where its probability is above 0.5. Mean and sd are "
    "over the cells for which a metric is defined; sd is the standard deviation between cells. "
    "A dash means not defined: AUC and AP need sites of both states. As in the original DeepCpG, "
    "TPR, F1 and MCC are 0 where their denominator is, and TNR is 1 for a cell whose sites are "
    "all methylated and all predicted so."
)
_FIGURES = {
    "roc": (
        "ROC curves",
        "Each point is a threshold on the probability: how many methylated sites lie above it, "
        "against how many unmethylated ones do. The nearer a curve comes to the upper left "
        "corner, the better; the dashed diagonal is guessing.",
    ),
    "precision_recall": (
        "Precision-recall curves",
        "For each threshold, the share of the sites called methylated that are (precision), "
        "against the share of all methylated sites that are found (recall). The higher the "
        "better; the dashed line is guessing, the mean share methylated.",
    ),
    "auc": (
        "AUC of the cells",
        "How much the cells differ. A cell far below the others often has few measured sites or "
        "poor data.",
    ),
    "calibration": (
        "Calibration",
        "Whether probabilities can be taken at their word: of the sites with a probability near "
        "0.8, about 80% should be methylated, which puts the point on the dashed line. Points "
        "above it mean that methylation is underestimated there. The bars below count the "
        "labels in each bin; points of small bins are uncertain.",
    ),
    "risk_coverage": (
        "Risk against coverage",
        "What is gained by keeping only the predictions of which the model is surest: at the right "
        "end, all are kept; the further left, the fewer, and the fewer of these should be wrong. "
        "risk_coverage.tsv has the confidence that each point asks for, as imputation takes it "
        "(--min-confidence).",
    ),
    "annotations": (
        "AUC within annotations",
        "The same model, judged on the sites within each annotation only. Within an annotation "
        "whose sites are nearly all in one state, such as unmethylated CpG islands, sites are "
        "harder to tell apart, and AUC can be lower although more predictions are right.",
    ),
}
_OUTPUT_METRICS = (
    "mse: mean squared error; mad: mean absolute difference; cor: Pearson's correlation; "
    "kendall: Kendall's rank correlation; cat_acc: share of sites whose class has the highest "
    "probability; auc_0 and so on: AUC of one class against the others. Levels are rounded to "
    "two classes for the other metrics, which are those of cells. A dash means not defined, or "
    "of no sense for the output."
)
_CALIBRATED = (
    "All of this report is of calibrated probabilities, but for what is called as predicted: "
    "training that balances the classes predicts as if half of the sites of each cell were "
    "methylated."
)
_UNDEFINED = "\N{EN DASH}"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 68rem;
  margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin-bottom: .25rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
p, dd, figcaption { max-width: 46rem; } .lead { font-size: 1.1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e4e4e4;
  white-space: nowrap; }
th { border-bottom: 2px solid #999; } th:first-child, td:first-child { text-align: left; }
tfoot td { font-weight: 600; background: #f3f6f8; border-bottom: none; }
.about td { white-space: normal; text-align: left; overflow-wrap: anywhere; }
.about td:first-child { color: #666; white-space: nowrap; vertical-align: top; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr));
  gap: 1rem 2.5rem; align-items: start; }
figure { margin: 0; break-inside: avoid; } figure img { max-width: min(100%, 38rem); }
figure h3 { margin: .5rem 0; font-size: 1.05rem; }
figcaption, .note { color: #555; font-size: .93rem; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin-left: 0; }
"""


def report_html(evaluation: Evaluation, images: Mapping[str, bytes]) -> str:
    """Return the report of an evaluation as HTML.

    Parameters
    ----------
    evaluation
        What to report; texts in it are escaped.
    images
        PNG by name, as `deepcpg_tf.evaluation.plots.figures` names them.
    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation of methylation predictions</title><style>{_STYLE}</style></head><body>",
        "<h1>Evaluation of methylation predictions</h1>",
        f'<p class="lead">{_summary(evaluation)}</p>',
        _about(evaluation.about),
    ]
    if evaluation.scores.cells:
        parts += [
            "<h2>Cells</h2>",
            _cells_table(evaluation),
            "<h2>Calibration</h2>",
            _calibration_table(evaluation),
            "<h2>Figures</h2>",
            _figures(images, [name for name in _FIGURES if name != "annotations"]),
        ]
    if evaluation.outputs:
        parts += ["<h2>Other outputs</h2>", _outputs_table(evaluation)]
    if evaluation.annotations and evaluation.scores.cells:
        parts += [
            "<h2>Annotations</h2>",
            _annotations_table(evaluation),
            _figures(images, ["annotations"]),
        ]
    parts += ["<h2>What the metrics mean</h2>", _definitions(), "</body></html>\n"]
    return "\n".join(parts)


def _summary(evaluation: Evaluation) -> str:
    values = evaluation.scores.values
    labels = f"{values['n'].sum():,.0f} measured states"
    cells = len(evaluation.scores.cells)
    what = f"{cells} cell{'s' * (cells != 1)}, {evaluation.sites:,} sites, {labels}"
    if np.isnan(values["auc"]).all():
        return f"{what}. AUC is not defined, as no cell has sites of both states."
    return f"{what}. {'Mean AUC' if cells > 1 else 'AUC'}: <b>{_mean_sd(values['auc'])}</b>."


def _about(about: Mapping[str, object]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
        for name, value in about.items()
    )
    return f'<table class="about">{rows}</table>' if rows else ""


def _cells_table(evaluation: Evaluation) -> str:
    cells, values = evaluation.scores
    shares = evaluation.calibration.methylated
    rows = [
        [cell, f"{values['n'][i]:,.0f}", _number(shares[i])]
        + [_number(values[metric][i]) for metric in _COLUMNS]
        for i, cell in enumerate(cells)
    ]
    header = ["cell", "n", "methylated", *_COLUMNS.values()]
    if len(cells) < 2:
        return _table(header, rows)
    columns = [shares, *(values[metric] for metric in _COLUMNS)]
    mean = ["mean", f"{values['n'].mean():,.0f}", *(_number(_mean(one)) for one in columns)]
    sd = ["sd", f"{values['n'].std(ddof=1):,.0f}", *(_number(_sd(one)) for one in columns)]
    return _table(header, rows, [mean, sd])


def _calibration_table(evaluation: Evaluation) -> str:
    predicted = evaluation.predicted
    header = ["cell", "ECE", "Brier"]
    columns = [evaluation.calibration]
    if predicted is not None:
        header += ["ECE as predicted", "Brier as predicted"]
        columns.append(predicted)
    rows = [
        [cell, *(_number(values[i]) for one in columns for values in (one.ece, one.brier))]
        for i, cell in enumerate(evaluation.scores.cells)
    ]
    pooled = [one.pooled() for one in columns]
    figures = [_number(values[0]) for one in pooled for values in (one.ece, one.brier)]
    note = "" if predicted is None else f'<p class="note">{_CALIBRATED}</p>'
    total = [["all together", *figures]] if len(rows) > 1 else []
    return _table(header, rows, total) + note


def _outputs_table(evaluation: Evaluation) -> str:
    metrics = dict.fromkeys(name for one in evaluation.outputs.values() for name in one)
    rows = [
        [name, f"{own['n']:,.0f}"]
        + [_number(own.get(metric, np.nan)) for metric in metrics if metric != "n"]
        for name, own in evaluation.outputs.items()
    ]
    header = ["output", "n", *(metric for metric in metrics if metric != "n")]
    return f'{_table(header, rows)}<p class="note">{_OUTPUT_METRICS}</p>'


def _annotations_table(evaluation: Evaluation) -> str:
    groups: list[tuple[str, int, Scores]] = [("all sites", evaluation.sites, evaluation.scores)]
    groups += [(name, one.sites, one.scores) for name, one in evaluation.annotations.items()]
    rows = [
        [name, f"{sites:,}", f"{scores.values['n'].sum():,.0f}"]
        + [_mean_sd(scores.values["auc"])]
        + [_number(_mean(scores.values[metric])) for metric in _COLUMNS if metric != "auc"]
        for name, sites, scores in groups
    ]
    note = (
        "Means over the cells, for AUC ± sd; metrics_by_annotation.tsv has the values of each cell."
    )
    table = _table(["annotation", "sites", "measured states", *_COLUMNS.values()], rows)
    return f'{table}<p class="note">{note}</p>'


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], totals: Iterable[Sequence[str]] = ()
) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    foot = "\n".join(line(row, "td") for row in totals)
    return (
        f'<div class="scroll"><table><thead>{line(header, "th")}</thead>\n'
        f"<tbody>{body}</tbody><tfoot>{foot}</tfoot></table></div>"
    )


def _figures(images: Mapping[str, bytes], names: Iterable[str]) -> str:
    parts = []
    for name in names:
        title, reading = _FIGURES[name]
        data = base64.b64encode(images[name]).decode("ascii")
        parts.append(
            f'<figure><h3>{title}</h3><img alt="{title}" src="data:image/png;base64,{data}">'
            f"<figcaption>{reading}</figcaption></figure>"
        )
    return '<div class="figures">' + "\n".join(parts) + "</div>"


def _definitions() -> str:
    items = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in _DEFINITIONS.items())
    return f'<dl>{items}</dl><p class="note">{_CONVENTIONS}</p>'


def _number(value: float) -> str:
    return _UNDEFINED if np.isnan(value) else f"{value:.3f}"


def _mean(values: npt.NDArray[np.float64]) -> float:
    """Return the mean over the cells that have a value."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def _sd(values: npt.NDArray[np.float64]) -> float:
    """Return the standard deviation between the cells that have a value, if there are two."""
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else np.nan


def _mean_sd(values: npt.NDArray[np.float64]) -> str:
    sd = _sd(values)
    return _number(_mean(values)) + ("" if np.isnan(sd) else f" ± {sd:.3f}")
