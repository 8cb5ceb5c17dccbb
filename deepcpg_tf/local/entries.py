"""Entries to train a local module on: observed states, with the features of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import TrainingError
from deepcpg_tf.inputs import Arrays, Inputs
from deepcpg_tf.local.features import Features
from deepcpg_tf.local.reader import LocalReader, rows_of
from deepcpg_tf.progress import SILENT, Progress

Ints = npt.NDArray[np.int64]
Embed = Callable[[str, Ints], npt.NDArray[np.float16]]
"""Returns the embedding of the DNA of some sites of a chromosome, [n, size]."""

_STRETCH = 64
"""Sites next to each other that are drawn together."""


class Entries:
    """Observed entries of a table as examples, each with its features and its one label.

    Parameters
    ----------
    table
        The table.
    config
        Of the module.
    train, validation : ndarray of int64
        Indices of the sites of which entries are drawn. How cells are, and how alike, is told
        by the sites to train on alone.
    most
        Entries to train on, at most; for validation half as many.
    seed
        Of what is drawn.
    embed
        What embeds DNA, where the module reads that.
    origins
        Checksums of what the arrays are made of, by what that is.
    progress
        Who is told of the features made.

    Attributes
    ----------
    train, validation : ndarray of int64
        Indices of the entries to train and validate on.
    """

    def __init__(
        self,
        table: MethylationTable,
        config: LocalConfig,
        train: Ints,
        validation: Ints,
        *,
        most: int,
        seed: int,
        embed: Embed | None = None,
        origins: Mapping[str, str] | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.cells = config.cells
        self.reads: Inputs = config.reads
        self._config = config
        self._table = table
        self._embed = embed
        self._origins = dict(origins or {})
        self._progress = progress
        self._reader = LocalReader(table, config, train)
        # An entry is a place among the calls of the table.
        random = np.random.default_rng(seed)
        drawn = [
            _drawn(table, sites, n, random) for sites, n in ((train, most), (validation, most // 2))
        ]
        self._places = np.concatenate(drawn)
        if not len(drawn[0]):
            raise TrainingError("expected labels in the training part, found none")
        self.train = np.arange(len(drawn[0]))
        self.validation = np.arange(len(drawn[0]), len(self._places))
        self._sites = np.searchsorted(table.calls.indptr, self._places, "right") - 1
        self._labels = (table.calls.data[self._places] > 0).astype(np.int8)[:, None]
        self._features = np.empty((0, len(config.feature_names)), np.float32)
        self._embeddings = np.empty((0, 0), np.float16)
        self._embedded: Ints = self._sites

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of the chromosomes that `chromosome_ids` are indices into."""
        return self._table.chromosomes

    @property
    def chromosome_ids(self) -> npt.NDArray[np.int32]:
        """Chromosome of each entry."""
        return self._table.chromosome_ids[self._sites]

    @property
    def positions(self) -> Ints:
        """Position of the site of each entry, 0-based."""
        return self._table.positions[self._sites]

    def prepare(self, *, hold: bool) -> None:
        """Make the features of all entries, which are held in memory in any case."""
        table = self._table
        sites = np.unique(self._sites)
        order = np.argsort(self._places, kind="stable")
        places = self._places[order]
        self._features = np.empty((len(places), len(self._config.feature_names)), np.float32)
        self._progress.begins("making features", len(sites), "sites")
        embeddings = []
        for chromosome, rows in rows_of(table.chromosomes, table.chromosome_ids[sites]):
            own = sites[rows]
            bounds = np.searchsorted(places, table.calls.indptr[[own, own + 1]])
            use = partial(self._place, order, bounds)
            for done in self._reader.read(chromosome, table.positions[own], use):
                self._progress.advances(done)
            if self._embed is not None:
                embeddings.append(self._embed(chromosome, table.positions[own]))
        if embeddings:
            self._embeddings = np.concatenate(embeddings)
            self._embedded = np.searchsorted(sites, self._sites)

    def _place(self, order: Ints, bounds: Ints, run: slice, features: Features) -> int:
        """Put the features of the entries at some sites where they belong; return the sites.

        ``bounds`` [2, sites] are where the entries of each site begin and end in ``order``.
        """
        starts, ends = bounds[:, run]
        own = order[starts[0] : ends[-1]]
        row = np.repeat(np.arange(len(starts)), ends - starts)
        cell = self._table.calls.indices[self._places[own]]
        values = [features.cell[:, row, cell], features.site[:, row]]
        self._features[own] = np.concatenate(values).T
        return len(starts)

    def arrays(self, indices: Ints) -> Arrays:
        """Return the features and, where it is read, the embedding of DNA of some entries."""
        arrays: dict[str, npt.NDArray[np.float32]] = {"features": self._features[indices]}
        if self._embed is not None:
            own = self._embeddings[self._embedded[indices]]
            arrays["embedding"] = own.astype(np.float32)
        return arrays

    def labels(self, indices: Ints) -> npt.NDArray[np.int8]:
        """Return the labels of some entries, int8 [n, 1]: 1 or 0."""
        return self._labels[indices]

    def origins(self) -> dict[str, str]:
        """Return checksums of what the arrays are made of, by what that is."""
        return self._origins


def _drawn(table: MethylationTable, sites: Ints, most: int, random: np.random.Generator) -> Ints:
    """Return which calls of some sites are drawn: of stretches of sites, until there are enough."""
    indptr = table.calls.indptr.astype(np.int64)
    counts = indptr[sites + 1] - indptr[sites]
    if counts.sum() > most:
        stretch = np.arange(len(sites)) // _STRETCH
        of_stretch = np.bincount(stretch, counts)
        order = random.permutation(len(of_stretch))
        enough = int(np.searchsorted(np.cumsum(of_stretch[order]), most)) + 1
        chosen = np.isin(stretch, order[:enough])
        sites, counts = sites[chosen], counts[chosen]
    starts = np.repeat(indptr[sites] - np.cumsum(counts) + counts, counts)
    places: Ints = starts + np.arange(counts.sum())
    if len(places) > most:
        places = np.sort(random.choice(places, most, replace=False))
    return places
