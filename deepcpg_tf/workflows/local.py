"""What verbs do of their own with a local module, which predicts entries and not sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeGuard

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.configs.names import LOCAL
from deepcpg_tf.data.opening import TableData
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.errors import InputError
from deepcpg_tf.local.entries import Entries
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.calibration import calibration_of
from deepcpg_tf.workflows.opening import PathLike, open_table

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Data, Examples
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.models.local import LocalForEntryPrediction
    from deepcpg_tf.scan.local import LocalEngine
    from deepcpg_tf.training.trainer import Parts

_BATCH_SIZE = 4096

MOST_ENTRIES = 5_000_000
"""Observed entries that a local module is trained on, where nothing else is asked for."""


def is_local(model: MethylationModel) -> TypeGuard[LocalForEntryPrediction]:
    """Return whether a model is a local module."""
    return model.config.module == LOCAL


def table_of(data: Data, config: ModuleConfig) -> TableData:
    """Return data as a table.

    Raises
    ------
    InputError
        When they are files of the original program.
    """
    if not isinstance(data, TableData):
        raise InputError(
            f"data: expected a table (.h5ad), which a {config.module} module reads, received data "
            "files of the original; make a table of them: deepcpg-tf data import-legacy"
        )
    return data


def local_entries(
    data: Data,
    model: MethylationModel,
    parts: Parts,
    most: int,
    seed: int,
    progress: Progress = SILENT,
) -> Entries:
    """Return the entries of a table that a local module is trained and validated on.

    Raises
    ------
    InputError
        When there is no table, or the module reads DNA and there is no genome.
    """
    from deepcpg_tf.scan.local import DnaEmbedder

    assert is_local(model)
    config = model.config
    assert isinstance(config, LocalConfig)
    opened = table_of(data, config)
    embed, origins = None, {}
    if config.dna is not None:
        if opened.genome is None:
            raise InputError(
                "genome: expected a reference, of which the DNA module reads windows, received none"
            )
        embed = DnaEmbedder(model, opened.genome)
        origins["genome"] = opened.genome.digest(opened.chromosomes)
    return Entries(
        opened.table,
        config,
        parts.train,
        parts.validation,
        most=most,
        seed=seed,
        embed=embed,
        origins=origins,
        progress=progress,
    )


def open_engine(
    model: LocalForEntryPrediction,
    table: PathLike | MethylationTable | None,
    genome: Genome | None,
    *,
    calibrated: bool = False,
) -> LocalEngine:
    """Return a local module made ready for the cells of a table.

    Raises
    ------
    InputError
        When there is no table or genome.
    TableError
        When the table has less than two cells, or another reference.
    """
    from deepcpg_tf.scan.local import LocalEngine

    if genome is None:
        raise InputError(
            "model: expected a dna module with windows alone, received a local module, which "
            "predicts sites of a genome, next to those of a table"
        )
    if table is None:
        raise InputError(
            "table: expected a methylation table, the cells of which a local module predicts, "
            "received none"
        )
    engine = LocalEngine(model, open_table(table).on(genome), genome)
    if calibrated:
        found = calibration_of(model, None)
        engine.adjustment = found.calibration.offsets_and_temperatures(engine.cells)
        engine.told = found.told
    return engine


def predicted_sites(
    model: MethylationModel,
    data: Data,
    examples: Examples,
    indices: npt.NDArray[np.int64],
    values: Literal["probabilities", "logits"],
    progress: Progress,
) -> npt.NDArray[np.float32]:
    """Return what is predicted of some sites of data, [n, units].

    By a local module it is of all cells of the data, each entry without its own state.
    """
    if is_local(model):
        from deepcpg_tf.scan.local import LocalEngine

        opened = table_of(data, model.config)
        engine = LocalEngine(model, opened.table, opened.genome)
        ids, positions = examples.chromosome_ids[indices], examples.positions[indices]
        sites = SiteColumns(examples.chromosomes, ids, positions)
        compute = engine.logits if values == "logits" else engine.probabilities
        return compute(None, None, sites, progress)
    found = np.empty((len(indices), model.config.units), np.float32)
    for start in range(0, len(indices), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        found[rows] = model.predict_arrays(examples.arrays(indices[rows]), values)
        progress.advances(len(indices[rows]))
    return found
