"""What calibrates the probabilities of a model: what it keeps, or the shares of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.configs.cpg import cpg_part
from deepcpg_tf.errors import ConfigError, InputError
from deepcpg_tf.genome.names import shown_names
from deepcpg_tf.workflows.opening import PathLike

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.models.base import MethylationModel

_ROWS = 1 << 17


class Labelled(Protocol):
    """Sites with labels: a methylation table, or examples of any data."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Position of each site."""

    def labels(
        self, indices: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int8] | npt.NDArray[np.float32]:
        """Return the labels [n, cells] of some sites: 1, 0, or -1 where missing."""


class Calibrated(NamedTuple):
    """What calibrates a model, and what is told of that."""

    calibration: Calibration
    told: str


def needs_shares(model: MethylationModel) -> bool:
    """Return whether a model was trained with balanced classes, and does not keep the shares.

    So were all models that others trained, as far as files tell: it is the original's default.
    """
    if model.config.calibration is not None or not model.cells:
        return False
    settings = model.provenance.get("settings")
    return not isinstance(settings, dict) or bool(settings.get("class_weights", True))


def calibration_of(
    model: MethylationModel,
    data: Labelled | None,
    sites: npt.NDArray[np.int64] | None = None,
    *,
    strict: bool = True,
) -> Calibrated:
    """Return what calibrates the cells of a model.

    Parameters
    ----------
    model
        The model.
    data
        Of which the methylated shares of cells are taken that the model does not keep.
    sites : ndarray of int64, shape (n,), optional
        Indices of the sites that count for these, by default all.
    strict
        Whether it is an error that the data have the shares of no cell.

    Raises
    ------
    InputError
        When shares are needed and there are no data, or these have none.
    """
    kept = model.config.calibration or Calibration()
    if not needs_shares(model):
        return Calibrated(kept, _told(kept, "as the model keeps it"))
    if data is None:
        raise InputError(
            "table: expected a table (.h5ad) of the model's cells with `calibrated`, to undo the "
            "balance of classes in training by the methylated share of each cell, which the model "
            "does not keep; received none"
        )
    found = shares_of(data, model.cells, sites)
    if not found.has_shares and not strict:
        return Calibrated(
            found,
            "probabilities are as predicted: classes were balanced in training, and the data "
            "have not both states of any cell, to undo it by their share",
        )
    if not found.has_shares:
        raise InputError(
            "calibrated: expected methylated and unmethylated sites in the data of some of the "
            f"model's cells ({shown_names(model.cells)}), by the shares of which the balance of "
            "classes in training is undone, received none"
        )
    known = dict(zip(found.cells, found.shares, strict=True))
    without = [cell for cell in model.cells if known.get(cell) is None]
    told = _told(found, "as the data have it")
    if without:
        told += (
            f"; as predicted are {len(without)} of {len(model.cells)} cells, of which the data "
            f"have not both states: {shown_names(without)}"
        )
    return Calibrated(found, told)


def shares_of(
    data: Labelled, cells: Sequence[str], sites: npt.NDArray[np.int64] | None = None
) -> Calibration:
    """Return the methylated shares of those of some cells that data have."""
    columns = {cell: i for i, cell in enumerate(data.cells)}
    both = [cell for cell in cells if cell in columns]
    own = [columns[cell] for cell in both]
    counts = np.zeros((len(both), 2), np.int64)
    sites = np.arange(len(data.positions)) if sites is None else sites
    for start in range(0, len(sites), _ROWS):
        labels = data.labels(sites[start : start + _ROWS])[:, own]
        counts += np.stack([(labels == 0).sum(axis=0), (labels == 1).sum(axis=0)], axis=1)
    return Calibration.of_counts(both, counts)


def check_calibrated(model: MethylationModel) -> None:
    """Refuse to calibrate a model without cells.

    Raises
    ------
    ConfigError
    """
    if model.config.outputs and not model.cells:
        raise ConfigError(
            "calibrated: expected a model of cells, received one of "
            f"{', '.join(model.config.outputs)} alone"
        )


def table_of_neighbours(
    model: MethylationModel, table: PathLike | MethylationTable | None, *, calibrated: bool
) -> PathLike | MethylationTable | None:
    """Return a table where neighbours are read of it; None where nothing but shares is."""
    shares_alone = calibrated and cpg_part(model.config) is None and needs_shares(model)
    return None if shares_alone else table


def _told(calibration: Calibration, whence: str) -> str:
    temperatures = (
        "logits are divided by the temperatures that were fitted"
        if calibration.has_temperatures
        else "no temperature was fitted (calibrate does that)"
    )
    if calibration.has_shares:
        return (
            "probabilities are calibrated: the balance of classes in training is undone by the "
            f"methylated share of each cell, {whence}; {temperatures}"
        )
    if calibration.has_temperatures:
        return f"probabilities are calibrated: no classes were balanced in training; {temperatures}"
    return f"probabilities are as predicted: no classes were balanced in training; {temperatures}"
