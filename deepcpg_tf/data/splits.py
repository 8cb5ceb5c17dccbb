"""Splits into train, validation and test: by chromosome, never by site.

Sites near each other share windows and methylation; a model that is tested beside
the sites that it learnt from looks better than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError, SplitError
from deepcpg_tf.genome.names import common_name, find_name, shown_names

PARTS = ("train", "validation", "test")
PUBLISHED_TRAIN = ("1", "3", "5", "7", "9", "11")
PUBLISHED_TEST = ("2", "4", "6", "8", "10", "12")


class OnChromosomes(Protocol):
    """Sites of which the chromosome is known: a methylation table, or legacy data files."""

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of chromosomes."""

    @property
    def chromosome_ids(self) -> npt.NDArray[np.int32]:
        """Index into `chromosomes` of each site."""


class Split(NamedTuple):
    """Indices of sites, ascending, of each part: int64 [n]. Sites may be in no part."""

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


Splitter = Callable[[OnChromosomes], Split]
"""A way to split, which may be chosen before there are sites."""


class Row(NamedTuple):
    """How many sites of a chromosome are in a part; ``unused`` is a part here."""

    chromosome: str
    part: str
    sites: int


def published_split(sites: OnChromosomes, *, parts: Collection[str] = PARTS) -> Split:
    """Split as the published models were: Angermueller et al., Genome Biology 2017.

    Train on chromosomes 1, 3, 5, 7, 9 and 11, test on 2, 4, 6, 8, 10 and 12, and
    validate on all others.

    Parameters
    ----------
    sites
        What to split.
    parts
        Those that are needed.

    Raises
    ------
    SplitError
        When a part that is needed would be empty.
    """
    names = [common_name(name) for name in sites.chromosomes]
    return _split(
        sites,
        [
            "train"
            if name in PUBLISHED_TRAIN
            else "test"
            if name in PUBLISHED_TEST
            else "validation"
            for name in names
        ],
        parts,
    )


def chromosome_split(
    sites: OnChromosomes,
    *,
    train: Sequence[str] = (),
    validation: Sequence[str] = (),
    test: Sequence[str] = (),
) -> Split:
    """Split by lists of chromosomes; sites of other chromosomes are in no part.

    Parameters
    ----------
    sites
        What to split.
    train, validation, test
        Names of chromosomes, as `deepcpg_tf.genome.names` tells them apart. A part
        without any is not asked for.

    Raises
    ------
    SplitError
        When a chromosome is in two lists, has no sites or may be one of several, or
        there is no list.
    """
    part_of: list[str] = [""] * len(sites.chromosomes)
    asked = dict(zip(PARTS, (train, validation, test), strict=True))
    for part, names in asked.items():
        for name in names:
            index = _index(name, part, sites.chromosomes)
            if part_of[index] not in ("", part):
                raise SplitError(
                    f"{part}: expected chromosomes that no other part has, received {name!r}, "
                    f"which is in {part_of[index]}"
                )
            part_of[index] = part
    needed = [part for part, names in asked.items() if names]
    if not needed:
        raise SplitError("split: expected chromosomes for at least one part, received none")
    return _split(sites, part_of, needed)


def fraction_split(sites: OnChromosomes, fractions: Sequence[float]) -> Split:
    """Split by shares of sites, over whole chromosomes.

    The chromosome with the most sites is given away first (of equal ones, the one
    that comes first), always to the part that lacks the most sites of its share (of
    equal ones: train, then validation, then test); but the last ones go to parts
    that would stay empty. The same data always give the same split.

    Parameters
    ----------
    sites
        What to split.
    fractions
        Shares of train, validation and test. A part with 0 is not asked for.

    Raises
    ------
    SplitError
        When the shares are no three numbers from 0 to 1 with the sum 1, or there
        are fewer chromosomes with sites than parts.
    """
    shares = np.array(fractions, float)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise SplitError(
            "fractions: expected three, of train, validation and test, from 0 to 1 with the sum "
            f"1, received {', '.join(f'{share:g}' for share in fractions) or 'none'}"
        )
    counts = np.bincount(sites.chromosome_ids, minlength=len(sites.chromosomes))
    waiting = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
    needed = [part for part, share in zip(PARTS, shares, strict=True) if share > 0]
    if len(waiting) < len(needed):
        raise SplitError(
            f"fractions: expected sites on at least {len(needed)} chromosomes, one for each of "
            f"{', '.join(needed)}, received {len(waiting)} ({_shown(sites.chromosomes)})"
        )
    lacking = dict(zip(PARTS, shares * counts.sum(), strict=True))
    empty = set(needed)
    part_of = [""] * len(sites.chromosomes)
    for done, index in enumerate(waiting):
        open_to = [part for part in needed if len(waiting) - done > len(empty) or part in empty]
        part = max(open_to, key=lambda name: lacking[name])
        lacking[part] -= counts[index]
        empty.discard(part)
        part_of[index] = part
    return _split(sites, part_of, needed)


def count_sites(sites: OnChromosomes, split: Split) -> list[Row]:
    """Count the sites of each chromosome, with the part that it is in.

    Rows are in the order of train, validation, test and unused, and within each in
    that of the chromosomes.
    """
    part_of = ["unused"] * len(sites.chromosomes)
    for part, indices in zip(PARTS, split, strict=True):
        for index in np.unique(sites.chromosome_ids[indices]):
            part_of[index] = part
    counts = np.bincount(sites.chromosome_ids, minlength=len(sites.chromosomes))
    return [
        Row(name, part, int(count))
        for part in (*PARTS, "unused")
        for name, own, count in zip(sites.chromosomes, part_of, counts, strict=True)
        if own == part
    ]


def chromosomes_of(sites: OnChromosomes, part: npt.NDArray[np.int64]) -> list[str]:
    """Return the names of the chromosomes that some sites, by their indices, lie on."""
    return [sites.chromosomes[i] for i in np.unique(sites.chromosome_ids[part])]


def _split(sites: OnChromosomes, part_of: Sequence[str], needed: Collection[str]) -> Split:
    """Return the sites of each part, given the part of each chromosome ("" for none)."""
    part_of_site = np.array([(*PARTS, "").index(part) for part in part_of], np.int8)[
        sites.chromosome_ids
    ]
    split = Split(*(np.flatnonzero(part_of_site == i) for i in range(len(PARTS))))
    for part, indices in zip(PARTS, split, strict=True):
        if part in needed and not len(indices):
            raise SplitError(
                f"{part}: expected sites, received none: the data have the chromosomes "
                f"{_shown(sites.chromosomes)}"
            )
    return split


def _index(name: str, part: str, chromosomes: Sequence[str]) -> int:
    """Return where a chromosome that was asked for is among those of the data."""
    try:
        found = find_name(name, chromosomes)
    except GenomeError as error:
        raise SplitError(f"{part}: {error}") from None
    if found is None:
        raise SplitError(
            f"{part}: expected chromosomes of the data ({_shown(chromosomes)}), received {name!r}"
        )
    return chromosomes.index(found)


def _shown(names: Sequence[str]) -> str:
    return shown_names(names, 30)
