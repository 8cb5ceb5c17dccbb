"""Names and order in a TFLite file, where the converter leaves its own.

Who runs a file without its signatures (OpenVINO, ``set_tensor`` and ``invoke``) runs its
first graph, and knows inputs and outputs by the names of their tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
"""Of a buffer, as the schema demands; the generated code does not see to it."""

_OPERATORS = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


def arrange(content: bytes, first: str, description: str) -> bytes:
    """Return a model with a signature as its first graph, and tensors named by what they are.

    Inputs and outputs are called as the signatures call them, and what is between by the
    operator that makes it: the converter's names count what else it has converted.

    Parameters
    ----------
    content
        The model.
    first
        The signature.
    description
        What the model says it is.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    model.description = description
    signatures = sorted(model.signatureDefs, key=lambda found: found.signatureKey.decode() != first)
    model.subgraphs = [model.subgraphs[signature.subgraphIndex] for signature in signatures]
    for index, signature in enumerate(signatures):
        signature.subgraphIndex = index
        # Whoever knows them by their number finds what was there first where it was.
        outputs = sorted(signature.outputs, key=lambda found: found.name)
        model.subgraphs[index].outputs = np.array([one.tensorIndex for one in outputs], np.int32)
        _name(model.subgraphs[index], signature, model.operatorCodes)
    model.signatureDefs = signatures
    for buffer in model.buffers:
        buffer.__class__ = _Buffer
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def names_but_of(content: bytes, inputs: Sequence[str]) -> list[str]:
    """Return the names of all that is computed of other inputs too, or of outputs, and of these.

    Parameters
    ----------
    content
        A model as it was converted.
    inputs
        Names of inputs in its signatures.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    names: list[str] = []
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        others = {
            given.tensorIndex for given in signature.inputs if given.name.decode() not in inputs
        }
        found = {given.tensorIndex for given in signature.outputs}
        others |= found
        for operator in graph.operators:  # in the order in which they run
            if others & {*operator.inputs.tolist()}:
                others |= {*operator.outputs.tolist()}
                found |= {*operator.outputs.tolist()}
        names += [graph.tensors[index].name.decode() for index in sorted(found)]
    return names


def _name(graph: Any, signature: Any, codes: Any) -> None:
    for index, tensor in enumerate(graph.tensors):
        tensor.name = f"constant_{index}"
    for operator in graph.operators:
        code = codes[operator.opcodeIndex]
        name = _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)].lower()
        for index in operator.outputs:
            graph.tensors[index].name = f"{name}_{index}"
    for given in (*signature.inputs, *signature.outputs):
        graph.tensors[given.tensorIndex].name = given.name.decode()


class _Buffer(schema.BufferT):
    def Pack(self, builder: Any) -> Any:  # noqa: N802
        if self.data is None or not len(self.data):
            return super().Pack(builder)
        data = np.asarray(self.data, np.uint8)
        builder.StartVector(1, len(data), _ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data.tobytes()
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)
