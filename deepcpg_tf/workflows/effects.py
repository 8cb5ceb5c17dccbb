"""Scoring the variants of a file: what each does to the CpGs near it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import InputError, OutputError, VariantError
from deepcpg_tf.files import atomic_file, check_writable, sha256
from deepcpg_tf.genome.variants import Record, VcfFile
from deepcpg_tf.npz import read_npz
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.resume import arithmetic, owned_folder, remove_owned, versions
from deepcpg_tf.variants.edits import CLASSES
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    ModelLike,
    PathLike,
    check_files,
    check_other_than,
    open_genome,
    open_model,
    open_neighbours,
    tell_of_none_observed,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.genome.variants import Account
    from deepcpg_tf.results.effects import Scored
    from deepcpg_tf.variants.effects import EffectScorer, Floats, Strands, Summary
    from deepcpg_tf.variants.haplotypes import Unit

_H5AD = ".h5ad"


class Variant(NamedTuple):
    """An allele that was asked for.

    ``position`` is 0-based, of the first base of ``ref``, and ``reason`` why it has no sites: a
    word of `deepcpg_tf.variants.haplotypes.REASONS`, or nothing. ``record`` is the number in the
    file, or among those given, from 1. ``haplotype`` counts from 1; it is 0 without a sample, or
    where it does not matter.
    """

    chromosome: str
    position: int
    ref: str
    alt: str
    reason: str = ""
    record: int = 0
    haplotype: int = 0


@dataclasses.dataclass(frozen=True)
class VariantEffects:
    """What variants do to the logits of the CpGs near them.

    Attributes
    ----------
    cells : tuple of str
        Names of the cells.
    variants : tuple of Variant
        In the order asked for, each ALT by itself.
    owners : ndarray of int64, shape (n,)
        Which of the variants each site is near.
    sites : ndarray of int64, shape (n,)
        0-based positions in the reference of the C of these sites.
    classes : tuple of str, length n
        ``"kept"``, ``"lost"`` or ``"gained"``.
    ref_logits, alt_logits : ndarray of float32, shape (n, cells)
        Of both alleles; not a number where one has no such site.
    summary : Summary
        What each variant does as a whole.
    """

    cells: tuple[str, ...]
    variants: tuple[Variant, ...]
    owners: npt.NDArray[np.int64]
    sites: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    ref_logits: Floats
    alt_logits: Floats
    summary: Summary

    @property
    def values(self) -> Floats:
        """The changes of the logits, [n, cells]; not a number for sites that are not kept."""
        return self.alt_logits - self.ref_logits

    @property
    def ref(self) -> Floats:
        """The probabilities of the reference, [n, cells]."""
        from scipy.special import expit

        result: Floats = expit(self.ref_logits)
        return result

    @property
    def alt(self) -> Floats:
        """The probabilities of the alternate allele, [n, cells]."""
        from scipy.special import expit

        result: Floats = expit(self.alt_logits)
        return result


class Written(NamedTuple):
    """What was written: ALTs of records, and how many of them have sites, of the model's cells."""

    out: Path
    records: int
    alts: int
    scored: int
    sites: int
    cells: int


def variant_effects(
    model: ModelLike,
    variants: PathLike | Iterable[tuple[str, int, str, str]],
    genome: GenomeLike,
    table: PathLike | MethylationTable | None = None,
    *,
    strands: Strands | str = "forward",
    chromosomes: Sequence[str] | None = None,
    regions: PathLike | None = None,
    allow_mismatches: bool = False,
    sample: str | None = None,
    phased: bool = False,
    progress: Progress = SILENT,
) -> VariantEffects:
    """Predict the CpGs near variants in both alleles.

    All is kept in memory; `write_variant_effects` is for whole files.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model: any module but the local one.
    variants
        A file of variants (VCF or BCF), or chromosome, 0-based position, reference and alternate
        allele of each.
    genome
        The reference.
    table
        A table of the cells whose neighbouring sites a CpG or Joint module reads; they stay.
    strands
        ``"both"`` averages logits of each window and of its reverse complement.
    chromosomes, regions
        Only records of a file on these chromosomes, or with a base in an interval of a BED file.
    allow_mismatches
        Whether many records of a file may have a REF that the genome has not; they have no sites.
    sample, phased
        A sample of a file whose haplotypes are scored, each with all that it has in a window.
    progress
        Who is told.

    Returns
    -------
    VariantEffects

    Raises
    ------
    DeepCpgError
        When something cannot be read, or does not go together.
    """
    loaded = open_model(model)
    from deepcpg_tf.variants.effects import check_effects
    from deepcpg_tf.variants.given import records_of

    check_effects(loaded, strands)
    reference = open_genome(genome)
    scorer = _scorer(loaded, table, reference, strands, progress)
    records: Iterable[Record]
    _check_sample(sample, phased=phased)
    if isinstance(variants, str | Path):
        file = VcfFile(
            variants,
            reference,
            chromosomes=chromosomes,
            regions=regions,
            sample=sample,
            allow_mismatches=allow_mismatches,
        )
        account = file.check(progress)
        _check_order(account, phased=phased)
        records, total = file.records(), account.records
    else:
        if chromosomes is not None or regions is not None or phased:
            raise InputError(
                "chromosomes, regions, sample: expected them with a file of variants, received "
                "them with variants"
            )
        given = list(records_of(variants, reference))
        records, total = given, len(given)
    found = []
    progress.begins("scoring variants", total, "records")
    for part in _parts(records, scorer, phased=phased):
        found.append(_scored(part, reference, scorer, phased=phased))
        progress.advances(len(part))
    return _gathered(found, loaded.cells)


def write_variant_effects(
    model: ModelLike,
    vcf: PathLike,
    genome: GenomeLike,
    out: PathLike,
    *,
    out_vcf: PathLike | None = None,
    table: PathLike | MethylationTable | None = None,
    strands: Strands | str = "forward",
    background: PathLike | None = None,
    chromosomes: Sequence[str] | None = None,
    regions: PathLike | None = None,
    allow_mismatches: bool = False,
    sample: str | None = None,
    phased: bool = False,
    progress: Progress = SILENT,
) -> Written:
    """Score the variants of a file, and write what they do.

    Killed at any moment, the same call goes on. Memory does not grow with the file.

    Parameters
    ----------
    model, genome, table, strands, chromosomes, regions, allow_mismatches, sample, phased, progress
        As of `variant_effects`.
    vcf
        The file of variants.
    out
        Where to write: ``.parquet``, ``.tsv`` or ``.tsv.gz`` is a table with a row for each
        variant and site, with a table of the variants beside it (``X.variants.parquet``);
        ``.h5ad`` is variants by cells. `docs/effects.md` tells the columns.
    out_vcf
        Where to write the file itself with what its ALTs do: ``.vcf.gz`` or ``.vcf``.
    background
        Another file of variants: which share of them changes logits no more than each.

    Returns
    -------
    Written

    Raises
    ------
    DeepCpgError
        When something cannot be read or written, or does not go together.
    """
    out, annotated = Path(out), None if out_vcf is None else Path(out_vcf)
    _check_sample(sample, phased=phased)
    _check_places(out, annotated, [model, vcf, genome, table, background, regions])
    given = (regions, table if isinstance(table, str | Path) else None)
    check_files(*(None if one is None else Path(one) for one in given))
    loaded = open_model(model)
    from deepcpg_tf.results.effects import check_tables
    from deepcpg_tf.results.vcf import check_annotated
    from deepcpg_tf.variants.effects import check_effects

    check_effects(loaded, strands)
    if not out.name.endswith(_H5AD):
        check_tables(out, loaded.cells, phased=phased)
    reference = open_genome(genome)
    where: dict[str, Any] = {"chromosomes": chromosomes, "regions": regions}
    where["allow_mismatches"] = allow_mismatches
    file = VcfFile(vcf, reference, sample=sample, **where)
    other = None if background is None else VcfFile(background, reference, **where)
    scorer = _scorer(loaded, table, reference, strands, progress)
    account = file.check(progress)
    progress.tells(str(account))
    _check_order(account, phased=phased)
    if annotated is not None:
        check_annotated(annotated, account)
    accounts = [account]
    if other is not None:
        accounts.append(other.check(progress))
        progress.tells(str(accounts[1]))
    identity = {
        "model": loaded.digest(),
        "reference": reference.digest(list(reference.lengths)),
        "vcf": sha256(file.path),
        "background": None if other is None else sha256(other.path),
        "neighbours": scorer.neighbours_digest,
        "strands": strands,
        "chromosomes": None if chromosomes is None else list(map(reference.resolve, chromosomes)),
        "regions": None if regions is None else sha256(Path(regions)),
        "sample": sample,
        "allow_mismatches": allow_mismatches,
        **versions(),
        **arithmetic(),
    }
    state = out.resolve().parent / f".{out.name}.effects"
    with owned_folder(state, identity, out):
        progress.begins("scoring variants", sum(one.records for one in accounts), "records")
        if left := len(list(state.glob("*.npz"))):
            progress.tells(f"going on with an unfinished run: {left} parts are there")
        norms = None
        if other is not None:
            shared = _Run(other, scorer, state, "background", phased=False)
            norms = _norms(shared, progress)
        run = _Run(file, scorer, state, "variants", phased=phased)
        run.compute(progress)
        progress.begins("writing", account.records, "records")
        scored, sites = _write(run, out, loaded.cells, norms, progress)
        if annotated is not None:
            _annotate(run, annotated)
        remove_owned(state)
    return Written(out, account.records, account.alts, scored, sites, len(loaded.cells))


class _Run:
    """Scores the records of a file part by part, and keeps what is done in a folder."""

    def __init__(
        self, file: VcfFile, scorer: EffectScorer, folder: Path, name: str, *, phased: bool
    ) -> None:
        self.file = file
        self.phased = phased
        self._scorer = scorer
        self._folder, self._name = folder, name

    def compute(self, progress: Progress) -> None:
        """Score what is not done yet."""
        for number, part in enumerate(self._parts()):
            path = self._path(number)
            if not path.exists() or self._kept(path, self._units(part)) is None:
                scored = _scored(part, self.file.genome, self._scorer, phased=self.phased)
                with atomic_file(path) as partial, partial.open("wb") as file:
                    np.savez(file, **scored.effects._asdict())
            progress.advances(len(part))

    def results(self) -> Iterator[Scored]:
        """Yield what was computed, in the order of the file."""
        for number, part in enumerate(self._parts()):
            units = self._units(part)
            scored = self._kept(self._path(number), units)
            if scored is None:
                raise OutputError(f"{self._path(number)}: expected it as written, found it damaged")
            yield scored

    def _parts(self) -> Iterator[list[Record]]:
        return _parts(self.file.records(), self._scorer, phased=self.phased)

    def _units(self, part: Sequence[Record]) -> list[Unit]:
        return _units(part, self.file.genome, self._scorer, phased=self.phased)

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number:06}.npz"

    def _kept(self, path: Path, units: list[Unit]) -> Scored | None:
        """Return what a run before has left, or nothing where that is none or damaged."""
        from deepcpg_tf.results.effects import Scored
        from deepcpg_tf.variants.effects import SiteEffects

        try:
            arrays = read_npz(path)
            effects = SiteEffects(**arrays)
        except (OSError, ValueError, TypeError):
            return None
        return Scored(units, effects) if len(effects.counts) == len(units) else None


def _units(
    part: Sequence[Record], genome: Genome, scorer: EffectScorer, *, phased: bool
) -> list[Unit]:
    from deepcpg_tf.variants import haplotypes

    if phased:
        return haplotypes.phased(part, genome.codes, scorer.window.length)
    return haplotypes.alone(part, genome.codes)


def _parts(
    records: Iterable[Record], scorer: EffectScorer, *, phased: bool
) -> Iterator[list[Record]]:
    from deepcpg_tf.variants.haplotypes import FARTHEST, parts

    length = scorer.window.length
    return parts(records, 2 * length + FARTHEST if phased else length, strict=phased)


def _scored(
    part: Sequence[Record], genome: Genome, scorer: EffectScorer, *, phased: bool
) -> Scored:
    from deepcpg_tf.results.effects import Scored

    units = _units(part, genome, scorer, phased=phased)
    return Scored(units, scorer.effects([unit.change for unit in units]))


def _scorer(
    model: Any,
    table: PathLike | MethylationTable | None,
    genome: Genome,
    strands: str,
    progress: Progress,
) -> EffectScorer:
    from deepcpg_tf.variants.effects import EffectScorer

    neighbours = open_neighbours(model.config, table, genome)
    if neighbours is not None:
        tell_of_none_observed(neighbours, list(genome.lengths), progress)
    return EffectScorer(model, genome, neighbours, strands)


def _norms(run: _Run, progress: Progress) -> npt.NDArray[np.float32]:
    """Return how much each variant of a file changes logits, sorted."""
    from deepcpg_tf.variants.effects import summarise

    run.compute(progress)
    found = [summarise(scored.effects).l2 for scored in run.results()]
    norms = np.sort(np.concatenate(found))
    norms = norms[~np.isnan(norms)]
    if not len(norms):
        raise VariantError(
            f"background: expected variants with CpGs near in {run.file.path}, found none"
        )
    return norms


def _write(
    run: _Run,
    out: Path,
    cells: Sequence[str],
    norms: npt.NDArray[np.float32] | None,
    progress: Progress,
) -> tuple[int, int]:
    """Write tables, or one file of variants by cells; return numbers of ALTs scored, and sites."""
    from deepcpg_tf.results.effects import (
        beside,
        site_rows,
        site_schema,
        variant_rows,
        variant_schema,
        without_quotes,
    )
    from deepcpg_tf.results.effects_h5ad import effects_file
    from deepcpg_tf.results.registry import open_table

    of_variants = variant_schema(phased=run.phased, ranked=norms is not None)
    number = sites = 0
    with ExitStack() as stack:
        if out.name.endswith(_H5AD):
            append = stack.enter_context(effects_file(out, cells, of_variants, norms))
        else:
            of_sites = site_schema(cells, phased=run.phased)
            write_site = stack.enter_context(open_table(out, of_sites))
            write_variant = stack.enter_context(open_table(beside(out), of_variants))

            is_text = not out.name.endswith(".parquet")

            def append(scored: Scored) -> None:
                rows = site_rows(scored, cells, of_sites), variant_rows(scored, of_variants, norms)
                for write, batch in zip((write_site, write_variant), rows, strict=True):
                    write(without_quotes(batch) if is_text else batch)

        for scored in run.results():
            append(scored)
            some = zip(scored.units, scored.effects.counts.tolist(), strict=True)
            number += len({(unit.record.number, unit.alt) for unit, count in some if count})
            sites += len(scored.effects.positions)
            progress.advances(len({unit.record.number for unit in scored.units}))
    return number, sites


def _annotate(run: _Run, out: Path) -> None:
    from deepcpg_tf.results.effects import annotations_of
    from deepcpg_tf.results.vcf import annotate

    annotate(run.file, out, (one for scored in run.results() for one in annotations_of(scored)))


def _gathered(found: Sequence[Scored], cells: tuple[str, ...]) -> VariantEffects:
    from deepcpg_tf.variants.effects import SiteEffects, summarise

    empty = SiteEffects(
        np.empty(0, np.int64),
        np.empty(0, np.int64),
        np.empty(0, np.uint8),
        np.empty(0, np.int32),
        np.empty((0, len(cells)), np.float32),
        np.empty((0, len(cells)), np.float32),
    )
    columns = zip(empty, *(one.effects for one in found), strict=True)
    effects = SiteEffects(*map(np.concatenate, columns))
    variants = [
        Variant(
            unit.record.chromosome,
            unit.record.position,
            unit.record.ref,
            unit.record.alts[unit.alt],
            reason,
            unit.record.number,
            unit.haplotype,
        )
        for scored in found
        for unit, reason in zip(scored.units, scored.reasons, strict=True)
    ]
    return VariantEffects(
        cells,
        tuple(variants),
        np.repeat(np.arange(len(variants)), effects.counts),
        effects.positions,
        tuple(CLASSES[one] for one in effects.classes.tolist()),
        effects.ref,
        effects.alt,
        summarise(effects),
    )


def _check_places(out: Path, annotated: Path | None, inputs: Sequence[object]) -> None:
    """Refuse places that cannot be written, before anything is read."""
    from deepcpg_tf.results.effects import beside
    from deepcpg_tf.results.registry import check_table
    from deepcpg_tf.results.vcf import check_annotated

    places = [out]
    if out.name.endswith(_H5AD):
        if out.is_dir():
            raise OutputError(f"{out}: expected the name of a file to write, received a folder")
        if not out.parent.is_dir():
            raise OutputError(f"{out}: expected an existing folder, found no {out.parent}")
        check_writable(out)
    elif out.name.endswith((".parquet", ".tsv", ".tsv.gz")):
        check_table(out)
        places.append(beside(out))
    else:
        raise OutputError(f"{out}: expected a name ending in .parquet, .tsv, .tsv.gz, .h5ad")
    if annotated is not None:
        check_annotated(annotated)
        places.append(annotated)
    for place in places:
        check_other_than(place, *inputs)


def _check_sample(sample: str | None, *, phased: bool) -> None:
    if phased and sample is None:
        raise InputError("sample: expected the one whose haplotypes to score with `phased`")
    if sample is not None and not phased:
        raise InputError(
            "sample: expected `phased` with it, received the sample alone: without haplotypes each "
            "ALT is scored by itself, whoever has it"
        )


def _check_order(account: Account, *, phased: bool) -> None:
    if phased and account.unsorted:
        raise VariantError(
            f"{account.path}: expected records in order of position, chromosome by chromosome, to "
            f"score haplotypes; record {account.unsorted} is not: sort them (bcftools sort)"
        )
