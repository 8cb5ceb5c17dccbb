"""The DeepCpG DNA module as Keras functional models of stock layers.

Layers mirror the original's in kind, order and name. Keras forbids "/" in a
layer's name, so the original's scopes are models: ``dna/convolution1d_1`` is the
layer ``convolution1d_1`` of the backbone, which is named ``dna``, and
``cpg/<cell>`` is a column of the layer ``cpg``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.errors import ConfigError, SequenceError
from deepcpg_tf.genome.sequence import N_CODE, encode_windows, graph_one_hot
from deepcpg_tf.models.config import DeepCpgDnaConfig
from deepcpg_tf.models.layers import LayerSpec

BACKBONE_SCOPE = "dna"
HEAD_SCOPE = "cpg"

Values = Literal["probabilities", "logits", "embedding"]
"""What a prediction consists of."""


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class DeepCpgDnaModel(keras.Model):
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

    def __init__(
        self,
        config: DeepCpgDnaConfig | None = None,
        *,
        dtype: str | None = None,
        name: str = BACKBONE_SCOPE,
    ) -> None:
        config = DeepCpgDnaConfig() if config is None else config
        policy = keras.dtype_policies.get(dtype) if dtype else keras.config.dtype_policy()
        if policy.variable_dtype != "float32":
            raise ConfigError(
                "dtype: expected a policy with float32 variables, such as mixed_bfloat16, "
                f"received {policy.name}"
            )

        # Layers
        layers = [_make_layer(spec, config, policy) for spec in config.layers]

        # Functional graph
        inputs = keras.Input((config.sequence_length, config.vocab_size), name=BACKBONE_SCOPE)
        x = inputs
        for layer in layers:
            x = layer(x)
        super().__init__(inputs=inputs, outputs=x, name=name)

        # Config
        self.config = config
        self._policy_name = policy.name

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same model."""
        return {"config": self.config.to_dict(), "dtype": self._policy_name, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> DeepCpgDnaModel:
        """Make the model that `get_config` describes."""
        return cls(**{**config, "config": DeepCpgDnaConfig.from_dict(config["config"])})


@keras.saving.register_keras_serializable(package="deepcpg_tf")
class DeepCpgDnaForSequencePrediction(keras.Model):
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
        dropout = keras.layers.Dropout(config.head.dropout, dtype="float32", name="head_dropout")
        head = keras.layers.Dense(len(config.cells), dtype="float32", name=HEAD_SCOPE)

        # Functional graph
        inputs = keras.Input((config.sequence_length, config.vocab_size), name="one_hot")
        x = backbone(inputs)
        if config.head.dropout:
            x = dropout(x)
        super().__init__(inputs=inputs, outputs=head(x), name=name)

        # Config
        self.config = config
        self.backbone = backbone
        self.head = head
        self.provenance = dict(provenance or {})
        self._graphs: dict[str, tf.types.experimental.PolymorphicFunction] = {}

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells, in the order of the outputs."""
        return self.config.cells

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same model."""
        return {
            **self.backbone.get_config(),
            "name": self.name,
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> DeepCpgDnaForSequencePrediction:
        """Make the model that `get_config` describes."""
        return cls(**{**config, "config": DeepCpgDnaConfig.from_dict(config["config"])})

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
        values
            ``"probabilities"``, ``"logits"`` or ``"embedding"``.
        batch_size
            Windows computed at a time.

        Returns
        -------
        ndarray of float32, shape (n, cells), or (n, bottleneck_size) for the embedding

        Raises
        ------
        SequenceError
            When the windows have another shape or type, or a code above 4.
        ConfigError
            When `values` is none of the three, or `batch_size` is not positive.
        """
        self._check_windows(windows)
        if batch_size < 1:
            raise ConfigError(f"batch_size: expected at least 1, received {batch_size}")
        graph = self._inference_graph(values)
        result = np.empty((len(windows), len(self.value_names(values))), np.float32)
        for start in range(0, len(windows), batch_size):
            batch = slice(start, start + batch_size)
            result[batch] = graph(tf.constant(windows[batch])).numpy()
        return result

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
            As in `predict_windows`.

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

    def _check_windows(self, windows: npt.NDArray[np.uint8]) -> None:
        length = self.config.sequence_length
        if windows.ndim != 2 or windows.shape[1] != length or windows.dtype != np.uint8:
            raise SequenceError(
                f"windows: expected uint8 codes of shape (n, {length}), "
                f"received {windows.dtype} of shape {windows.shape}"
            )
        if windows.size and windows.max() > N_CODE:
            raise SequenceError(
                f"windows: expected codes from 0 to {N_CODE}, received {windows.max()}"
            )

    def value_names(self, values: Values) -> list[str]:
        """Return the name of each column of a prediction: cells, or units of the embedding."""
        if values == "embedding":
            return [f"embedding_{i}" for i in range(self.config.bottleneck_size)]
        return list(self.cells)

    def activations(
        self, windows: npt.NDArray[np.uint8], names: Sequence[str]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Compute the activations of layers asked for by the original's names.

        Parameters
        ----------
        windows : ndarray of uint8, shape (n, sequence_length)
        names
            Names such as ``dna/convolution1d_1`` or ``cpg/BS27_1_SER``, with the
            numbers that the checkpoint's layers had (`original_names` lists them).

        Returns
        -------
        dict of ndarray
            Float32 [n, length, channels], or [n, channels] after the flattening.
            As in the original, a head ``cpg/<cell>`` yields probabilities [n, 1].

        Raises
        ------
        ConfigError
            When the model has no layer of such a name.
        SequenceError
            When the windows have another shape or type.
        """
        self._check_windows(windows)
        known = self.original_names
        for name in names:
            if name not in known:
                raise ConfigError(f"layer: expected one of {', '.join(known)}, received {name!r}")
        layers = {name: name.removeprefix(f"{BACKBONE_SCOPE}/") for name in names}
        hidden = [name for name in names if name.startswith(f"{BACKBONE_SCOPE}/")]
        result: dict[str, npt.NDArray[np.float32]] = {}
        if hidden:
            outputs = [self.backbone.get_layer(layers[name]).output for name in hidden]
            one_hot = graph_one_hot(tf.constant(windows), self.config.vocab_size)
            tensors = keras.Model(self.backbone.inputs, outputs)(one_hot, training=False)
            tensors = tensors if isinstance(tensors, list | tuple) else [tensors]
            arrays = (tf.cast(tensor, tf.float32).numpy() for tensor in tensors)
            result.update(zip(hidden, arrays, strict=True))
        if len(hidden) < len(names):
            probabilities = self.predict_windows(windows)
            for i, cell in enumerate(self.cells):
                result[f"{HEAD_SCOPE}/{cell}"] = probabilities[:, i : i + 1]
        return {name: result[name] for name in names}

    def _inference_graph(self, values: Values) -> tf.types.experimental.PolymorphicFunction:
        """Return the compiled function from codes (uint8 [n, length]) to values."""
        if values not in get_args(Values):
            raise ConfigError(
                f"values: expected one of {', '.join(get_args(Values))}, received {values!r}"
            )
        if values not in self._graphs:
            signature = tf.TensorSpec((None, self.config.sequence_length), tf.uint8)

            @tf.function(input_signature=[signature])
            def run(windows: tf.Tensor) -> tf.Tensor:
                one_hot = graph_one_hot(windows, self.config.vocab_size)
                if values == "embedding":
                    return tf.cast(self.backbone(one_hot, training=False), tf.float32)
                logits = self(one_hot, training=False)
                return logits if values == "logits" else tf.sigmoid(logits)

            self._graphs[values] = run
        return self._graphs[values]

    @property
    def variables_by_name(self) -> dict[str, keras.Variable]:
        """Every variable by name: ``dna/<layer>/kernel``, …, ``cpg/kernel``, ``cpg/bias``."""
        layers = {f"{BACKBONE_SCOPE}/{layer.name}": layer for layer in self.backbone.layers}
        layers[HEAD_SCOPE] = self.head
        return {
            f"{scope}/{variable.name}": variable
            for scope, layer in layers.items()
            for variable in layer.weights
        }

    def save_to_preset(self, folder: str | Path) -> None:
        """Write a folder that `from_preset` reads: ``config.json`` and ``weights.h5``.

        The folder appears whole or not at all. An earlier preset there is replaced.

        Raises
        ------
        OutputError
            When the folder holds anything else, or cannot be written to.
        """
        from deepcpg_tf.weights.preset_folder import save_folder

        save_folder(self, Path(folder))

    @classmethod
    def from_preset(cls, preset: str | Path) -> DeepCpgDnaForSequencePrediction:
        """Load a model with its weights.

        Parameters
        ----------
        preset
            The name of a published variant (its files are downloaded when they are
            not in the cache), a folder that `save_to_preset` wrote, a folder with
            the files of a legacy checkpoint, or a MultiMolecule folder.

        Raises
        ------
        CheckpointError
            When there is no such preset, or its files are damaged or of another kind.
        DownloadError
            When the published files are not in the cache and cannot be downloaded.
        """
        from deepcpg_tf.weights.load import load_model

        return load_model(preset)

    def digest(self) -> str:
        """Return a SHA-256 checksum of what it computes: configuration and weights."""
        result = hashlib.sha256(json.dumps(self.config.to_dict(), sort_keys=True).encode())
        for name, variable in sorted(self.variables_by_name.items()):
            result.update(name.encode() + variable.numpy().tobytes())
        return result.hexdigest()

    @property
    def original_names(self) -> list[str]:
        """The original's name of every layer, in order, heads last."""
        hidden = [f"{BACKBONE_SCOPE}/{name}" for name in self.config.layer_names]
        return hidden + [f"{HEAD_SCOPE}/{cell}" for cell in self.cells]


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
