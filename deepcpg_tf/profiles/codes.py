"""What column 4 of a bedMethyl file says: the modification that a line counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# modkit's letters, the numbers of ChEBI that it takes as well, and what is written by hand.
_5MC = {"m", "5mc", "27551"}
_ANY = "C"
HYDROXYMETHYLATION = ("methylated", "ignore", "unmethylated")
"""What reads with 5-hydroxymethylcytosine can count as."""


class Codes(NamedTuple):
    """Values of the column, by what they mean: 5mC, any modification of C, patterns of pairs."""

    methylcytosine: list[str]
    any_modification: list[str]
    patterns: list[str]

    @classmethod
    def of(cls, values: Iterable[str]) -> Codes:
        """Sort values of the column; those that are none of these are left out."""
        codes = cls([], [], [])
        for value in values:
            code, *motif = value.split(",")
            # With several motifs modkit writes code, motif and offset; pileup-hemi
            # writes the codes of both strands and the base.
            if len(motif) == 2 and motif[1] in tuple("ACGT"):
                codes.patterns.append(value)
            elif motif and not (len(motif) == 2 and motif[1].isdecimal()):
                continue
            elif code.lower() in _5MC:
                codes.methylcytosine.append(value)
            elif code == _ANY:
                codes.any_modification.append(value)
        return codes
