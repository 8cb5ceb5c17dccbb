"""Examples with targets of outputs other than cells beside their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.inputs import Arrays, Inputs

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Data, Examples

Targets = npt.NDArray[np.float32]


class TargetExamples:
    """Examples whose labels have a column for each other output, after those of the cells.

    They are float32: numbers, or classes from 0; -1 where missing, as of cells.

    Parameters
    ----------
    examples
        With labels of cells.
    cells
        Those of them that are kept, all or none.
    outputs
        Names of the outputs.
    targets : ndarray of float32, shape (sites, outputs)
        Those of all sites.
    """

    def __init__(
        self,
        examples: Examples,
        cells: tuple[str, ...],
        outputs: tuple[str, ...],
        targets: Targets,
    ) -> None:
        self._examples = examples
        self._targets = targets
        self._number = len(cells)
        self.cells = (*cells, *outputs)
        self.reads: Inputs = examples.reads
        self.chromosomes = examples.chromosomes
        self.chromosome_ids = examples.chromosome_ids
        self.positions = examples.positions

    def prepare(self, *, hold: bool) -> None:
        """Make reading in random order fast; with `hold`, from memory."""
        self._examples.prepare(hold=hold)

    def arrays(self, indices: npt.NDArray[np.int64]) -> Arrays:
        """Return an array [n, ...] for each input of some sites."""
        return self._examples.arrays(indices)

    def labels(self, indices: npt.NDArray[np.int64]) -> Targets:
        """Return the labels and targets [n, cells + outputs] of some sites, -1 where missing."""
        labels = self._examples.labels(indices)[:, : self._number]
        return np.concatenate([labels, self._targets[indices]], axis=1, dtype=np.float32)

    def origins(self) -> dict[str, str]:
        """Return checksums of what the arrays are made of, by what that is."""
        return self._examples.origins()


def examples_of(data: Data, config: ModuleConfig) -> Examples:
    """Return the sites of data with what a model reads of them, and what it is to predict.

    Its cells are all of the data's, or none.

    Raises
    ------
    DeepCpgError
        When the data lack what the model reads or predicts.
    """
    examples = data.examples(config)
    if not config.outputs:
        return examples
    return TargetExamples(examples, config.cells, config.outputs, data.targets(config.outputs))
