"""ONNX for ONNX Runtime: float32, and int8 between QuantizeLinear and DequantizeLinear.

The input is letters as uint8: tf2onnx cannot convert strings, and returns an invalid
model for them without a word.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf

from deepcpg_tf.exporters.onnx_passes import simplify
from deepcpg_tf.exporters.saved_model import Outputs, outputs
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

OPSET = 18
"""The highest that tf2onnx has."""

BATCH_DIMENSION = "batch"
_CALIBRATION_BATCH = 32


def write_onnx(
    model: DeepCpgDnaForSequencePrediction,
    folder: Path,
    calibration: npt.NDArray[np.uint8] | None,
    description: Mapping[str, Any],
) -> None:
    """Write ``float32.onnx`` and ``int8.onnx``.

    Input ``tokens`` (uint8 [batch, length], ASCII codes), outputs ``logits`` and
    ``probabilities`` (float32 [batch, cells]). Names of cells (a JSON list) and the
    description are in ``metadata_props``.

    Parameters
    ----------
    model
        The model, in float32.
    folder
        Where.
    calibration : ndarray of uint8, shape (n, length), optional
        ASCII codes of the windows whose activations set the scales of int8; without
        them there is none.
    description
        What is written into each file, as JSON.
    """
    metadata = {"cells": json.dumps(model.cells), "description": json.dumps(description)}
    proto = _convert(model)
    simplify(proto)
    onnx.helper.set_model_props(proto, metadata)
    onnx.save(proto, folder / "float32.onnx")
    if calibration is not None:
        _quantise(folder / "float32.onnx", folder / "int8.onnx", _head_of(proto), calibration)
    for path in folder.glob("*.onnx"):
        onnx.checker.check_model(path, full_check=True)


def _convert(model: DeepCpgDnaForSequencePrediction) -> Any:
    signature = tf.TensorSpec((None, model.config.sequence_length), tf.uint8, name="tokens")

    @tf.function(input_signature=[signature])
    def run(tokens: tf.Tensor) -> Outputs:
        # Made here: a constant from outside the function would become an input.
        table = tf.constant(one_hot_of_bytes(model.config.vocab_size))
        return outputs(model, tf.gather(table, tf.cast(tokens, tf.int32)))

    with quiet_stderr():
        import tf2onnx

        proto, _ = tf2onnx.convert.from_function(run, input_signature=[signature], opset=OPSET)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_DIMENSION
    return proto


def _head_of(proto: Any) -> list[str]:
    """Return the nodes after the embedding.

    They cost nothing, and in float32 they keep what int8 would round once more.
    """
    return [node.name for node in proto.graph.node if node.op_type in ("Gemm", "Sigmoid")][1:]


def _quantise(
    source: Path, path: Path, excluded: list[str], calibration: npt.NDArray[np.uint8]
) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = _batches(calibration)

        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            return next(self._batches, None)

    logging.disable(logging.WARNING)
    try:
        quantization.quantize_static(
            source,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=excluded,
        )
    finally:
        logging.disable(logging.NOTSET)


def _batches(calibration: npt.NDArray[np.uint8]) -> Iterator[dict[str, npt.NDArray[np.uint8]]]:
    for start in range(0, len(calibration), _CALIBRATION_BATCH):
        yield {"tokens": calibration[start : start + _CALIBRATION_BATCH]}
