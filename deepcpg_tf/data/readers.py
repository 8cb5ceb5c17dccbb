"""Readers: from sites to the arrays that a model reads of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import N_CODE
from deepcpg_tf.inputs import Arrays, Input, Inputs


class SiteColumns(NamedTuple):
    """Sites as columns.

    ``chromosome_ids`` (int32 [n]) are indices into ``chromosomes``, names as the genome
    has them, and ``positions`` (int64 [n]) 0-based, of the forward-strand C.
    """

    chromosomes: Sequence[str]
    chromosome_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int64]


class Reader(Protocol):
    """Reads some of a model's inputs; several threads may do so at the same time."""

    @property
    def reads(self) -> Inputs:
        """What it reads of each site."""

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """All chromosomes there are, whether or not a site is on them."""

    def prepare(self, *, hold: bool) -> None:
        """Make reading in random order fast; with `hold`, from memory."""

    def arrays(self, sites: SiteColumns) -> Arrays:
        """Return an array [n, ...] for each input."""

    def origins(self, chromosomes: Sequence[str]) -> dict[str, str]:
        """Return checksums of what arrays of sites on these are made of, by what that is."""


class WindowReader:
    """Reads ``windows``: the codes of the bases around each site.

    Parameters
    ----------
    genome
        The reference.
    length
        Bases of a window, odd.
    """

    def __init__(self, genome: Genome, length: int) -> None:
        self.reads = Inputs((Input("windows", (length,), "uint8", N_CODE, N_CODE),))
        self._genome = genome
        self._length = length

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """All chromosomes of the genome."""
        return tuple(self._genome.lengths)

    def prepare(self, *, hold: bool) -> None:
        """Keep the genome in memory where `hold` asks for it, a byte a base."""
        if hold:
            self._genome.hold()

    def arrays(self, sites: SiteColumns) -> Arrays:
        """Return the windows, uint8 [n, length]."""
        return {"windows": self._genome.windows_of(*sites, self._length)}

    def origins(self, chromosomes: Sequence[str]) -> dict[str, str]:
        """Return the checksum of the genome, as far as some of its chromosomes go."""
        return {"genome": self._genome.digest(chromosomes)}


class Readers:
    """Several readers as one, each of which reads other inputs."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = tuple(readers)
        self.reads = Inputs(one for reader in self._readers for one in reader.reads)
        self.chromosomes = self._readers[0].chromosomes

    def prepare(self, *, hold: bool) -> None:
        """Prepare all of them."""
        for reader in self._readers:
            reader.prepare(hold=hold)

    def arrays(self, sites: SiteColumns) -> Arrays:
        """Return the arrays of all of them."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for reader in self._readers:
            arrays |= reader.arrays(sites)
        return arrays

    def origins(self, chromosomes: Sequence[str]) -> dict[str, str]:
        """Return the checksums of all of them."""
        origins: dict[str, str] = {}
        for reader in self._readers:
            origins |= reader.origins(chromosomes)
        return origins


class NoReader:
    """Reads nothing, for a module of which what is read is made otherwise.

    Parameters
    ----------
    chromosomes
        All there are.
    """

    def __init__(self, chromosomes: tuple[str, ...]) -> None:
        self.reads = Inputs(())
        self.chromosomes = chromosomes

    def prepare(self, *, hold: bool) -> None:
        """Do nothing."""

    def arrays(self, sites: SiteColumns) -> Arrays:
        """Return no arrays."""
        return {}

    def origins(self, chromosomes: Sequence[str]) -> dict[str, str]:
        """Return no checksums."""
        return {}
