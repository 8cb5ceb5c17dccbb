"""Whether the positions of a profile are cytosines of the reference, whatever their context.

In the right reference all of them are, those in no CpG too; in another assembly or species
about half are, by chance, and some even lie on a CG.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.genome.names import shown_names
from deepcpg_tf.genome.sequence import C_CODE, G_CODE, N_CODE

ENOUGH = 100
"""Positions that a chromosome must have to be judged by itself."""

_FEW = 10  # all positions together, under which nothing can be told
_MIN_OF_FEW = 0.75  # fewer than enough: a single variant must not decide
_SHOWN = 5  # chromosomes


class Count(NamedTuple):
    """Positions on bases that are known, or past the end; those of them on a C or G; past it."""

    positions: int = 0
    matching: int = 0
    past_end: int = 0

    @property
    def share(self) -> float:
        """Share of the positions that are on a C or G, 0 to 1; NaN without any."""
        return self.matching / self.positions if self.positions else float("nan")

    @property
    def percent(self) -> str:
        """The share in words; 100% only where all of them are."""
        if not self.positions:
            return "none"
        return f"{self.matching * 1000 // self.positions / 10:.1f}%"

    def plus(self, other: Count) -> Count:
        """Return the sum of two."""
        return Count(*(a + b for a, b in zip(self, other, strict=True)))


class ReferenceMatch:
    """Counts the positions of each chromosome that are a C or a G of the reference.

    A position of the forward strand must be a C, one of the reverse strand a G, and one
    without strand either. Unknown bases (N) say nothing and are not counted; a position past
    the end of its chromosome is no match.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Count] = {}

    def add(
        self,
        chromosome: str,
        codes: npt.NDArray[np.uint8],
        positions: npt.NDArray[np.int64],
        strands: npt.NDArray[np.int64],
    ) -> Count:
        """Count some positions; return their count.

        Parameters
        ----------
        chromosome
            Its name, for messages.
        codes : ndarray of uint8, shape (bases,)
            The chromosome.
        positions : ndarray of int64, shape (n,)
            0-based, none below 0.
        strands : ndarray of int64, shape (n,)
            1, -1, or 0 where it is not known.
        """
        on = positions < len(codes)
        bases, strands = codes[positions[on]], strands[on]
        matching = ((bases == C_CODE) & (strands >= 0)) | ((bases == G_CODE) & (strands <= 0))
        past_end = len(positions) - len(bases)
        known = int((bases != N_CODE).sum())
        count = Count(known + past_end, int(matching.sum()), past_end)
        self._counts[chromosome] = self._counts.get(chromosome, Count()).plus(count)
        return count

    def fault(self, least: float) -> str | None:
        """Return which chromosomes match too little, and how much; None if none does.

        A chromosome of 100 positions or more is judged by itself, all others together.
        Where these are fewer than 100 together, they may be down to three quarters, and
        fewer than 10 are not judged.

        Parameters
        ----------
        least
            The share that must match, 0 to 1.
        """
        large = {name: one for name, one in self._counts.items() if one.positions >= ENOUGH}
        small = {name: one for name, one in self._counts.items() if name not in large}
        faults = [_described(name, one) for name, one in large.items() if one.share < least]
        rest = _sum(list(small.values()))
        of_rest = least if rest.positions >= ENOUGH else min(least, _MIN_OF_FEW)
        if rest.positions >= _FEW and rest.share < of_rest:
            faults.append(_described(shown_names(list(small), _SHOWN), rest))
        return shown_names(faults, _SHOWN) if faults else None


def _sum(counts: list[Count]) -> Count:
    return Count(*(sum(column) for column in zip(*counts, strict=True)))


def _described(names: str, count: Count) -> str:
    past = f" ({count.past_end} past the end)" if count.past_end else ""
    return f"{names}: {count.percent} of {count.positions}{past}"
