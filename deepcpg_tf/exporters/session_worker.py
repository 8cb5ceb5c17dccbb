"""A SavedModel in TensorFlow's C library, without Python's TensorFlow.

It is the loader of TF Serving, in a process of its own: what kills a server kills
this, and not who asks. Run as ``python session_worker.py LIBRARY FOLDER``. It first
writes the model's MetaGraphDef, then answers requests until its input ends.

A message is a line of JSON, then as many bytes as its ``size`` says. A request has
``inputs`` and ``outputs`` (names of tensors), ``repeat`` and, as NumPy archive, the
inputs; an answer has ``seconds`` of each repetition and the outputs, or ``error``.
"""

from __future__ import annotations

import ctypes
import io
import json
import sys
import time
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import numpy.typing as npt

_DTYPES = {1: np.float32, 3: np.int32, 4: np.uint8, 9: np.int64}
_STRING = 7
_STRING_SIZE = 24

Arrays = dict[str, npt.NDArray[Any]]


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    )


_ADDRESSES = (
    *("TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_NewBuffer", "TF_TensorData"),
    *("TF_LoadSessionFromSavedModel", "TF_GraphOperationByName", "TF_AllocateTensor"),
    "TF_StringGetDataPointer",
)
_SIZES = ("TF_NumDims", "TF_Dim", "TF_TensorByteSize", "TF_StringGetSize")


class Session:
    """A loaded model.

    Parameters
    ----------
    library
        Path of TensorFlow's C library.
    folder
        A version of a SavedModel.

    Raises
    ------
    RuntimeError
        When it cannot be loaded, with TensorFlow's message.
    """

    def __init__(self, library: str, folder: str) -> None:
        tf = self._tf = ctypes.CDLL(library)
        for name in _ADDRESSES:
            getattr(tf, name).restype = ctypes.c_void_p
        for name in _SIZES:
            getattr(tf, name).restype = ctypes.c_int64
        tf.TF_Message.restype = ctypes.c_char_p
        self._status = ctypes.c_void_p(tf.TF_NewStatus())
        self._graph = ctypes.c_void_p(tf.TF_NewGraph())
        options = ctypes.c_void_p(tf.TF_NewSessionOptions())
        tf.TF_NewBuffer.restype = ctypes.POINTER(_Buffer)
        buffer = tf.TF_NewBuffer()
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = ctypes.c_void_p(
            tf.TF_LoadSessionFromSavedModel(
                options, None, folder.encode(), tags, 1, self._graph, buffer, self._status
            )
        )
        self._check()
        self.meta_graph = ctypes.string_at(buffer.contents.data, buffer.contents.length)

    def run(self, inputs: Mapping[str, npt.NDArray[Any]], outputs: list[str]) -> Arrays:
        """Return the values of tensors, given those of others, each by its name."""
        tf, n, m = self._tf, len(inputs), len(outputs)
        tensors = [self._tensor(value) for value in inputs.values()]
        results = (ctypes.c_void_p * m)()
        try:
            tf.TF_SessionRun(
                *(self._session, None),
                *((_Output * n)(*map(self._output, inputs)), (ctypes.c_void_p * n)(*tensors), n),
                *((_Output * m)(*map(self._output, outputs)), results, m),
                *(None, 0, None, self._status),
            )
            self._check()
            values = [self._array(ctypes.c_void_p(result)) for result in results]
        finally:
            for tensor in (*tensors, *results):
                if tensor is not None:
                    tf.TF_DeleteTensor(ctypes.c_void_p(tensor))
        return dict(zip(outputs, values, strict=True))

    def _check(self) -> None:
        code = self._tf.TF_GetCode(self._status)
        if code:
            message = self._tf.TF_Message(self._status).decode()
            raise RuntimeError(f"{_CODES.get(code, code)}: {message}")

    def _output(self, name: str) -> _Output:
        operation, index = name.split(":")
        found = self._tf.TF_GraphOperationByName(self._graph, operation.encode())
        return _Output(found, int(index))

    def _tensor(self, value: npt.NDArray[Any]) -> int:
        tf = self._tf
        dims = (ctypes.c_int64 * max(value.ndim, 1))(*value.shape)
        if value.dtype.kind == "S":
            address = tf.TF_AllocateTensor(
                _STRING, dims, value.ndim, ctypes.c_size_t(value.size * _STRING_SIZE)
            )
            start = tf.TF_TensorData(ctypes.c_void_p(address))
            for i, item in enumerate(value.ravel().tolist()):
                string = ctypes.c_void_p(start + i * _STRING_SIZE)
                tf.TF_StringInit(string)
                tf.TF_StringCopy(string, item, ctypes.c_size_t(len(item)))
        else:
            (dtype,) = (key for key, known in _DTYPES.items() if known == value.dtype)
            data = np.ascontiguousarray(value)
            address = tf.TF_AllocateTensor(dtype, dims, value.ndim, ctypes.c_size_t(data.nbytes))
            start = tf.TF_TensorData(ctypes.c_void_p(address))
            ctypes.memmove(start, data.ctypes.data, data.nbytes)
        return int(address)

    def _array(self, tensor: ctypes.c_void_p) -> npt.NDArray[Any]:
        tf = self._tf
        shape = [tf.TF_Dim(tensor, i) for i in range(tf.TF_NumDims(tensor))]
        start, dtype = tf.TF_TensorData(tensor), tf.TF_TensorType(tensor)
        if dtype != _STRING:
            data = ctypes.string_at(start, tf.TF_TensorByteSize(tensor))
            return np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
        strings = []
        for i in range(int(np.prod(shape))):
            string = ctypes.c_void_p(start + i * _STRING_SIZE)
            size = tf.TF_StringGetSize(string)
            strings.append(
                ctypes.string_at(tf.TF_StringGetDataPointer(string), size) if size else b""
            )
        return np.array(strings, np.bytes_).reshape(shape)


_CODES = {
    3: "INVALID_ARGUMENT",
    5: "NOT_FOUND",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
}


def send(stream: IO[bytes], header: Mapping[str, Any], data: bytes = b"") -> None:
    """Write a message."""
    stream.write(json.dumps({**header, "size": len(data)}).encode() + b"\n" + data)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Read a message, or None at the end."""
    line = stream.readline()
    if not line:
        return None
    header = json.loads(line)
    return header, stream.read(header["size"])


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Turn arrays into the bytes of a NumPy archive."""
    file = io.BytesIO()
    np.savez(file, *arrays.values())
    return file.getvalue()


def unpack(names: list[str], data: bytes) -> Arrays:
    """Turn the bytes of `pack` into arrays by name."""
    with np.load(io.BytesIO(data)) as file:
        return {name: file[f"arr_{i}"] for i, name in enumerate(names)}


def main(library: str, folder: str) -> None:
    """Load, then answer."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        session = Session(library, folder)
    except (OSError, RuntimeError) as error:
        send(answers, {"error": str(error)})
        return
    send(answers, {}, session.meta_graph)
    while (message := receive(requests)) is not None:
        header, data = message
        inputs = unpack(header["inputs"], data)
        seconds = []
        try:
            for _ in range(header["repeat"]):
                start = time.perf_counter()
                outputs = session.run(inputs, header["outputs"])
                seconds.append(time.perf_counter() - start)
        except RuntimeError as error:
            send(answers, {"error": str(error)})
        else:
            send(answers, {"seconds": seconds}, pack(outputs))


if __name__ == "__main__":
    main(*sys.argv[1:])
