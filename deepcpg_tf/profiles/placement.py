"""How the calls of a file, of one cell or of several, lie on the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError, ProfileError
from deepcpg_tf.genome.names import find_name, shown_names
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.account import Account, Fit
from deepcpg_tf.profiles.formats import Layout
from deepcpg_tf.profiles.lines import Calls
from deepcpg_tf.profiles.match import ENOUGH, ReferenceMatch


class Placed(Protocol):
    """What is placed: lines of a profile, or a file of several cells."""

    path: Path
    layout: Layout

    def other_format(self, move: int) -> str | None:
        """Return the format in which the file would be right, were it so many bases off."""


class Placement:
    """The calls of a file on the CpGs of the reference, and whether they belong there.

    Parameters
    ----------
    genome
        The reference.
    where
        Returns the place of the first of some calls in the file.

    Attributes
    ----------
    absent : list of str
        Chromosomes that the reference lacks, as named in the file.
    names : dict of str to str or None
        The genome's names of chromosomes, by those in the file.
    """

    def __init__(self, genome: Genome, where: Callable[[Calls], str]) -> None:
        self.genome = genome
        self.absent: list[str] = []
        self.names: dict[str, str | None] = {}
        self._where = where
        self._fits: dict[str, Fit] = {}  # by chromosome
        self._match = ReferenceMatch()
        self._offsets = dict.fromkeys((0, -1, 1), 0)

    def name(self, calls: Calls) -> str | None:
        """Return what the genome calls the chromosome of some calls; None where it has none.

        Raises
        ------
        ProfileError
            When it may be one of several, or another name was the same one.
        """
        if calls.chromosome in self.names:
            return self.names[calls.chromosome]
        try:
            name = find_name(calls.chromosome, self.genome.lengths)
        except GenomeError as error:
            raise ProfileError(f"{self._where(calls)}: {error}") from None
        if name is None:
            self.absent.append(calls.chromosome)
        for other, its_name in self.names.items():
            if name is not None and its_name == name:
                raise ProfileError(
                    f"{self._where(calls)}: expected one name a chromosome, "
                    f"received {calls.chromosome} after {other}, both {name} of the reference"
                )
        self.names[calls.chromosome] = name
        return name

    def on_cpg(
        self, calls: Calls, name: str, account: Account
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which calls lie on a CpG, and which of them on its G; count all of them.

        Parameters
        ----------
        calls
            Those of one chromosome.
        name
            What the genome calls it.
        account
            That of their cell, which is told.
        """
        is_cg = {
            offset: self.genome.is_cg(name, calls.positions + offset) for offset in range(-2, 2)
        }
        self._fits.setdefault(name, Fit()).add(is_cg, calls.strands)
        codes = self.genome.codes(name)
        match = self._match.add(name, codes, calls.positions, calls.strands)
        account.match = account.match.plus(match)
        for offset in self._offsets:
            count = int(is_cg[offset].sum())
            account.offsets[offset] += count
            self._offsets[offset] += count
        on_g = is_cg[-1] & (calls.strands <= 0)
        return on_g | (is_cg[0] & (calls.strands >= 0)), on_g

    def check(self, placed: Placed, min_match: float) -> None:
        """Refuse a file that lies elsewhere than on CpGs of the reference.

        Parameters
        ----------
        placed
            The file, all calls of which were counted.
        min_match
            Share of the positions that must be a C or a G of the reference, on each chromosome.

        Raises
        ------
        ProfileError
        """
        path, format_ = placed.path, placed.layout.format
        fit = Fit.together(self._fits.values())
        if not fit.sites:
            known = shown_names(list(self.genome.lengths))
            raise ProfileError(
                f"{path}: expected chromosomes of {self.genome.path.name} ({known}), "
                f"received {shown_names(self.absent)}"
            )
        move = self._move(fit)
        at = ", ".join(f"{count} at {offset:+d}" for offset, count in self._offsets.items())
        where = (
            f"{path}: expected sites on a CG of the reference, received {fit.sites} "
            f"as {format_} with {at.replace('+0', 'offset 0')}"
        )
        if fit.has_strands_exchanged():
            raise ProfileError(
                f"{where}: its strands are exchanged: its C are marked - and its G +; exchange + "
                "and - in its column of strands"
            )
        if move:
            other = placed.other_format(move)
            if other:
                raise ProfileError(f"{where}: read it with the format {other}")
            change = "add 1 to" if move > 0 else "subtract 1 from"
            raise ProfileError(f"{where}: {change} its positions")
        self._check_assembly(path, min_match)
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

    def _check_assembly(self, path: Path, min_match: float) -> None:
        """Refuse what fits the reference on some chromosomes only, or by chance."""
        genome = self.genome.path.name
        if fault := self._match.fault(min_match):
            raise ProfileError(
                f"{path}: expected at least {100 * min_match:g}% of the positions on each "
                f"chromosome to be a C or a G of {genome}, as `min_reference_match` asks, "
                f"received {fault}: is it of another assembly?"
            )
        moved = [
            name
            for name, fit in self._fits.items()
            if fit.sites >= ENOUGH and fit.better_move() and min_match
        ]
        if moved:
            raise ProfileError(
                f"{path}: expected sites on a CG of {genome}, received those on "
                f"{shown_names(moved)} a base beside: is it of another assembly?"
            )
