"""ONNX for ONNX Runtime: float32, and int8 between QuantizeLinear and DequantizeLinear.

Windows are letters as uint8: tf2onnx cannot convert strings, and returns an invalid
model for them without a word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import numpy_helper

import deepcpg_tf
from deepcpg_tf.exporters.artefact import Artefact, Said
from deepcpg_tf.exporters.describe import CALIBRATED, outputs_of, shapes_of, summary, tensor
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import (
    TOKENS,
    Outputs,
    input_specs,
    inputs_of,
    outputs,
    reads_windows,
    rows_of,
)
from deepcpg_tf.exporters.onnx_passes import arrange, computed_of, fill, simplify
from deepcpg_tf.exporters.rounding import LARGEST_INPUT, Fit, Layer, method, round_weights
from deepcpg_tf.exporters.runtimes import InProcess, Values
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

PACKAGES: tuple[str, ...] = ("onnx", "onnxruntime", "tf2onnx")

OPSET = 18
"""The highest that tf2onnx has."""

BATCH_DIMENSION = "batch"
_CARD = """
### ONNX: ONNX Runtime

Input{s} {inputs}. The cells are in the metadata.{int8}

```python
import json, numpy as np, onnxruntime

session = onnxruntime.InferenceSession("{path}")
json.loads(session.get_modelmeta().custom_metadata_map["cells"])
session.run(["probabilities"], {{{call}}})
```
"""
_INT8 = (
    " Int8 is\ncomputed in the same whole numbers on every processor, with VNNI or without{others}."
)


def write(job: Job) -> list[Artefact]:
    """Write ``float32.onnx`` and, of a model that reads windows, ``int8.onnx``.

    Inputs are, of ``tokens`` (uint8 [batch, length], ASCII codes), ``state`` and ``dist``
    (float32 [batch, cells, neighbours]), those that the model reads, outputs ``logits`` and
    ``probabilities`` (float32 [batch, cells]), and calibrated ones, if the model keeps what
    calibrates them. Names of cells (a JSON list) and the
    description are in ``metadata_props``.
    """
    protos = {"float32": _convert(job.model)}
    if job.int8 and reads_windows(job.model):
        rounded = round_weights(job.model, job.drawn.rounding_arrays(), Fit.PAIRS)
        protos["int8"] = _convert(rounded.model)
        _quantise(protos["int8"].graph, rounded.layers)
    model, kind = job.model, job.folder.name
    interface = {"inputs": inputs_of(model, TOKENS), "outputs": outputs_of(model)}
    artefacts = []
    for precision, proto in protos.items():
        file = f"{precision}.onnx"
        description = {**job.description, "precision": precision}
        metadata = {"cells": json.dumps(model.cells), "description": json.dumps(description)}
        arrange(proto.graph)
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


def card(paths: Sequence[str], description: Mapping[str, Any]) -> str:
    """Return how a file is called."""
    shapes = {
        name: ", ".join(map(str, ("batch", *shape)))
        for name, shape in shapes_of(description).items()
    }
    inputs = [
        f"`{name}` (uint8 [{shape}], ASCII codes)"
        if name == TOKENS
        else f"`{name}` (float32 [{shape}])"
        for name, shape in shapes.items()
    ]
    calls = {TOKENS: "np.frombuffer(window.encode(), np.uint8)[None]"}
    others = "; neighbours,\nand what joins the two, are in float32" if len(shapes) > 1 else ""
    return _CARD.format(
        s="s" if len(shapes) > 1 else "",
        inputs=" and ".join(inputs)
        if len(inputs) < 3
        else f"{inputs[0]}, {inputs[1]} and {inputs[2]}",
        int8=_INT8.format(others=others) if any("int8" in path for path in paths) else "",
        path=paths[0],
        call=", ".join(f'"{name}": {calls.get(name, name)}' for name in shapes),
    )


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


def _convert(model: MethylationModel) -> Any:
    specs = input_specs(model, TOKENS)

    @tf.function(input_signature=specs)
    def run(*tensors: tf.Tensor) -> Outputs:
        named = {spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)}
        return outputs(model, rows_of(model, named, checked=False))

    with quiet_stderr():
        import tf2onnx

        proto, _ = tf2onnx.convert.from_function(run, input_signature=specs, opset=OPSET)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH_DIMENSION
    simplify(proto, TOKENS)
    used = {node.domain for node in proto.graph.node}
    domains = [one for one in proto.opset_import if one.domain in used]
    proto.ClearField("opset_import")
    proto.opset_import.extend(domains)
    return proto


def _document(proto: Any, job: Job) -> None:
    """Say in the file what it is, in place of what the converter says."""
    proto.producer_name, proto.producer_version = "deepcpg_tf", deepcpg_tf.__version__
    proto.model_version = job.number
    proto.doc_string = summary(job.description)
    proto.graph.name, proto.graph.doc_string = job.name, proto.doc_string
    texts = {
        **_texts(job.description),
        "logits": "For each cell, in the order of the metadata's `cells`, before the sigmoid.",
        "probabilities": "Of methylation in each cell, in the order of the metadata's `cells`.",
        CALIBRATED: "The same, calibrated as the description's `config` says.",
    }
    for value in (*proto.graph.input, *proto.graph.output):
        value.doc_string = texts[value.name]


def _texts(description: Mapping[str, Any]) -> dict[str, str]:
    """Return what each input is."""
    texts = {}
    if "window" in description:
        length, middle = (description["window"][key] for key in ("length", "cytosine_at"))
        texts["tokens"] = (
            f"ASCII codes of {length} letters of the forward strand, with the C of the CpG "
            f"at index {middle}, counted from 0; what is no letter of DNA counts as N."
        )
    if "neighbours" in description:
        of = description["neighbours"]
        where = (
            f"of the nearest {of['of_each_cell'] // 2} observed CpG sites to the left, from far to "
            "near, then of those to the right, from near to far, in each of the cells of "
            "the description's `neighbours`, in their order; never of the site itself."
        )
        texts["state"] = f"Methylation, 1 or 0, {where}"
        texts["dist"] = f"Distance in bases / {of['max_distance']}, at most 1, {where}"
    if "features" in description:
        texts["features"] = "Of an entry, in the order of the description's `features`."
        texts["embedding"] = "Of the window around the site, by the DNA module."
    return texts


def _quantise(graph: Any, layers: Sequence[Layer]) -> None:
    """Put what is computed of letters, with weights on the grid of int8, into int8.

        That goes up to the embedding of windows.
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
    own = computed_of(graph, TOKENS)
    for node in graph.node:
        source, output = node.input[0], node.output[0]
        if output not in own:
            nodes.append(node)
            continue
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
