"""What predicts missing entries: our modules, CaMelia's method, and simple means.

None reads an entry that it predicts: with it flipped the prediction is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.common import LackingError
from deepcpg_tf.data.splits import Split
from deepcpg_tf.data.table import MethylationTable

if TYPE_CHECKING:
    from deepcpg_tf import TrainingSettings
    from deepcpg_tf.data.examples import TableExamples
    from deepcpg_tf.models.base import MethylationModel

_BATCH = 2048

Sites = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Predictor(Protocol):
    """Learns from some chromosomes, and predicts the entries of others."""

    name: str
    seeded: bool
    """Whether a seed makes a difference."""

    def fit(
        self, table: MethylationTable, train_sites: Sites, validation_sites: Sites, seed: int
    ) -> None:
        """Learn; the labels are those of the sites given, what is around them all the table.

        Raises
        ------
        LackingError
            When something is missing that it needs; it is left out.
        """

    def predict(self, table: MethylationTable, sites: Sites) -> Floats:
        """Return the probability of methylation of some sites in all cells, [sites, cells].

        Each is what is predicted as if that entry were missing, whether it is there or not.
        """


class CellMean:
    """The mean of the cell on the chromosomes to train on."""

    name = "cell mean"
    seeded = False

    def fit(
        self, table: MethylationTable, train_sites: Sites, validation_sites: Sites, seed: int
    ) -> None:
        """Take the means."""
        self.means = _means(table, train_sites)

    def predict(self, table: MethylationTable, sites: Sites) -> Floats:
        """Return the means."""
        return np.tile(self.means, (len(sites), 1))


class OtherCells(CellMean):
    """The other cells at the site, with the cell's own mean as one more of them."""

    name = "other cells at the site"

    def predict(self, table: MethylationTable, sites: Sites) -> Floats:
        """Return the means over the others."""
        calls = table.calls[sites].toarray()
        methylated, observed = calls > 0, calls != 0
        others = methylated.sum(1, keepdims=True) - methylated + self.means
        others /= observed.sum(1, keepdims=True) - observed + 1
        return others.astype(np.float32)


class OwnNeighbours(CellMean):
    """The nearest observed sites of the cell, weighted by the inverse of their distance.

    Ten on each side; the cell's mean, very far away, for those that are not there.
    """

    name = "own neighbours by distance"
    neighbours, far = 20, 1_000_000

    def predict(self, table: MethylationTable, sites: Sites) -> Floats:
        """Return the weighted means."""
        from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
        from deepcpg_tf.data.examples import TableExamples
        from deepcpg_tf.data.neighbours import NeighbourReader

        reads = DeepCpgCpgConfig(
            cells=table.cells,
            neighbours=self.neighbours,
            max_distance=self.far,
            state_means=tuple(map(float, self.means)),
        )
        examples = TableExamples(table, NeighbourReader(table, reads))
        predicted = []
        for indices in _batches(sites):
            arrays = examples.arrays(indices)
            weights = 1 / arrays["dist"]
            predicted.append((arrays["state"] * weights).sum(-1) / weights.sum(-1))
        return np.concatenate(predicted)


class Module:
    """A DNA, CpG or Joint module, as `deepcpg_tf.train` trains it.

    Parameters
    ----------
    folder
        Where trained models are put, each in a folder of its own.
    settings
        How to train, without the seed.
    genome
        Where it reads DNA.
    how
        More of `deepcpg_tf.train`: ``architecture`` and what belongs to it.
    joins
        Modules that a Joint module joins, as ``dna_module`` and ``cpg_module``. They are
        to be fitted before, with the same seed.
    """

    seeded = True

    def __init__(
        self,
        folder: Path,
        settings: TrainingSettings,
        *,
        genome: Path | None = None,
        joins: tuple[Module, Module] | None = None,
        **how: Any,
    ) -> None:
        self.name: str = how["architecture"]
        self._folder, self._settings, self._genome = folder, settings, genome
        self._joins, self._how = joins, how
        self._places: dict[tuple[int, int], Path] = {}
        self.model: MethylationModel

    def place(self, train_sites: Sites, seed: int) -> Path:
        """Return the model that was trained on some sites with a seed.

        Raises
        ------
        LackingError
            When none was.
        """
        if (place := self._places.get((len(train_sites), seed))) is None:
            raise LackingError(f"{self.name}: expected it to be fitted before what joins it")
        return place

    def fit(
        self, table: MethylationTable, train_sites: Sites, validation_sites: Sites, seed: int
    ) -> None:
        """Train."""
        from deepcpg_tf import train

        how: dict[str, Any] = dict(self._how)
        if self._joins:
            dna, cpg = (joined.place(train_sites, seed) for joined in self._joins)
            how |= {"dna_module": dna, "cpg_module": cpg}
        place = _new_folder(self._folder, f"{self.name}-{seed}")
        done = train(
            table_path(table, self._folder),
            place,
            split=_given(train_sites, validation_sites),
            genome=self._genome,
            settings=replace(self._settings, seed=seed),
            **how,
        )
        self._places[len(train_sites), seed] = place
        self.model = done.model

    def predict(self, table: MethylationTable, sites: Sites) -> Floats:
        """Predict: the module reads nothing at the site itself but DNA."""
        examples = self._examples(table)
        predicted = [
            self.model.predict_arrays(examples.arrays(indices)) for indices in _batches(sites)
        ]
        return np.concatenate(predicted)

    def _examples(self, table: MethylationTable) -> TableExamples:
        from deepcpg_tf.data.examples import TableExamples
        from deepcpg_tf.data.opening import reader_of
        from deepcpg_tf.genome.reference import Genome

        genome = None if self._genome is None else Genome(self._genome)
        return TableExamples(table, reader_of(self.model.config, genome, table))


class Local:
    """The module of local numbers, one network for all cells.

    Parameters
    ----------
    folder
        Where trained models are put.
    settings
        How to train, without the seed.
    without
        Groups of its numbers that it does without.
    genome
        Where its DNA module reads.
    dna
        The DNA module of which it reads the embedding, to be fitted before with the same seed.
    """

    seeded = True

    def __init__(
        self,
        folder: Path,
        settings: TrainingSettings | None = None,
        *,
        without: Sequence[str] = (),
        genome: Path | None = None,
        dna: Module | None = None,
    ) -> None:
        more = [] if dna is None else ["with", dna.name]
        self.name = " ".join(["local", *more, *(f"without {group}" for group in without)])
        self._folder, self._settings, self._without = folder, settings, tuple(without)
        self._genome, self._dna = genome, dna
        self.model: Any = None

    def fit(
        self, table: MethylationTable, train_sites: Sites, validation_sites: Sites, seed: int
    ) -> None:
        """Train."""
        from deepcpg_tf import TrainingSettings, train
        from deepcpg_tf.configs.local import GROUPS

        settings = self._settings or TrainingSettings.of_module("local")
        done = train(
            table_path(table, self._folder),
            _new_folder(self._folder, f"local-{seed}"),
            split=_given(train_sites, validation_sites),
            genome=self._genome,
            module="local",
            entries=int(table.calls[train_sites].nnz),  # all, as the other predictors
            groups=[name for name in GROUPS if name not in self._without],
            settings=replace(settings, seed=seed),
            dna_module=None if self._dna is None else self._dna.place(train_sites, seed),
        )
        self.model = done.model

    def predict(self, table: MethylationTable, sites: Sites) -> Floats:
        """Predict every cell of the table given, each entry without its own state."""
        from deepcpg_tf.data.readers import SiteColumns
        from deepcpg_tf.genome.reference import Genome
        from deepcpg_tf.scan.local import LocalEngine

        genome = None if self._genome is None else Genome(self._genome)
        own = SiteColumns(table.chromosomes, table.chromosome_ids[sites], table.positions[sites])
        return LocalEngine(self.model, table, genome).probabilities(None, None, own)


class Unseen:
    """The module of local numbers on cells that it never saw.

    Cells are dealt into parts, and those of each are predicted by a network that was trained
    on the cells of the others alone.

    Parameters
    ----------
    folder
        Where trained models are put.
    parts
        How many.
    """

    seeded = True
    name = "local, cells never seen"

    def __init__(self, folder: Path, parts: int = 5) -> None:
        self._folder, self._parts = folder, parts
        self._trained: list[tuple[npt.NDArray[np.int64], Local]] = []

    def fit(
        self, table: MethylationTable, train_sites: Sites, validation_sites: Sites, seed: int
    ) -> None:
        """Train a network for each part of the cells."""
        order = np.random.default_rng(seed).permutation(len(table.cells))
        self._trained = []
        for cells in np.array_split(order, self._parts):
            left = np.setdiff1d(order, cells)
            seen = replace(
                table,
                cells=tuple(table.cells[cell] for cell in left),
                calls=table.calls[:, left],
                coverage=None,
            )
            local = Local(self._folder)
            local.fit(seen, train_sites, validation_sites, seed)
            self._trained.append((cells, local))

    def predict(self, table: MethylationTable, sites: Sites) -> Floats:
        """Predict each cell by the network that never saw it; all of them are read."""
        predicted = np.empty((len(sites), len(table.cells)), np.float32)
        for cells, local in self._trained:
            predicted[:, cells] = local.predict(table, sites)[:, cells]
        return predicted


class Camelia:
    """CatBoost on CaMelia's features, a model a cell, as its authors have it.

    Parameters
    ----------
    trees
        Of each model; the authors' are the default.
    """

    seeded = True
    name = "CaMelia (CatBoost)"

    def __init__(self, trees: int = 1000) -> None:
        self._trees = trees
        self._models: list[Any] = []

    def fit(
        self, table: MethylationTable, train_sites: Sites, validation_sites: Sites, seed: int
    ) -> None:
        """Train the models of the cells."""
        if find_spec("catboost") is None:
            raise LackingError(
                "CaMelia: expected catboost; pip install --no-deps catboost graphviz plotly"
            )
        from catboost import CatBoostClassifier

        from benchmarks.camelia import CameliaFeatures
        from benchmarks.hiding import hide_entries

        known = hide_entries(table, train_sites)
        features = CameliaFeatures(table).of(known.sites, known.cells)
        self._means = _means(table, train_sites)
        self._models = []
        for cell in range(len(table.cells)):
            chosen = known.cells == cell
            truth = known.truth[chosen]
            if not 0 < truth.sum() < len(truth):
                self._models.append(None)
                continue
            model = CatBoostClassifier(
                iterations=self._trees,
                learning_rate=0.1,
                max_depth=7,
                random_seed=seed,
                verbose=False,
                allow_writing_files=False,
            )
            self._models.append(model.fit(features[chosen], truth))

    def predict(self, table: MethylationTable, sites: Sites) -> Floats:
        """Predict; a cell that had one class to learn from has its mean."""
        from benchmarks.camelia import CameliaFeatures

        cells = len(table.cells)
        features = CameliaFeatures(table).of(
            np.repeat(sites, cells), np.arange(len(sites) * cells) % cells
        )
        predicted = np.tile(self._means, (len(sites), 1))
        for cell, model in enumerate(self._models):
            if model is not None:
                predicted[:, cell] = model.predict_proba(features[cell::cells])[:, 1]
        return predicted


def table_path(table: MethylationTable, folder: Path) -> Path:
    """Return the file of a table, which is written once for all that train on it."""
    from deepcpg_tf.data.table_file import write_table

    calls = table.calls
    content = hashlib.sha256("\t".join(table.cells).encode())
    for array in (calls.indptr, calls.indices, calls.data, table.positions):
        content.update(np.ascontiguousarray(array).data)
    path = folder / f"cells-{content.hexdigest()[:16]}.h5ad"
    if not path.exists():
        write_table(table, path)
    return path


def _new_folder(folder: Path, name: str) -> Path:
    """Return a place that is free: the same is trained again on other entries."""
    taken = sum(1 for _ in folder.glob(f"{name}-run*"))
    return folder / f"{name}-run{taken}"


def _given(train_sites: Sites, validation_sites: Sites) -> Any:
    """Return what splits into sites that are chosen already."""
    return lambda _: Split(train_sites, validation_sites, np.empty(0, np.int64))


def _means(table: MethylationTable, sites: Sites) -> Floats:
    from deepcpg_tf.data.neighbours import state_means

    return np.array(state_means(table, table.cells, sites), np.float32)


def _batches(indices: Sites) -> list[Sites]:
    return [indices[start : start + _BATCH] for start in range(0, len(indices), _BATCH)]
