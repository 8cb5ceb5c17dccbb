"""The DeepCpG DNA module: windows of DNA through convolutions to an embedding.

Layers mirror the original's in kind, order and name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.layers import LayerSpec
from deepcpg_tf.configs.names import DNA
from deepcpg_tf.errors import SequenceError
from deepcpg_tf.genome.sequence import encode_windows, graph_one_hot
from deepcpg_tf.models.base import MethylationModel, Tensors, Values
from deepcpg_tf.models.parts import Part, float32_policy, with_head


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class DeepCpgDnaModel(Part):
    """One-hot windows to their embedding: the original's DNA module without heads.

    Input: float [n, sequence_length, vocab_size]. Output: [n, bottleneck_size].

    Parameters
    ----------
    config
        The architecture. The default is that of `smallwood2014-serum`.
    dtype
        Keras dtype policy of all layers, for example ``"mixed_bfloat16"``; the
        default is Keras' global policy.
    """

    config_type: ClassVar[type[DeepCpgDnaConfig]] = DeepCpgDnaConfig
    config: DeepCpgDnaConfig

    def __init__(
        self,
        config: DeepCpgDnaConfig | None = None,
        *,
        dtype: str | None = None,
        name: str = DNA,
    ) -> None:
        config = DeepCpgDnaConfig() if config is None else config
        policy = float32_policy(dtype)

        # Layers
        layers = [_make_layer(spec, config, policy) for spec in config.layers]

        # Functional graph
        inputs = keras.Input((config.sequence_length, config.vocab_size), name=DNA)
        x = inputs
        with keras.name_scope(DNA):  # in the paths of variables
            for layer in layers:
                x = layer(x)
        super().__init__(inputs, x, config=config, policy=policy, name=name)


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class DeepCpgDnaForSequencePrediction(MethylationModel):
    """One-hot windows to a methylation logit for each cell.

    Input: float [n, sequence_length, vocab_size]. Output: float32 [n, cells];
    the sigmoid of it is the probability that the CpG in the middle of the window
    is methylated in the cell.

    The original has one Dense unit per cell; here the units are the columns of one
    Dense layer named ``cpg``. That is one matrix product instead of up to 25 and a
    concatenation: faster, one node in every exported graph, one tensor to load a
    checkpoint into, and the same numbers. It yields logits, so that a loss is
    stable and a quantised export keeps its resolution near 0 and 1.

    Parameters
    ----------
    config
        The architecture and cells. The default is that of `smallwood2014-serum`.
    dtype
        Keras dtype policy of the backbone's layers, for example
        ``"mixed_bfloat16"``; the head always computes in float32. The default is
        Keras' global policy.
    provenance
        Where the weights come from, kept with the model as it is saved.
    """

    config_type: ClassVar[type[DeepCpgDnaConfig]] = DeepCpgDnaConfig
    stages: ClassVar[tuple[str, ...]] = ("first-conv", "backbone")
    config: DeepCpgDnaConfig

    def __init__(
        self,
        config: DeepCpgDnaConfig | None = None,
        *,
        dtype: str | None = None,
        provenance: Mapping[str, Any] | None = None,
        name: str = "deepcpg_dna",
    ) -> None:
        config = DeepCpgDnaConfig() if config is None else config

        # Layers
        backbone = DeepCpgDnaModel(config, dtype=dtype)

        # Functional graph
        inputs = keras.Input((config.sequence_length, config.vocab_size), name="one_hot")
        head, logits = with_head(config, backbone(inputs))
        super().__init__(inputs, logits, config=config, head=head, provenance=provenance, name=name)

        # Parts
        self.backbone = backbone

    @property
    def parts(self) -> dict[str, keras.Model]:
        """The one part: the backbone, as ``dna``."""
        return {DNA: self.backbone}

    def part_input(self, part: str, arrays: Tensors) -> tf.Tensor:
        """Return the one-hot rows of ``windows``."""
        return graph_one_hot(arrays["windows"], self.config.vocab_size)

    @property
    def penalised(self) -> list[keras.Variable]:
        """The kernels of the convolutions and of the dense layer, but for frozen ones."""
        layers = [layer for layer in self.backbone.layers if layer.trainable and layer.weights]
        return [layer.kernel for layer in layers]

    def stage_layers(self, stage: str) -> list[keras.layers.Layer]:
        """Return the first convolution, or all layers of the backbone that have weights."""
        layers = [layer for layer in self.backbone.layers if layer.weights]
        return {"first-conv": layers[:1], "backbone": layers}[stage]

    def predict_windows(
        self,
        windows: npt.NDArray[np.uint8],
        values: Values = "probabilities",
        batch_size: int = 512,
    ) -> npt.NDArray[np.float32]:
        """Predict encoded windows.

        Parameters
        ----------
        windows : ndarray of uint8, shape (n, sequence_length)
            Codes as `deepcpg_tf.genome.sequence.encode_windows` makes them.
        values, batch_size
            As in `predict_arrays`.

        Returns
        -------
        ndarray of float32, shape (n, cells), or (n, bottleneck_size) for the embedding

        Raises
        ------
        InputError, ConfigError
            As `predict_arrays`.
        """
        return self.predict_arrays({"windows": windows}, values, batch_size)

    def predict_sequences(
        self, sequences: Sequence[str], values: Values = "probabilities", batch_size: int = 512
    ) -> npt.NDArray[np.float32]:
        """Predict windows given as letters.

        Parameters
        ----------
        sequences
            Windows of ``sequence_length`` letters, C of the CpG site in the middle
            (at index 500 of 1001).
        values, batch_size
            As in `predict_arrays`.

        Returns
        -------
        ndarray of float32, shape (n, cells), or (n, bottleneck_size) for the embedding

        Raises
        ------
        SequenceError
            When a window has another length or a character that is no nucleotide.
        """
        if isinstance(sequences, str):
            raise SequenceError("sequences: expected a list of windows, received one string")
        windows = encode_windows(sequences, self.config.sequence_length)
        return self.predict_windows(windows, values, batch_size)


def _make_layer(
    spec: LayerSpec, config: DeepCpgDnaConfig, policy: keras.DTypePolicy
) -> keras.layers.Layer:
    options = {"name": spec.name, "dtype": policy}
    match spec.kind:
        case "convolution":
            return keras.layers.Conv1D(spec.channels, spec.width, **options)
        case "pooling":
            return keras.layers.MaxPooling1D(spec.width, **options)
        case "activation":
            return keras.layers.Activation(config.hidden_act, **options)
        case "flatten":
            return keras.layers.Flatten(**options)
        case "dense":
            return keras.layers.Dense(spec.channels, **options)
        case "dropout":
            return keras.layers.Dropout(config.hidden_dropout, **options)
        case _:
            raise AssertionError(f"{spec.kind} is no layer of the backbone")
