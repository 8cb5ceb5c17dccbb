"""Motifs as text: MEME's format, the original's table of filters, and tables of our own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from deepcpg_tf.variants.motifs import ACGT, FilterMotifs
from deepcpg_tf.variants.similarity import Match

STATS_COLUMNS = ("idx", "motif", "act_mean", "act_std", "ic", "nb_site")
FILTERS_COLUMNS = (
    "filter",
    "letters",
    "sites",
    "importance",
    "measure",
    "mean_prediction",
    "mean_label",
    "match",
    "match_name",
    "q_value",
)


def meme_text(motifs: FilterMotifs) -> str:
    """Return motifs as MEME, version 4, has them, as the original writes it."""
    shares = " ".join(
        f"{letter} {share:.4f}" for letter, share in zip(ACGT, motifs.background, strict=True)
    )
    lines = ["MEME version 4", "", f"ALPHABET= {ACGT}", ""]
    lines += ["Background letter frequencies:", shares, ""]
    for i in motifs.found:
        rows = motifs.values[i]
        lines.append(f"MOTIF {motifs.filters[i]}")
        lines.append(
            f"letter-probability matrix: alength= {len(ACGT)} w= {len(rows)} "
            f"nsites= {motifs.sites[i]}"
        )
        lines += [" ".join(f"{share:.4f}" for share in row) for row in rows]
        lines.append("")
    return "\n".join(lines) + "\n"


def stats_text(motifs: FilterMotifs) -> str:
    """Return the original's table of filters, by mean activation, tab-separated."""
    rows: list[Sequence[str]] = [STATS_COLUMNS]
    for i in motifs.order:
        figures = (motifs.mean[i], motifs.deviation[i], motifs.information[i])
        rows.append(
            (
                str(i),
                motifs.letters[i],
                *(f"{figure:.4f}" for figure in figures),
                str(motifs.sites[i]),
            )
        )
    return _table(rows)


def filters_text(motifs: FilterMotifs) -> str:
    """Return what each filter has to do with predictions and labels, by importance."""
    roles = motifs.roles
    assert roles is not None
    best = motifs.best_matches
    rows: list[Sequence[str]] = [FILTERS_COLUMNS]
    for i in roles.order:
        match = best.get(i)
        rows.append(
            (
                motifs.filters[i],
                motifs.letters[i],
                str(motifs.sites[i]),
                f"{roles.importance[i]:.6g}",
                roles.measure,
                shown(mean_known(roles.predictions[i])),
                "" if roles.labels is None else shown(mean_known(roles.labels[i])),
                "" if match is None else match.motif,
                "" if match is None else match.name,
                "" if match is None else f"{match.q_value:.3g}",
            )
        )
    return _table(rows)


def correlations_text(motifs: FilterMotifs) -> str:
    """Return the correlations of each filter and cell."""
    roles = motifs.roles
    assert roles is not None
    rows: list[Sequence[str]] = [("filter", "cell", "prediction", "label")]
    for i, name in enumerate(motifs.filters):
        for j, cell in enumerate(roles.cells):
            label = "" if roles.labels is None else shown(roles.labels[i, j])
            rows.append((name, cell, shown(roles.predictions[i, j]), label))
    return _table(rows)


def matches_text(matches: Iterable[Match], filters: Sequence[str]) -> str:
    """Return what the motifs of filters are like."""
    rows: list[Sequence[str]] = [Match._fields]
    for match in matches:
        figures = (f"{match.p_value:.3g}", f"{match.q_value:.3g}")
        places = (str(match.offset), str(match.overlap), match.strand)
        rows.append((filters[match.filter], match.motif, match.name, *figures, *places))
    return _table(rows)


def mean_known(values: npt.NDArray[np.float64]) -> float:
    """Return the mean of what is not NaN, if there is anything."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def shown(value: float) -> str:
    """Return a figure with four decimals; nothing for NaN."""
    return "" if np.isnan(value) else f"{value:.4f}"


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)
