"""What the filters of a model look for: motifs, and how much the model leans on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.errors import ConfigError, InputError
from deepcpg_tf.files import atomic_folder, check_writable
from deepcpg_tf.inputs import Arrays, rows, take
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    ModelLike,
    PathLike,
    check_new,
    check_other_than,
    columns_of,
    open_genome,
    open_model,
    open_table,
    paths_of,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.variants.motifs import FilterMotifs

MEME_FILE = "meme.txt"
STATS_FILE = "stats.tsv"

# Windows at a time: a filter's activations of so many stay in a core's cache.
_BATCH = 128

Labels = npt.NDArray[np.int8]


class _Batch(NamedTuple):
    """What a model reads of some windows, and their labels [n, cells], if there are any."""

    arrays: Arrays
    labels: Labels | None


class _Source(Protocol):
    """Windows that can be read as often as need be."""

    labelled: bool

    def check(self, progress: Progress) -> int:
        """Read everything, raise at the first fault, and return the number of windows."""

    def batches(self) -> Iterator[_Batch]:
        """Yield what the model reads."""


def filter_motifs(
    model: ModelLike,
    arrays: Arrays | None = None,
    out: PathLike | None = None,
    *,
    labels: Labels | None = None,
    data: PathLike | Sequence[PathLike] | None = None,
    sequences: PathLike | None = None,
    sites: PathLike | None = None,
    genome: GenomeLike | None = None,
    table: PathLike | MethylationTable | None = None,
    progress: Progress = SILENT,
) -> FilterMotifs:
    """Find the motifs of the first convolution's filters, as the original program does.

    A filter's motif is made of the k-mers in the windows that activate it by at least half
    of the way from its mean to its largest activation, and of no more than the 25,000 that
    activate it most. Windows are read twice; activations are not held.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model, of a module that reads windows.
    arrays : mapping of str to ndarray, shapes (n, ...)
        What the model reads, as `MethylationModel.predict_arrays` takes it.
    out
        A folder to write, with ``meme.txt``, ``stats.tsv`` and what docs/motifs.md tells of.
    labels : ndarray of int8, shape (n, cells)
        Of `arrays`: 1 methylated, 0 unmethylated, -1 missing.
    data
        In place of arrays, labelled sites: a table (``.h5ad``) with its `genome`, or data files
        of the original program.
    sequences
        Or a text file with a window a line.
    sites, genome
        Or a file of sites, and their reference.
    table
        A table with labels of `sites`, and with the neighbours that a Joint module reads.
    progress
        Who is told.

    Returns
    -------
    FilterMotifs

    Raises
    ------
    DeepCpgError
        When these do not go together, the model reads no windows, or a file cannot be read or
        written.
    """
    given = {"arrays": arrays, "data": data or None, "`sequences`": sequences, "`sites`": sites}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise InputError(
            "input: expected labelled data, `sequences` or `sites`, received "
            f"{' and '.join(named) or 'none'}"
        )
    folder = None if out is None else Path(out)
    if folder is not None:
        check_new(folder)
        check_writable(folder)
    files = paths_of(data) if data else []
    check_other_than(folder, *files, sequences, sites, genome, table, model)
    loaded = open_model(model)
    if DNA not in loaded.parts or loaded.config.module == "local":
        raise InputError(
            f"model: expected one that reads windows of DNA, received a {loaded.config.module} "
            "module"
        )
    loaded.check_values()
    source: _Source
    if arrays is not None:
        source = _InMemory(loaded, arrays, labels)
    elif files:
        source = _Labelled(loaded, files, genome, table)
    else:
        source = _Files(loaded, sequences, sites, genome, table)
    if labels is not None and arrays is None:
        raise InputError("labels: expected with `arrays` alone")
    return _found(loaded, source, folder, progress)


def _found(
    model: MethylationModel, source: _Source, folder: Path | None, progress: Progress
) -> FilterMotifs:
    """Find the motifs, and write them."""
    from deepcpg_tf.variants.filters import Filters
    from deepcpg_tf.variants.motifs import (
        ActivationStatistics,
        KmerCounts,
        motifs_of,
        thresholds_of,
    )

    total = source.check(progress)
    filters = Filters.of(model)
    statistics = ActivationStatistics(filters)
    progress.begins("activations", total, "windows")
    for batch in source.batches():
        statistics.add(batch.arrays["windows"])
        progress.advances(rows(batch.arrays))
    activations = statistics.result()
    counted = KmerCounts(filters, thresholds_of(activations))
    progress.begins("k-mers", total, "windows")
    for batch in source.batches():
        counted.add(batch.arrays["windows"])
        progress.advances(rows(batch.arrays))
    motifs = motifs_of(filters, activations, counted, total)
    if folder is not None:
        with atomic_folder(folder) as stage:
            _write(stage, motifs)
    return motifs


def _write(stage: Path, motifs: FilterMotifs) -> None:
    from deepcpg_tf.variants.meme import meme_text, stats_text

    (stage / MEME_FILE).write_text(meme_text(motifs), encoding="utf-8")
    (stage / STATS_FILE).write_text(stats_text(motifs), encoding="utf-8")


class _InMemory:
    """Windows in memory."""

    def __init__(self, model: MethylationModel, arrays: Arrays, labels: Labels | None) -> None:
        self._arrays = model._own(arrays)
        self._sites = model.reads.check(self._arrays)
        self._labels = labels
        self.labelled = labels is not None
        expected = (self._sites, len(model.cells))
        if labels is not None and labels.shape != expected:
            raise InputError(
                f"labels: expected shape (n, cells), here {expected}, received {labels.shape}"
            )

    def check(self, progress: Progress) -> int:
        if not self._sites:
            raise InputError("arrays: expected windows, received none")
        return self._sites

    def batches(self) -> Iterator[_Batch]:
        for part in _slices(self._sites):
            labels = None if self._labels is None else self._labels[part]
            yield _Batch(take(self._arrays, part), labels)


class _Labelled:
    """Sites with labels, of a table or of the original's data files."""

    labelled = True

    def __init__(
        self,
        model: MethylationModel,
        files: list[Path],
        genome: GenomeLike | None,
        table: PathLike | MethylationTable | None,
    ) -> None:
        from deepcpg_tf.data.opening import open_data
        from deepcpg_tf.genome.reference import Genome

        if table is not None:
            raise InputError("table: expected with `sites` alone, received one with `data`")
        reference = genome.path if isinstance(genome, Genome) else genome
        data = open_data(files, None if reference is None else Path(reference))
        self._examples = data.examples(model.config)
        self._columns = columns_of(model.cells, data)

    def check(self, progress: Progress) -> int:
        sites = len(self._examples.positions)
        if not sites:
            raise InputError("data: expected sites, found none")
        return sites

    def batches(self) -> Iterator[_Batch]:
        for part in _slices(len(self._examples.positions)):
            indices = np.arange(part.start, part.stop)
            labels = self._examples.labels(indices)[:, self._columns].astype(np.int8)
            yield _Batch(self._examples.arrays(indices), labels)


class _Files:
    """A file of windows, or of sites of a genome, whose labels are looked up in a table."""

    def __init__(
        self,
        model: MethylationModel,
        sequences: PathLike | None,
        sites: PathLike | None,
        genome: GenomeLike | None,
        table: PathLike | MethylationTable | None,
    ) -> None:
        from deepcpg_tf.configs.cpg import cpg_part
        from deepcpg_tf.workflows.inputs import ModelInputs

        if table is not None and (sites is None or genome is None):
            raise InputError("table: expected with `sites` alone, received one with others")
        held = None if table is None else open_table(table)
        reference = None if genome is None else open_genome(genome)
        near = held if cpg_part(model.config) is not None else None
        self._inputs = ModelInputs(
            model, sequences=sequences, sites=sites, genome=reference, table=near
        )
        self.labelled = held is not None
        self._table: MethylationTable | None = None
        if held is not None and reference is not None:
            self._table = held.on(reference)
            self._genome = reference
            self._columns = _columns(model.cells, held)

    def check(self, progress: Progress) -> int:
        return self._inputs.check(progress)

    def batches(self) -> Iterator[_Batch]:
        for keys, arrays in self._inputs.batches(_BATCH):
            labels = None
            if self._table is not None:
                names = list(map(str, keys["chromosome"]))
                labels = self._labels(self._table, names, np.asarray(keys["position"], np.int64))
            yield _Batch(arrays, labels)

    def _labels(
        self, table: MethylationTable, names: Sequence[str], positions: npt.NDArray[np.int64]
    ) -> Labels:
        """Return the labels of some sites, -1 of those that the table has not."""
        ids = {name: i for i, name in enumerate(table.chromosomes)}
        found = np.array([ids.get(self._genome.resolve(name), len(ids)) for name in names])
        # In the table, sites are sorted by chromosome and position.
        places = _order(table.chromosome_ids, table.positions)
        wanted = _order(found, positions)
        where = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
        labels = table.labels(where)[:, self._columns]
        labels[places[where] != wanted] = -1
        return labels


def _columns(cells: Sequence[str], table: MethylationTable) -> list[int]:
    """Return where a table has the cells of a model."""
    missing = [cell for cell in cells if cell not in table.cells]
    if missing:
        raise ConfigError(
            f"table: expected the model's cells ({', '.join(cells)}), found no "
            f"{', '.join(missing)} among {', '.join(table.cells)}"
        )
    return [table.cells.index(cell) for cell in cells]


def _order(ids: npt.NDArray[Any], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return a number that grows with chromosome and position."""
    return ids.astype(np.int64) << 40 | positions


def _slices(number: int) -> Iterator[slice]:
    """Yield slices of so many windows, each a batch."""
    for start in range(0, number, _BATCH):
        yield slice(start, min(start + _BATCH, number))
