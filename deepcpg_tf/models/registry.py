"""The model of each module, by the name that files give the module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.models.base import MethylationModel
from deepcpg_tf.models.cpg import DeepCpgCpgForSitePrediction
from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction
from deepcpg_tf.models.joint import DeepCpgJointForSitePrediction
from deepcpg_tf.models.local import LocalForEntryPrediction
from deepcpg_tf.weights.checkpoint import Checkpoint
from deepcpg_tf.weights.load import read_checkpoint

MODELS: dict[str, type[MethylationModel]] = {
    cls.config_type.module: cls
    for cls in (
        DeepCpgDnaForSequencePrediction,
        DeepCpgCpgForSitePrediction,
        DeepCpgJointForSitePrediction,
        LocalForEntryPrediction,
    )
}


def new_model(config: ModuleConfig, dtype: str | None = None) -> MethylationModel:
    """Make a model with weights as Keras starts them.

    Parameters
    ----------
    config
        That of any module.
    dtype
        Keras dtype policy; the default is Keras' global policy.
    """
    cls: Any = MODELS[config.module]
    model: MethylationModel = cls(config, dtype=dtype)
    return model


def build_model(checkpoint: Checkpoint) -> MethylationModel:
    """Make the model that a checkpoint is of, whichever module that is.

    Raises
    ------
    CheckpointError
        When a tensor is missing, left over, of another shape or not finite.
    """
    return MODELS[checkpoint.config.module].from_checkpoint(checkpoint)


def load_model(preset: str | Path) -> MethylationModel:
    """Load a model with its weights, whichever module it is.

    Parameters
    ----------
    preset
        The name of a published variant (its files are downloaded when they are not in
        the cache), or a folder: one that `MethylationModel.save_to_preset` wrote, one
        with the files of a legacy checkpoint, or one of MultiMolecule.

    Raises
    ------
    CheckpointError
        When there is no such preset, or its files are damaged or of another kind.
    DownloadError
        When the published files are not in the cache and cannot be downloaded.
    """
    return build_model(read_checkpoint(preset))
