"""Variants that are given one by one, as the records that a file of them would have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from deepcpg_tf.errors import GenomeError, VariantError
from deepcpg_tf.genome.names import find_name
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import encode
from deepcpg_tf.genome.variants import (
    CONTIG,
    LETTERS,
    LONGEST,
    OFF,
    REFERENCE,
    Record,
    change,
)

_IUPAC, _BASES = frozenset("ACGTNRYSWKMBDHV"), frozenset("ACGT")
_SHOWN = 60


def records_of(variants: Iterable[tuple[str, int, str, str]], genome: Genome) -> Iterator[Record]:
    """Yield a record for each variant: chromosome, 0-based position, reference, alternate allele.

    Raises
    ------
    VariantError
        At the first that is none.
    """
    for number, variant in enumerate(variants, 1):
        match variant:
            case (str() as chromosome, int() | np.integer() as at, str() as ref, str() as alt):
                position = int(at)
            case _:
                received = " ".join(repr(variant).split())
                raise VariantError(
                    f"variants, item {number}: expected chromosome, position, reference and "
                    f"alternate allele, received {received}"[:300]
                )
        for name, allele in (("reference", ref), ("alternate", alt)):
            if not allele or not _IUPAC.issuperset(allele.upper()):
                raise VariantError(
                    f"variants, item {number}: expected bases as {name} allele, "
                    f"received {allele[:_SHOWN]!r}"
                )
        try:
            name_of_genome = find_name(chromosome, genome.lengths)
        except GenomeError as error:
            raise VariantError(f"variants, item {number}: {error}") from None
        reason = _reason(name_of_genome, position, ref.upper(), alt.upper(), genome)
        own = (None, reason) if reason else change(position, ref, alt, LONGEST)
        yield Record(
            number,
            chromosome,
            name_of_genome,
            position,
            ".",
            ref,
            (alt,),
            own[:1],
            own[1:],
        )


def _reason(name: str | None, position: int, ref: str, alt: str, genome: Genome) -> str:
    """Return why no change at a place can be scored, as of a record of a file, or nothing."""
    if not _BASES.issuperset(alt):
        return LETTERS
    if name is None:
        return CONTIG
    codes = genome.codes(name)
    if position < 0 or position + len(ref) > len(codes):
        return OFF
    is_same = codes[position : position + len(ref)].tolist() == encode(ref).tolist()
    return "" if is_same else REFERENCE
