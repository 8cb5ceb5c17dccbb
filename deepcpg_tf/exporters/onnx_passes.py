"""A plain 1-D graph out of what tf2onnx makes of 1-D convolutions.

TensorFlow computes them as 2-D ones of height 1, and tf2onnx keeps the detours: an
Unsqueeze before and a Squeeze after each of them, and transposes between the two
orders of axes. In float32 that costs little; in int8 every detour would be computed,
between the quantised operations that it keeps from being fused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

_SPATIAL = ("kernel_shape", "strides", "dilations")
_TO_CHANNELS_FIRST = [0, 2, 1]


def simplify(model: onnx.ModelProto, given: str) -> None:
    """Rewrite what is computed of one input alone, in place, and put it before the rest.

    It gets 1-D operations, biases inside them, and one transpose. The numbers stay the same
    but for the rounding of the bias.
    """
    own = computed_of(model.graph, given)
    nodes = list(model.graph.node)
    graph = _Graph(model.graph, [node for node in nodes if node.output[0] in own])
    if not graph.nodes:
        return
    _make_one_dimensional(graph)
    _take_in_biases(graph)
    _fold_transpose_into_dense(graph)
    graph.write([node for node in nodes if node.output[0] not in own])


def computed_of(graph: Any, given: str) -> set[str]:
    """Return the names of all that is computed of one input of a graph, and of no other."""
    others = {value.name for value in graph.input} - {given}
    own = {given}
    for node in graph.node:  # in the order in which they run
        if others & {*node.input}:
            others.update(node.output)
        elif own & {*node.input}:
            own.update(node.output)
    return own - {given}


class _Graph:
    """Some nodes of a graph in order, and its constants as arrays."""

    def __init__(self, proto: onnx.GraphProto, nodes: list[Any]) -> None:
        self._proto = proto
        self.nodes = nodes
        self.constants: dict[str, npt.NDArray[Any]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in proto.initializer
        }

    def readers(self, name: str) -> list[Any]:
        return [node for node in self.nodes if name in node.input]

    def drop(self, node: Any) -> None:
        """Take out a node; who read its output reads its input."""
        self.nodes.remove(node)
        for reader in self.readers(node.output[0]):
            _replace(reader.input, node.output[0], node.input[0])

    def write(self, others: list[Any]) -> None:
        nodes = [*self.nodes, *others]
        for i, node in enumerate(nodes):
            node.name = f"{node.op_type}_{i}"
        fill(self._proto, nodes, self.constants)


def fill(graph: Any, nodes: list[Any], constants: dict[str, npt.NDArray[Any]]) -> None:
    """Give a graph other nodes, and those of some constants that they read."""
    used = {name for node in nodes for name in node.input}
    tensors = [
        numpy_helper.from_array(np.ascontiguousarray(value), name)
        for name, value in constants.items()
        if name in used
    ]
    for field, values in (("node", nodes), ("initializer", tensors)):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        graph.ClearField(field)
        getattr(graph, field).extend(copies)
    graph.ClearField("value_info")


def arrange(graph: Any) -> None:
    """Put nodes in an order that follows from what they compute, and name all by that order.

    Names that TensorFlow and tf2onnx give count what else they have converted, and so does
    their order of nodes that do not need each other: with these, no two files would be the same.
    """
    _order(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    fixed = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {}
    for i, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{i}", ""
        for j, given in enumerate(node.input):
            if given in constants:
                names.setdefault(given, f"{node.name}_{j}")
            node.input[j] = names.get(given, given)
        for j, made in enumerate(node.output):
            if made not in fixed:
                names[made] = f"{node.name}_out" + (f"_{j}" if len(node.output) > 1 else "")
                node.output[j] = names[made]
    used = [constants[name] for name in names if name in constants]
    copies = [type(value).FromString(value.SerializeToString()) for value in used]
    graph.ClearField("initializer")
    graph.initializer.extend(copies)
    for tensor in graph.initializer:
        tensor.name, tensor.doc_string = names[tensor.name], ""


def _order(graph: Any) -> None:
    """Let each node come right after what it reads, beginning with the first output."""
    made_by = {name: node for node in graph.node for name in node.output}
    done: dict[str, Any] = {}
    waiting = [made_by[value.name] for value in reversed(graph.output)]
    while waiting:
        node = waiting[-1]
        needed = [made_by[name] for name in node.input if name in made_by]
        missing = [other for other in needed if other.output[0] not in done]
        if missing:
            waiting += reversed(missing)
        else:
            done.setdefault(node.output[0], waiting.pop())
    copies = [type(node).FromString(node.SerializeToString()) for node in done.values()]
    graph.ClearField("node")
    graph.node.extend(copies)


def _make_one_dimensional(graph: _Graph) -> None:
    for node in list(graph.nodes):
        if node.op_type in ("Unsqueeze", "Squeeze"):
            graph.drop(node)
        elif node.op_type in ("Conv", "MaxPool"):
            for attribute in node.attribute:
                if attribute.name in _SPATIAL:
                    attribute.ints[:] = attribute.ints[1:]
            if node.op_type == "Conv":
                kernel = graph.constants[node.input[1]]
                graph.constants[node.input[1]] = kernel.reshape(*kernel.shape[:2], -1)
        elif node.op_type == "Transpose" and len(node.attribute[0].ints) == 4:
            node.attribute[0].ints[:] = _TO_CHANNELS_FIRST


def _take_in_biases(graph: _Graph) -> None:
    """Make the Add of a constant part of the convolution or matrix product before it."""
    for i, node in enumerate(graph.nodes):
        if node.op_type not in ("Conv", "MatMul"):
            continue
        if node.op_type == "MatMul":
            node = helper.make_node("Gemm", list(node.input), list(node.output))
            graph.nodes[i] = node
        add, *others = graph.readers(node.output[0])
        if others:
            continue  # it is an output, from which another one is computed
        biases = [name for name in add.input if name in graph.constants]
        if add.op_type == "Add" and biases:  # tf2onnx leaves out biases that are all zero
            (bias,) = biases
            graph.constants[bias] = graph.constants[bias].ravel()
            node.input.append(bias)
            node.output[0] = add.output[0]
            graph.nodes.remove(add)


def _fold_transpose_into_dense(graph: _Graph) -> None:
    """Let the dense layer read channels first, by the order of its rows."""
    *_, transpose = (node for node in graph.nodes if node.op_type == "Transpose")
    (reshape,) = graph.readers(transpose.output[0])
    if reshape.op_type != "Reshape":
        return
    (dense,) = graph.readers(reshape.output[0])
    channels = _channels_before(graph, transpose)
    kernel = graph.constants[dense.input[1]]
    steps = kernel.shape[0] // channels
    rows = kernel.reshape(steps, channels, -1).swapaxes(0, 1)
    graph.constants[dense.input[1]] = rows.reshape(kernel.shape)
    graph.drop(transpose)


def _channels_before(graph: _Graph, node: Any) -> int:
    """Return the channels of the last convolution before a node."""
    convolutions = [n for n in graph.nodes[: graph.nodes.index(node)] if n.op_type == "Conv"]
    return int(graph.constants[convolutions[-1].input[1]].shape[0])


def _replace(names: Any, old: str, new: str) -> None:
    for i, name in enumerate(names):
        if name == old:
            names[i] = new
