"""Predicting windows: those of a file of letters, or around sites on a genome."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcpg_tf.configs.calibration import Adjustment
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.genome.sites import NEXT_TO_NEIGHBOURS, read_sites
from deepcpg_tf.prediction.sources import Keys, SiteFile, Source, batch_slices, keys_of_sites
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.calibration import (
    calibration_of,
    check_calibrated,
    needs_shares,
    table_of_neighbours,
)
from deepcpg_tf.workflows.local import is_local, open_engine
from deepcpg_tf.workflows.opening import (
    ModelLike,
    PathLike,
    check_other_than,
    open_model,
    open_neighbours,
    tell_of_none_observed,
)
from deepcpg_tf.workflows.opening import open_table as open_methylation_table

if TYPE_CHECKING:
    from deepcpg_tf.data.neighbours import NeighbourReader
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.models.base import MethylationModel, Values
    from deepcpg_tf.scan.local import LocalEngine

STDOUT = Path("-")
"""Stands for standard output."""


class Predicted(NamedTuple):
    """What was predicted: the rows, in memory or, where they were written, how many."""

    rows: int
    table: pa.Table | None


def predict(
    model: ModelLike,
    source: Source,
    out: PathLike | None = None,
    *,
    values: Values = "probabilities",
    table: PathLike | MethylationTable | None = None,
    calibrated: bool = False,
    progress: Progress = SILENT,
) -> Predicted:
    """Predict the windows or sites of a source, into a file or into memory.

    The source is read and checked whole before anything is computed. Memory does not grow
    with the number of windows when they go into a file.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model.
    source
        A `SequenceFile`, `FastaFile`, `SiteFile` or `OneSequence`.
    out
        A file ending in ``.tsv``, ``.tsv.gz`` or ``.parquet``, or ``-`` for TSV on
        standard output; None for a table in memory.
    values
        ``"probabilities"``, ``"logits"`` or ``"embedding"``.
    table
        A table (``.h5ad``) of the cells whose neighbouring sites a CpG or Joint module
        reads; these modules predict a `SiteFile`, whose sites have to be CG. Or one of which
        to take the shares that calibrate a model that keeps none.
    calibrated
        Whether to calibrate the probabilities of cells, which are those of the original else.
    progress
        Who is told.

    Returns
    -------
    Predicted
        Its table, if any, has the columns that `iterate_predictions` yields.

    Raises
    ------
    DeepCpgError
        When the source cannot be read, or the output cannot be written.
    """
    from deepcpg_tf.results.registry import check_table, open_table

    path = None if out is None or Path(out) == STDOUT else Path(out)
    reference = source.genome if isinstance(source, SiteFile) else None
    check_other_than(path, getattr(source, "path", None), reference, model, table)
    check_table(path)
    loaded = open_model(model)
    loaded.check_values(values)
    way = _way(loaded, values, table, reference, calibrated=calibrated)
    reader = way.reader
    check_table(path, source.keys, way.names)
    rows = _check(source, reader)
    if isinstance(source, SiteFile):
        progress.tells(f"{source.path}: {source.cpgs}")
        if reader is not None and source.cpgs is not None:
            tell_of_none_observed(reader, source.cpgs.references, progress)
    if way.told is not None:
        progress.tells(way.told)
    progress.begins("predicting", rows, "windows")
    batches = _batches(loaded, source, values, way)
    if out is None:
        held = []
        for batch in batches:
            held.append(batch)
            progress.advances(len(batch))
        return Predicted(rows, pa.Table.from_batches(held))
    first = next(batches)
    with open_table(path, first.schema) as write:
        write(first)
        progress.advances(len(first))
        for batch in batches:
            write(batch)
            progress.advances(len(batch))
    return Predicted(rows, None)


def iterate_predictions(
    model: MethylationModel,
    source: Source,
    values: Values = "probabilities",
    table: PathLike | MethylationTable | None = None,
    *,
    calibrated: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Predict the windows or sites of a source, batch by batch.

    Parameters
    ----------
    model
        The model.
    source
        A `OneSequence`, `SequenceFile`, `FastaFile` or `SiteFile`.
    values
        ``"probabilities"``, ``"logits"`` or ``"embedding"``.
    table, calibrated
        As for `predict`.

    Yields
    ------
    pyarrow.RecordBatch
        The source's key columns (``id``, or ``chromosome``, ``position`` (0-based,
        forward-strand C), ``strand``), then a float32 column for each cell and other output,
        or unit of the embedding.
    """
    model.check_values(values)
    genome = source.genome if isinstance(source, SiteFile) else None
    way = _way(model, values, table, genome, calibrated=calibrated)
    if way.reader is not None:
        _check(source, way.reader)
    yield from _batches(model, source, values, way)


Reader: TypeAlias = "NeighbourReader | LocalEngine | None"
"""What reads of a table what a module reads of neighbours, or predicts its cells."""


class _Way(NamedTuple):
    """What reads neighbours, if any are, what calibrates, if anything does, and what to tell."""

    reader: Reader
    names: list[str]
    adjustment: Adjustment | None = None
    told: str | None = None


def _way(
    model: MethylationModel,
    values: Values,
    table: PathLike | MethylationTable | None,
    genome: Genome | None,
    *,
    calibrated: bool,
) -> _Way:
    if is_local(model):
        if values == "embedding":
            raise ConfigError("values: expected probabilities or logits of a local module")
        engine = open_engine(model, table, genome, calibrated=calibrated)
        return _Way(engine, list(engine.cells), engine.adjustment, engine.told)
    names = model.value_names(values)
    if not calibrated:
        return _Way(open_neighbours(model.config, table, genome), names)
    if values != "probabilities":
        raise ConfigError(f"calibrated: expected probabilities with it, received {values}")
    check_calibrated(model)
    held = open_methylation_table(table) if table is not None and needs_shares(model) else None
    given = table if held is None else held
    of_neighbours = table_of_neighbours(model, given, calibrated=True)
    reader = open_neighbours(model.config, of_neighbours, genome)
    found = calibration_of(model, held)
    adjustment = found.calibration.offsets_and_temperatures(model.cells)
    return _Way(reader, names, adjustment, found.told)


def _check(source: Source, reader: Reader) -> int:
    """Read a source whole, and return its number of windows or sites."""
    if isinstance(source, SiteFile) and reader is not None:
        return source.check(NEXT_TO_NEIGHBOURS)
    return source.check()


def _batches(
    model: MethylationModel, source: Source, values: Values, way: _Way
) -> Iterator[pa.RecordBatch]:
    if isinstance(source, SiteFile):
        predicted = _predict_sites(model, source, values, way)
    else:
        predicted = (
            (batch.keys, _predict_windows(model, batch.windows, values, way.adjustment))
            for batch in source.batches()
        )
    for keys, rows in predicted:
        columns = {name: pa.array(rows[:, i]) for i, name in enumerate(way.names)}
        arrays = [*map(pa.array, keys.values()), *columns.values()]
        yield pa.RecordBatch.from_arrays(arrays, names=[*keys, *columns])


def _predict_windows(
    model: MethylationModel,
    windows: npt.NDArray[np.uint8],
    values: Values,
    adjustment: Adjustment | None,
) -> npt.NDArray[np.float32]:
    from deepcpg_tf.models.values import values_of_logits

    if adjustment is None:
        return model.predict_arrays({"windows": windows}, values)
    logits = model.predict_arrays({"windows": windows}, "logits")
    return values_of_logits(logits, model.config, adjustment)


def _predict_sites(
    model: MethylationModel, source: SiteFile, values: Values, way: _Way
) -> Iterator[tuple[Keys, npt.NDArray[np.float32]]]:
    """Predict sites, what their windows share computed once where they lie close."""
    from deepcpg_tf.scan.engine import ScanEngine
    from deepcpg_tf.scan.local import LocalEngine

    engine: Any
    if isinstance(way.reader, LocalEngine):
        engine = way.reader
    else:
        engine = ScanEngine(model, way.reader, adjustment=way.adjustment)
    for sites in read_sites(source.path, source.genome):
        rows = np.empty((len(sites), len(way.names)), np.float32)
        for reference, indices in sites.groups():
            ordered = indices[np.argsort(sites.positions[indices], kind="stable")]
            positions = sites.positions[ordered]
            columns = SiteColumns((reference,), np.zeros(len(ordered), np.int32), positions)
            compute = "embeddings" if values == "embedding" else values
            rows[ordered] = getattr(engine, compute)(
                source.genome.codes(reference), positions, columns
            )
        for part in batch_slices(len(sites)):
            yield keys_of_sites(sites, part), rows[part]
