"""Methylation profiles of single cells: text files to labels of the CpGs of a reference."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles import MIN_MATCH
from deepcpg_tf.profiles.account import ABSENT, Account, under
from deepcpg_tf.profiles.formats import FORMATS, Layout
from deepcpg_tf.profiles.lines import Calls, ProfileLines
from deepcpg_tf.profiles.names import cell_name
from deepcpg_tf.profiles.order import OrderedCalls
from deepcpg_tf.profiles.placement import Placement
from deepcpg_tf.profiles.sorting import SortedCalls, UnsortedError

__all__ = ["FORMATS", "Account", "ChromosomeLabels", "Profile", "read_profile"]

MOST_READS = int(np.iinfo(np.int32).max)
"""The highest coverage that is told apart; more reads count as that many."""


class ChromosomeLabels(NamedTuple):
    """The observed CpGs of a chromosome.

    ``positions`` (int64 [n]) are those of the forward-strand C, 0-based, ascending
    and unique; ``labels`` (int8 [n]) are 1, methylated, or 0, unmethylated; ``coverage``
    (int32 [n]) are the reads of both strands, at most `MOST_READS`, and ``levels`` (float32
    [n]) the share of them that is methylated, where they are asked for.
    """

    positions: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int8]
    coverage: npt.NDArray[np.int32] | None = None
    levels: npt.NDArray[np.float32] | None = None


class Profile(NamedTuple):
    """A cell: the labels of its sites, by the genome's names of chromosomes, in its order."""

    cell: str
    path: Path
    sites: dict[str, ChromosomeLabels]
    account: Account


def read_profile(
    path: Path,
    genome: Genome,
    *,
    format: str | None = None,  # noqa: A002
    min_coverage: int = 1,
    hydroxymethylation: str = "methylated",
    min_reference_match: float = MIN_MATCH,
    keep_coverage: bool = False,
    keep_levels: bool = False,
    cell: str | None = None,
) -> Profile:
    """Read the methylation profile of a cell, plain or compressed.

    Reads of both strands of a CpG are summed; the majority is its label, and a tie is
    none. Where a file tells only a value, the label is that of the mean of the strands:
    methylated above 0.5, unmethylated below, and none at 0.5.

    Parameters
    ----------
    path
        A file of one chromosome after the other, positions ascending; one in another
        order is sorted in memory. Comments (``#``), ``track`` and ``browser`` lines and a
        header are skipped.
    genome
        The reference.
    format
        One of `FORMATS`; by default told by the first line of data.
    min_coverage
        Reads, of both strands together, under which a CpG has no label.
    hydroxymethylation
        What reads with 5hmC count as, where a format tells them from 5mC: ``methylated``,
        as bisulfite reads them, ``ignore``, or ``unmethylated``.
    min_reference_match
        Share of positions that must be a C or a G of the reference, 0 to 1, on each
        chromosome; see `deepcpg_tf.profiles.match.ReferenceMatch.fault`.
    keep_coverage
        Whether to keep the reads of each CpG.
    keep_levels
        Whether to keep the share of them that is methylated, or the mean of the strands where
        a file tells a value; ties are then kept too.
    cell
        Its name; by default that of the file, see `deepcpg_tf.profiles.names.cell_name`.

    Raises
    ------
    ProfileError
        When the file is missing, damaged or empty, or in none of the formats; at a
        line that is wrong, or contradicts another one; when it is out of order and too
        large to be sorted; when it fits the reference better a base away, or too little,
        as of another assembly; when a minimum coverage, or to keep it, is asked of a format
        that tells none.
    """
    path = Path(path)
    wanted = Wanted(min_coverage, min_reference_match, keep_coverage, keep_levels)
    wanted.check()
    lines = ProfileLines(path, format, hydroxymethylation=hydroxymethylation)
    wanted.check_layout(path, lines.layout)
    try:
        sites, account = _read(lines, OrderedCalls(lines, lines), genome, wanted)
    except UnsortedError as fault:
        lines = ProfileLines(path, format, hydroxymethylation=hydroxymethylation, grouped=True)
        ordered = OrderedCalls(lines, SortedCalls(lines, fault))
        sites, account = _read(lines, ordered, genome, wanted)
        account.notes.append(f"sorted, as its lines are out of order from line {fault.line} on")
    return Profile(cell_name(path) if cell is None else cell, path, sites, account)


class Wanted(NamedTuple):
    """What is asked of profiles; see `read_profile`."""

    min_coverage: int = 1
    min_reference_match: float = MIN_MATCH
    keep_coverage: bool = False
    keep_levels: bool = False

    def check(self) -> None:
        """Refuse what cannot be.

        Raises
        ------
        ProfileError
        """
        if self.min_coverage < 1:
            raise ProfileError(
                f"minimum coverage: expected 1 read or more, received {self.min_coverage}"
            )
        if not 0 <= self.min_reference_match <= 1:
            raise ProfileError(
                "min_reference_match: expected a share from 0 to 1, received "
                f"{self.min_reference_match:g}"
            )

    def check_layout(self, path: Path, layout: Layout) -> None:
        """Refuse a file of a layout that does not tell what is asked for.

        Raises
        ------
        ProfileError
        """
        if self.min_coverage > 1 and not layout.has_coverage:
            raise ProfileError(
                f"{path}: expected a format that tells the coverage of sites, as a minimum "
                f"coverage of {self.min_coverage} asks, received {layout.format}"
            )
        if self.keep_coverage and not layout.has_coverage:
            raise ProfileError(
                f"{path}: expected a format that tells the coverage of sites, as `keep_coverage` "
                f"asks, received {layout.format}"
            )


class CpgReads(NamedTuple):
    """CpGs of a chromosome, ascending and unique, with their reads; all int64 [n]."""

    positions: npt.NDArray[np.int64]
    methylated: npt.NDArray[np.int64]
    unmethylated: npt.NDArray[np.int64]


class Reading:
    """The calls of one cell on their way onto the CpGs of the reference.

    Parameters
    ----------
    account
        What is told of them.
    placement
        Where they lie, which that of other cells of the same file may be told of too.
    wanted
        What is asked of them.
    """

    def __init__(self, account: Account, placement: Placement, wanted: Wanted) -> None:
        self.account = account
        self._placement = placement
        self._wanted = wanted
        self._current: str | None = None
        self._pieces: list[CpgReads] = []
        self._sites: dict[str, ChromosomeLabels] = {}

    def take(self, calls: Calls) -> None:
        """Take calls of a chromosome, after those taken before and in ascending order."""
        name = self._placement.name(calls)
        if name != self._current:
            self.end()
            self._current = name
        if name is None:
            self.account.drop(ABSENT, len(calls.positions))
        else:
            self._pieces.append(self._place(calls, name))

    def end(self) -> None:
        """Make labels of what was taken of the last chromosome, of which no more follows."""
        if not self._pieces:
            return
        arrays = zip(*self._pieces, strict=True)
        joined = self._join(CpgReads(*(np.concatenate(parts) for parts in arrays)))
        self._label(joined)
        self._pieces = []

    def sites(self) -> dict[str, ChromosomeLabels]:
        """Return the labels of all chromosomes, in the order of the genome."""
        self.end()
        lengths = self._placement.genome.lengths
        return {name: self._sites[name] for name in lengths if name in self._sites}

    def _place(self, calls: Calls, name: str) -> CpgReads:
        on_cpg, on_g = self._placement.on_cpg(calls, name, self.account)
        self.account.drop("not on a CG of the reference", int((~on_cpg).sum()))
        reads = CpgReads(calls.positions - on_g, calls.methylated, calls.unmethylated)
        return self._join(CpgReads(*(array[on_cpg] for array in reads)))

    def _join(self, reads: CpgReads) -> CpgReads:
        """Sum the reads of rows of the same CpG, which follow each other."""
        firsts = np.flatnonzero(np.diff(reads.positions, prepend=-1))
        self.account.joined += len(reads.positions) - len(firsts)
        if len(firsts) == len(reads.positions):
            return reads
        methylated, unmethylated = (np.add.reduceat(array, firsts) for array in reads[1:])
        return CpgReads(reads.positions[firsts], methylated, unmethylated)

    def _label(self, cpgs: CpgReads) -> None:
        positions, methylated, unmethylated = cpgs
        wanted, account = self._wanted, self.account
        reads = methylated + unmethylated
        is_low = reads < wanted.min_coverage
        is_tie = ~is_low & (methylated == unmethylated) & (not wanted.keep_levels)
        account.drop(under(wanted.min_coverage), int(is_low.sum()))
        account.drop("ties", int(is_tie.sum()))
        kept = ~(is_low | is_tie)
        account.kept += int(kept.sum())
        if self._current is None or not kept.any():
            return
        labels = (methylated > unmethylated)[kept].astype(np.int8)
        reads, levels = reads[kept], None
        if wanted.keep_levels:
            levels = (methylated[kept] / reads).astype(np.float32)
        account.methylated += int(labels.sum())
        if account.reads is not None:
            account.reads += int(reads.sum())
        coverage = np.minimum(reads, MOST_READS).astype(np.int32)
        self._sites[self._current] = ChromosomeLabels(
            positions[kept], labels, coverage if wanted.keep_coverage else None, levels
        )


def _read(
    lines: ProfileLines, ordered: OrderedCalls, genome: Genome, wanted: Wanted
) -> tuple[dict[str, ChromosomeLabels], Account]:
    """Return what a file of lines has, and the account of it."""
    account = Account.of(lines.path, lines.layout)
    placement = Placement(genome, lambda calls: f"{lines.path}, line {calls.line(0)}")
    reading = Reading(account, placement, wanted)
    for calls in ordered:
        reading.take(calls)
    sites = reading.sites()
    account.read = lines.read
    account.absent = placement.absent
    account.duplicates = ordered.duplicates
    for reason, count in lines.skipped.items():
        account.drop(reason, count)
    account.notes += lines.notes(joined=account.joined > 0)
    if not placement.names:
        raise ProfileError(
            f"{lines.path}: expected sites of 5-methylcytosine in a CG context, received none in "
            f"{account.read} lines of {account.format}: {lines.shown_found()}"
        )
    placement.check(lines, wanted.min_reference_match)
    return sites, account
