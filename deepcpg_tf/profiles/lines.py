"""The lines of methylation profiles as arrays, each line checked for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import polars as pl

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.profiles.blocks import Block, read_blocks
from deepcpg_tf.profiles.formats import (
    LAYOUTS,
    STRANDS,
    UPPER_LIMITS,
    WHOLE_NUMBERS,
    choose_layout,
    layouts_of,
)

# The reads of a site where a file tells a value only: many, so that no value is rounded.
_READS = 10**12


class Calls(NamedTuple):
    """Lines of one chromosome that follow each other.

    ``rows`` are their indices among the lines of data of the block, ``positions`` are
    0-based, ``strands`` 1, -1 or 0 for unknown; ``methylated`` and ``unmethylated``
    count reads. All are int64 [n].
    """

    chromosome: str
    block: Block
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


class ProfileLines:
    """A profile that is read a block at a time.

    Parameters
    ----------
    path
        A file in one of the formats, plain, gzip or bgzip.
    format
        Name of the format; by default told by the first line of data.

    Attributes
    ----------
    layout : Layout
        That of the file.
    example : list of str
        The columns of the first line of data.
    read : int
        Lines of data read so far.
    skipped : dict of str to int
        How many of them are none of a CpG's 5-methylcytosine, by reason.

    Raises
    ------
    ProfileError
        When the file cannot be read, has no data, or is in none of the formats; when
        there is no format of that name.
    """

    def __init__(self, path: Path, format: str | None = None) -> None:  # noqa: A002
        candidates = layouts_of(format)
        self.path = path
        self.read = 0
        self.skipped: dict[str, int] = {}
        self._limits = dict(UPPER_LIMITS)
        self._has_scale = False
        self._blocks = read_blocks(path)
        header_may_follow = True
        for block in self._blocks:
            if header_may_follow:
                header_may_follow = next(block.lines(), None) is None
                block = block.without_header()
            number, line = next(block.lines(), (0, b""))
            if number:
                break
        else:
            raise ProfileError(f"{path}: expected a site a line, found none")
        self._first_block = block
        counts = {len(layout.columns) for layout in candidates}
        # Old versions of modkit, and some bedGraphs, have spaces between columns.
        self._spaced = b" " in line and line.count(b"\t") + 1 not in counts
        self.example = self._fields(line)
        layout = choose_layout(self.example, candidates)
        if layout is None:
            known = ", ".join(f"{each.format} {len(each.columns)}" for each in LAYOUTS)
            expected = " or ".join(each.described() for each in candidates)
            raise ProfileError(
                f"{path}, line {number}: expected "
                f"{expected if format else f'as many columns as a format has ({known})'}, "
                f"received {len(self.example)}"
            )
        self.layout = layout

    def __iter__(self) -> Iterator[Calls]:
        """Yield the calls of the file, once.

        Raises
        ------
        ProfileError
            At a line with too many or too few columns, with no number where one is
            expected, or with a number outside its range; when the file is damaged.
        """
        yield from self._calls(self._first_block)
        for block in self._blocks:
            yield from self._calls(block)

    def _calls(self, block: Block) -> Iterator[Calls]:
        frame = self._parse(block)
        self.read += len(frame)
        frame = self._select(frame)
        if frame.is_empty():
            return
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
        if self._spaced:
            text = text.replace(b" ", b"\t")
        try:
            frame = pl.read_csv(
                text, has_header=False, separator="\t", quote_char=None, schema=schema
            )
        except pl.exceptions.PolarsError as error:
            self._explain(block, str(error).splitlines()[0])
        if "score" in schema and not self._has_scale:
            self._find_scale(frame["score"])
        if not frame.select(self._is_right().all()).item():
            self._explain(block, "a number or a name that cannot be read")
        return frame.with_row_index("row")

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
                rules.append(pl.col(name) >= (self.layout.base if name == "start" else 0))
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
            fault = self.layout.fault(self._fields(line), self._limits)
            if fault:
                raise ProfileError(f"{self.path}, line {number}: {fault}")
        raise ProfileError(
            f"{self.path}, lines {block.first} to {number}: "
            f"expected {self.layout.described()}, received {otherwise}"
        )

    def _select(self, frame: pl.DataFrame) -> pl.DataFrame:
        rules = {}
        if "context" in self.layout.columns:
            rules["outside a CG context"] = pl.col("context").str.starts_with("CG")
        if "code" in self.layout.columns:
            # With several motifs, modkit writes code, motif and offset here.
            is_5mc = (pl.col("code") == "m") | pl.col("code").str.starts_with("m,")
            rules["of another modification than m"] = is_5mc
        for reason, rule in rules.items():
            kept = frame.filter(rule)
            self.skipped[reason] = self.skipped.get(reason, 0) + len(frame) - len(kept)
            frame = kept
        return frame

    def _reads(self, frame: pl.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        columns = self.layout.columns
        if "unmethylated" in columns:
            return frame["methylated"].to_numpy(), frame["unmethylated"].to_numpy()
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

    def _fields(self, line: bytes) -> list[str]:
        text = line.decode(errors="replace")
        return (text.replace(" ", "\t") if self._spaced else text).split("\t")


def _type(name: str) -> type[pl.DataType]:
    if name in WHOLE_NUMBERS:
        return pl.Int64
    return pl.Float64 if name in UPPER_LIMITS else pl.String
