"""Predicting windows: those of a file of letters, or around sites on a genome."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcpg_tf.genome.sites import read_sites
from deepcpg_tf.prediction.sources import Keys, SiteFile, Source, batch_slices, keys_of_sites
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.opening import ModelLike, PathLike, check_other_than, open_model

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel, Values

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
    progress: Progress = SILENT,
) -> Predicted:
    """Predict the windows of a source, into a file or into memory.

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
    check_other_than(path, getattr(source, "path", None), reference, model)
    check_table(path)
    loaded = open_model(model)
    check_table(path, source.keys, loaded.value_names(values))
    rows = source.check()
    if isinstance(source, SiteFile):
        progress.tells(f"{source.path}: {source.cpgs}")
    progress.begins("predicting", rows, "windows")
    batches = iterate_predictions(loaded, source, values)
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
    model: MethylationModel, source: Source, values: Values = "probabilities"
) -> Iterator[pa.RecordBatch]:
    """Predict the windows of a source, batch by batch.

    Parameters
    ----------
    model
        The model.
    source
        A `OneSequence`, `SequenceFile`, `FastaFile` or `SiteFile`.
    values
        ``"probabilities"``, ``"logits"`` or ``"embedding"``.

    Yields
    ------
    pyarrow.RecordBatch
        The source's key columns (``id``, or ``chromosome``, ``position`` (0-based,
        forward-strand C), ``strand``), then a float32 column for each cell or unit
        of the embedding.
    """
    names = model.value_names(values)
    if isinstance(source, SiteFile) and values != "embedding":
        predicted = _predict_sites(model, source, values)
    else:
        predicted = (
            (batch.keys, model.predict_arrays({"windows": batch.windows}, values))
            for batch in source.batches()
        )
    for keys, rows in predicted:
        columns = {name: pa.array(rows[:, i]) for i, name in enumerate(names)}
        arrays = [*map(pa.array, keys.values()), *columns.values()]
        yield pa.RecordBatch.from_arrays(arrays, names=[*keys, *columns])


def _predict_sites(
    model: MethylationModel, source: SiteFile, values: Values
) -> Iterator[tuple[Keys, npt.NDArray[np.float32]]]:
    """Predict sites with what their windows share computed once, where they lie close."""
    from scipy.special import expit

    from deepcpg_tf.scan.engine import ScanEngine

    engine = ScanEngine(model)
    for sites in read_sites(source.path, source.genome):
        logits = np.empty((len(sites), len(model.cells)), np.float32)
        for reference, indices in sites.groups():
            ordered = indices[np.argsort(sites.positions[indices], kind="stable")]
            codes = source.genome.codes(reference)
            logits[ordered] = engine.logits(codes, sites.positions[ordered])
        rows = logits if values == "logits" else expit(logits)
        for part in batch_slices(len(sites)):
            yield keys_of_sites(sites, part), rows[part]
