"""Variants of a genome, read from VCF: alleles in one minimal form, and why one is none.

A file is read as lines of text: plain, gzip, bgzip, bzip2 or xz; of BCF, htslib makes lines.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from deepcpg_tf.errors import GenomeError, VariantError
from deepcpg_tf.genome.intervals import read_annotation
from deepcpg_tf.genome.names import find_name, shown_names
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import decode, encode
from deepcpg_tf.genome.vcf import Lines, is_bcf, open_lines, read_header
from deepcpg_tf.progress import SILENT, Progress

NONE, STAR, SYMBOLIC, BREAKEND, LETTERS = "none", "star", "symbolic", "breakend", "letters"
CONTIG, OFF, REFERENCE, SAME, LONG = "contig", "off", "reference", "same", "long"

REASONS = {
    NONE: "no ALT (`.`)",
    STAR: "ALT is `*`, a deletion that another record has",
    SYMBOLIC: "ALT is symbolic, as `<DEL>`",
    BREAKEND: "ALT is a breakend",
    LETTERS: "ALT has other letters than A, C, G, T",
    CONTIG: "the genome has no such chromosome",
    OFF: "POS or REF lies off the chromosome",
    REFERENCE: "REF is not what the genome has",
    SAME: "ALT is equal to REF",
    LONG: "an allele is too long",
}
"""Why an ALT cannot be scored: the word of each reason, and what it means.

An ALT has the first that holds, in this order.
"""

LONGEST = 1000
"""Bases that an allele in its minimal form has at most, by default."""

MOST_MISMATCHES = 0.02
"""The share of records whose REF may be unlike the genome."""

_BASES = frozenset("ACGTacgt")
_ACGT = re.compile("[ACGTacgt]+").fullmatch
_IUPAC = re.compile("[ACGTNRYSWKMBDHVacgtnryswkmbdhv]+").fullmatch
_SYMBOL = re.compile(r"[A-Za-z]*<[^<>\s]+>").fullmatch  # of assembled contigs after a base
# Joined to another place, or to nothing that is known.
_BREAK = re.compile(
    r"[A-Za-z.]*([\[\]])[^\[\]\s]+:[0-9]+\1[A-Za-z.]*|[A-Za-z]+\.|\.[A-Za-z]+"
).fullmatch
_GENOTYPE = re.compile(r"[/|]?(?:[0-9]{1,9}|\.)(?:[/|](?:[0-9]{1,9}|\.))*").fullmatch
_ALLELES = re.compile(r"[0-9]+|\.").findall
_CONTIG_ID = re.compile("[<,]ID=([^,>]+)").search
_CONTIG_LENGTH = re.compile("[<,]length=([0-9]{1,18})").search
# Codes of the letters that a REF may have.
_CODES = (
    bytes(int(encode(chr(byte))[0]) if _IUPAC(chr(byte)) else 255 for byte in range(128))
    + bytes([255]) * 128
)
_MOST_DIGITS = 18
_SHOWN = 60
_OF_THE_ALT = frozenset((NONE, STAR, SYMBOLIC, BREAKEND, LETTERS))
_UNLIKE = frozenset((OFF, REFERENCE))
_RECORDS_AT_ONCE = 4096


class Allele(NamedTuple):
    """A change in its minimal form: what is not common to both alleles, in upper case.

    ``position`` is 0-based. `ref` or `alt` is empty for an insertion or a deletion; an
    insertion comes before the base at its position.
    """

    position: int
    ref: str
    alt: str


class Record(NamedTuple):
    """A record of a file.

    Attributes
    ----------
    number
        Its number in the file, from 1.
    chromosome
        As in the file.
    reference
        As the genome calls it; None where it has none.
    position
        POS, 0-based; -1 for a POS of 0.
    identifier, ref, alts
        As in the file; `alts` is ``(".",)`` where there is no ALT.
    alleles
        One an ALT; None where it is not scored.
    reasons
        One an ALT: a word of `REASONS`, empty where it can be scored.
    genotype
        Alleles of the sample asked for: 0 is REF, 1 the first ALT, None unknown. None without a
        sample, and where the record has no GT.
    phased
        Whether the genotype tells which allele lies on which haplotype.
    phase_set
        PS of the sample, or nothing: haplotypes of two sets are not in one order.
    """

    number: int
    chromosome: str
    reference: str | None
    position: int
    identifier: str
    ref: str
    alts: tuple[str, ...]
    alleles: tuple[Allele | None, ...]
    reasons: tuple[str, ...]
    genotype: tuple[int | None, ...] | None = None
    phased: bool = False
    phase_set: str = ""


def trimmed(position: int, ref: str, alt: str) -> Allele:
    """Return the minimal form of two alleles: what their ends share goes, then their starts.

    Parameters
    ----------
    position
        0-based, of the first base of `ref`.
    ref, alt
        Letters in either case.
    """
    ref, alt = ref.upper(), alt.upper()
    if len(ref) == len(alt) == 1 and ref != alt:  # most of all
        return Allele(position, ref, alt)
    most = min(len(ref), len(alt))
    end = 0
    while end < most and ref[-1 - end] == alt[-1 - end]:
        end += 1
    start = 0
    while start < most - end and ref[start] == alt[start]:
        start += 1
    return Allele(position + start, ref[start : len(ref) - end], alt[start : len(alt) - end])


def change(position: int, ref: str, alt: str, longest: int) -> tuple[Allele | None, str]:
    """Return an allele in its minimal form, or why there is none.

    Parameters
    ----------
    position, ref, alt
        As of `trimmed`.
    longest
        Bases that it has at most.
    """
    allele = trimmed(position, ref, alt)
    if not allele.ref and not allele.alt:
        return None, SAME
    if max(len(allele.ref), len(allele.alt)) > longest:
        return None, LONG
    return allele, ""


class Account(NamedTuple):
    """What is in a file.

    ``records`` and ``alts`` are those chosen, ``left_out`` the records that are not.
    ``reasons`` counts ALTs that cannot be scored, and ``mismatches`` records, of ``compared``,
    whose REF is unlike the genome, off its chromosome included. ``unsorted`` is the first record
    that is out of order, by its number in the file, or 0; ``end`` is the largest end of a REF.
    """

    path: Path
    records: int
    left_out: int
    alts: int
    reasons: dict[str, int]
    compared: int
    mismatches: int
    unsorted: int
    end: int

    def __str__(self) -> str:
        unscored = sum(self.reasons.values())
        text = f"{self.path.name}: {self.records:,} records, {self.alts:,} alternative alleles"
        if self.left_out:
            text += f" ({self.left_out:,} other records are left out)"
        if unscored:
            words = ", ".join(f"{word} {self.reasons[word]:,}" for word in sorted(self.reasons))
            text += f"; {unscored:,} cannot be scored ({words})"
        return text


class VcfFile:
    """A file of variants on a genome.

    Parameters
    ----------
    path
        VCF (plain or compressed with anything) or BCF.
    genome
        The reference that its records lie on.
    longest
        Bases that an allele has at most to be scored, in its minimal form.
    chromosomes, regions
        Which records are read: those on some chromosomes, and with a base of REF in an interval
        of a BED file. Others are left out: they are not scored and not written.
    sample
        Whose genotypes are read.
    allow_mismatches
        Whether records whose REF is unlike the genome may be many.

    Attributes
    ----------
    header : tuple of str
        All lines before the first record.
    samples : tuple of str

    Raises
    ------
    VariantError
        When the file is missing or no VCF, or has no such sample.
    AnnotationError
        When the intervals cannot be read.
    GenomeError
        When the genome lacks one of the chromosomes.
    """

    def __init__(
        self,
        path: str | Path,
        genome: Genome,
        *,
        longest: int = LONGEST,
        chromosomes: Sequence[str] | None = None,
        regions: str | Path | None = None,
        sample: str | None = None,
        allow_mismatches: bool = False,
    ) -> None:
        if longest < 1:
            raise VariantError(f"longest: expected 1 base or more, received {longest}")
        self.path = Path(path)
        self.genome = genome
        self.longest = longest
        self.sample = sample
        self.allow_mismatches = allow_mismatches
        self._names = None if chromosomes is None else {*map(genome.resolve, chromosomes)}
        self._regions = (
            None if regions is None else read_annotation(Path(regions), tuple(genome.lengths))
        )
        self._contigs: dict[str, _Contig] = {}
        self._binary = is_bcf(self.path)
        with self._opened() as (lines, _):
            self.header = read_header(self.path, lines)
        columns = self.header[-1].split("\t")
        self._tabs = len(columns) - 1
        self.samples = tuple(columns[9:])
        if sample is not None and sample not in self.samples:
            there = shown_names(self.samples) or "none"
            raise VariantError(
                f"sample: expected one of those of {self.path} ({there}), received {sample!r}"
            )
        self._column = 0 if sample is None else 9 + self.samples.index(sample)

    def check(self, progress: Progress = SILENT) -> Account:
        """Read everything, raise at the first fault, and return what there is.

        Raises
        ------
        VariantError
            At the first record that is none; when there is none, or none that was chosen, or all
            are on chromosomes that the genome lacks; when too many have a REF that is
            unlike the genome, unless this is allowed.
        """
        number = records = alts = compared = mismatches = unsorted = end = unknown = 0
        reasons: Counter[str] = Counter()
        example, last, seen = "", ("", -1), set()
        with self._opened() as opened:
            tell = _tell(progress, self.path, opened)
            for number, place, line in self._numbered(opened):
                if number % _RECORDS_AT_ONCE == 0:
                    tell()
                record = self._record(number, place, line)
                if record is None:
                    continue
                records += 1
                alts += len(record.alts)
                end = max(end, record.position + len(record.ref))
                if record.chromosome != last[0]:
                    out_of_order = record.chromosome in seen
                    seen.add(record.chromosome)
                else:
                    out_of_order = record.position < last[1]
                last = record.chromosome, record.position
                unsorted = unsorted or out_of_order * number
                unknown += record.reference is None
                for reason in record.reasons:
                    if reason:
                        reasons[reason] += 1
                known = not _OF_THE_ALT.issuperset(record.reasons)
                if record.reference is None or not known:
                    continue
                compared += 1
                if not _UNLIKE.isdisjoint(record.reasons):
                    mismatches += 1
                    example = example or self._unlike(record, place)
        if not records:
            asked = " on the chromosomes and in the intervals asked for" if number else ""
            found = f"none of the {number:,} in the file" if number else "none"
            raise VariantError(f"{self.path}: expected records{asked}, found {found}")
        if unknown == records:
            raise VariantError(
                f"{self.path}: expected records on the chromosomes of {self.genome.path.name} "
                f"({shown_names(list(self.genome.lengths))}), found them on "
                f"{shown_names(sorted(seen))}"
            )
        if mismatches > MOST_MISMATCHES * compared and not self.allow_mismatches:
            raise VariantError(
                f"{example}; expected REF to be what {self.genome.path.name} has, found another "
                f"in {mismatches:,} of {compared:,} records: the file is of another assembly"
                f"{self._other_length()}, or damaged (`allow_mismatches` leaves such records "
                "unscored)"
            )
        return Account(
            self.path,
            records,
            number - records,
            alts,
            dict(sorted(reasons.items())),
            compared,
            mismatches,
            unsorted,
            end,
        )

    def records(self, start: int = 0) -> Iterator[Record]:
        """Yield the chosen records, in the order of the file.

        Parameters
        ----------
        start
            Records of the file to pass over: the number of the last one that is done.

        Raises
        ------
        VariantError
            At the first record that is none.
        """
        for record, _ in self.records_and_lines(start):
            yield record

    def records_and_lines(self, start: int = 0) -> Iterator[tuple[Record, str]]:
        """Yield the chosen records, as `records` does, each with its line of VCF."""
        with self._opened() as opened:
            for number, place, line in self._numbered(opened):
                if number > start:
                    record = self._record(number, place, line)
                    if record is not None:
                        yield record, line

    def _opened(self) -> AbstractContextManager[Lines]:
        return open_lines(self.path, binary=self._binary)

    def _numbered(self, opened: Lines) -> Iterator[tuple[int, int, str]]:
        """Yield each record with its number and that of its line, both from 1."""
        number = 0
        for place, line in enumerate(opened.lines, 1):
            if place > len(self.header) and line:
                number += 1
                yield number, place, line

    def _where(self, number: int, place: int) -> str:
        return f"{self.path}, " + (f"record {number}" if self._binary else f"line {place}")

    def _record(self, number: int, place: int, line: str) -> Record | None:
        """Return a record, or None where it was not chosen."""
        if line.count("\t") != self._tabs:
            raise self._fault(
                number,
                place,
                f"{self._tabs + 1} columns with tabs between",
                f"{line.count(chr(9)) + 1} in {line[:_SHOWN]!r}",
            )
        chromosome, text, identifier, ref, alt, _ = line.split("\t", 5)
        contig = self._contigs.get(chromosome) or self._enter(chromosome, number, place)
        if not contig.chosen:
            return None
        if not text.isdecimal() or not text.isascii() or len(text) > _MOST_DIGITS:
            raise self._fault(
                number, place, "a whole number of 18 digits at most as POS", repr(text[:_SHOWN])
            )
        position = int(text) - 1
        if self._regions is not None and not contig.meets(position, position + len(ref)):
            return None
        if not identifier.isprintable():
            raise self._fault(number, place, "an ID", repr(identifier[:_SHOWN]))
        alts, reasons = self._alts(ref, alt, number, place)
        if common := contig.reason(position, ref):
            reasons = tuple(reason or common for reason in reasons)
        changes = [
            (None, reason) if reason else change(position, ref, one, self.longest)
            for one, reason in zip(alts, reasons, strict=True)
        ]
        record = Record(
            number,
            chromosome,
            contig.reference,
            position,
            identifier,
            ref,
            alts,
            tuple(allele for allele, _ in changes),
            tuple(reason for _, reason in changes),
        )
        return record if not self._column else self._with_genotype(record, place, line)

    def _enter(self, chromosome: str, number: int, place: int) -> _Contig:
        """Return what is known of a chromosome that is named for the first time."""
        if not chromosome.isprintable() or not chromosome or " " in chromosome:
            raise self._fault(number, place, "a chromosome", repr(chromosome[:_SHOWN]))
        try:
            name = find_name(chromosome, self.genome.lengths)
        except GenomeError as error:
            raise VariantError(f"{self._where(number, place)}: {error}") from None
        is_asked_for = self._names is None or name in self._names
        if name is None:
            nothing_asked = self._names is None and self._regions is None
            contig = _Contig(None, nothing_asked, 0, memoryview(b""), [], [])
        else:
            intervals = None if self._regions is None else self._regions.intervals.get(name)
            starts, ends = [], []
            if intervals is not None:
                some = intervals.starts < intervals.ends
                starts, ends = intervals.starts[some].tolist(), intervals.ends[some].tolist()
            codes = self.genome.codes(name)
            contig = _Contig(name, is_asked_for, len(codes), codes.data, starts, ends)
        self._contigs[chromosome] = contig
        return contig

    def _alts(
        self, ref: str, alt: str, number: int, place: int
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the ALTs, and why each by itself cannot be scored."""
        if ref in _BASES and alt in _BASES:  # most of all
            return (alt,), ("",)
        if not _IUPAC(ref):
            raise self._fault(number, place, "bases as REF", repr(ref[:_SHOWN]))
        alts = tuple(alt.split(","))
        return alts, tuple(self._kind(one, len(alts), number, place) for one in alts)

    def _kind(self, alt: str, many: int, number: int, place: int) -> str:
        """Return why an ALT by itself cannot be scored, or nothing."""
        if _ACGT(alt):
            return ""
        if alt == "*":
            return STAR
        if alt == "." and many == 1:
            return NONE
        if _IUPAC(alt):
            return LETTERS
        if alt.isprintable():
            if _SYMBOL(alt):
                return SYMBOLIC
            if _BREAK(alt):
                return BREAKEND
        expected = "bases, `*`, `.`, a symbol like <DEL> or a breakend as ALT"
        raise self._fault(number, place, expected, repr(alt[:_SHOWN]))

    def _with_genotype(self, record: Record, place: int, line: str) -> Record:
        columns = line.split("\t", self._column + 1)
        values = dict(zip(columns[8].split(":"), columns[self._column].split(":"), strict=False))
        text = values.get("GT")
        if text is None:
            return record
        where = f"a genotype of sample {self.sample}"
        if not _GENOTYPE(text):
            raise self._fault(record.number, place, where, repr(text[:_SHOWN]))
        alleles = tuple(None if allele == "." else int(allele) for allele in _ALLELES(text))
        if max((allele or 0 for allele in alleles), default=0) > len(record.alts):
            raise self._fault(record.number, place, f"{where} of the ALTs there are", repr(text))
        phase_set = values.get("PS", ".")
        return record._replace(
            genotype=alleles,
            phased="/" not in text,
            phase_set="" if phase_set == "." else phase_set,
        )

    def _unlike(self, record: Record, place: int) -> str:
        """Return what the first record that is unlike the genome has, and what is there."""
        where = self._where(record.number, place)
        at = f"chromosome {record.chromosome}, POS {record.position + 1}"
        if OFF in record.reasons or record.reference is None:
            length = self._contigs[record.chromosome].length
            return f"{where}: {at} lies off the {length:,} bases of the chromosome"
        end = record.position + len(record.ref)
        codes = self.genome.codes(record.reference)[record.position : end]
        return f"{where}: {at} has REF {record.ref[:_SHOWN]}, the genome {decode(codes)[:_SHOWN]}"

    def _other_length(self) -> str:
        """Return a chromosome that has another length in the header, in words, or nothing."""
        for line in self.header:
            identifier, length = _CONTIG_ID(line), _CONTIG_LENGTH(line)
            if not line.startswith("##contig=") or identifier is None or length is None:
                continue
            contig = self._contigs.get(identifier[1])
            if contig is not None and contig.reference and contig.length != int(length[1]):
                return (
                    f" (its chromosome {identifier[1][:_SHOWN]} has {int(length[1]):,} bases, "
                    f"the genome's {contig.length:,})"
                )
        return ""

    def _fault(self, number: int, place: int, expected: str, received: str) -> VariantError:
        return VariantError(
            f"{self._where(number, place)}: expected {expected}, received {received}"
        )


class _Contig(NamedTuple):
    """A chromosome of a file: its name in the genome, if any, its codes, and its intervals."""

    reference: str | None
    chosen: bool
    length: int
    codes: memoryview
    starts: list[int]
    ends: list[int]

    def reason(self, position: int, ref: str) -> str:
        """Return why no ALT of a record can be scored, or nothing."""
        end = position + len(ref)
        if self.reference is None:
            return CONTIG
        if position < 0 or end > self.length:
            return OFF
        is_same = self.codes[position:end] == ref.encode().translate(_CODES)
        return "" if is_same else REFERENCE

    def meets(self, start: int, end: int) -> bool:
        """Return whether one of the intervals, which are apart, has a base of another."""
        index = bisect_left(self.starts, end) - 1
        return index >= 0 and self.ends[index] > start


def _tell(progress: Progress, path: Path, opened: Lines) -> Callable[[], None]:
    """Return what tells of the megabytes that were read since it was called last."""
    done = 0
    progress.begins(f"reading {path.name}", max(1, path.stat().st_size >> 20), "MB")

    def tell() -> None:
        nonlocal done
        now = opened.read() >> 20
        progress.advances(now - done)
        done = now

    return tell
