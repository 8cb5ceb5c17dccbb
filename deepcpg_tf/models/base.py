"""What all modules have in common: from named inputs to a logit for each cell.

A model consists of parts (Keras models), each of which embeds some of the inputs; of
what joins their embeddings to one; and of the head, which reads that. Keras forbids "/"
in a layer's name, so the original's scopes are models: ``dna/convolution1d_1`` is the
layer ``convolution1d_1`` of the part ``dna``, and ``cpg/<cell>`` is a column of the head.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.names import HEAD, head_name
from deepcpg_tf.errors import CheckpointError, ConfigError, InputError
from deepcpg_tf.genome.sequence import encode_tokens
from deepcpg_tf.inputs import Arrays, Inputs, take
from deepcpg_tf.models.values import values_in_graph
from deepcpg_tf.weights.checkpoint import Checkpoint
from deepcpg_tf.weights.load import read_checkpoint
from deepcpg_tf.weights.preset_folder import save_folder

Values = Literal["probabilities", "logits", "embedding"]
"""What a prediction consists of."""

_KNOWN = ("windows", "tokens", "state", "dist", "features", "embedding")
"""The inputs of all modules, and windows as letters."""

Tensors = Mapping[str, tf.Tensor]
Own = TypeVar("Own", bound="MethylationModel")


class MethylationModel(keras.Model):
    """A module of DeepCpG: a Keras functional model whose outputs are logits [n, cells].

    A class of a module says what its `parts` are, what each of them reads of the arrays
    (`part_input`), and which of its variables are penalised and frozen.
    """

    config_type: ClassVar[type[ModuleConfig]]
    joining: keras.Model
    stages: ClassVar[tuple[str, ...]] = ()
    """What can be frozen; see `stage_layers`."""

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        *,
        config: ModuleConfig,
        head: keras.layers.Dense,
        provenance: Mapping[str, Any] | None,
        name: str,
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.config = config
        self.head = head
        self.provenance = dict(provenance or {})
        self._graphs: dict[str, tf.types.experimental.PolymorphicFunction] = {}

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells, in the order of the outputs."""
        return self.config.cells

    @property
    def reads(self) -> Inputs:
        """What the model reads of each site."""
        return self.config.reads

    @property
    def parts(self) -> dict[str, keras.Model]:
        """The models that embed the inputs, by the original's scope of their layers."""
        raise NotImplementedError

    def part_input(self, part: str, arrays: Tensors) -> Any:
        """Return what a part reads, made of the arrays inside a graph."""
        raise NotImplementedError

    @property
    def penalised(self) -> list[keras.Variable]:
        """The variables that L1 and L2 act on, but for those that are frozen."""
        raise NotImplementedError

    def stage_layers(self, stage: str) -> list[keras.layers.Layer]:
        """Return the layers that freezing one of `stages` keeps as they are."""
        raise NotImplementedError

    def encode(self, arrays: Tensors) -> Any:
        """Return what the Keras model itself reads, made of the arrays inside a graph."""
        inputs: list[tf.Tensor] = []
        for part in self.parts:
            own = self.part_input(part, arrays)
            inputs += own if isinstance(own, list) else [own]
        return inputs[0] if len(inputs) == 1 else inputs

    def join(self, embeddings: Tensors) -> tf.Tensor:
        """Return what the head reads, made of the embedding of each part."""
        (embedding,) = embeddings.values()
        return embedding

    def joining_layers(self) -> list[tuple[str, keras.layers.Layer]]:
        """Return the layers that `join` consists of, each with its name in full.

        They are those of the model ``joining``, where there are any.
        """
        return []

    def embed(self, arrays: Tensors) -> tf.Tensor:
        """Return the embedding of sites, [n, embedding size], inside a graph."""
        return self.join(self.embed_parts(arrays))

    def embed_parts(self, arrays: Tensors, but: str | None = None) -> dict[str, tf.Tensor]:
        """Return the embedding of each part, but for one, inside a graph."""
        return {
            name: part(self.part_input(name, arrays), training=False)
            for name, part in self.parts.items()
            if name != but
        }

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same model."""
        return {
            "config": self.config.to_dict(),
            "dtype": next(iter(self.parts.values())).policy_name,
            "name": self.name,
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_config(cls: type[Own], config: dict[str, Any], custom_objects: Any = None) -> Own:
        """Make the model that `get_config` describes."""
        return cls(**{**config, "config": cls.config_type.from_dict(config["config"])})

    def predict_arrays(
        self, arrays: Arrays, values: Values = "probabilities", batch_size: int = 512
    ) -> npt.NDArray[np.float32]:
        """Predict sites from the arrays that the model `reads`.

        Parameters
        ----------
        arrays : mapping of str to ndarray, shapes (n, ...)
            An array for each input by its name: ``windows`` (uint8 codes [n, length]) or
            ``tokens`` (the same as ASCII letters), ``state`` (1 methylated, 0 not, the mean
            of the cell where there is no neighbour) and ``dist`` (base pairs as a share of
            ``max_distance``, at most 1), float32 [n, cells, neighbours]. The module takes just
            those of them that it reads, so that the same arrays do for all modules; any other
            name is an error, and so are ``windows`` and ``tokens`` together.
        values
            ``"probabilities"`` (of cells; other outputs have numbers and classes instead),
            ``"logits"`` or ``"embedding"``.
        batch_size
            Sites computed at a time.

        Returns
        -------
        ndarray of float32, shape (n, cells), or (n, embedding size) for the embedding
            The columns of other outputs follow those of the cells; see `value_names`.

        Raises
        ------
        InputError
            When an array is missing or left over, or of another shape, type or range.
        ConfigError
            When `values` is none of the three, or `batch_size` is not positive.
        """
        arrays = self.own_arrays(arrays)
        sites = self.reads.check(arrays)
        if batch_size < 1:
            raise ConfigError(f"batch_size: expected at least 1, received {batch_size}")
        graph = self._inference_graph(values)
        result = np.empty((sites, len(self.value_names(values))), np.float32)
        for start in range(0, sites, batch_size):
            rows = slice(start, start + batch_size)
            batch = take(arrays, rows)
            result[rows] = graph({name: tf.constant(batch[name]) for name in batch}).numpy()
        return result

    def own_arrays(self, arrays: Arrays) -> Arrays:
        """Return what the model reads of the arrays of any module, letters as codes.

        They are not checked, which `Inputs.check` of what the model `reads` does.

        Raises
        ------
        InputError
            When windows are given as letters and as codes.
        SequenceError
            When one of the letters is no nucleotide.
        """
        if "tokens" in arrays and "windows" in arrays:
            raise InputError("tokens: expected letters or codes (windows), received both")
        names = self.reads.names
        own = {name: array for name, array in arrays.items() if name in names or name not in _KNOWN}
        if "windows" in names and "tokens" in arrays:
            own["windows"] = encode_tokens(arrays["tokens"])
        return own

    def check_values(self, values: Values = "probabilities") -> None:
        """Refuse to predict what there is not, before anything is read.

        Raises
        ------
        ConfigError
            When `values` is none of the three, or not the embedding of a model without heads.
        """
        if values not in get_args(Values):
            raise ConfigError(
                f"values: expected one of {', '.join(get_args(Values))}, received {values!r}"
            )
        if values != "embedding" and not self.config.head.trained:
            raise ConfigError(
                f"model: expected one with heads, received the {self.config.module} module of a "
                "Joint module, which has none; train it, join it, or predict `values` embedding"
            )

    def check_cells(self) -> None:
        """Refuse to explain what cells are predicted to be, where none is predicted.

        Raises
        ------
        ConfigError
            When the model has no heads, or other outputs alone.
        """
        self.check_values("logits")
        if not self.cells:
            raise ConfigError(
                f"model: expected a model of cells, received one of "
                f"{', '.join(self.config.outputs)} alone"
            )

    def _inference_graph(self, values: Values) -> tf.types.experimental.PolymorphicFunction:
        """Return the compiled function from arrays to values."""
        self.check_values(values)
        if values not in self._graphs:

            @tf.function(input_signature=[array_specs(self.reads)])
            def run(arrays: Tensors) -> tf.Tensor:
                embedding = self.embed(arrays)
                if values == "embedding":
                    return tf.cast(embedding, tf.float32)
                logits = self.head(embedding)
                return logits if values == "logits" else values_in_graph(logits, self.config)

            self._graphs[values] = run
        return self._graphs[values]

    def value_names(self, values: Values) -> list[str]:
        """Return the name of each column of a prediction: cells and other outputs, or units."""
        if values == "embedding":
            return [f"embedding_{i}" for i in range(self.config.embedding_size)]
        return list(self.config.column_names)

    def activations(
        self, arrays: Arrays, names: Sequence[str]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Compute the activations of layers asked for by the original's names.

        Parameters
        ----------
        arrays : mapping of str to ndarray, shapes (n, ...)
            As in `predict_arrays`.
        names
            Names such as ``dna/convolution1d_1`` or ``cpg/BS27_1_SER``, with the
            numbers that the checkpoint's layers had (`original_names` lists them).

        Returns
        -------
        dict of ndarray
            Float32 [n, length, channels], or [n, channels] after the flattening.
            As in the original, a head ``cpg/<cell>`` yields probabilities [n, 1], and
            another output, such as ``cpg_stats/mean``, what it predicts.

        Raises
        ------
        ConfigError
            When the model has no layer of such a name.
        InputError
            As in `predict_arrays`.
        """
        arrays = self.own_arrays(arrays)
        self.reads.check(arrays)
        known = self.original_names
        for name in names:
            if name not in known:
                raise ConfigError(f"layer: expected one of {', '.join(known)}, received {name!r}")
        tensors = {name: tf.constant(array) for name, array in arrays.items()}
        result: dict[str, npt.NDArray[np.float32]] = {}
        for scope, part in self.parts.items():
            own = [n for n in names if n in self.config.layer_paths and n.startswith(f"{scope}/")]
            layers = [part.get_layer(name.removeprefix(f"{scope}/")) for name in own]
            result.update(_tapped(part, own, layers, self.part_input(scope, tensors)))
        joining = {name: layer for name, layer in self.joining_layers() if name in names}
        if joining:
            embeddings = [
                part(self.part_input(scope, tensors), training=False)
                for scope, part in self.parts.items()
            ]
            result.update(_tapped(self.joining, list(joining), list(joining.values()), embeddings))
        if len(result) < len(set(names)):
            probabilities = self.predict_arrays(arrays)
            for i, cell in enumerate(self.cells):
                result.setdefault(head_name(cell), probabilities[:, i : i + 1])
            for output in self.config.other_outputs:
                result.setdefault(output.name, probabilities[:, output.columns])
        return {name: result[name] for name in names}

    @property
    def original_names(self) -> list[str]:
        """The original's name of every layer, in order, heads last."""
        return [*self.config.layer_paths, *map(head_name, self.cells), *self.config.outputs]

    @property
    def variables_by_name(self) -> dict[str, keras.Variable]:
        """Every weight by name: ``dna/<layer>/kernel``, …, ``cpg/kernel``, ``cpg/bias``.

        A name is the scope and the variable's path from its layer on: the layers inside
        of a wrapper share the names of their variables, but not the paths.
        """
        result = {
            f"{name}/{path_within(variable, layer)}": variable
            for name, layer in self._named_layers()
            for variable in layer.weights
        }
        if {id(v) for v in result.values()} != {id(v) for v in self.weights}:
            raise AssertionError(
                f"{len(result)} names for {len(self.weights)} weights: {', '.join(result)}"
            )
        return result

    @property
    def state_by_name(self) -> dict[str, keras.Variable]:
        """Every variable by name: the weights, and the states of what is random."""
        result = self.variables_by_name
        named = {id(variable) for variable in result.values()}
        for name, layer in [*self._named_layers(), *((one.name, one) for one in self.layers)]:
            others = [v for v in layer.variables if id(v) not in named]
            named.update(map(id, others))
            result.update((f"{name}/state_{i}", v) for i, v in enumerate(others))
        if len(result) != len(self.variables):
            raise AssertionError(f"{len(result)} names for {len(self.variables)} variables")
        return result

    def _named_layers(self) -> list[tuple[str, keras.layers.Layer]]:
        """Return all layers with the names that the original would give them, and the head."""
        scoped = [
            (f"{scope}/{layer.name}", layer)
            for scope, part in self.parts.items()
            for layer in part.layers
        ]
        return [*scoped, *self.joining_layers(), (HEAD, self.head)]

    @property
    def head_variables(self) -> tuple[str, ...]:
        """The names of the head's weights, whose last axis is the cells and other outputs."""
        return tuple(f"{HEAD}/{path_within(v, self.head)}" for v in self.head.weights)

    def checkpoint(self) -> Checkpoint:
        """Return configuration, weights and provenance as arrays."""
        tensors = {name: variable.numpy() for name, variable in self.variables_by_name.items()}
        return Checkpoint(self.config, tensors, self.provenance, self.name)

    def digest(self) -> str:
        """Return a SHA-256 checksum of what it computes: configuration and weights."""
        result = hashlib.sha256(json.dumps(self.config.to_dict(), sort_keys=True).encode())
        for name, tensor in sorted(self.checkpoint().tensors.items()):
            result.update(name.encode() + tensor.tobytes())
        return result.hexdigest()

    def save_to_preset(self, folder: str | Path) -> None:
        """Write a folder that `from_preset` reads: ``config.json`` and ``weights.h5``.

        The folder appears whole or not at all. An earlier preset there is replaced.

        Raises
        ------
        OutputError
            When the folder holds anything else, or cannot be written to.
        """
        save_folder(self.checkpoint(), Path(folder))

    @classmethod
    def from_checkpoint(cls: type[Own], checkpoint: Checkpoint) -> Own:
        """Make a model with the weights of a checkpoint.

        Raises
        ------
        CheckpointError
            When it is of another module, or a tensor is missing, left over, of another
            shape or not finite.
        """
        config = checkpoint.config
        if not isinstance(config, cls.config_type):
            raise CheckpointError(
                f"{checkpoint.source}: expected the module {cls.config_type.module!r}, "
                f"received {config.module!r}"
            )
        checkpoint.check()
        model = cls(config=config, provenance=checkpoint.provenance)  # type: ignore[call-arg]
        for name, variable in model.variables_by_name.items():
            variable.assign(checkpoint.tensors[name])
        return model

    @classmethod
    def from_preset(cls: type[Own], preset: str | Path) -> Own:
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
        return cls.from_checkpoint(read_checkpoint(preset))


def _tapped(
    model: keras.Model, names: list[str], layers: list[keras.layers.Layer], inputs: Any
) -> dict[str, npt.NDArray[np.float32]]:
    """Return what layers of a model yield for some inputs, by the names given."""
    if not names:
        return {}
    tapped = keras.Model(model.inputs, [layer.output for layer in layers])
    outputs = tapped(inputs, training=False)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    values = (tf.cast(output, tf.float32).numpy() for output in outputs)
    return dict(zip(names, values, strict=True))


def array_specs(reads: Inputs, batch: int | None = None) -> dict[str, tf.TensorSpec]:
    """Return the signature of functions of arrays, for any or a given number of sites."""
    return {one.name: tf.TensorSpec((batch, *one.shape), one.dtype, one.name) for one in reads}


def path_within(variable: keras.Variable, layer: keras.layers.Layer) -> str:
    """Return the path of a variable below its layer: ``kernel``, ``forward_gru/.../kernel``."""
    path = variable.path.split("/")
    return "/".join(path[path.index(layer.name) + 1 :])
