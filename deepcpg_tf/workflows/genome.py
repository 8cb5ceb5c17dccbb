"""Predicting every CpG of a genome, and completing a table with what is predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import ConfigError, GenomeError, OutputError
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.calibration import (
    calibration_of,
    check_calibrated,
    needs_shares,
    table_of_neighbours,
)
from deepcpg_tf.workflows.local import is_local, open_engine
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    ModelLike,
    PathLike,
    check_files,
    check_other_than,
    open_genome,
    open_model,
    open_neighbours,
    open_table,
    tell_of_none_observed,
)

if TYPE_CHECKING:
    from deepcpg_tf.scan.shards import Shard


class Scanned(NamedTuple):
    """What was written: sites, and the cells of the model.

    ``observed_cells`` are those of them that the table has, and ``observed_values`` how many
    values were observed and not predicted; 0 without a table.
    """

    out: Path
    sites: int
    cells: int
    observed_cells: int
    observed_values: int = 0


def predict_genome(
    model: ModelLike,
    genome: GenomeLike,
    out: PathLike,
    *,
    table: PathLike | MethylationTable | None = None,
    chromosomes: Sequence[str] | None = None,
    regions: PathLike | None = None,
    thousandths: bool = False,
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Scanned:
    """Predict every CpG of a genome.

    Killed at any moment, the same call goes on. Memory does not grow with the genome
    beyond its longest chromosome.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model.
    genome
        The reference.
    out
        Where to write, by its ending; see `deepcpg_tf.results.registry.write_results`.
    table
        A table (``.h5ad``) of the cells whose neighbouring sites a CpG or Joint module reads,
        or of which to take the shares that calibrate a model that keeps none.
    chromosomes
        Only these, with or without ``chr``.
    regions
        A BED file: only the CpGs within its intervals.
    thousandths
        Whether tables have whole thousandths, 0 to 1000.
    calibrated
        Whether to calibrate the probabilities of cells, which are those of the original else:
        of a model trained with balanced classes as if half of each cell's sites were methylated.
    progress
        Who is told.

    Returns
    -------
    Scanned

    Raises
    ------
    DeepCpgError
        When a file cannot be read or written, or there is no CpG.
    """
    where = (chromosomes, regions)
    how = _How(thousandths, calibrated=calibrated)
    return _scan(model, table, genome, out, where, how, progress)


def impute(
    model: ModelLike,
    table: PathLike | MethylationTable,
    genome: GenomeLike,
    out: PathLike,
    *,
    chromosomes: Sequence[str] | None = None,
    regions: PathLike | None = None,
    thousandths: bool = False,
    min_confidence: float | None = None,
    progress: Progress = SILENT,
) -> Scanned:
    """Complete a table: the observed state where there is one, elsewhere the prediction.

    Every CpG of the genome is written, for each cell of the model. Probabilities are
    calibrated with what the model keeps, or with the methylated shares of the table: see
    `deepcpg_tf.configs.calibration`.

    Parameters
    ----------
    model, out, chromosomes, regions, thousandths, progress
        As for `predict_genome`.
    min_confidence
        0.5 to 1: predictions of which neither state has this probability are left missing.
    table
        A table (``.h5ad``) with some of the model's cells.
    genome
        The reference of the table, which it may call by other names.

    Returns
    -------
    Scanned

    Raises
    ------
    DeepCpgError
        As `predict_genome`, and when the table has another reference, or sites that are no
        CG of it.
    """
    where = (chromosomes, regions)
    if min_confidence is not None and not 0.5 <= min_confidence <= 1:
        raise ConfigError(f"min_confidence: expected 0.5 to 1, received {min_confidence:g}")
    how = _How(thousandths, calibrated=True, impute=True, min_confidence=min_confidence)
    return _scan(model, table, genome, out, where, how, progress)


class _How(NamedTuple):
    """What is made of predictions."""

    thousandths: bool
    calibrated: bool
    impute: bool = False
    min_confidence: float | None = None


def _scan(
    model: ModelLike,
    table: PathLike | MethylationTable | None,
    genome: GenomeLike,
    out: PathLike,
    where: tuple[Sequence[str] | None, PathLike | None],
    how: _How,
    progress: Progress,
) -> Scanned:
    from deepcpg_tf.results.contents import Contents, Kind
    from deepcpg_tf.results.registry import check_path, check_result, write_results

    (chromosomes, regions), impute = where, how.impute
    out, within_file = Path(out), None if regions is None else Path(regions)
    check_files(within_file, *([Path(table)] if isinstance(table, str | Path) else []))
    check_other_than(out, within_file, table, genome, model)
    kind = Kind.IMPUTED if impute else Kind.PREDICTED
    check_path(out, kind, thousandths=how.thousandths)
    loaded = open_model(model)
    loaded.check_values()
    from deepcpg_tf.data.neighbours import neighbours_of
    from deepcpg_tf.genome.intervals import read_annotation
    from deepcpg_tf.scan.engine import ScanEngine
    from deepcpg_tf.scan.local import LocalEngine
    from deepcpg_tf.scan.observed import Observations
    from deepcpg_tf.scan.regions import chosen_chromosomes, regions_of, sites_of
    from deepcpg_tf.scan.run import scan

    reference = open_genome(genome)
    lengths = reference.lengths
    _check_columns(out, loaded.config, impute=impute)
    engine: ScanEngine | LocalEngine
    adjustment = neighbours = observed = None
    if is_local(loaded):
        engine = open_engine(loaded, table, reference, calibrated=how.calibrated)
        columns = cells = engine.cells
        told = engine.told
        adjustment = engine.adjustment
        tell_of_none_observed(engine, chosen_chromosomes(reference, chromosomes), progress)
        if impute:
            observed = Observations(engine.table, reference, cells)
    else:
        cells = loaded.cells
        columns = cells if impute else loaded.config.column_names
        if table is not None and (impute or (how.calibrated and needs_shares(loaded))):
            table = open_table(table).on(reference)
        if impute and isinstance(table, MethylationTable):
            observed = Observations(table, reference, cells)
            neighbours = neighbours_of(loaded.config, table)
        else:
            of_neighbours = table_of_neighbours(loaded, table, calibrated=how.calibrated)
            neighbours = open_neighbours(loaded.config, of_neighbours, reference)
        told = None
        if how.calibrated:
            check_calibrated(loaded)
            shares = table if isinstance(table, MethylationTable) else None
            found = calibration_of(loaded, shares, strict=not impute)
            adjustment = found.calibration.offsets_and_temperatures(cells)
            told = found.told
        engine = ScanEngine(loaded, neighbours, adjustment=adjustment)
    contents = Contents(columns, tuple(lengths), tuple(lengths.values()), kind, how.thousandths)
    check_result(out, contents)
    within = None if within_file is None else read_annotation(within_file, lengths)
    if told is not None:
        progress.tells(told)
    names = chosen_chromosomes(reference, chromosomes)
    parts = list(regions_of(reference, names))
    sites = sum(len(sites_of(reference, part, within)) for part in parts)
    if not sites:
        raise GenomeError(f"{reference.path}: expected CpG sites to predict, found none")
    identity = {
        "model": loaded.digest(),
        "reference": reference.digest(names),
        "chromosomes": names,
        "regions": None if within is None else within.digest(),
        "neighbours": None if neighbours is None else neighbours.digest(),
        "calibration": None if adjustment is None else adjustment.digest(),
        **({"table": engine.digest()} if isinstance(engine, LocalEngine) else {}),
    }
    if neighbours is not None:
        tell_of_none_observed(neighbours, names, progress)
    if impute and loaded.config.outputs:
        progress.tells(f"not imputed: {', '.join(loaded.config.outputs)}, which are no cells")
    progress.begins("predicting", sites, "sites")
    with scan(
        engine,
        reference,
        parts,
        within=within,
        out=out,
        identity=identity,
        progress=progress,
    ) as predicted:
        shards: Iterator[Shard] = (one.first_columns(len(columns)) for one in predicted)
        if observed is not None:
            shards = observed.impute(shards, how.min_confidence)
        write_results(out, contents, shards)
    if observed is None:
        return Scanned(out, sites, len(cells), 0)
    return Scanned(out, sites, len(cells), observed.shared, observed.used)


# What has a place for cells alone.
_OF_CELLS = (".h5", ".h5ad")


def _check_columns(out: Path, config: ModuleConfig, *, impute: bool) -> None:
    """Refuse outputs beside the cells where they have no place, and no cells at all."""
    if impute and not config.cells:
        raise ConfigError(
            "model: expected a model of cells to impute, received one of "
            f"{', '.join(config.outputs)} alone"
        )
    if config.outputs and not impute and out.name.endswith(_OF_CELLS):
        raise OutputError(
            f"{out}: expected a table (.parquet, .tsv, .tsv.gz) or tracks, which also hold outputs "
            f"other than cells ({', '.join(config.outputs)}), received a file for cells alone"
        )
