"""The page of all filters: one HTML file that holds everything and opens without a network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from deepcpg_tf.variants.meme import mean_known
from deepcpg_tf.variants.motifs import ACGT, FilterMotifs
from deepcpg_tf.variants.roles import FilterRoles
from deepcpg_tf.variants.similarity import Match

_NOTHING = "\N{EN DASH}"
_MEASURES = {
    "log_loss": "Importance is by how much the log-loss of the labels grows, in nats a label, when "
    "the filter is silent; below 0, the model did better without it. Labels that the model was "
    "not trained on tell the truth about it.",
    "probability": "Importance is how far a cell's probability moves on average when the filter is "
    "silent. There were no labels, which would tell whether it moves the right way.",
}
_READING = (
    "A filter's logo is made of the k-mers that activate it (sites), by the rules of the original "
    "DeepCpG; a position is 2 bits high where one letter is always there. Its weights are drawn "
    "from blue (against a letter) to red (for it). Activations are those above 0, from 0 to the "
    "largest; silent is the share of positions where it is 0. Correlations are Pearson's of the "
    "filter's mean activation in a window with the probability, or the label, of a cell: the mean "
    "over cells, and the least and greatest."
)
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 84rem; margin: 2rem auto;
  padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin-bottom: .25rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
p { max-width: 52rem; } .note { color: #555; font-size: .93rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #e4e4e4;
  white-space: nowrap; vertical-align: middle; }
th { border-bottom: 2px solid #999; position: sticky; top: 0; background: #fff; }
td:first-child, th:first-child, .left { text-align: left; }
.about td { text-align: left; white-space: normal; } .about td:first-child { color: #666; }
.small { color: #777; font-size: .8rem; } img.logo { height: 5.2rem; display: block; }
.bar { display: inline-block; height: .55rem; background: #0072B2; vertical-align: baseline; }
.bar.less { background: #D55E00; }
"""


def page_html(
    motifs: FilterMotifs,
    about: Mapping[str, str],
    logos: Mapping[int, bytes],
    images: Mapping[str, bytes],
) -> str:
    """Return the page of all filters, by importance.

    Parameters
    ----------
    motifs
        With roles.
    about
        What the page is of; texts are escaped.
    logos
        PNG of filters that have a motif.
    images
        PNG of all filters together, by what they show.
    """
    roles = motifs.roles
    assert roles is not None
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in about.items()
    )
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Motifs of filters</title><style>{_STYLE}</style></head><body>",
        "<h1>Motifs of filters</h1>",
        f"<p>{len(motifs.found)} of {len(motifs.filters)} filters have a motif.</p>",
        f'<table class="about">{rows}</table>',
        f"<p>{_MEASURES[roles.measure]}</p>",
        f'<p class="note">{_READING} Importance is over {roles.silenced:,} windows, correlations '
        f"over {roles.windows:,}, evenly spread among all.</p>",
        "<h2>Filters by importance</h2>",
        _table(motifs, roles, logos, compared="database" in about),
    ]
    for title, image in images.items():
        source = _png(image)
        parts.append(f'<h2>{escape(title)}</h2><img alt="{escape(title)}" src="{source}">')
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _table(
    motifs: FilterMotifs, roles: FilterRoles, logos: Mapping[int, bytes], *, compared: bool
) -> str:
    best = motifs.best_matches
    header = ["filter", "logo", "sites", "importance", "weights", "activations", "predictions"]
    header += ["labels"] if roles.labels is not None else []
    header += ["match"] if compared else []
    most = float(np.abs(roles.importance).max()) or 1.0
    rows = []
    for i in roles.order:
        cells = [
            f"{motifs.filters[i]}<br><span class=small>{motifs.letters[i]}</span>",
            f'<img class="logo" alt="logo of {motifs.filters[i]}" src="{_png(logos[i])}">'
            if i in logos
            else '<span class="small">no motif</span>',
            f"{motifs.sites[i]:,}",
            _bar(roles.importance[i], most),
            weights_svg(motifs.weights[i]),
            f"{density_svg(roles.densities[i])}<br><span class=small>to {roles.largest[i]:.3g}, "
            f"silent {roles.silent[i]:.0%}</span>",
            _range(roles.predictions[i]),
        ]
        if roles.labels is not None:
            cells.append(_range(roles.labels[i]))
        if compared:
            cells.append(_match(best.get(i)))
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in header)
    body = "\n".join(rows)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _bar(value: float, most: float) -> str:
    width = abs(value) / most * 5
    kind = "bar less" if value < 0 else "bar"
    return f'{value:.3g}<br><span class="{kind}" style="width:{width:.2f}rem"></span>'


def _range(values: npt.NDArray[np.float64]) -> str:
    known = values[~np.isnan(values)]
    if not len(known):
        return _NOTHING
    low, high = known.min(), known.max()
    return f"{mean_known(values):.3f}<br><span class=small>{low:.3f} to {high:.3f}</span>"


def _match(match: Match | None) -> str:
    if match is None:
        return _NOTHING
    name = match.name or match.motif
    return (
        f"{escape(name)}<br><span class=small>{escape(match.motif)}, q {match.q_value:.2g}</span>"
    )


def _png(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"


def weights_svg(weights: npt.NDArray[np.float32]) -> str:
    """Return the weights [width, 4] of a filter as a map, from blue over white to red."""
    size = 11
    most = float(np.abs(weights).max()) or 1.0
    shapes: list[str] = []
    for j, letter in enumerate(ACGT):
        shapes.append(f'<text x="1" y="{j * size + 9}" font-size="9">{letter}</text>')
        shapes += [
            f'<rect x="{size * (i + 1)}" y="{size * j}" width="{size}" height="{size}" '
            f'fill="{_colour(float(weights[i, j]) / most)}"/>'
            for i in range(len(weights))
        ]
    return _svg(size * (len(weights) + 1), size * len(ACGT), shapes)


def density_svg(counts: npt.NDArray[np.int64]) -> str:
    """Return counts of activations in bins as bars, higher by the square root of their number."""
    height, step = 40, 3
    heights = np.sqrt(counts / max(int(counts.max()), 1)) * height
    shapes = [
        f'<rect x="{step * i}" y="{height - top:.1f}" width="{step}" height="{top:.1f}" '
        'fill="#0072B2"/>'
        for i, top in enumerate(heights)
        if top
    ]
    return _svg(step * len(counts), height, shapes)


def _svg(width: int, height: int, shapes: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif">{"".join(shapes)}</svg>'
    )


def _colour(value: float) -> str:
    """Return a colour from blue (-1) over white to red (1)."""
    end = np.array((178, 24, 43) if value > 0 else (33, 102, 172))
    red, green, blue = (np.round(255 + (end - 255) * min(abs(value), 1.0))).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
