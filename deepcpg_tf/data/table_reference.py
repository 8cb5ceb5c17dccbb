"""The genome that a methylation table lies on, told by checksums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from deepcpg_tf.errors import TableError
from deepcpg_tf.genome.names import shown_names
from deepcpg_tf.genome.reference import Genome, digest_of


class Checksum(NamedTuple):
    """The bases of a chromosome, and the SHA-256 checksum of their codes."""

    length: int
    sha256: str


@dataclass(frozen=True)
class Reference:
    """The genome that a table lies on.

    Attributes
    ----------
    name
        That of its file.
    digest
        The SHA-256 checksum of the names and lengths of the table's chromosomes and the
        checksums of their codes; see `deepcpg_tf.genome.reference.Genome.digest`.
    checksums
        The chromosomes one by one. Files of tables that were written before these were kept
        have none.
    """

    name: str
    digest: str
    checksums: Mapping[str, Checksum] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, checksums: Mapping[str, Checksum]) -> Reference:
        """Return the reference with some chromosomes."""
        rows = [(chromosome, *checksum) for chromosome, checksum in checksums.items()]
        return cls(name, digest_of(rows), checksums)

    def check(self, genome: Genome, chromosomes: Sequence[str]) -> None:
        """Refuse a genome of which some chromosomes are not those of the table.

        Parameters
        ----------
        genome
            It may have more chromosomes, and call these otherwise.
        chromosomes
            Those of the table, as the table calls them.

        Raises
        ------
        TableError
        GenomeError
            When the genome lacks a chromosome or cannot be read.
        """
        expected = f"{genome.path}: expected the reference that the table was built on, {self.name}"
        if not self.checksums:
            self._check_digest(genome, chromosomes, expected)
            return
        others = []
        for chromosome in chromosomes:
            there = self.checksums[chromosome]
            here = _checksum(genome, chromosome)
            if here != there:
                length = f"{here.length:,} bases"
                instead = "" if here.length == there.length else f" instead of {there.length:,}"
                others.append(f"{chromosome} ({length}{instead})")
        if others:
            raise TableError(f"{expected}, received another sequence of {shown_names(others)}")

    def _check_digest(self, genome: Genome, chromosomes: Sequence[str], expected: str) -> None:
        rank = {name: i for i, name in enumerate(genome.lengths)}
        in_order = sorted(chromosomes, key=lambda name: rank[genome.resolve(name)])
        if self.digest not in (genome.digest(chromosomes), genome.digest(in_order)):
            raise TableError(
                f"{expected} (digest {self.digest[:12]}), received another sequence (digest "
                f"{genome.digest(chromosomes)[:12]}), or a table of an earlier release that was "
                "cut to fewer chromosomes and is to be built again"
            )


def reference_of(genome: Genome, chromosomes: Sequence[str]) -> Reference:
    """Return a genome as far as some chromosomes go, by the names that are given here."""
    return Reference.of(genome.path.name, {name: _checksum(genome, name) for name in chromosomes})


def _checksum(genome: Genome, chromosome: str) -> Checksum:
    return Checksum(genome.lengths[genome.resolve(chromosome)], genome.checksum(chromosome))
