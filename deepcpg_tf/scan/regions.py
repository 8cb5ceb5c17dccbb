"""Which sites of a genome are predicted, cut into regions that are worked on one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError
from deepcpg_tf.genome.intervals import Annotation
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import is_cg

REGION = 4_000_000
"""Bases of a region."""

# What a chromosome costs beside its bases, in bases: what is N around it, most of all.
_BESIDE = 1000


class Region(NamedTuple):
    """A stretch of a chromosome (0-based, half-open): the sites whose C is in it."""

    chromosome: str
    start: int
    end: int


def chosen_chromosomes(genome: Genome, names: Sequence[str] | None) -> list[str]:
    """Return the genome's chromosomes, or those asked for, in the genome's order.

    Raises
    ------
    GenomeError
        When the genome lacks one of them.
    """
    if names is None:
        return list(genome.lengths)
    wanted = {genome.resolve(name) for name in names}
    if not wanted:
        raise GenomeError("chromosomes: expected at least one, received none")
    return [name for name in genome.lengths if name in wanted]


def regions_of(genome: Genome, chromosomes: Sequence[str]) -> Iterator[Region]:
    """Yield the regions that some chromosomes consist of, in order."""
    for chromosome in chromosomes:
        length = genome.lengths[chromosome]
        for start in range(0, length, REGION):
            yield Region(chromosome, start, min(start + REGION, length))


def together(regions: Iterable[Region]) -> Iterator[tuple[Region, ...]]:
    """Yield the regions that are worked on as one, in order: one, or chromosomes that are short.

    A genome may have a hundred thousand scaffolds, and each piece of work costs a file and
    milliseconds.
    """
    waiting: list[Region] = []
    bases = 0
    for region in regions:
        size = region.end + _BESIDE
        if waiting and (region.start > 0 or bases + size > REGION):
            yield tuple(waiting)
            waiting, bases = [], 0
        waiting.append(region)
        bases += size
    if waiting:
        yield tuple(waiting)


def sites_of(genome: Genome, region: Region, within: Annotation | None) -> npt.NDArray[np.int64]:
    """Return the positions of the CpG sites of a region, sorted.

    Parameters
    ----------
    genome
        The reference.
    region
        Where.
    within
        Only sites in these intervals, where given.

    Returns
    -------
    ndarray of int64, shape (n,)
        0-based positions on the chromosome of the forward-strand C.
    """
    codes = genome.codes(region.chromosome)[region.start : region.end + 1]
    positions = np.flatnonzero(is_cg(codes[:-1], codes[1:])) + region.start
    if within is not None:
        ids = np.zeros(len(positions), np.int32)
        positions = positions[within.contains([region.chromosome], ids, positions)]
    return positions
