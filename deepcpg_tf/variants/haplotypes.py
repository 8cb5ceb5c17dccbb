"""Which changes are scored for the records of a file: each ALT by itself, or by haplotype."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from deepcpg_tf.genome.variants import REASONS as OF_RECORDS
from deepcpg_tf.genome.variants import Allele, Record
from deepcpg_tf.variants.edits import Codes, aligned
from deepcpg_tf.variants.effects import Change

NO_CPG, ABSENT, UNPHASED, OVERLAP = "no_cpg", "absent", "unphased", "overlap"

REASONS = {
    **OF_RECORDS,
    NO_CPG: "no CpG near, in either allele",
    ABSENT: "the sample has no such allele, or it is not known",
    UNPHASED: "it is not known on which haplotype the alleles of one window are",
    OVERLAP: "it overlaps another allele of its haplotype, or is inserted where one is",
}
"""Why there are no sites of an ALT: the word of each reason, and what it means."""

FARTHEST = 1000
"""Bases that an allele of a haplotype is moved to the left at most."""

_RECORDS = 1024


class Unit(NamedTuple):
    """What is scored at once: an ALT of a record, maybe on a haplotype.

    ``alt`` is its index among the record's, ``haplotype`` counts from 1, and is 0 where all are
    alike or it does not matter. There is a change, or a reason why not.
    """

    record: Record
    alt: int
    change: Change | None
    reason: str = ""
    haplotype: int = 0


def alone(records: Sequence[Record], codes: Callable[[str], Codes]) -> list[Unit]:
    """Return each ALT of records by itself.

    Parameters
    ----------
    records
        In any order.
    codes
        Returns those of a chromosome of the genome.
    """
    units = []
    for record in records:
        for i, (allele, reason) in enumerate(zip(record.alleles, record.reasons, strict=True)):
            change = None
            if allele is not None and record.reference is not None:
                own = aligned(codes(record.reference), allele)
                change = Change(record.reference, own)
            units.append(Unit(record, i, change, reason))
    return units


def phased(records: Sequence[Record], codes: Callable[[str], Codes], length: int) -> list[Unit]:
    """Return the alleles of a sample's haplotypes, each with the others that it has.

    Parameters
    ----------
    records
        With genotypes, sorted, none of which is near one that is not among them; see `parts`.
    codes
        Returns those of a chromosome of the genome.
    length
        Bases of a window: alleles nearer than that are in one.
    """
    doubtful = _doubtful(records, length)
    units: list[list[Unit]] = []
    of_haplotypes: dict[tuple[str, int], list[tuple[Allele, int, int]]] = {}
    for number, record in enumerate(records):
        own: list[Unit] = []
        units.append(own)
        for i, (allele, reason) in enumerate(zip(record.alleles, record.reasons, strict=True)):
            carried = [h for h, one in enumerate(record.genotype or (), 1) if one == i + 1]
            if reason or not carried or number in doubtful:
                why = reason or (UNPHASED if carried else ABSENT)
                own.append(Unit(record, i, None, why))
                continue
            assert allele is not None
            assert record.reference is not None
            for haplotype in carried:
                # Where it is not known, what is near is on both, so that either may be the first.
                key = record.reference, haplotype
                of_haplotypes.setdefault(key, []).append((allele, number, len(own)))
                own.append(Unit(record, i, None, "", haplotype))
    for (chromosome, _), alleles in of_haplotypes.items():
        _place(units, chromosome, codes(chromosome), alleles, length)
    return [unit for own in units for unit in own]


def _place(
    units: list[list[Unit]],
    chromosome: str,
    codes: Codes,
    alleles: list[tuple[Allele, int, int]],
    length: int,
) -> None:
    """Give the units of a haplotype's alleles their changes, with those that are near."""
    placed: list[Allele] = []
    where = []
    end, inserted = 0, -1
    for allele, number, index in sorted(alleles):
        unit = units[number][index]
        is_again = not allele.ref and allele.position == inserted
        if placed and (allele.position < end or is_again):
            units[number][index] = unit._replace(reason=OVERLAP)
            continue
        placed.append(aligned(codes, allele, max(end, allele.position - FARTHEST, 0)))
        where.append((number, index))
        end = allele.position + len(allele.ref)
        inserted = -1 if allele.ref else end
    for i, (number, index) in enumerate(where):
        before = _near(placed[i::-1], length)[::-1]
        others = (*before, *_near(placed[i:], length))
        unit = units[number][index]._replace(change=Change(chromosome, placed[i], others))
        known = unit.record.phased or _is_one(unit.record)
        units[number][index] = unit if known or others else unit._replace(haplotype=0)


def _near(alleles: Sequence[Allele], length: int) -> list[Allele]:
    """Return the alleles after the first, in either direction, that a window near it may hold.

    Bases that are deleted do not count.
    """
    found: list[Allele] = []
    bases = 0
    for one, other in pairwise(alleles):
        first, last = sorted((one, other))
        bases += last.position - first.position - len(first.ref)
        if bases > length + 1:
            break
        found.append(other)
    return found


def _is_one(record: Record) -> bool:
    """Return whether all alleles of a genotype are the same, and known."""
    return record.genotype is not None and len({*record.genotype}) == 1


def _carries(record: Record) -> bool:
    return any(record.genotype or ())


def _doubtful(records: Sequence[Record], length: int) -> set[int]:
    """Return which records share a window with one that may be on either haplotype.

    As in `_near`, bases that are deleted between two of them do not count.
    """
    found: set[int] = set()
    near: list[tuple[int, int]] = []  # and before where what is in one window begins
    for i, record in enumerate(records):
        if not _carries(record):
            continue
        near = [
            (j, last)
            for j, last in near
            if records[j].reference == record.reference and record.position < last
        ]
        found.update(k for j, _ in near if not _in_phase(records[j], record) for k in (i, j))
        removed = _removed(record)
        near = [(j, last + removed) for j, last in near]
        near.append((i, record.position + len(record.ref) + length))
    return found


def _removed(record: Record) -> int:
    """Return by how many bases a haplotype with a record may be shorter."""
    alleles = (record.alleles[one - 1] for one in record.genotype or () if one)
    return max([0, *(len(one.ref) - len(one.alt) for one in alleles if one is not None)])


def _in_phase(one: Record, other: Record) -> bool:
    """Return whether it is known which alleles of two records are on one haplotype."""
    if _is_one(one) or _is_one(other):
        return True
    return one.phased and other.phased and one.phase_set == other.phase_set


def parts(records: Iterable[Record], gap: int, *, strict: bool) -> Iterator[list[Record]]:
    """Yield records some at a time, so that none is near one of the next part.

    Parameters
    ----------
    records
        In any order; where `strict`, sorted.
    gap
        Bases between what is near.
    strict
        Whether a part ends nowhere else, and records whose sample has no ALT do not count; else
        it ends where it must, lest it grows without bound.
    """
    part: list[Record] = []
    chromosome, end = "", 0
    for record in records:
        if record.chromosome != chromosome:
            chromosome, end = record.chromosome, -gap - 2  # apart from all that was
        is_apart = record.position > end + gap
        # Several ways to write one variant overlap or touch, and stay together.
        touches = record.position <= end
        is_long = len(part) >= (8 if touches else 2) * _RECORDS
        if len(part) >= _RECORDS and (is_apart or (is_long and not strict)):
            yield part
            part = []
        part.append(record)
        if not strict or _carries(record):
            end = max(end, record.position + len(record.ref))
    if part:
        yield part
