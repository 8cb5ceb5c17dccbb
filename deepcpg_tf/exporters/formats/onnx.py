"""ONNX for ONNX Runtime: float32, and int8 between QuantizeLinear and DequantizeLinear.

The input is letters as uint8: tf2onnx cannot convert strings, and returns an invalid
model for them without a word.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf

from deepcpg_tf.exporters.artefact import Artefact
from deepcpg_tf.exporters.describe import outputs_of, tokens_of
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import Outputs, outputs
from deepcpg_tf.exporters.onnx_passes import simplify
from deepcpg_tf.exporters.runtimes import InProcess, Values
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

OPSET = 18
"""The highest that tf2onnx has."""

BATCH_DIMENSION = "batch"
_CALIBRATION_BATCH = 32

_CARD = """
### ONNX: ONNX Runtime

Input `tokens` (uint8 [batch, {length}], ASCII codes). The cells are in the metadata.

```python
import json, numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{path}")
json.loads(session.get_modelmeta().custom_metadata_map["cells"])
session.run(["probabilities"], {{"tokens": np.frombuffer(window.encode(), np.uint8)[None]}})
```
"""


def write(job: Job) -> list[Artefact]:
    """Write ``float32.onnx`` and ``int8.onnx``.

    Input ``tokens`` (uint8 [batch, length], ASCII codes), outputs ``logits`` and
    ``probabilities`` (float32 [batch, cells]). Names of cells (a JSON list) and the
    description are in ``metadata_props``.
    """
    model, kind = job.model, job.folder.name
    metadata = {"cells": json.dumps(model.cells), "description": json.dumps(job.description)}
    proto = _convert(model)
    simplify(proto)
    onnx.helper.set_model_props(proto, metadata)
    float32, int8 = job.folder / "float32.onnx", job.folder / "int8.onnx"
    onnx.save(proto, float32)
    if job.int8:
        _quantise(float32, int8, _head_of(proto), job.drawn.calibration)
    interface = {"inputs": tokens_of(model), "outputs": outputs_of(model)}
    artefacts = []
    for path in (float32, int8) if job.int8 else (float32,):
        onnx.checker.check_model(path, full_check=True)
        name = f"{kind}/{path.name}"
        artefacts.append(Artefact(name, kind, path.stem, interface=interface))
    return artefacts


def open(path: Path, artefact: Artefact) -> InProcess:  # noqa: A001
    """Load a file in ONNX Runtime."""
    return _Onnx(path)


def card(paths: Sequence[str], length: int) -> str:
    """Return how a file is called."""
    return _CARD.format(path=paths[0], length=length)


class _Onnx(InProcess):
    def __init__(self, path: Path) -> None:
        import onnxruntime

        self.name = f"onnxruntime {version('onnxruntime')}"
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def call(self, arrays: Arrays) -> Values:
        values = self._session.run(self._outputs, dict(arrays))
        return dict(zip(self._outputs, values, strict=True))


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
