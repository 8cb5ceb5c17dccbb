"""From windows to a table of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit

from deepcpg_tf.genome.sites import read_sites
from deepcpg_tf.prediction.sources import Keys, SiteFile, Source, batch_slices, keys_of_sites
from deepcpg_tf.results.registry import check_table, open_table

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel, Values


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


def predict_to_file(
    model: MethylationModel,
    source: Source,
    out: Path | None,
    values: Values = "probabilities",
    advance: Callable[[int], object] = lambda windows: None,
) -> None:
    """Predict the windows of a source into a file, or as TSV to stdout.

    Memory does not grow with the number of windows.

    Parameters
    ----------
    model, source, values
        As in `iterate_predictions`.
    out
        A file ending in ``.tsv``, ``.tsv.gz`` or ``.parquet``, or None for stdout.
    advance
        Called after each batch with the number of its windows.

    Raises
    ------
    OutputError
        When the output cannot be written.
    """
    check_table(out, source.keys, model.value_names(values))
    batches = iterate_predictions(model, source, values)
    first = next(batches)
    with open_table(out, first.schema) as write:
        write(first)
        advance(len(first))
        for batch in batches:
            write(batch)
            advance(len(batch))
