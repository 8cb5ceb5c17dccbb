"""Predicting sites in all cells of a table with a local module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from deepcpg_tf.configs.calibration import Adjustment
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.errors import InputError
from deepcpg_tf.local.features import Features
from deepcpg_tf.local.network import Network
from deepcpg_tf.local.reader import LocalReader, rows_of
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.scan.engine import ScanEngine

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.models.local import LocalForEntryPrediction

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class DnaEmbedder:
    """Embeds the DNA around sites, once a site, as the features beside it are read.

    Parameters
    ----------
    model
        A local module with a DNA module.
    genome
        The reference.
    """

    def __init__(self, model: LocalForEntryPrediction, genome: Genome) -> None:
        from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

        assert model.config.dna is not None
        dna = DeepCpgDnaForSequencePrediction(model.config.dna)
        own, weights = dna.variables_by_name, model.variables_by_name
        for name in model.config.dna.hidden_shapes:
            own[name].assign(weights[name])
        self._engine = ScanEngine(dna)
        self._genome = genome

    def __call__(self, chromosome: str, positions: Ints) -> npt.NDArray[np.float16]:
        """Return the embedding [n, size] of sites of a chromosome, ascending."""
        found = self._engine.embeddings(self._genome.codes(chromosome), positions)
        return found.astype(np.float16)


class LocalEngine:
    """A local module made ready for the sites of a table, or others of its chromosomes.

    It predicts entries, observed or not, each as if it were not observed.

    Parameters
    ----------
    model
        The module.
    table
        With the cells to predict, and chromosomes called as the sites' are.
    genome
        The reference, for a module that reads DNA.

    Attributes
    ----------
    table : MethylationTable
        The table.
    cells : tuple of str
        Those of the table.
    adjustment : Adjustment or None
        What calibrates the probabilities.
    told : str or None
        What is told of that.
    reach : int
        How far from its site DNA is read, in bases; 0 where none is.

    Raises
    ------
    InputError
        When the module reads DNA, and there is no genome.
    TableError
        When the table has less than two cells.
    """

    def __init__(
        self,
        model: LocalForEntryPrediction,
        table: MethylationTable,
        genome: Genome | None = None,
    ) -> None:
        self.table = table
        self.cells = table.cells
        self.reach = 0
        self.adjustment: Adjustment | None = None
        self.told: str | None = None
        self._reader = LocalReader(table, model.config)
        tensors = {name: variable.numpy() for name, variable in model.variables_by_name.items()}
        self._network = Network(model.config, tensors)
        self._embed: DnaEmbedder | None = None
        if model.config.dna is not None:
            if genome is None:
                raise InputError(
                    "genome: expected a reference, of which the module reads windows, received none"
                )
            self._embed = DnaEmbedder(model, genome)

    def digest(self) -> str:
        """Return a checksum of what is read of the table."""
        return self._reader.digest()

    @property
    def observed_chromosomes(self) -> frozenset[str]:
        """Those with an observed site in any of the cells."""
        return self._reader.observed_chromosomes

    def logits(
        self,
        codes: object,
        positions: object,
        sites: SiteColumns,
        progress: Progress = SILENT,
    ) -> Floats:
        """Predict sites, float32 [n, cells]; other parameters are those of `ScanEngine.logits`.

        Parameters
        ----------
        codes, positions
            Not read: DNA is that of the reference.
        sites
            n sites; those of a chromosome together, and ascending.
        progress
            Who is told of the sites done.
        """
        result = np.empty((len(sites.positions), len(self.cells)), np.float32)
        for chromosome, rows in rows_of(sites.chromosomes, sites.chromosome_ids):
            self._fill(result[rows], chromosome, sites.positions[rows], progress)
        return result

    def probabilities(
        self,
        codes: object,
        positions: object,
        sites: SiteColumns,
        progress: Progress = SILENT,
    ) -> Floats:
        """Return the probabilities of sites; parameters are those of `logits`."""
        logits = self.logits(codes, positions, sites, progress)
        if self.adjustment is not None:
            logits = self.adjustment.of_logits(logits)
        result: Floats = expit(logits)
        return result

    def _fill(self, result: Floats, chromosome: str, positions: Ints, progress: Progress) -> None:
        embedding = None if self._embed is None else self._embed(chromosome, positions)

        def use(run: slice, features: Features) -> int:
            own = None if embedding is None else embedding[run].astype(np.float32)
            result[run] = self._network.logits(features, own)
            return run.stop - run.start

        for done in self._reader.read(chromosome, positions, use):
            progress.advances(done)
