"""The local module: features of an entry, a site in a cell, to a methylation logit.

The network is shared by all cells, and no weight belongs to one; see `deepcpg_tf.local` for
the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.configs.names import DNA, LOCAL
from deepcpg_tf.genome.sequence import graph_one_hot
from deepcpg_tf.models.base import MethylationModel, Tensors
from deepcpg_tf.models.dna import DeepCpgDnaModel
from deepcpg_tf.models.parts import Part, dense_layers, float32_policy, with_head


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class LocalLayers(Part):
    """Features of entries to their embedding: a local module without its head.

    Inputs: ``features`` [n, features] and, with a DNA module, ``embedding`` [n, embedding of
    DNA]. Output: [n, embedding].

    Parameters
    ----------
    config
        The architecture.
    dtype
        Keras dtype policy of all layers; the default is Keras' global policy.

    Raises
    ------
    ConfigError
        When the policy has variables of another type than float32.
    """

    config_type: ClassVar[type[LocalConfig]] = LocalConfig
    config: LocalConfig

    def __init__(
        self, config: LocalConfig, *, dtype: str | None = None, name: str = "local_module"
    ) -> None:
        policy = float32_policy(dtype)

        # Layers
        layers = dense_layers(config.layers, config.hidden_dropout, policy)

        # Functional graph
        inputs = [keras.Input(one.shape, name=one.name) for one in config.reads]
        x: Any = inputs if len(inputs) > 1 else inputs[0]
        with keras.name_scope(LOCAL):  # in the paths of variables
            for layer in layers:
                x = layer(x)
        super().__init__(inputs, x, config=config, policy=policy, name=name)


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class LocalForEntryPrediction(MethylationModel):
    """Features of entries to a methylation logit each; an entry is a site in a cell.

    Inputs: ``features``, float32 [n, features], as `deepcpg_tf.local` makes them of a table,
    and, with a DNA module, ``embedding`` [n, embedding of DNA]. Output: float32 [n, 1]; the
    sigmoid of it is the probability that the site is methylated in the cell.

    Parameters
    ----------
    config
        The architecture, and which features. By default all, and no DNA module.
    dtype
        Keras dtype policy of the layers but the head; the default is Keras' global policy.
    provenance
        Where the weights come from, kept with the model as it is saved.

    Raises
    ------
    ConfigError
        When the policy has variables of another type than float32.
    """

    config_type: ClassVar[type[LocalConfig]] = LocalConfig
    stages: ClassVar[tuple[str, ...]] = ("backbone",)
    config: LocalConfig

    def __init__(
        self,
        config: LocalConfig | None = None,
        *,
        dtype: str | None = None,
        provenance: Mapping[str, Any] | None = None,
        name: str = "local",
    ) -> None:
        config = LocalConfig() if config is None else config

        # Layers
        backbone = LocalLayers(config, dtype=dtype)
        dna = None if config.dna is None else DeepCpgDnaModel(config.dna, dtype=dtype)

        # Functional graph
        inputs = [keras.Input(one.shape, name=one.name) for one in config.reads]
        embedding = backbone(inputs if len(inputs) > 1 else inputs[0])
        head, logits = with_head(config, embedding)
        super().__init__(inputs, logits, config=config, head=head, provenance=provenance, name=name)

        # Parts. What embeds DNA is no part of the graph: it is computed once a site.
        self.backbone = backbone
        self.dna = dna
        if dna is not None:
            dna.trainable = False

    @property
    def parts(self) -> dict[str, keras.Model]:
        """The one part: the backbone, as ``local``."""
        return {LOCAL: self.backbone}

    def part_input(self, part: str, arrays: Tensors) -> Any:
        """Return ``features`` [n, features] and, with a DNA module, ``embedding``."""
        inputs = [arrays[one.name] for one in self.config.reads]
        return inputs if len(inputs) > 1 else inputs[0]

    def embed_windows(self, windows: tf.Tensor) -> tf.Tensor:
        """Return what the DNA module makes of windows (uint8 [n, length]), inside a graph."""
        assert self.dna is not None
        assert self.config.dna is not None
        return self.dna(graph_one_hot(windows, self.config.dna.vocab_size), training=False)

    @property
    def penalised(self) -> list[keras.Variable]:
        """The kernels of the hidden layers."""
        layers = [layer for layer in self.backbone.layers if layer.weights]
        return [layer.kernel for layer in layers if layer.trainable]

    def stage_layers(self, stage: str) -> list[keras.layers.Layer]:
        """Return the hidden layers that have weights."""
        return [layer for layer in self.backbone.layers if layer.weights]

    def _named_layers(self) -> list[tuple[str, keras.layers.Layer]]:
        dna = [] if self.dna is None else [(f"{DNA}/{one.name}", one) for one in self.dna.layers]
        return [*dna, *super()._named_layers()]
