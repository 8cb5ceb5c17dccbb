"""What became of the sites of a methylation profile, and how it lies on the reference."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.profiles.formats import Layout
from deepcpg_tf.profiles.match import Count

_FEWEST = 5  # calls that must speak for another offset
_SHOWN = 5  # names of chromosomes


@dataclass
class Account:
    """The counts of one file: ``read = kept + joined + duplicates`` + those dropped.

    Attributes
    ----------
    path, format
        The file, and the format that it was read as.
    read
        Sites of the file: its lines of data.
    kept
        CpGs with a label.
    joined
        Sites joined with that of the other strand of the same CpG.
    duplicates
        Sites that are there again, with the same label.
    dropped
        Sites or CpGs without use, by reason.
    absent
        Chromosomes that the reference lacks, as named in the file.
    offsets
        Sites that the reference has a CG at, at their own position (0) and one base
        before (-1) and after (1) it; the site of a reverse strand is at -1.
    notes
        What else there is to say of how the file was read.
    methylated
        How many of those kept are methylated.
    reads
        Reads of all that are kept; None where the file does not tell.
    match
        Sites on chromosomes of the reference, and those of them on a C or G there.
    cell
        The cell, where the file has several.
    """

    path: Path
    format: str
    read: int = 0
    kept: int = 0
    joined: int = 0
    duplicates: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=lambda: {0: 0, -1: 0, 1: 0})
    notes: list[str] = field(default_factory=list)
    methylated: int = 0
    reads: int | None = None
    match: Count = field(default_factory=Count)
    cell: str = ""

    @classmethod
    def of(cls, path: Path, layout: Layout, cell: str = "") -> Account:
        """Return the account of what was not read yet."""
        return cls(path, layout.format, reads=0 if layout.has_coverage else None, cell=cell)

    def drop(self, reason: str, count: int) -> None:
        """Count sites that are dropped."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def columns(self) -> dict[str, str | int | float]:
        """Return the account as columns of a table of cells, without the folder of the file."""
        known = self.reads is not None and self.kept
        return {
            "file": self.path.name,
            "format": self.format,
            "lines_read": self.read,
            "kept": self.kept,
            "joined": self.joined,
            "duplicates": self.duplicates,
            **{_column(reason): count for reason, count in self.dropped.items()},
            "reference_match": self.match.share,
            "past_the_end": self.match.past_end,
            "methylation_rate": self.methylated / self.kept if self.kept else math.nan,
            "mean_coverage": (self.reads or 0) / self.kept if known else math.nan,
        }

    def __str__(self) -> str:
        absent = ", ".join(self.absent[:_SHOWN]) + (", …" if len(self.absent) > _SHOWN else "")
        reasons = [
            f"{count} {reason}" + (f" ({absent})" if reason == ABSENT else "")
            for reason, count in self.dropped.items()
        ]
        parts = [
            f"{', '.join(filter(None, (self.path.name, self.cell)))}: {self.format}, "
            f"{self.read} sites read, {self.kept} kept",
            f"{sum(self.dropped.values())} dropped" + f": {', '.join(reasons)}" * bool(reasons),
        ]
        if self.joined:
            parts.append(f"{self.joined} joined with the other strand")
        if self.duplicates:
            parts.append(f"{self.duplicates} duplicates")
        on_cg = ", ".join(f"{count} at {offset:+d}" for offset, count in self.offsets.items())
        parts.append(f"on a CG: {on_cg.replace('+0', 'offset 0')}")
        past = f", {self.match.past_end} past the end of theirs" if self.match.past_end else ""
        parts.append(f"on a C or G: {self.match.percent}{past}")
        return "; ".join([*parts, *self.notes])


ABSENT = "on chromosomes that the reference lacks"

UNDER_MIN_COVERAGE = "dropped_under_min_coverage"
"""The column of `Account.columns` of what has too few reads."""


def under(min_coverage: int) -> str:
    """Return the reason to drop what has fewer reads than that."""
    return "under 1 read" if min_coverage == 1 else f"under {min_coverage} reads"


def _column(reason: str) -> str:
    if re.fullmatch(r"under \d+ reads?", reason):
        return UNDER_MIN_COVERAGE
    return "dropped_" + re.sub(r"\W+", "_", reason).lower()


class Fit:
    """How many sites lie on a CpG if all of them are moved by some bases.

    Attributes
    ----------
    sites
        Sites counted.
    on_cpg
        Those on the right base of a CpG, by the move: on either base where the file
        tells no strand.
    """

    def __init__(self) -> None:
        self.sites = 0
        self.on_cpg = {0: 0, -1: 0, 1: 0}
        self._free = {0: 0, -1: 0}
        self._exchanged = 0

    def add(self, is_cg: dict[int, npt.NDArray[np.bool_]], strands: npt.NDArray[np.int64]) -> None:
        """Count some sites.

        Parameters
        ----------
        is_cg : dict of int to ndarray of bool, shape (n,)
            For offsets -2 to 1: whether a CG is there, seen from each site.
        strands : ndarray of int64, shape (n,)
            1, -1, or 0 where the file does not tell.
        """
        self.sites += len(strands)
        for move in self.on_cpg:
            on = (is_cg[move] & (strands >= 0)) | (is_cg[move - 1] & (strands <= 0))
            self.on_cpg[move] += int(on.sum())
        on_other = (is_cg[0] & (strands < 0)) | (is_cg[-1] & (strands > 0))
        self._exchanged += int(on_other.sum())
        for move in self._free:
            self._free[move] += int((is_cg[move] & (strands == 0)).sum())

    @classmethod
    def together(cls, fits: Iterable[Fit]) -> Fit:
        """Return the sum of several."""
        result = cls()
        for fit in fits:
            result.sites += fit.sites
            for move in result.on_cpg:
                result.on_cpg[move] += fit.on_cpg[move]
            for move in result._free:
                result._free[move] += fit._free[move]
            result._exchanged += fit._exchanged
        return result

    def has_strands_exchanged(self) -> bool:
        """Return whether the sites fit clearly better on the other strand, and by no move."""
        there, here = self._exchanged, self.on_cpg[0]
        is_clear = there - here >= _FEWEST and 4 * here <= 3 * there
        return 2 * there > self.sites and is_clear and there > max(self.on_cpg.values())

    def better_move(self) -> int | None:
        """Return the move by which the sites fit clearly better than where they are, if any.

        That is one that brings most sites onto CpGs, a third more of them or better than
        lie there already. Sites without strand that are all on the G of a CpG, and
        none on the C, are a base too high as well: of two strands both would be seen,
        and of CpGs as a whole the C is the position.
        """
        here = self.on_cpg[0]
        for move in (-1, 1):
            there = self.on_cpg[move]
            is_clear = there - here >= _FEWEST and 4 * here <= 3 * there
            if 2 * there > self.sites and (is_clear or not here):
                return move
        on_c, on_g = self._free[0], self._free[-1]
        if on_g >= _FEWEST and 2 * on_g > self.sites and 20 * on_c <= on_g:
            return -1
        return None
