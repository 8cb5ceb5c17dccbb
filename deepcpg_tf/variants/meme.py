"""Motifs as text: MEME's format, and the original's table of filters."""

from __future__ import annotations

from deepcpg_tf.variants.motifs import ACGT, FilterMotifs

STATS_COLUMNS = ("idx", "motif", "act_mean", "act_std", "ic", "nb_site")


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
    rows = [STATS_COLUMNS]
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
    return "".join("\t".join(row) + "\n" for row in rows)
