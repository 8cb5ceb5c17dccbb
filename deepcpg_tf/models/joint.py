"""The DeepCpG Joint module: the embeddings of the DNA and the CpG module to a joint one.

Layers mirror the original's in kind, order and name. Source: ``deepcpg/models/joint.py`` of
DeepCpG 1.0.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.configs.names import CPG, DNA, JOINT
from deepcpg_tf.genome.sequence import graph_one_hot
from deepcpg_tf.models.base import MethylationModel, Tensors
from deepcpg_tf.models.cpg import DeepCpgCpgModel
from deepcpg_tf.models.dna import DeepCpgDnaModel
from deepcpg_tf.models.parts import Part, dense_layers, float32_policy, with_head


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class DeepCpgJointLayers(Part):
    """The embeddings of both modules to the one that the heads read.

    Inputs: [n, DNA embedding] and [n, CpG embedding]. Output: [n, embedding].

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

    config_type: ClassVar[type[DeepCpgJointConfig]] = DeepCpgJointConfig
    config: DeepCpgJointConfig

    def __init__(
        self, config: DeepCpgJointConfig, *, dtype: str | None = None, name: str = JOINT
    ) -> None:
        policy = float32_policy(dtype)

        # Layers
        layers = dense_layers(config.joining_layers, config.hidden_dropout, policy)

        # Functional graph
        inputs = [keras.Input((config.dna.embedding_size,), name=DNA)]
        inputs.append(keras.Input((config.cpg.embedding_size,), name=CPG))
        x: Any = inputs
        with keras.name_scope(JOINT):  # in the paths of variables
            for layer in layers:
                x = layer(x)
        super().__init__(inputs, x, config=config, policy=policy, name=name)


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class DeepCpgJointForSitePrediction(MethylationModel):
    """Windows of DNA and neighbouring sites in every cell to a methylation logit for each cell.

    Inputs: one-hot windows, float [n, sequence_length, vocab_size], as of the DNA module;
    ``state`` and ``dist``, float [n, cells, neighbours] each, as of the CpG module. Output:
    float32 [n, cells]; the sigmoid of it is the probability that the site is methylated in
    the cell.

    Parameters
    ----------
    config
        The architecture and cells. The default is CnnL2h128, RnnL1 and JointL2h512.
    dtype
        Keras dtype policy of the layers but the head; the default is Keras' global policy.
    provenance
        Where the weights come from, kept with the model as it is saved.

    Raises
    ------
    ConfigError
        When the policy has variables of another type than float32.
    """

    config_type: ClassVar[type[DeepCpgJointConfig]] = DeepCpgJointConfig
    stages: ClassVar[tuple[str, ...]] = ("parts", "backbone")
    config: DeepCpgJointConfig

    def __init__(
        self,
        config: DeepCpgJointConfig | None = None,
        *,
        dtype: str | None = None,
        provenance: Mapping[str, Any] | None = None,
        name: str = "deepcpg_joint",
    ) -> None:
        config = DeepCpgJointConfig() if config is None else config

        # Layers
        dna = DeepCpgDnaModel(config.dna, dtype=dtype)
        cpg = DeepCpgCpgModel(config.cpg, dtype=dtype)
        joining = DeepCpgJointLayers(config, dtype=dtype)

        # Functional graph
        one_hot = keras.Input((config.dna.sequence_length, config.dna.vocab_size), name="one_hot")
        neighbours = [keras.Input(one.shape, name=one.name) for one in config.cpg.reads]
        head, logits = with_head(config, joining([dna(one_hot), cpg(neighbours)]))
        super().__init__(
            [one_hot, *neighbours],
            logits,
            config=config,
            head=head,
            provenance=provenance,
            name=name,
        )

        # Parts
        self.dna, self.cpg, self.joining = dna, cpg, joining

    @property
    def parts(self) -> dict[str, keras.Model]:
        """Both modules, as ``dna`` and ``cpg``."""
        return {DNA: self.dna, CPG: self.cpg}

    def part_input(self, part: str, arrays: Tensors) -> Any:
        """Return the one-hot rows of ``windows`` [n, length, 4 or 5], or ``state`` and ``dist``."""
        if part == DNA:
            return graph_one_hot(arrays["windows"], self.config.dna.vocab_size)
        return [arrays["state"], arrays["dist"]]

    def join(self, embeddings: Tensors) -> tf.Tensor:
        """Return the joint embedding [n, embedding size] of those of both modules."""
        return self.joining([embeddings[DNA], embeddings[CPG]], training=False)

    def joining_layers(self) -> list[tuple[str, keras.layers.Layer]]:
        """Return the concatenation and the layers after it, each with its name in full."""
        names = zip(self.config.joining_paths, self.config.layer_names, strict=True)
        return [(path, self.joining.get_layer(name)) for path, name in names]

    @property
    def penalised(self) -> list[keras.Variable]:
        """The kernels of all parts, but for recurrent and frozen ones, as in the original."""
        layers = [*self.dna.layers, *self.joining.layers]
        kernels = [layer.kernel for layer in layers if layer.trainable and layer.weights]
        return [*kernels, *self.cpg.penalised]

    def stage_layers(self, stage: str) -> list[keras.layers.Layer]:
        """Return the layers of both parts that have weights, or also those that join them."""
        layers = [layer for part in self.parts.values() for layer in part.layers if layer.weights]
        if stage == "parts":
            return layers
        return [*layers, *(layer for layer in self.joining.layers if layer.weights)]
