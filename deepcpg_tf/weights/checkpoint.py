"""A checkpoint in memory, whatever file it came from, and the model made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.models.config import DeepCpgDnaConfig

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction


class Checkpoint(NamedTuple):
    """Weights with the architecture they belong to.

    ``tensors`` is float32 in the layout of Keras 3, named ``dna/<layer>/kernel``
    ([width, in, out] or [in, out]), ``dna/<layer>/bias``, ``cpg/kernel``
    ([bottleneck, cells]) and ``cpg/bias``. ``path`` is the file they were read from,
    and ``provenance`` what a model made of them keeps of their origin.
    """

    config: DeepCpgDnaConfig
    tensors: Mapping[str, npt.NDArray[np.float32]]
    provenance: Mapping[str, Any]
    path: Path


def build_model(checkpoint: Checkpoint) -> DeepCpgDnaForSequencePrediction:
    """Make a model with the weights of a checkpoint.

    Raises
    ------
    CheckpointError
        When a tensor is missing, left over, of another shape or not finite.
    """
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

    model = DeepCpgDnaForSequencePrediction(checkpoint.config, provenance=checkpoint.provenance)
    variables = model.variables_by_name
    where = f"{checkpoint.path}: tensor"
    for name, variable in variables.items():
        tensor = checkpoint.tensors.get(name)
        if tensor is None:
            raise CheckpointError(f"{where} {name}: expected, but the checkpoint lacks it")
        if tensor.shape != tuple(variable.shape):
            raise CheckpointError(
                f"{where} {name}: expected shape {tuple(variable.shape)}, found {tensor.shape}"
            )
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{where} {name}: expected finite numbers, found NaN or infinity")
        variable.assign(tensor)
    for name in checkpoint.tensors:
        if name not in variables:
            raise CheckpointError(f"{where} {name}: in the checkpoint, but the model has none such")
    return model
