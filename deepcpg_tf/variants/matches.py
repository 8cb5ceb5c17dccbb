"""Motifs of a database that motifs of filters are like."""

from __future__ import annotations

from collections.abc import Sequence

from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.variants.databases import KnownMotif
from deepcpg_tf.variants.motifs import FilterMotifs
from deepcpg_tf.variants.similarity import Database, Match, benjamini_hochberg

MOST_FALSE = 0.05
"""False discovery rate up to which a match is told, as the original asks Tomtom for."""


def matches_of(
    motifs: FilterMotifs, known: Sequence[KnownMotif], progress: Progress = SILENT
) -> tuple[Match, ...]:
    """Return what the motifs of filters are like, the best first for each filter."""
    database = Database([one.values for one in known])
    progress.begins("comparing", len(motifs.found), "motifs")
    result = []
    for i in motifs.found:
        similar = database.compare(motifs.values[i])
        q_values = benjamini_hochberg(similar.p_value)
        for j in similar.p_value.argsort(kind="stable"):
            if q_values[j] > MOST_FALSE:
                break
            result.append(
                Match(
                    filter=i,
                    motif=known[j].name,
                    name=known[j].other_name,
                    p_value=float(similar.p_value[j]),
                    q_value=float(q_values[j]),
                    offset=int(similar.offset[j]),
                    overlap=int(similar.overlap[j]),
                    strand="-" if similar.reverse[j] else "+",
                )
            )
        progress.advances(1)
    return tuple(result)
