"""Sites in text files: BED, or chromosome and 1-based position.

Which of the two a file is shows in its first site: BED has an end in column 3
that is larger than the start in column 2. A table of predictions is known by its
header, and has 0-based positions of the forward-strand C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError, SiteError
from deepcpg_tf.files import reading_text
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import letters_of_codes

_COMMENTS = ("#", "track", "browser")
_HEADERS = ("chrom", "chr", "chromo", "chromosome", "seqname")
_PREDICTIONS_HEADER = ["chromosome", "position", "strand"]
_STRANDS = ("+", "-", ".")
_MOST_DIGITS = 18


class Sites(NamedTuple):
    """Some sites of a file, in its order.

    ``chromosomes`` are named as in the file and ``references`` as in the genome.
    ``positions`` (int64, 0-based) are those of the forward-strand C, and
    ``strands`` those of the file, ``+`` where it names none: both cytosines of a
    CpG are one site. ``lines`` counts from 1.
    """

    chromosomes: list[str]
    references: list[str]
    positions: npt.NDArray[np.int64]
    strands: list[str]
    lines: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chromosomes)

    def groups(self) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        """Yield each chromosome of the genome with the indices of its sites."""
        references = np.array(self.references)
        for reference in sorted(set(self.references)):
            yield reference, np.flatnonzero(references == reference)


_Parser = Callable[[list[str], str], tuple[int, str]]


class _Site(NamedTuple):
    chromosome: str
    reference: str
    position: int
    strand: str
    line: int


def read_sites(path: Path, genome: Genome, chunk_size: int = 1 << 16) -> Iterator[Sites]:
    """Read a file of sites, plain or gzipped, a chunk at a time.

    Parameters
    ----------
    path
        BED (0-based, half-open; an interval of one base or of the two of the CpG;
        strand in column 6), or columns chromosome and 1-based position (strand, if
        any, in column 3), or what ``deepcpg-tf predict`` wrote. A site on the minus
        strand is that of the C opposite, one base to the left on the forward strand.
    genome
        The reference that the sites lie on.
    chunk_size
        Sites read at a time.

    Raises
    ------
    SiteError
        At the first line that is no site on the genome.
    """
    found = False
    with reading_text(path, SiteError) as file:
        sites = _parse(file, path, genome)
        while chunk := list(islice(sites, chunk_size)):
            found = True
            yield Sites(
                [site.chromosome for site in chunk],
                [site.reference for site in chunk],
                np.array([site.position for site in chunk], np.int64),
                [site.strand for site in chunk],
                np.array([site.line for site in chunk], np.int64),
            )
    if not found:
        raise SiteError(f"{path}: expected a site a line, found none")


def _parse(file: TextIO, path: Path, genome: Genome) -> Iterator[_Site]:
    parse: _Parser | None = None
    references: dict[str, str] = {}
    for number, line in enumerate(file, 1):
        text = line.rstrip("\r\n")
        if not text.strip() or text.startswith(_COMMENTS):
            continue
        columns = text.split("\t") if "\t" in text else text.split()
        if parse is None:
            if columns[:3] == _PREDICTIONS_HEADER:
                parse = _prediction_position
                continue
            if columns[0].lower() in _HEADERS:
                continue
            is_bed = len(columns) > 2 and _is_end(columns[1], columns[2])
            parse = _bed_position if is_bed else _tsv_position
        where = f"{path}, line {number}"
        chromosome = columns[0]
        if chromosome not in references:
            try:
                references[chromosome] = genome.resolve(chromosome)
            except GenomeError as error:
                raise SiteError(f"{where}: {error}") from None
        position, strand = parse(columns, where)
        bases = genome.lengths[references[chromosome]]
        if not 0 <= position < bases:
            raise SiteError(
                f"{where}: expected a site within the {bases} bases of chromosome {chromosome}, "
                f"received {text[:60]!r}"
            )
        yield _Site(chromosome, references[chromosome], position, strand, number)


def _is_end(start: str, end: str) -> bool:
    return _is_whole(start) and _is_whole(end) and int(end) > int(start)


def _is_whole(text: str) -> bool:
    """Return whether a text is a whole number, of no more digits than any position has."""
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _bed_position(columns: list[str], where: str) -> tuple[int, str]:
    if len(columns) < 3:
        raise SiteError(
            f"{where}: expected the BED columns chromosome, start, end, received {_shown(columns)}"
        )
    start, end = _integer(columns[1], "start", where), _integer(columns[2], "end", where)
    strand = _strand(columns[5], where) if len(columns) > 5 else "+"
    if end - start not in (1, 2):
        raise SiteError(
            f"{where}: expected a site of 1 or 2 bases (end = start + 1 or + 2), "
            f"received {start} to {end}"
        )
    on_the_g = strand == "-" and end - start == 1
    return start - on_the_g, strand


def _prediction_position(columns: list[str], where: str) -> tuple[int, str]:
    if len(columns) < 3:
        raise SiteError(
            f"{where}: expected chromosome, position and strand, received {_shown(columns)}"
        )
    return _integer(columns[1], "position", where), _strand(columns[2], where)


def _tsv_position(columns: list[str], where: str) -> tuple[int, str]:
    if len(columns) < 2:
        raise SiteError(
            f"{where}: expected the columns chromosome and position, received {columns[0][:60]!r}"
        )
    position = _integer(columns[1], "position", where)
    strand = columns[2] if len(columns) > 2 and columns[2] in ("+", "-") else "+"
    return position - 1 - (strand == "-"), strand


def _integer(text: str, name: str, where: str) -> int:
    if not _is_whole(text.strip(" ")):
        raise SiteError(f"{where}: expected a whole number as {name}, received {text[:60]!r}")
    return int(text)


def _strand(text: str, where: str) -> str:
    if text not in _STRANDS:
        raise SiteError(f"{where}: expected a strand (+, - or .), received {text[:60]!r}")
    return "+" if text == "." else text


def _shown(columns: list[str]) -> str:
    return repr(" ".join(columns)[:60])


class CpgCount(NamedTuple):
    """How many sites lie on a CG of the reference, there and one base beside it.

    ``references`` are the chromosomes that they are on, as the reference calls them.
    """

    sites: int
    here: int
    before: int
    after: int
    references: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.here} of {self.sites} sites are CG in the reference"
        if self.here == self.sites:
            return text
        text += f" ({self.before} are at offset -1, {self.after} at +1)"
        beside, word = max((self.before, "1 too large"), (self.after, "1 too small"))
        if 2 * beside > self.sites and beside > 2 * self.here:
            text += f"; WARNING: the positions look {word} for how they were read"
        elif 2 * self.here < self.sites:
            text += "; WARNING: most are none: is the genome another assembly?"
        return text


NEXT_TO_NEIGHBOURS = (
    "as a module asks that reads neighbours, lest a site that is one base off be its own neighbour"
)
"""Why such a module's sites have to be CG: their own states are left out by the position."""


def count_cpgs(path: Path, genome: Genome, *, require: str | None = None) -> CpgCount:
    """Read a whole file of sites and count those on a CG.

    Parameters
    ----------
    path, genome
        As in `read_sites`.
    require
        Why a site that is no CG is an error, if it is one.

    Raises
    ------
    SiteError
        As `read_sites`; and at the first site that is no CG, if `require`.
    """
    totals = np.zeros(4, np.int64)
    references: dict[str, None] = {}
    for sites in read_sites(path, genome):
        found = np.empty((3, len(sites)), bool)
        for reference, indices in sites.groups():
            references[reference] = None
            for row, offset in zip(found, (0, -1, 1), strict=True):
                row[indices] = genome.is_cg(reference, sites.positions[indices] + offset)
        totals += (len(sites), *found.sum(axis=1))
        if require is not None and not found[0].all():
            first = int(np.argmin(found[0]))
            position = int(sites.positions[first])
            codes = genome.codes(sites.references[first])[position : position + 2]
            beside = [offset for offset, row in (("-1", 1), ("+1", 2)) if found[row, first]]
            hint = f" (a CG is at {beside[0]})" if beside else ""
            raise SiteError(
                f"{path}, line {sites.lines[first]}: expected a CG, {require}, found "
                f"{letters_of_codes(codes).tobytes().decode()} at {sites.chromosomes[first]}, "
                f"0-based position {position}{hint}"
            )
    number, here, before, after = map(int, totals)
    return CpgCount(number, here, before, after, tuple(references))
