"""A checkpoint in memory, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.errors import CheckpointError

Tensors = dict[str, npt.NDArray[np.float32]]


class Checkpoint(NamedTuple):
    """Weights with the architecture they belong to.

    ``tensors`` is float32 in the layout of Keras 3, with the names and shapes that
    ``config.tensor_shapes`` says: ``dna/<layer>/kernel`` ([width, in, out] or [in, out]),
    ``dna/<layer>/bias``, …, ``cpg/kernel`` ([embedding, cells]) and ``cpg/bias``.
    ``provenance`` is what a model made of them keeps of their origin, and ``source`` what
    an error calls them: the file they were read from.
    """

    config: ModuleConfig
    tensors: Mapping[str, npt.NDArray[np.float32]]
    provenance: Mapping[str, Any]
    source: str

    def check(self) -> None:
        """Refuse tensors that are not exactly those that the configuration calls for.

        Raises
        ------
        CheckpointError
            When a tensor is missing, left over, of another shape or not finite.
        """
        shapes = {name: tensor.shape for name, tensor in self.tensors.items()}
        check_shapes(shapes, self.config, self.source)
        for name, tensor in self.tensors.items():
            if not np.isfinite(tensor).all():
                raise CheckpointError(
                    f"{self.source}: tensor {name}: expected finite numbers, found NaN or infinity"
                )


def check_shapes(
    shapes: Mapping[str, tuple[int, ...] | None], config: ModuleConfig, source: str
) -> None:
    """Refuse tensors that are not those that a configuration calls for.

    Parameters
    ----------
    shapes
        The shape of each tensor by name.
    config
        The configuration.
    source
        What an error calls the tensors.

    Raises
    ------
    CheckpointError
        When a tensor is missing, left over or of another shape.
    """
    expected = config.tensor_shapes
    where = f"{source}: tensor"
    for name, shape in expected.items():
        if name not in shapes:
            raise CheckpointError(f"{where} {name}: expected, but the checkpoint lacks it")
        if shapes[name] != shape:
            raise CheckpointError(f"{where} {name}: expected shape {shape}, found {shapes[name]}")
    for name in shapes:
        if name not in expected:
            raise CheckpointError(f"{where} {name}: in the checkpoint, but the model has none such")


def part_of(checkpoint: Checkpoint, part: str) -> Checkpoint:
    """Return one of the modules that a Joint module joins, as a model of its own.

    The heads of a Joint module read the joint embedding, so that a part has none: they are
    zeros, and its configuration says that they are not trained.

    Parameters
    ----------
    checkpoint
        Of a Joint module.
    part
        The original's scope of the part: ``"dna"`` or ``"cpg"``.

    Raises
    ------
    CheckpointError
        When there is no such part.
    """
    parts = checkpoint.config.parts
    if part not in parts or len(parts) == 1:
        received = f"{checkpoint.config.module} module"
        raise CheckpointError(
            f"{checkpoint.source}: expected a joint module with a part {part!r}, "
            f"received a {received}"
        )
    config = parts[part].with_untrained_head()
    tensors = {name: checkpoint.tensors[name] for name in config.hidden_shapes}
    for name in config.tensor_shapes.keys() - tensors.keys():
        tensors[name] = np.zeros(config.tensor_shapes[name], np.float32)
    provenance = {**checkpoint.provenance, "part": part}
    return Checkpoint(config, tensors, provenance, checkpoint.source)
