"""Intervals of the genome, read from BED files, and whether sites lie in them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import AnnotationError, GenomeError
from deepcpg_tf.files import reading_text
from deepcpg_tf.genome.names import find_name, shown_names

if TYPE_CHECKING:
    import polars as pl

_INTERVAL = r"^(\S+)[ \t]+([0-9]{1,18})[ \t]+([0-9]{1,18})(?:[ \t]([^\t]*)|$)"
_COMMENT = r"^\s*(?:#|$)|^(?:track|browser)\b"
_HEADERS = ("chrom", "chr", "chromosome", "seqname")
_ENDINGS = (".gz", ".bgz", ".bed")


class Intervals(NamedTuple):
    """Intervals of one chromosome (int64, 0-based, half-open), sorted and apart."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


class NamedIntervals(NamedTuple):
    """Intervals of one chromosome as they were listed, sorted; they may overlap.

    ``starts`` and ``ends`` are int64, 0-based and half-open; each interval is there once.
    ``names`` are those of the fourth column, empty where there is none; of an interval listed
    several times, all of them, with commas between.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    names: tuple[str, ...]


class Annotation(NamedTuple):
    """A named set of intervals, by the names of chromosomes that it was read for."""

    name: str
    intervals: dict[str, Intervals]

    def digest(self) -> str:
        """Return a SHA-256 checksum of the intervals."""
        result = hashlib.sha256()
        for chromosome, (starts, ends) in sorted(self.intervals.items()):
            result.update(chromosome.encode() + starts.tobytes() + ends.tobytes())
        return result.hexdigest()

    def contains(
        self,
        chromosomes: Sequence[str],
        chromosome_ids: npt.NDArray[np.integer],
        positions: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.bool_]:
        """Return which sites lie in an interval.

        Parameters
        ----------
        chromosomes
            Names, of those that the annotation was read for.
        chromosome_ids : ndarray of integers, shape (n,)
            Index into `chromosomes`.
        positions : ndarray of integers, shape (n,)
            0-based.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        inside = np.zeros(len(positions), bool)
        for i, chromosome in enumerate(chromosomes):
            intervals = self.intervals.get(chromosome)
            if intervals is None:
                continue
            sites = np.flatnonzero(chromosome_ids == i)
            index = np.searchsorted(intervals.starts, positions[sites], side="right") - 1
            # Before the first interval the index is -1, the last one, which starts later.
            ends = np.where(index >= 0, intervals.ends[index], 0)
            inside[sites] = positions[sites] < ends
        return inside


def read_annotation(path: Path, chromosomes: Collection[str]) -> Annotation:
    """Read a BED file, plain or gzipped; intervals that overlap or touch are merged.

    Parameters
    ----------
    path
        Its first three columns are chromosome, start and end (0-based, half-open),
        in any order of lines. The annotation is named as the file, without ``.bed``
        and ``.gz``.
    chromosomes
        Names of the genome, or of the sites, that the intervals will be asked for; see
        `deepcpg_tf.genome.names`. Intervals on other chromosomes are left out.

    Raises
    ------
    AnnotationError
        When the file is missing or has no interval, or none on these chromosomes; at
        the first line that is none; when a chromosome may be one of several.
    """
    intervals: dict[str, Intervals] = {}
    for (chromosome,), rows in _read(path, chromosomes).group_by("chromosome", maintain_order=True):
        merged = _merge(rows["start"].to_numpy(), rows["end"].to_numpy())
        intervals[str(chromosome)] = merged
    return Annotation(_name(path), intervals)


def read_intervals(path: Path, chromosomes: Collection[str]) -> dict[str, NamedIntervals]:
    """Read a BED file, plain or gzipped, interval by interval.

    Parameters
    ----------
    path, chromosomes
        As for `read_annotation`.

    Raises
    ------
    AnnotationError
        As `read_annotation`.
    """
    import polars as pl

    rows = (
        _read(path, chromosomes)
        .group_by("chromosome", "start", "end", maintain_order=True)
        .agg(pl.col("name").filter(pl.col("name") != "").unique(maintain_order=True).str.join(","))
        .sort("start", "end")
    )
    return {
        str(chromosome): NamedIntervals(
            own["start"].to_numpy(), own["end"].to_numpy(), tuple(own["name"].to_list())
        )
        for (chromosome,), own in rows.group_by("chromosome", maintain_order=True)
    }


def _read(path: Path, chromosomes: Collection[str]) -> pl.DataFrame:
    """Return the intervals on some chromosomes, called as there, in the order of the file."""
    import polars as pl

    try:
        with reading_text(path, AnnotationError) as file:
            table = _parse(path, file.read())
    except OSError as error:
        raise AnnotationError(f"{path}: cannot read it: {error.strerror or error}") from None
    names, known = table["chromosome"].unique(maintain_order=True).to_list(), set(chromosomes)
    try:
        found = [find_name(name, known) for name in names]
    except GenomeError as error:
        raise AnnotationError(f"{path}: {error}") from None
    if not any(found):
        raise AnnotationError(
            f"{path}: expected intervals on the chromosomes asked for "
            f"({shown_names(list(chromosomes))}), found {shown_names(names)}"
        )
    resolved = pl.col("chromosome").replace_strict(names, found, return_dtype=pl.String)
    return table.with_columns(resolved).drop_nulls("chromosome")


def _name(path: Path) -> str:
    name = path.name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name or path.name


def _parse(path: Path, text: str) -> pl.DataFrame:
    import polars as pl

    lines = pl.Series("text", [text]).str.split("\n").explode()
    table = lines.to_frame().with_row_index("line", 1)
    table = table.filter(~pl.col("text").str.contains(_COMMENT))
    if len(table) and _first_word(table["text"][0]).lower() in _HEADERS:
        table = table[1:]
    if not len(table):
        raise AnnotationError(f"{path}: expected an interval a line, found none")
    names = ["chromosome", "start", "end", "name"]
    groups = pl.col("text").str.extract_groups(_INTERVAL).struct.rename_fields(names)
    table = table.with_columns(groups.alias("groups")).unnest("groups")
    table = table.with_columns(
        pl.col("start", "end").cast(pl.Int64), pl.col("name").fill_null("").str.strip_chars()
    )
    wrong = table.filter(pl.col("end").is_null() | (pl.col("start") > pl.col("end")))
    if len(wrong):
        raise AnnotationError(
            f"{path}, line {wrong['line'][0]}: expected the BED columns chromosome, start, end "
            f"(whole numbers, start not above end), received {wrong['text'][0][:80]!r}"
        )
    return table.select(*names)


def _first_word(line: str) -> str:
    return line.replace("\t", " ").partition(" ")[0]


def _merge(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Intervals:
    """Return the union of intervals as intervals that neither overlap nor touch."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    first = np.append(True, starts[1:] > ends[:-1])
    last = np.append(first[1:], True)
    return Intervals(starts[first], ends[last])
