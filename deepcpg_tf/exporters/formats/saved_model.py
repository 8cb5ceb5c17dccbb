"""SavedModel for TF Serving: letters in, logits and probabilities out.

The weights are plain variables of one `tf.Module` and the signatures closures over
them: a Keras model as attribute of the module fails in the loader that TF Serving
uses, and `keras.Model.export` stores the weights twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.exporters.artefact import Artefact, Said
from deepcpg_tf.exporters.describe import one_hot_of, outputs_of, tensor, tokens_of
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import Outputs, outputs
from deepcpg_tf.exporters.runtimes import Runtime, Values
from deepcpg_tf.exporters.session import ServingSession
from deepcpg_tf.genome.sequence import graph_encode, graph_one_hot, one_hot_of_bytes
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

PACKAGES: tuple[str, ...] = ("tensorflow_serving",)

WARM_UP_FILE = "tf_serving_warmup_requests"
"""What TF Serving runs before it says that a model is ready, in ``assets.extra``."""

_WARM_UP_WINDOWS = 8
_DESCRIPTION = "description.json"

_CARD = """
### SavedModel: TF Serving

`saved_model` is a base path of TF Serving. Signatures: `serving_default` (`sequences`: strings, a
window each), `tokens` (uint8 [n, {length}], ASCII codes), `one_hot` (float32 [n, {length}, 4]),
`embedding` (`sequences`), and `labels` (`index` to `cells`, the names of the outputs).

```sh
tensorflow_model_server --rest_api_port=8501 \\
  --model_name=deepcpg --model_base_path="$PWD/saved_model"
curl -d '{{"instances": ["ACGT…"]}}' http://localhost:8501/v1/models/deepcpg:predict
```
"""


def write(job: Job) -> list[Artefact]:
    """Write a model as one version of a TF Serving base path."""
    version_folder = job.folder / str(job.number)
    model = job.model
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with quiet_stderr():
        tf.saved_model.save(module, str(version_folder), signatures=_signatures(model))
    extra = version_folder / "assets.extra"
    extra.mkdir()
    (extra / "cells.txt").write_text("".join(f"{cell}\n" for cell in model.cells))
    description = {**job.description, "precision": "float32"}
    (extra / _DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    letters = job.drawn.parity[:_WARM_UP_WINDOWS]
    _write_warm_up(extra / WARM_UP_FILE, letters, model.config.vocab_size)
    path = f"{job.folder.name}/{job.number}"
    return [Artefact(path, job.folder.name, interface=_interface(model), export=job.number)]


def open(path: Path, artefact: Artefact) -> Runtime:  # noqa: A001
    """Load a version as TF Serving does."""
    return _SavedModel(path)


def card(paths: Sequence[str], length: int) -> str:
    """Return how it is served."""
    return _CARD.format(length=length)


class _SavedModel:
    def __init__(self, path: Path) -> None:
        self.name = f"session of TensorFlow {version('tensorflow')}"
        self._session = ServingSession(path)
        self._description = json.loads((path / "assets.extra" / _DESCRIPTION).read_text())

    def call(self, arrays: Arrays) -> Values:
        return self._session.run("tokens", dict(arrays))

    def seconds(self, arrays: Arrays, repeat: int) -> list[float]:
        return self._session.seconds("tokens", dict(arrays), repeat)

    def said(self) -> Said:
        """By its signatures, and the description beside it."""
        signatures = self._session.interface
        cells = signatures["serving_default"]["outputs"]["probabilities"]["shape"][1]
        names = self._session.run("labels", {"index": np.arange(cells)})["cells"]
        return Said(
            {"signatures": signatures}, [name.decode() for name in names], self._description
        )

    def close(self) -> None:
        self._session.close()


def _interface(model: DeepCpgDnaForSequencePrediction) -> dict[str, Any]:
    strings, found = {"sequences": tensor("string", -1)}, outputs_of(model)
    embedding = tensor("float32", -1, model.config.bottleneck_size)
    return {
        "signatures": {
            "serving_default": {"inputs": strings, "outputs": found},
            "tokens": {"inputs": tokens_of(model), "outputs": found},
            "one_hot": {"inputs": one_hot_of(model), "outputs": found},
            "embedding": {"inputs": strings, "outputs": {"embedding": embedding}},
            "labels": {
                "inputs": {"index": tensor("int64", -1)},
                "outputs": {"cells": tensor("string", -1)},
            },
        }
    }


def _signatures(model: DeepCpgDnaForSequencePrediction) -> dict[str, Any]:
    length, channels = model.config.sequence_length, model.config.vocab_size
    strings = tf.TensorSpec((None,), tf.string, name="sequences")

    @tf.function(input_signature=[strings])
    def serving_default(sequences: tf.Tensor) -> Outputs:
        letters = _letters_of_strings(sequences, length)
        return outputs(model, graph_one_hot(graph_encode(letters), channels))

    @tf.function(input_signature=[tf.TensorSpec((None, length), tf.uint8, name="tokens")])
    def tokens(tokens: tf.Tensor) -> Outputs:
        letters = _not_empty(tf.ensure_shape(tokens, (None, length)))
        return outputs(model, graph_one_hot(graph_encode(letters), channels))

    rows = tf.TensorSpec((None, length, channels), tf.float32, name="one_hot")

    @tf.function(input_signature=[rows])
    def one_hot(one_hot: tf.Tensor) -> Outputs:
        return outputs(model, _not_empty(tf.ensure_shape(one_hot, (None, length, channels))))

    @tf.function(input_signature=[strings])
    def embedding(sequences: tf.Tensor) -> Outputs:
        letters = _letters_of_strings(sequences, length)
        one_hot = graph_one_hot(graph_encode(letters), channels)
        return {"embedding": tf.cast(model.backbone(one_hot, training=False), tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int64, name="index")])
    def labels(index: tf.Tensor) -> Outputs:
        index = tf.ensure_shape(index, (None,))
        return {"cells": tf.gather(tf.constant(model.cells), index)}

    return {
        "serving_default": serving_default,
        "tokens": tokens,
        "one_hot": one_hot,
        "embedding": embedding,
        "labels": labels,
    }


def _letters_of_strings(sequences: tf.Tensor, length: int) -> tf.Tensor:
    """Return the ASCII codes of windows, uint8 [n, length]."""
    # What is declared of an input is not checked by the loader of TF Serving.
    sequences = _not_empty(tf.ensure_shape(sequences, (None,)))
    lengths = tf.strings.length(sequences)
    wrong = tf.where(tf.not_equal(lengths, length))[:1]
    message = f"expected windows of {length} letters, received [[record]] of [letters]"
    check = tf.debugging.Assert(
        tf.equal(tf.size(wrong), 0), [message, wrong + 1, tf.gather_nd(lengths, wrong)]
    )
    with tf.control_dependencies([check]):
        # Given a length, it would fill up what is too short without a word.
        letters = tf.io.decode_raw(tf.identity(sequences), tf.uint8)
    return tf.ensure_shape(letters, (None, length))


def _not_empty(batch: tf.Tensor) -> tf.Tensor:
    message = "expected a batch of at least one window, received an empty one"
    check = tf.debugging.Assert(tf.greater(tf.shape(batch)[0], 0), [message])
    with tf.control_dependencies([check]):
        return tf.identity(batch)


def _write_warm_up(path: Path, letters: npt.NDArray[np.uint8], channels: int) -> None:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    strings = np.array([row.tobytes() for row in letters])
    inputs = {
        "serving_default": ("sequences", strings),
        "tokens": ("tokens", letters),
        "one_hot": ("one_hot", one_hot_of_bytes(channels)[letters]),
        "embedding": ("sequences", strings),
    }
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature, (name, values) in inputs.items():
            for batch in (values[:1], values[:_WARM_UP_WINDOWS]):
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = signature
                request.inputs[name].CopyFrom(tf.make_tensor_proto(batch))
                log = prediction_log_pb2.PredictLog(request=request)
                record = prediction_log_pb2.PredictionLog(predict_log=log)
                file.write(record.SerializeToString())
