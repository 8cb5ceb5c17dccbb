"""ONNX for ONNX Runtime: float32, and int8 between QuantizeLinear and DequantizeLinear.

The input is letters as uint8: tf2onnx cannot convert strings, and returns an invalid
model for them without a word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper

import deepcpg_tf
from deepcpg_tf.exporters.artefact import Artefact, Said
from deepcpg_tf.exporters.describe import outputs_of, summary, tensor, tokens_of
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import Outputs, outputs
from deepcpg_tf.exporters.onnx_passes import fill, name_by_order, simplify
from deepcpg_tf.exporters.rounding import LARGEST_INPUT, Fit, Layer, method, round_weights
from deepcpg_tf.exporters.runtimes import InProcess, Values
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

PACKAGES: tuple[str, ...] = ("onnx", "onnxruntime", "tf2onnx")

OPSET = 18
"""The highest that tf2onnx has."""

BATCH_DIMENSION = "batch"
_CARD = """
### ONNX: ONNX Runtime

Input `tokens` (uint8 [batch, {length}], ASCII codes). The cells are in the metadata. Int8 is
computed in the same whole numbers on every processor, with VNNI or without.

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
    protos = {"float32": _convert(job.model)}
    if job.int8:
        rounded = round_weights(job.model, job.drawn.rounding_windows(), Fit.PAIRS)
        protos["int8"] = _convert(rounded.model)
        _quantise(protos["int8"].graph, rounded.layers)
    model, kind = job.model, job.folder.name
    interface = {"inputs": tokens_of(model), "outputs": outputs_of(model)}
    artefacts = []
    for precision, proto in protos.items():
        file = f"{precision}.onnx"
        description = {**job.description, "precision": precision}
        metadata = {"cells": json.dumps(model.cells), "description": json.dumps(description)}
        name_by_order(proto.graph)
        _document(proto, job)
        onnx.helper.set_model_props(proto, metadata)
        onnx.save(proto, job.folder / file)
        onnx.checker.check_model(job.folder / file, full_check=True)
        made = method(Fit.PAIRS) if precision == "int8" else {}
        path = f"{kind}/{file}"
        artefacts.append(Artefact(path, kind, precision, None, interface, job.number, made))
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

    def said(self) -> Said:
        """By its graph and its metadata."""
        metadata = self._session.get_modelmeta().custom_metadata_map
        interface = {
            "inputs": _tensors(self._session.get_inputs()),
            "outputs": _tensors(self._session.get_outputs()),
        }
        return Said(interface, json.loads(metadata["cells"]), json.loads(metadata["description"]))


def _tensors(values: Sequence[Any]) -> dict[str, Any]:
    """Return what a manifest says of inputs or outputs."""
    dtypes = {"tensor(float)": "float32"}
    return {
        value.name: tensor(
            dtypes.get(value.type, value.type.removeprefix("tensor(").removesuffix(")")),
            *(size if isinstance(size, int) else -1 for size in value.shape),
        )
        for value in values
    }


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
    simplify(proto)
    return proto


def _document(proto: Any, job: Job) -> None:
    """Say in the file what it is, in place of what the converter says."""
    proto.producer_name, proto.producer_version = "deepcpg_tf", deepcpg_tf.__version__
    proto.model_version = job.number
    proto.doc_string = summary(job.description)
    proto.graph.name, proto.graph.doc_string = job.name, proto.doc_string
    length = job.model.config.sequence_length
    texts = {
        "tokens": f"ASCII codes of {length} letters of the forward strand, with the C of the CpG "
        f"at index {length // 2}, counted from 0; what is no letter of DNA counts as N.",
        "logits": "For each cell, in the order of the metadata's `cells`, before the sigmoid.",
        "probabilities": "Of methylation in each cell, in the order of the metadata's `cells`.",
    }
    for value in (*proto.graph.input, *proto.graph.output):
        value.doc_string = texts[value.name]


def _quantise(graph: Any, layers: Sequence[Layer]) -> None:
    """Put a graph, whose weights are on the grid of int8, into int8 up to the embedding.

    Letters, pooling and reshaping are the same in uint8. A rectifier is the lower end of
    the range. From the embedding on nothing is quantised: that costs nothing, and keeps
    what would be rounded once more.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scales: dict[str, Any] = {}  # of what is in uint8, by name
    nodes: list[Any] = []

    def convert(kind: str, source: str, output: str, scale: Any, dtype: Any, axis: int = 0) -> str:
        names = [source, f"{output}_scale", f"{output}_zero"]
        constants[names[1]] = np.asarray(scale, np.float32)
        constants[names[2]] = np.zeros(np.shape(scale), dtype)
        nodes.append(onnx.helper.make_node(kind, names, [output], output, axis=axis))
        return output

    def constant(name: str, values: Any, scale: Any, dtype: Any, axis: int) -> str:
        limits = np.iinfo(dtype)
        constants[name] = np.clip(np.round(values), limits.min, limits.max).astype(dtype)
        return convert("DequantizeLinear", name, f"{name}_float", scale, dtype, axis)

    remaining = iter(layers)
    for node in graph.node:
        source, output = node.input[0], node.output[0]
        if node.op_type == "Gather":
            constants[source] = constants[source].astype(np.uint8)
            scales[output] = np.float32(1)
        elif node.op_type in ("Conv", "Gemm") and source in scales:
            layer, step = next(remaining), scales[source]
            axis = 0 if node.op_type == "Conv" else 1  # of the outputs
            kernel, *bias = (constants[name] for name in node.input[1:])
            scale = np.moveaxis(layer.scale.reshape(-1, *[1] * (kernel.ndim - 1)), 0, axis)
            given = convert("DequantizeLinear", source, f"{output}_given", step, np.uint8)
            inputs = [
                given,
                constant(f"{output}_kernel", kernel / scale, layer.scale, np.int8, axis),
            ]
            if bias:
                steps = layer.scale * step
                inputs.append(constant(f"{output}_bias", bias[0] / steps, steps, np.int32, 0))
            node.input[:] = inputs
        elif node.op_type == "Relu" and nodes[-1].op_type == "Conv":
            scales[output] = np.float32(layer.top / LARGEST_INPUT)
            convert("QuantizeLinear", source, output, scales[output], np.uint8)
            continue
        elif node.op_type == "Relu" and nodes[-1].op_type == "Gemm":
            # ONNX Runtime would take a Relu and the Gemm together, in float32.
            constants["zero"] = np.zeros((), np.float32)
            node = onnx.helper.make_node("Max", [source, "zero"], [output], node.name)
        elif source in scales:
            scales[output] = scales[source]
        nodes.append(node)
    fill(graph, nodes, constants)
