"""The formats of methylation profiles: what their columns hold, and which one a file is.

Sources: the documentation of Bismark (coverage and cytosine reports), ALLCools (allc),
modkit and ENCODE (bedMethyl) and UCSC (bedGraph).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from deepcpg_tf.errors import ProfileError

WHOLE_NUMBERS = ("start", "end", "methylated", "unmethylated", "other", "coverage")
UPPER_LIMITS = {"value": 1.0, "score": 100.0, "percent": 100.0}
MOST = 10**12
"""The largest whole number of a line: no position, and no number of reads, is near it."""
STRANDS = {"+": 1, "-": -1, ".": 0}
_SHOWN = 60  # letters of a column

# What Polars takes for numbers.
_WHOLE = re.compile(r" *(?:\+?\d+|-0+)", re.ASCII)
_NUMBER = re.compile(r" *[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """The columns of a format.

    Attributes
    ----------
    format
        Name of the format; bedMethyl has two layouts.
    columns
        What each column holds, a word each: ``chrom``, ``start`` (position), ``end``,
        ``strand``, ``context`` (of the cytosine), ``code`` (of the modification),
        ``value`` (0 to 1), ``percent`` (0 to 100), ``score`` (either of the two),
        reads (``methylated``, ``unmethylated``, ``coverage``; ``other``, of another
        modification than the line counts); ``_`` is not looked at.
    base
        The number of a chromosome's first base: 0 or 1.
    spans
        Which values of end - start are a site.
    """

    format: str
    columns: tuple[str, ...]
    base: int
    spans: tuple[int, ...] = ()

    @property
    def has_coverage(self) -> bool:
        """Whether the file says how many reads a site has."""
        return not {"value", "score"}.intersection(self.columns)

    def fault(self, fields: Sequence[str], limits: dict[str, float] = UPPER_LIMITS) -> str | None:
        """Return what is wrong with a line: expected and received; None when it is right.

        Parameters
        ----------
        fields
            The columns of the line.
        limits
            The largest number that a column of each kind may hold.
        """
        if len(fields) != len(self.columns):
            received = f"received {len(fields)} columns" + TRAILING_TAB * (fields[-1] == "")
            return f"expected {self.described()}, {received}"
        for number, (name, text) in enumerate(zip(self.columns, fields, strict=True), 1):
            expected = self._expected(name, text, limits)
            if expected:
                return f"expected {expected} in column {number} ({name}), received {shown(text)}"
        line = dict(zip(self.columns, fields, strict=True))
        if self.spans and whole_in(line["end"]) - whole_in(line["start"]) not in self.spans:
            ends = " or ".join(f"start + {span}" for span in self.spans)
            return (
                f"expected {ends} in column 3 (end), "
                f"received start {line['start']} and end {line['end']}"
            )
        if {"methylated", "coverage"} <= line.keys() and (
            whole_in(line["methylated"]) > whole_in(line["coverage"])
        ):
            return (
                f"expected no more methylated reads than reads, "
                f"received {line['methylated']} of {line['coverage']}"
            )
        return None

    def described(self) -> str:
        """Return the columns in words."""
        names = ", ".join(name if name != "_" else "…" for name in self.columns)
        return f"the {len(self.columns)} columns of {self.format} ({names})"

    def _expected(self, name: str, text: str, limits: dict[str, float]) -> str | None:
        if name in ("chrom", "context", "code"):
            return None if text else "a name"
        if name == "strand":
            return None if text in STRANDS else "+, - or ."
        if name in WHOLE_NUMBERS:
            least = self.base if name == "start" else 0
            number = whole_in(text)
            most = f" to {MOST}" if number > MOST else ""
            return None if least <= number <= MOST else f"a whole number from {least}{most}"
        if name in limits:
            right = 0 <= number_in(text) <= limits[name]
            return None if right else f"a number from 0 to {limits[name]:g}"
        return None


def _layout(format: str, base: int, columns: str, spans: tuple[int, ...] = ()) -> Layout:  # noqa: A002
    return Layout(format, tuple(columns.split()), base, spans)


# Of several layouts with as many columns, the first that fits a file's first line is its own.
LAYOUTS = (
    _layout("deepcpg", 1, "chrom start value"),
    _layout("bedgraph", 0, "chrom start end score", (1, 2)),
    # What the original program writes and reads: a bedGraph but for the position.
    _layout("legacy-bedgraph", 1, "chrom start end score", (1,)),
    # In Bismark's merged_CpG_evidence.cov, the end is the G of the CpG.
    _layout("bismark-cov", 1, "chrom start end percent methylated unmethylated", (0, 1)),
    # Of one base, as in Bismark's zero.cov, or of two: a CpG merged by MethylDackel.
    _layout("bismark-zero-cov", 0, "chrom start end percent methylated unmethylated", (1, 2)),
    _layout("bismark-report", 1, "chrom start strand methylated unmethylated context _"),
    _layout("allc", 1, "chrom start strand context methylated coverage _"),
    # In modkit's lines of 5mC, column 14 counts the reads with 5hmC, which have lines of
    # their own as well; column 13 counts canonical bases.
    _layout(
        "bedmethyl",
        0,
        "chrom start end code _ strand _ _ _ _ percent methylated unmethylated other _ _ _ _",
        (1, 2),
    ),
    _layout("bedmethyl", 0, "chrom start end _ _ strand _ _ _ coverage percent", (1, 2)),
)
FORMATS = tuple(dict.fromkeys(layout.format for layout in LAYOUTS))

# Files of several cells each, which are no text; see `deepcpg_tf.profiles.stores`.
STORES = {
    layout.format: layout
    for layout in (
        _layout("methscan", 1, "chrom start value"),
        _layout("methscan-zero", 0, "chrom start value"),
        _layout("amethyst", 1, "chrom start methylated unmethylated"),
        _layout("amethyst-zero", 0, "chrom start methylated unmethylated"),
        _layout("cpg-transformer", 0, "chrom start value"),
    )
}

TRAILING_TAB = ", the last one empty: a tab at the end of the line"


def layouts_of(format: str | None) -> tuple[Layout, ...]:  # noqa: A002
    """Return the layouts of a format by name, or all.

    Raises
    ------
    ProfileError
        For an unknown name.
    """
    if format is None:
        return LAYOUTS
    found = tuple(layout for layout in LAYOUTS if layout.format == format)
    if not found:
        raise ProfileError(
            f"unknown format of a profile: expected one of {', '.join(FORMATS)}, "
            f"received {format!r}"
        )
    return found


def number_in(text: str) -> float:
    """Return the number that a text is, or NaN."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def whole_in(text: str) -> int:
    """Return the whole number that a text is; -1 where it is none, and more than `MOST` as one."""
    if not _WHOLE.fullmatch(text):
        return -1
    digits = text.lstrip(" +-0")
    # Python refuses to read thousands of digits.
    return int(digits or "0") if len(digits) <= len(str(MOST)) else MOST + 1


def shown(text: str) -> str:
    """Return a text as messages show it: in quotes, escaped, and not too long."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"
