"""What the filters of a model look for: motifs, and how much the model leans on each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.errors import ConfigError, InputError, MissingPackageError
from deepcpg_tf.extras import require
from deepcpg_tf.files import atomic_folder, check_writable
from deepcpg_tf.genome.names import shown_names
from deepcpg_tf.inputs import Arrays, rows, take
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    ModelLike,
    PathLike,
    check_files,
    check_new,
    check_other_than,
    columns_of,
    name_of,
    open_genome,
    open_model,
    open_table,
    paths_of,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.variants.databases import KnownMotif
    from deepcpg_tf.variants.filters import Filters
    from deepcpg_tf.variants.motifs import FilterMotifs
    from deepcpg_tf.variants.roles import FilterRoles, Measure

MEME_FILE = "meme.txt"
STATS_FILE = "stats.tsv"
FILTERS_FILE = "filters.tsv"
CORRELATIONS_FILE = "correlations.tsv"
MATCHES_FILE = "matches.tsv"
PAGE_FILE = "motifs.html"

# Windows that correlations are over, and in which filters are silenced: with labels more,
# of which there are few in a window, and which are more or less chance.
_CORRELATED, _SILENCED, _SILENCED_LABELLED = 10_000, 256, 1024
_SILENCED_BATCH = 64
# Windows at a time: a filter's activations of so many stay in a core's cache.
_BATCH = 128

Labels = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]


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
    database: PathLike | None = None,
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
    database
        Motifs to compare with: a file in MEME's format, or ``"jaspar"``, those of vertebrates
        that the package pyjaspar brings.
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
    check_other_than(folder, *files, sequences, sites, genome, table, model, database)
    known = _known(database)
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
    drawn = folder is not None and _can_draw(progress)
    found = _found(loaded, source, known, progress)
    if folder is not None:
        about = {
            "model": f"{name_of(model)} ({loaded.config.architecture})",
            "windows": f"{found.windows:,}, of {_named(files, sequences, sites)}",
        }
        if database is not None:
            about["database"] = f"{_named([], database)}, {len(known):,} motifs"
        with atomic_folder(folder) as stage:
            _write(stage, found, about)
            if drawn:
                _draw(stage, found, about, progress)
    return found


def _known(database: PathLike | None) -> list[KnownMotif]:
    """Return the motifs to compare with."""
    from deepcpg_tf.variants.databases import JASPAR, jaspar_motifs, read_meme

    if database is None:
        return []
    if database == JASPAR and not Path(database).exists():
        return jaspar_motifs()
    check_files(Path(database))
    return read_meme(Path(database))


def _can_draw(progress: Progress) -> bool:
    """Return whether pictures can be drawn, and say what they need if not."""
    try:
        require("logomaker", "matplotlib", extra="motifs")
    except MissingPackageError as error:
        progress.tells(f"logos and the page are left out: {error}")
        return False
    return True


def _named(files: Sequence[Path], *others: PathLike | None) -> str:
    """Return the names of files, without their folders."""
    names = [Path(file).name for file in [*files, *others] if file is not None]
    return shown_names(names) if names else "arrays"


def _found(
    model: MethylationModel, source: _Source, known: list[KnownMotif], progress: Progress
) -> FilterMotifs:
    """Find the motifs, what they are like, and what they have to do with predictions."""
    from deepcpg_tf.variants.filters import Filters
    from deepcpg_tf.variants.matches import matches_of
    from deepcpg_tf.variants.motifs import (
        ActivationStatistics,
        KmerCounts,
        motifs_of,
        thresholds_of,
    )

    total = source.check(progress)
    filters = Filters.of(model)
    statistics = ActivationStatistics(filters)
    sample = _Sample(model, total, labelled=source.labelled)
    progress.begins("activations", total, "windows")
    for batch in source.batches():
        sample.add(batch, statistics.add(batch.arrays["windows"]))
        progress.advances(rows(batch.arrays))
    activations = statistics.result()
    counted = KmerCounts(filters, thresholds_of(activations))
    progress.begins("k-mers", total, "windows")
    for batch in source.batches():
        counted.add(batch.arrays["windows"])
        progress.advances(rows(batch.arrays))
    motifs = motifs_of(filters, activations, counted, total)
    return dataclasses.replace(
        motifs,
        roles=sample.roles(filters, progress),
        matches=matches_of(motifs, known, progress) if known else (),
    )


class _Sample:
    """Some of the windows, evenly spread, with what is predicted and observed in them."""

    def __init__(self, model: MethylationModel, total: int, *, labelled: bool) -> None:
        self._model = model
        self._labelled = labelled
        self._step = -(-total // _CORRELATED)
        self._silenced_step = -(-total // (_SILENCED_LABELLED if labelled else _SILENCED))
        self._seen = 0
        self._activities: list[Floats] = []
        self._predictions: list[Floats] = []
        self._labels: list[Labels] = []
        self._silenced: list[_Batch] = []

    def add(self, batch: _Batch, activities: Floats) -> None:
        """Take of a batch what belongs to the sample."""
        number = rows(batch.arrays)
        own = np.arange(-self._seen % self._step, number, self._step)
        if len(own):
            predicted = self._model.predict_arrays(take(batch.arrays, own))
            self._activities.append(activities[own])
            self._predictions.append(predicted[:, : len(self._model.cells)])
            if batch.labels is not None:
                self._labels.append(batch.labels[own])
        own = np.arange(-self._seen % self._silenced_step, number, self._silenced_step)
        if len(own):
            labels = None if batch.labels is None else batch.labels[own]
            self._silenced.append(_Batch(take(batch.arrays, own), labels))
        self._seen += number

    def roles(self, filters: Filters, progress: Progress) -> FilterRoles:
        """Return what filters have to do with predictions and labels."""
        from deepcpg_tf.variants.roles import (
            FilterRoles,
            correlations,
            density,
            known_labels,
            principal_components,
        )

        activities = np.concatenate(self._activities)
        labels = np.concatenate(self._labels) if self._labelled else None
        components, explained = principal_components(activities)
        silenced = _joined(self._silenced)
        importance, measure = self._importance(silenced, filters.count, progress)
        densities = [density(own) for own in filters.activations(silenced.arrays["windows"])]
        counts, largest, silent = zip(*densities, strict=True)
        return FilterRoles(
            cells=self._model.cells,
            importance=importance,
            measure=measure,
            predictions=correlations(activities, np.concatenate(self._predictions)),
            labels=None if labels is None else correlations(activities, known_labels(labels)),
            components=components,
            explained=explained,
            densities=np.array(counts),
            largest=np.array(largest),
            silent=np.array(silent),
            windows=len(activities),
            silenced=rows(silenced.arrays),
        )

    def _importance(
        self, sample: _Batch, filters: int, progress: Progress
    ) -> tuple[npt.NDArray[np.float64], Measure]:
        """Return what changes when each filter is silent, and as what that is measured."""
        from deepcpg_tf.variants.roles import loss
        from deepcpg_tf.variants.silencing import Silencer

        silencer = Silencer(self._model)
        total, cells = rows(sample.arrays), len(self._model.cells)
        known = 0 if sample.labels is None else int((sample.labels >= 0).sum())
        changes = np.zeros(filters)
        progress.begins("silencing filters", filters * total, "windows")
        for start in range(0, total, _SILENCED_BATCH):
            part = slice(start, start + _SILENCED_BATCH)
            arrays = take(sample.arrays, part)
            before = self._model.predict_arrays(arrays)[:, :cells]
            for i, after in enumerate(silencer.probabilities(arrays)):
                if known and sample.labels is not None:
                    labels = sample.labels[part]
                    changes[i] += loss(after, labels) - loss(before, labels)
                else:
                    changes[i] += np.abs(after - before).sum(dtype=np.float64)
                progress.advances(len(after))
        return changes / (known or total * cells), "log_loss" if known else "probability"


def _joined(batches: list[_Batch]) -> _Batch:
    """Return batches as one."""
    arrays = {
        name: np.concatenate([one.arrays[name] for one in batches]) for name in batches[0].arrays
    }
    labels = [one.labels for one in batches if one.labels is not None]
    return _Batch(arrays, np.concatenate(labels) if labels else None)


def _write(stage: Path, motifs: FilterMotifs, about: Mapping[str, str]) -> None:
    """Write motifs and tables."""
    from deepcpg_tf.variants.meme import (
        correlations_text,
        filters_text,
        matches_text,
        meme_text,
        stats_text,
    )

    texts = {
        MEME_FILE: meme_text(motifs),
        STATS_FILE: stats_text(motifs),
        FILTERS_FILE: filters_text(motifs),
        CORRELATIONS_FILE: correlations_text(motifs),
    }
    if "database" in about:
        texts[MATCHES_FILE] = matches_text(motifs.matches, motifs.filters)
    for name, text in texts.items():
        (stage / name).write_text(text, encoding="utf-8")


def _draw(stage: Path, motifs: FilterMotifs, about: Mapping[str, str], progress: Progress) -> None:
    """Draw logos and figures, and write the page."""
    from deepcpg_tf.variants.motif_page import density_svg, page_html, weights_svg
    from deepcpg_tf.variants.motif_pictures import (
        components_figure,
        correlations_figure,
        logo_figure,
        picture,
    )

    roles = motifs.roles
    assert roles is not None
    for name in ("logos", "weights", "activations"):
        (stage / name).mkdir()
    for i, name in enumerate(motifs.filters):
        (stage / "weights" / f"{name}.svg").write_text(weights_svg(motifs.weights[i]))
        (stage / "activations" / f"{name}.svg").write_text(density_svg(roles.densities[i]))
    logos = {}
    progress.begins("drawing", len(motifs.found), "logos")
    for i in motifs.found:
        figure = logo_figure(motifs.values[i])
        logos[i] = picture(figure, "png")
        place = stage / "logos" / motifs.filters[i]
        place.with_suffix(".png").write_bytes(logos[i])
        place.with_suffix(".svg").write_bytes(picture(figure, "svg"))
        progress.advances(1)
    figures = {
        "Activities of filters, by their first two components": (
            "components",
            components_figure(roles, motifs),
        ),
        "Filters and cells": ("correlations", correlations_figure(roles)),
    }
    images = {}
    for title, (name, figure) in figures.items():
        images[title] = picture(figure, "png")
        (stage / f"{name}.png").write_bytes(images[title])
        (stage / f"{name}.svg").write_bytes(picture(figure, "svg"))
    page = page_html(motifs, about, logos, images)
    (stage / PAGE_FILE).write_text(page, encoding="utf-8")


class _InMemory:
    """Windows in memory."""

    def __init__(self, model: MethylationModel, arrays: Arrays, labels: Labels | None) -> None:
        self._arrays = model.own_arrays(arrays)
        self._sites = model.reads.check(self._arrays)
        self.labelled = labels is not None
        self._labels = None if labels is None else _checked(labels, self._sites, len(model.cells))

    def check(self, progress: Progress) -> int:
        if not self._sites:
            raise InputError("arrays: expected windows, received none")
        return self._sites

    def batches(self) -> Iterator[_Batch]:
        for part in _slices(self._sites):
            labels = None if self._labels is None else self._labels[part]
            yield _Batch(take(self._arrays, part), labels)


def _checked(labels: Labels, sites: int, cells: int) -> Labels:
    """Return labels in memory that are what they must be."""
    own = np.asarray(labels)
    if own.shape != (sites, cells):
        raise InputError(
            f"labels: expected shape (n, cells), here {(sites, cells)}, received {own.shape}"
        )
    others = own[~np.isin(own, (1, 0, -1))]
    if others.size:
        raise InputError(
            f"labels: expected 1, 0, or -1 where one is missing, received {others[0]!s}"
        )
    return own.astype(np.int8)


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
