"""Methylation profiles of single cells: text files to labels of the CpGs of a reference."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError, ProfileError
from deepcpg_tf.genome.names import find_name, shown_names
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles import MIN_MATCH
from deepcpg_tf.profiles.account import ABSENT, Account, Fit, under
from deepcpg_tf.profiles.formats import FORMATS, layouts_of
from deepcpg_tf.profiles.lines import Calls, ProfileLines
from deepcpg_tf.profiles.match import ENOUGH, ReferenceMatch
from deepcpg_tf.profiles.names import cell_name
from deepcpg_tf.profiles.order import OrderedCalls
from deepcpg_tf.profiles.sorting import SortedCalls, UnsortedError

__all__ = ["FORMATS", "Account", "ChromosomeLabels", "Profile", "read_profile"]

# A file that lies a base off in one format may be right in another.
_ALTERNATIVES = {
    ("bedgraph", -1): "legacy-bedgraph",
    ("legacy-bedgraph", 1): "bedgraph",
    ("bismark-cov", 1): "bismark-zero-cov",
    ("bismark-zero-cov", -1): "bismark-cov",
}


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
    if min_coverage < 1:
        raise ProfileError(f"minimum coverage: expected 1 read or more, received {min_coverage}")
    if not 0 <= min_reference_match <= 1:
        raise ProfileError(
            f"min_reference_match: expected a share from 0 to 1, received {min_reference_match:g}"
        )
    lines = ProfileLines(path, format, hydroxymethylation=hydroxymethylation)
    if min_coverage > 1 and not lines.layout.has_coverage:
        raise ProfileError(
            f"{path}: expected a format that tells the coverage of sites, as a minimum coverage "
            f"of {min_coverage} asks, received {lines.layout.format}"
        )
    if keep_coverage and not lines.layout.has_coverage:
        raise ProfileError(
            f"{path}: expected a format that tells the coverage of sites, as `keep_coverage` asks, "
            f"received {lines.layout.format}"
        )
    how = (genome, min_coverage, min_reference_match, keep_coverage, keep_levels)
    try:
        sites, account = _Reading(lines, OrderedCalls(lines), *how).result()
    except UnsortedError as fault:
        lines = ProfileLines(path, format, hydroxymethylation=hydroxymethylation, grouped=True)
        ordered = OrderedCalls(lines, SortedCalls(lines, fault))
        sites, account = _Reading(lines, ordered, *how).result()
        account.notes.append(f"sorted, as its lines are out of order from line {fault.line} on")
    return Profile(cell_name(path) if cell is None else cell, path, sites, account)


class _CpgReads(NamedTuple):
    """CpGs of a chromosome, ascending and unique, with their reads; all int64 [n]."""

    positions: npt.NDArray[np.int64]
    methylated: npt.NDArray[np.int64]
    unmethylated: npt.NDArray[np.int64]


class _Reading:
    """The way of the calls of one file onto the CpGs of the reference."""

    def __init__(
        self,
        lines: ProfileLines,
        ordered: OrderedCalls,
        genome: Genome,
        min_coverage: int,
        min_match: float,
        keep_coverage: bool,
        keep_levels: bool,
    ) -> None:
        self._lines = lines
        self._ordered = ordered
        self._genome = genome
        self._min_coverage = min_coverage
        self._min_match = min_match
        self._keep_coverage = keep_coverage
        self._keep_levels = keep_levels
        self._account = Account(lines.path, lines.layout.format)
        if lines.layout.has_coverage:
            self._account.reads = 0
        self._fits: dict[str, Fit] = {}  # by chromosome
        self._match = ReferenceMatch()
        self._names: dict[str, str | None] = {}  # the genome's, by those in the file
        self._sites: dict[str, ChromosomeLabels] = {}

    def result(self) -> tuple[dict[str, ChromosomeLabels], Account]:
        account = self._account
        current = None
        pieces: list[_CpgReads] = []
        for calls in self._ordered:
            name = self._name(calls)
            if name != current:
                self._end(current, pieces)
                current, pieces = name, []
            if name is None:
                account.drop(ABSENT, len(calls.positions))
            else:
                pieces.append(self._place(calls, name))
        self._end(current, pieces)
        account.read = self._lines.read
        account.duplicates = self._ordered.duplicates
        account.match = self._match.total
        for reason, count in self._lines.skipped.items():
            account.drop(reason, count)
        account.notes += self._lines.notes(joined=account.joined > 0)
        self._check_overlap()
        sites = {name: self._sites[name] for name in self._genome.lengths if name in self._sites}
        return sites, account

    def _name(self, calls: Calls) -> str | None:
        if calls.chromosome in self._names:
            return self._names[calls.chromosome]
        try:
            name = find_name(calls.chromosome, self._genome.lengths)
        except GenomeError as error:
            raise ProfileError(f"{self._where(calls)}: {error}") from None
        if name is None:
            self._account.absent.append(calls.chromosome)
            self._names[calls.chromosome] = None
            return None
        for other, its_name in self._names.items():
            if its_name == name:
                raise ProfileError(
                    f"{self._where(calls)}: expected one name a chromosome, "
                    f"received {calls.chromosome} after {other}, both {name} of the reference"
                )
        self._names[calls.chromosome] = name
        return name

    def _where(self, calls: Calls) -> str:
        return f"{self._lines.path}, line {calls.line(0)}"

    def _place(self, calls: Calls, name: str) -> _CpgReads:
        is_cg = {
            offset: self._genome.is_cg(name, calls.positions + offset) for offset in range(-2, 2)
        }
        self._fits.setdefault(name, Fit()).add(is_cg, calls.strands)
        self._match.add(name, self._genome.codes(name), calls.positions, calls.strands)
        for offset in self._account.offsets:
            self._account.offsets[offset] += int(is_cg[offset].sum())
        on_g = is_cg[-1] & (calls.strands <= 0)
        on_cpg = on_g | (is_cg[0] & (calls.strands >= 0))
        self._account.drop("not on a CG of the reference", int((~on_cpg).sum()))
        reads = _CpgReads(calls.positions - on_g, calls.methylated, calls.unmethylated)
        return self._join(_CpgReads(*(array[on_cpg] for array in reads)))

    def _join(self, reads: _CpgReads) -> _CpgReads:
        """Sum the reads of rows of the same CpG, which follow each other."""
        firsts = np.flatnonzero(np.diff(reads.positions, prepend=-1))
        self._account.joined += len(reads.positions) - len(firsts)
        if len(firsts) == len(reads.positions):
            return reads
        methylated, unmethylated = (np.add.reduceat(array, firsts) for array in reads[1:])
        return _CpgReads(reads.positions[firsts], methylated, unmethylated)

    def _end(self, name: str | None, pieces: list[_CpgReads]) -> None:
        """Make labels of a chromosome's reads."""
        if name is None:
            return
        joined = _CpgReads(*(np.concatenate(arrays) for arrays in zip(*pieces, strict=True)))
        positions, methylated, unmethylated = self._join(joined)
        reads = methylated + unmethylated
        is_low = reads < self._min_coverage
        is_tie = ~is_low & (methylated == unmethylated) & (not self._keep_levels)
        self._account.drop(under(self._min_coverage), int(is_low.sum()))
        self._account.drop("ties", int(is_tie.sum()))
        kept = ~(is_low | is_tie)
        self._account.kept += int(kept.sum())
        if kept.any():
            labels = (methylated > unmethylated)[kept].astype(np.int8)
            reads, levels = reads[kept], None
            if self._keep_levels:
                levels = (methylated[kept] / reads).astype(np.float32)
            self._account.methylated += int(labels.sum())
            if self._account.reads is not None:
                self._account.reads += int(reads.sum())
            coverage = np.minimum(reads, MOST_READS).astype(np.int32)
            self._sites[name] = ChromosomeLabels(
                positions[kept], labels, coverage if self._keep_coverage else None, levels
            )

    def _check_overlap(self) -> None:
        path, account = self._lines.path, self._account
        if not self._names:
            raise ProfileError(
                f"{path}: expected sites of 5-methylcytosine in a CG context, received none in "
                f"{account.read} lines of {account.format}: {self._lines.shown_found()}"
            )
        fit = Fit.together(self._fits.values())
        if not fit.sites:
            known = shown_names(list(self._genome.lengths))
            raise ProfileError(
                f"{path}: expected chromosomes of {self._genome.path.name} ({known}), "
                f"received {shown_names(account.absent)}"
            )
        move = self._move(fit)
        at = ", ".join(f"{count} at {offset:+d}" for offset, count in account.offsets.items())
        where = (
            f"{path}: expected sites on a CG of the reference, received {fit.sites} "
            f"as {account.format} with {at.replace('+0', 'offset 0')}"
        )
        if fit.has_strands_exchanged():
            raise ProfileError(
                f"{where}: its strands are exchanged: its C are marked - and its G +; exchange + "
                "and - in its column of strands"
            )
        if move:
            other = _ALTERNATIVES.get((account.format, move))
            if other and layouts_of(other)[0].fault(self._lines.example) is None:
                raise ProfileError(f"{where}: read it with the format {other}")
            change = "add 1 to" if move > 0 else "subtract 1 from"
            raise ProfileError(f"{where}: {change} its positions")
        self._check_assembly()
        if not fit.on_cpg[0]:
            raise ProfileError(f"{where}: is it of another assembly?")

    def _move(self, fit: Fit) -> int | None:
        """Return by how much all of the file lies beside the reference, if it does.

        What is true of some chromosomes only is no way of counting positions.
        """
        move = fit.better_move()
        large = [one for one in self._fits.values() if one.sites >= ENOUGH]
        agreeing = sum(one.sites for one in large if one.better_move() == move)
        return move if 10 * agreeing >= 9 * sum(one.sites for one in large) else None

    def _check_assembly(self) -> None:
        """Refuse what fits the reference on some chromosomes only, or by chance."""
        path, genome = self._lines.path, self._genome.path.name
        if fault := self._match.fault(self._min_match):
            raise ProfileError(
                f"{path}: expected at least {100 * self._min_match:g}% of the positions on each "
                f"chromosome to be a C or a G of {genome}, as `min_reference_match` asks, "
                f"received {fault}: is it of another assembly?"
            )
        moved = [
            name
            for name, fit in self._fits.items()
            if fit.sites >= ENOUGH and fit.better_move() and self._min_match
        ]
        if moved:
            raise ProfileError(
                f"{path}: expected sites on a CG of {genome}, received those on "
                f"{shown_names(moved)} a base beside: is it of another assembly?"
            )
