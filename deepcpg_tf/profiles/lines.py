"""The lines of methylation profiles as arrays, each line checked for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.profiles.blocks import Block
from deepcpg_tf.profiles.codes import HYDROXYMETHYLATION, Codes
from deepcpg_tf.profiles.formats import (
    MOST,
    STRANDS,
    UPPER_LIMITS,
    WHOLE_NUMBERS,
    layouts_of,
    shown,
)
from deepcpg_tf.profiles.opening import open_profile
from deepcpg_tf.profiles.percent import contradiction, rows_that_contradict

# The reads of a site where a file tells a value only: many, so that no value is rounded.
_READS = MOST
_SHOWN = 5  # codes, or contexts

# A file that lies a base off in one format may be right in another.
_ALTERNATIVES = {
    ("bedgraph", -1): "legacy-bedgraph",
    ("legacy-bedgraph", 1): "bedgraph",
    ("bismark-cov", 1): "bismark-zero-cov",
    ("bismark-zero-cov", -1): "bismark-cov",
}


class Numbered(Protocol):
    """What knows the number of a line by its row: a block."""

    def number_of(self, row: int) -> int:
        """Return the number of the line of a row."""

    def numbers_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the numbers of the lines of rows."""


class Calls(NamedTuple):
    """Lines of one chromosome.

    ``rows`` are their indices among the lines of data of the block, ``positions`` are
    0-based, ``strands`` 1, -1 or 0 for unknown; ``methylated`` and ``unmethylated``
    count reads. All are int64 [n].
    """

    chromosome: str
    block: Numbered
    rows: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    strands: npt.NDArray[np.int64]
    methylated: npt.NDArray[np.int64]
    unmethylated: npt.NDArray[np.int64]

    def line(self, index: int) -> int:
        """Return the number of the line of a call."""
        return self.block.number_of(int(self.rows[index]))

    def select(self, which: slice | npt.NDArray[np.bool_]) -> Calls:
        """Return some of the calls."""
        return Calls(self.chromosome, self.block, *(array[which] for array in self[2:]))


class Hydroxymethylated(NamedTuple):
    """What reads with 5hmC are taken as, in how many lines they are, and how many."""

    taken_as: str
    lines: int
    reads: int

    def __str__(self) -> str:
        how = "left out" if self.taken_as == "ignore" else f"read as {self.taken_as}"
        return f"{self.reads} reads with 5hmC {how}, in {self.lines} lines"


class ProfileLines:
    """A profile that is read a block at a time.

    Parameters
    ----------
    path
        A file in one of the formats, plain or compressed.
    format
        Name of the format; by default told by the first line of data.
    hydroxymethylation
        What reads with 5hmC count as, one of `HYDROXYMETHYLATION`.
    grouped
        Whether the calls of a block come a chromosome after the other, whatever the
        order of its lines is.

    Attributes
    ----------
    layout : Layout
        That of the file.
    taken : str
        What the file was taken for, and why, for the end of messages.
    example : list of str
        The columns of the first line of data.
    read : int
        Lines of data read so far.
    skipped : dict of str to int
        How many of them are none of a CpG's 5-methylcytosine, by reason.
    found : Counter of str
        What there was in blocks without such a line, with the number of lines.
    hydroxymethylated : Hydroxymethylated
        Reads with 5hmC so far.
    only_0_and_1 : bool
        Whether all scores so far, if there are such, are 0 or 1.

    Raises
    ------
    ProfileError
        As `open_profile`; for reads with 5hmC that a format does not tell.
    """

    def __init__(
        self,
        path: Path,
        format: str | None = None,  # noqa: A002
        *,
        hydroxymethylation: str = "methylated",
        grouped: bool = False,
    ) -> None:
        if hydroxymethylation not in HYDROXYMETHYLATION:
            raise ProfileError(
                f"hydroxymethylation: expected one of {', '.join(HYDROXYMETHYLATION)}, "
                f"received {hydroxymethylation!r}"
            )
        self.path = path
        self.read = 0
        self.skipped: dict[str, int] = {}
        self.found: Counter[str] = Counter()
        self.hydroxymethylated = Hydroxymethylated(hydroxymethylation, 0, 0)
        self.only_0_and_1 = True
        self._grouped = grouped
        self._limits = dict(UPPER_LIMITS)
        self._has_scale = False
        self._used_codes: list[str] | None = None  # None: all
        self._file = open_profile(path, format)
        self.layout = self._file.layout
        self.example = self._file.example
        self.taken = self._file.taken
        if hydroxymethylation != "methylated" and "other" not in self.layout.columns:
            raise ProfileError(
                f"{path}: expected a format that tells 5hmC from 5mC (modkit's bedMethyl of 18 "
                f"columns), as `hydroxymethylation` asks, received {self.layout.format} "
                f"({self.taken})"
            )

    def __iter__(self) -> Iterator[Calls]:
        """Yield the calls of the file, once.

        Raises
        ------
        ProfileError
            At a line with too many or too few columns, with no number where one is
            expected, with a number outside its range, or with a percent that contradicts
            its counts; when the file is damaged.
        """
        for block in self._file.blocks:
            yield from self._calls(block)

    def place(self, line: int) -> str:
        """Return where a line is."""
        return f"{self.path}, line {line}"

    def error(self, line: int, fault: str) -> ProfileError:
        """Return the error of a line, with what the file was taken for."""
        return ProfileError(f"{self.place(line)}: {fault} ({self.taken})")

    def other_format(self, move: int) -> str | None:
        """Return the format in which the file would be right, were it so many bases off."""
        other = _ALTERNATIVES.get((self.layout.format, move))
        fits = other and layouts_of(other)[0].fault(self.example) is None
        return other if fits else None

    def shown_found(self) -> str:
        """Return what there was instead of lines that are used, and how often."""
        most = self.found.most_common(_SHOWN)
        shown_most = ", ".join(f"{count} of {what}" for what, count in most)
        return shown_most + ", …" * (len(self.found) > _SHOWN)

    def notes(self, *, joined: bool) -> list[str]:
        """Return what is to be known of how the lines were read.

        Parameters
        ----------
        joined
            Whether there were lines of both strands of a CpG.
        """
        notes = []
        if self.hydroxymethylated.reads:
            notes.append(str(self.hydroxymethylated))
        if joined and not self.layout.has_coverage:
            notes.append(
                "strands averaged without their coverage: a coverage file (.cov) of the same "
                "reads tells more"
            )
            if "score" in self.layout.columns and self.only_0_and_1:
                notes.append("all values are 0 or 1: they may be counts of reads, and no shares")
        return notes

    def _calls(self, block: Block) -> Iterator[Calls]:
        frame = self._parse(block)
        self.read += len(frame)
        frame = self._select(frame)
        if frame.is_empty():
            return
        if self._grouped:
            frame = frame.sort("chrom", maintain_order=True)
        strands = pl.lit(0, pl.Int64)
        if "strand" in self.layout.columns:
            strands = pl.col("strand").replace_strict(STRANDS, return_dtype=pl.Int64)
        arrays = (
            frame["row"].cast(pl.Int64).to_numpy(),
            frame["start"].to_numpy() - self.layout.base,
            frame.with_columns(strands.alias("strand"))["strand"].to_numpy(),
            *self._reads(frame),
        )
        runs = frame["chrom"].rle().struct.unnest()
        first = 0
        for name, length in zip(runs["value"].to_list(), runs["len"].to_list(), strict=True):
            part = slice(first, first + length)
            yield Calls(name, block, *(array[part] for array in arrays))
            first += length

    def _parse(self, block: Block) -> pl.DataFrame:
        columns = self.layout.columns
        names = [f"_{i}" if name == "_" else name for i, name in enumerate(columns)]
        schema: dict[str, type[pl.DataType]] = {name: _type(name) for name in names}
        text = block.data()
        if not text:
            return pl.DataFrame(schema={**schema, "row": pl.UInt32})
        if self._file.spaced:
            text = text.replace(b" ", b"\t")
        try:
            # The line in front keeps Polars from telling by the first bytes that the text is
            # compressed, or marked: both was looked at when the file was opened.
            frame = pl.read_csv(
                b"#\n" + text,
                skip_rows=1,
                has_header=False,
                separator="\t",
                quote_char=None,
                schema=schema,
            )
        except pl.exceptions.PolarsError as error:
            self._explain(block, str(error).splitlines()[0])
        if "score" in schema and not self._has_scale:
            self._find_scale(frame["score"])
        if not frame.select(self._is_right().all()).item():
            self._explain(block, "a number or a name that cannot be read")
        if "code" in schema:
            self._find_codes(block, frame["code"])
        wrong = rows_that_contradict(columns, frame)
        if wrong:
            fault = contradiction(self.layout, frame, wrong[0])
            raise self.error(block.number_of(wrong[0]), fault)
        if "score" in schema:
            self.only_0_and_1 &= bool(frame["score"].is_in([0.0, 1.0]).all())
        return frame.with_row_index("row")

    def _find_codes(self, block: Block, codes: pl.Series) -> None:
        """Tell which codes are read."""
        values = codes.unique().to_list()
        found = Codes.of(values)
        used = found.methylcytosine + found.any_modification
        self._used_codes = None if len(used) == len(values) else used
        if found.patterns:
            row = int((codes.is_in(found.patterns)).arg_max() or 0)
            raise self.error(
                block.number_of(row),
                f"expected a pileup of each strand by itself, received {shown(codes[row])} in "
                "column 4 (code): patterns of both strands, as modkit pileup-hemi writes; "
                "make the file with modkit pileup",
            )
        if found.any_modification and self.hydroxymethylated.taken_as != "methylated":
            row = int((codes.is_in(found.any_modification)).arg_max() or 0)
            raise self.error(
                block.number_of(row),
                "expected 5mC and 5hmC apart, as `hydroxymethylation` asks, received "
                f"{shown(codes[row])} in column 4 (code), any modification of a cytosine",
            )

    def _find_scale(self, scores: pl.Series) -> None:
        """Tell percent from values up to 1: few sites have a share of less than a percent."""
        above = int((scores > 1).sum())
        within = int(((scores > 0) & (scores <= 1)).sum())
        self._limits["score"] = 100.0 if above > within else 1.0
        self._has_scale = above + within > 0

    def _is_right(self) -> pl.Expr:
        columns = self.layout.columns
        # A line with too few columns has nulls in the last ones.
        rules = [pl.nth(len(columns) - 1).is_not_null()]
        for name in columns:
            if name in WHOLE_NUMBERS:
                least = self.layout.base if name == "start" else 0
                rules.append(pl.col(name).is_between(least, MOST))
            elif name in self._limits:
                rules.append(pl.col(name).is_between(0, self._limits[name]))
            elif name == "strand":
                rules.append(pl.col(name).is_in(list(STRANDS)))
            elif name != "_":
                rules.append(pl.col(name).is_not_null())
        if self.layout.spans:
            rules.append((pl.col("end") - pl.col("start")).is_in(list(self.layout.spans)))
        if {"methylated", "coverage"}.issubset(columns):
            rules.append(pl.col("methylated") <= pl.col("coverage"))
        return pl.all_horizontal(rules).fill_null(value=False)

    def _explain(self, block: Block, otherwise: str) -> NoReturn:
        """Raise an error at the first line that is not right."""
        number = block.first
        for number, line in block.lines():
            fault = self.layout.fault(self._file.fields(line), self._limits)
            if fault:
                raise self.error(number, fault)
        raise ProfileError(
            f"{self.path}, lines {block.first} to {number}: "
            f"expected {self.layout.described()}, received {otherwise} ({self.taken})"
        )

    def _select(self, frame: pl.DataFrame) -> pl.DataFrame:
        if "context" in self.layout.columns:
            is_cg = pl.col("context").str.starts_with("CG")
            frame = self._leave_out(frame, "context", "outside a CG context", is_cg)
        if self._used_codes is not None:
            rule = pl.col("code").is_in(self._used_codes)
            frame = self._leave_out(frame, "code", "of another modification than m", rule)
        return frame

    def _leave_out(
        self, frame: pl.DataFrame, column: str, reason: str, rule: pl.Expr
    ) -> pl.DataFrame:
        kept = frame.filter(rule)
        self.skipped[reason] = self.skipped.get(reason, 0) + len(frame) - len(kept)
        if kept.is_empty():  # what there is instead may have to be told
            counts = frame[column].value_counts()
            self.found.update({f"{column} {shown(value)}": n for value, n in counts.rows()})
        return kept

    def _reads(self, frame: pl.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        columns = self.layout.columns
        if "unmethylated" in columns:
            methylated, unmethylated = (
                frame[name].to_numpy() for name in ("methylated", "unmethylated")
            )
            if "other" not in columns:
                return methylated, unmethylated
            return self._with_other(methylated, unmethylated, frame["other"].to_numpy())
        if self.layout.has_coverage:
            reads = frame["coverage"].to_numpy()
        else:
            reads = np.full(len(frame), _READS)
        if "methylated" in columns:
            methylated = frame["methylated"].to_numpy()
        else:
            share = frame[columns[-1]].to_numpy() / self._limits[columns[-1]]
            methylated = np.rint(share * reads).astype(np.int64)
        return methylated, reads - methylated

    def _with_other(
        self,
        methylated: npt.NDArray[np.int64],
        unmethylated: npt.NDArray[np.int64],
        other: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Count the reads with another modification, 5hmC, as asked.

        modkit writes a line of each modification, and in each the reads of the others:
        the line of 5mC alone has all reads, and those of 5hmC are left out as lines.
        """
        taken_as, lines, reads = self.hydroxymethylated
        lines, reads = lines + int(np.count_nonzero(other)), reads + int(other.sum())
        self.hydroxymethylated = Hydroxymethylated(taken_as, lines, reads)
        if taken_as == "methylated":
            return methylated + other, unmethylated
        if taken_as == "unmethylated":
            return methylated, unmethylated + other
        return methylated, unmethylated


def _type(name: str) -> type[pl.DataType]:
    if name in WHOLE_NUMBERS:
        return pl.Int64
    return pl.Float64 if name in UPPER_LIMITS else pl.String
