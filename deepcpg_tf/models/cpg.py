"""The DeepCpG CpG module: neighbouring sites in every cell to an embedding.

Layers mirror the original's in kind, order and name. Source: ``deepcpg/models/cpg.py`` of
DeepCpG 1.0.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.names import CPG
from deepcpg_tf.models.base import MethylationModel, Tensors, path_within
from deepcpg_tf.models.parts import Part, float32_policy, with_head
from deepcpg_tf.models.recurrent import UnrolledGRU


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class DeepCpgCpgModel(Part):
    """States and distances of neighbours to their embedding: a CpG module without heads.

    Inputs: ``state`` and ``dist``, float [n, cells, neighbours] each, from 0 to 1. Output:
    [n, embedding].

    Parameters
    ----------
    config
        The architecture. The default is RnnL1.
    dtype
        Keras dtype policy of all layers; the default is Keras' global policy.

    Raises
    ------
    ConfigError
        When the policy has variables of another type than float32.
    """

    config_type: ClassVar[type[DeepCpgCpgConfig]] = DeepCpgCpgConfig
    config: DeepCpgCpgConfig

    def __init__(
        self,
        config: DeepCpgCpgConfig | None = None,
        *,
        dtype: str | None = None,
        name: str = "cpg_module",
    ) -> None:
        config = DeepCpgCpgConfig() if config is None else config
        policy = float32_policy(dtype)

        # Layers
        layers: list[keras.layers.Layer] = []
        for i, spec in enumerate(config.layers):
            options = {"name": spec.name, "dtype": policy}
            match spec.kind:
                case "merge":
                    layers.append(keras.layers.Concatenate(**options))
                case "time_distributed":  # a Dense acts on the last axis, cell by cell
                    layers.append(keras.layers.Dense(spec.channels, "relu", **options))
                case "bidirectional":
                    is_last = config.layers[i + 1].kind != "bidirectional"
                    gru = UnrolledGRU(
                        spec.channels // 2, return_sequences=not is_last, name="gru", dtype=policy
                    )
                    layers.append(keras.layers.Bidirectional(gru, **options))
                case "average":
                    layers.append(keras.layers.GlobalAveragePooling1D(**options))
                case "dropout":
                    layers.append(keras.layers.Dropout(config.hidden_dropout, **options))

        # Functional graph
        inputs = [keras.Input(one.shape, name=one.name) for one in config.reads]
        x: Any = inputs
        with keras.name_scope(CPG):  # in the paths of variables
            for layer in layers:
                x = layer(x)
        super().__init__(inputs, x, config=config, policy=policy, name=name)

    @property
    def penalised(self) -> list[keras.Variable]:
        """The kernels but for recurrent and frozen ones, as in the original."""
        return [
            variable
            for layer in self.layers
            for variable in layer.trainable_weights
            if path_within(variable, layer).rpartition("/")[2] == "kernel"
        ]


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class DeepCpgCpgForSitePrediction(MethylationModel):
    """Neighbouring sites in every cell to a methylation logit for each cell.

    Inputs: ``state`` and ``dist``, float [n, cells, neighbours]: of each cell first the
    observed neighbours to the left of the site, from far to near, then those to the right,
    from near to far; never the site itself. ``state`` is 0 or 1, and the mean methylation
    of the cell where there is no neighbour; ``dist`` is the distance in base pairs as a share
    of ``max_distance``, at most 1, and 1 where there is none. Output: float32 [n, cells]; the
    sigmoid of it is the probability that the site is methylated in the cell.

    Parameters
    ----------
    config
        The architecture and cells. The default is RnnL1.
    dtype
        Keras dtype policy of the layers but the head; the default is Keras' global policy.
    provenance
        Where the weights come from, kept with the model as it is saved.

    Raises
    ------
    ConfigError
        When the policy has variables of another type than float32.
    """

    config_type: ClassVar[type[DeepCpgCpgConfig]] = DeepCpgCpgConfig
    stages: ClassVar[tuple[str, ...]] = ("shared", "backbone")
    config: DeepCpgCpgConfig

    def __init__(
        self,
        config: DeepCpgCpgConfig | None = None,
        *,
        dtype: str | None = None,
        provenance: Mapping[str, Any] | None = None,
        name: str = "deepcpg_cpg",
    ) -> None:
        config = DeepCpgCpgConfig() if config is None else config

        # Layers
        backbone = DeepCpgCpgModel(config, dtype=dtype)

        # Functional graph
        inputs = [keras.Input(one.shape, name=one.name) for one in config.reads]
        head, logits = with_head(config, backbone(inputs))
        super().__init__(inputs, logits, config=config, head=head, provenance=provenance, name=name)

        # Parts
        self.backbone = backbone

    @property
    def parts(self) -> dict[str, keras.Model]:
        """The one part: the backbone, as ``cpg``."""
        return {CPG: self.backbone}

    def part_input(self, part: str, arrays: Tensors) -> list[tf.Tensor]:
        """Return ``state`` and ``dist``, [n, cells, neighbours] each."""
        return [arrays["state"], arrays["dist"]]

    @property
    def penalised(self) -> list[keras.Variable]:
        """The kernels but for recurrent and frozen ones, as in the original."""
        return self.backbone.penalised

    def stage_layers(self, stage: str) -> list[keras.layers.Layer]:
        """Return the layer that cells share, or all layers of the backbone that have weights."""
        layers = [layer for layer in self.backbone.layers if layer.weights]
        return {"shared": layers[:1], "backbone": layers}[stage]
