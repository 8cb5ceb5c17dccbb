"""The unit of work, and its results: probabilities of the sites of one region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from deepcpg_tf.files import atomic_file
from deepcpg_tf.genome.intervals import Annotation
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.scan.regions import Region, sites_of

if TYPE_CHECKING:
    from deepcpg_tf.scan.engine import ScanEngine


class Shard(NamedTuple):
    """The sites of a region.

    ``positions`` are int64 [n], 0-based, ``probabilities`` float32 [n, cells], and
    ``states``, where they are known, int8 [n, cells]: 1, 0, or -1 for not observed.
    """

    positions: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    states: npt.NDArray[np.int8] | None = None

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """The observed state where there is one, and the probability elsewhere."""
        if self.states is None:
            return self.probabilities
        return np.where(self.states < 0, self.probabilities, self.states.astype(np.float32))

    def rows(self, part: slice) -> Shard:
        """Return some of the sites."""
        states = None if self.states is None else self.states[part]
        return Shard(self.positions[part], self.probabilities[part], states)

    def save(self, path: Path) -> None:
        """Write a file that appears whole or not at all."""
        with atomic_file(path) as partial, partial.open("wb") as file:
            np.savez(file, positions=self.positions, probabilities=self.probabilities)

    @classmethod
    def load(cls, path: Path) -> Shard:
        """Read what `save` wrote."""
        with np.load(path) as file:
            return cls(file["positions"], file["probabilities"])


Results = Iterator[tuple[str, Shard]]
"""Chromosome and shard of every region, in order."""


def scan_region(
    engine: ScanEngine,
    genome: Genome,
    region: Region,
    within: Annotation | None = None,
    advance: Callable[[int], object] = lambda sites: None,
) -> Shard:
    """Predict every CpG site of a region; nothing but the arguments decides about it.

    Parameters
    ----------
    engine
        The model.
    genome
        The reference.
    region
        Where.
    within
        Only sites in these intervals, where given.
    advance
        Called with the number of sites done.
    """
    positions = sites_of(genome, region, within)
    logits = engine.logits(genome.codes(region.chromosome), positions, advance)
    return Shard(positions, expit(logits))
