"""SavedModel for TF Serving: letters in, logits and probabilities out.

The weights are plain variables of one `tf.Module` and the signatures closures over
them: a Keras model as attribute of the module fails in the loader that TF Serving
uses, and `keras.Model.export` stores the weights twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.genome.sequence import graph_encode, graph_one_hot, one_hot_of_bytes
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

Outputs = dict[str, tf.Tensor]

WARM_UP_FILE = "tf_serving_warmup_requests"
"""What TF Serving runs before it says that a model is ready, in ``assets.extra``."""

_WARM_UP_WINDOWS = 8


def write_saved_model(
    model: DeepCpgDnaForSequencePrediction,
    folder: Path,
    letters: npt.NDArray[np.uint8],
    description: Mapping[str, Any],
) -> None:
    """Write a model as one version of a TF Serving base path.

    Parameters
    ----------
    model
        The model, in float32.
    folder
        Where; not there yet.
    letters : ndarray of uint8, shape (n, length)
        ASCII codes of some windows, for the warm-up.
    description
        What is written beside the model, as JSON.
    """
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with quiet_stderr():
        tf.saved_model.save(module, str(folder), signatures=_signatures(model))
    extra = folder / "assets.extra"
    extra.mkdir()
    (extra / "cells.txt").write_text("".join(f"{cell}\n" for cell in model.cells))
    (extra / "description.json").write_text(json.dumps(description, indent=2) + "\n")
    _write_warm_up(extra / WARM_UP_FILE, letters, model.config.vocab_size)


def outputs(model: DeepCpgDnaForSequencePrediction, one_hot: tf.Tensor) -> Outputs:
    """Return what every artefact yields, float32 [n, cells] each."""
    logits = model(one_hot, training=False)
    return {"logits": logits, "probabilities": tf.sigmoid(logits)}


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
