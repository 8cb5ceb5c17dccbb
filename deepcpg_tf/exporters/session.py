"""A SavedModel in the loader that TF Serving uses, by signatures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy.typing as npt

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters import session_worker
from deepcpg_tf.exporters.describe import tensor
from deepcpg_tf.exporters.session_worker import Arrays


class Signature(NamedTuple):
    """The names of the tensors that a signature's inputs and outputs are."""

    inputs: dict[str, str]
    outputs: dict[str, str]


class SessionError(ExportError):
    """What the model answers to a request that is wrong: a code, then a message."""


class ServingSession:
    """A SavedModel loaded by TensorFlow's C library in a process of its own.

    Parameters
    ----------
    folder
        A version of a SavedModel.

    Attributes
    ----------
    signatures : dict of str to Signature
        Those of the model.
    interface : dict
        Types and shapes of their inputs and outputs, as a manifest has them.

    Raises
    ------
    ExportError
        When it cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, session_worker.__file__, str(_library()), str(folder)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        header, meta_graph = self._receive()
        if "error" in header:
            self.close()
            raise ExportError(f"{folder}: expected a SavedModel that loads, but {header['error']}")
        self.signatures, self.interface = _signatures(meta_graph), _interface(meta_graph)

    def run(self, signature: str, inputs: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        """Return the outputs of a signature.

        Strings are arrays of bytes (``S``).

        Raises
        ------
        SessionError
            When the model refuses the request.
        ExportError
            When the process died.
        """
        return self._request(signature, inputs, 1)[1]

    def seconds(
        self, signature: str, inputs: Mapping[str, npt.NDArray[Any]], repeat: int
    ) -> list[float]:
        """Return how long each of some runs took."""
        return self._request(signature, inputs, repeat)[0]

    def _request(
        self, signature: str, inputs: Mapping[str, npt.NDArray[Any]], repeat: int
    ) -> tuple[list[float], Arrays]:
        names = self.signatures[signature]
        tensors = {names.inputs[name]: value for name, value in inputs.items()}
        request = {
            "inputs": list(tensors),
            "outputs": list(names.outputs.values()),
            "repeat": repeat,
        }
        assert self._process.stdin is not None
        try:
            session_worker.send(self._process.stdin, request, session_worker.pack(tensors))
        except BrokenPipeError:
            raise ExportError(self._death()) from None
        header, data = self._receive()
        if "error" in header:
            raise SessionError(" ".join(header["error"].split()))
        return header["seconds"], session_worker.unpack(list(names.outputs), data)

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdout is not None
        message = session_worker.receive(self._process.stdout)
        if message is None:
            raise ExportError(self._death())
        return message

    def _death(self) -> str:
        return f"session: the process that serves the model died, code {self._process.wait()}"

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def __enter__(self) -> ServingSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _signatures(meta_graph: bytes) -> dict[str, Signature]:
    return {
        name: Signature(
            {key: tensor.name for key, tensor in definition.inputs.items()},
            {key: tensor.name for key, tensor in definition.outputs.items()},
        )
        for name, definition in _definitions(meta_graph)
    }


def _interface(meta_graph: bytes) -> dict[str, Any]:
    from tensorflow.dtypes import as_dtype

    def tensors(found: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: tensor(as_dtype(info.dtype).name, *(dim.size for dim in info.tensor_shape.dim))
            for name, info in found.items()
        }

    return {
        name: {"inputs": tensors(definition.inputs), "outputs": tensors(definition.outputs)}
        for name, definition in _definitions(meta_graph)
    }


def _definitions(meta_graph: bytes) -> list[tuple[str, Any]]:
    from tensorflow.core.protobuf import meta_graph_pb2

    definitions = meta_graph_pb2.MetaGraphDef.FromString(meta_graph).signature_def
    return [
        (name, definition)
        for name, definition in definitions.items()
        if definition.outputs and not name.startswith("__")
    ]


def _library() -> Path:
    spec = find_spec("tensorflow")
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        for file in sorted(Path(place).glob("libtensorflow_cc*")):
            return file
    raise ExportError(
        "session: expected TensorFlow's C library (libtensorflow_cc) in its package, found none"
    )
