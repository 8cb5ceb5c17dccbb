"""A small server that speaks as TensorFlow Serving does, over REST and gRPC.

The model runs in TensorFlow's C library, which is the loader of TensorFlow Serving. Of
the protocols, here is what one model needs: its status, its metadata, and predict. How a
request in JSON becomes tensors, and which errors it meets, follows TensorFlow Serving's
own conversion (``util/json_tensor.cc``); NaN and Infinity are taken and given there too.
Batching is not here: a request is computed alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import grpc
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters.session import ServingSession, SessionError

Arrays = dict[str, npt.NDArray[Any]]

_HTTP = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "NOT_FOUND": 404}
_PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict")
_METADATA = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?/metadata")
_STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?")


class Refused(Exception):  # noqa: N818
    """A request that is wrong: its status code and what is said of it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def refuse(message: str) -> NoReturn:
    raise Refused("INVALID_ARGUMENT", message)


class Model:
    """The highest version of a SavedModel in a base path, under a name."""

    def __init__(self, name: str, base_path: Path) -> None:
        self.name = name
        self.version = max(int(path.name) for path in base_path.iterdir() if path.name.isdigit())
        folder = base_path / str(self.version)
        content = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signatures = content.meta_graphs[0].signature_def
        self._session = ServingSession(folder)
        self._lock = threading.Lock()

    def close(self) -> None:
        self._session.close()

    def find(self, name: str, version: int | None) -> None:
        if name == self.name and version in (None, self.version):
            return
        asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise Refused("NOT_FOUND", f"Servable not found for request: {asked}")

    def inputs(self, signature: str) -> dict[str, Any]:
        if signature not in self.signatures:
            refuse(f'Serving signature name: "{signature}" not found in signature def')
        return dict(self.signatures[signature].inputs)

    def predict(self, signature: str, inputs: Arrays) -> Arrays:
        expected = self.inputs(signature)
        if set(inputs) != set(expected):
            refuse(
                f"input keys do not match: expected {sorted(expected)}, received {sorted(inputs)}"
            )
        for name, value in inputs.items():
            dtype = tf.dtypes.as_dtype(expected[name].dtype)
            received = tf.string if value.dtype.kind == "S" else tf.dtypes.as_dtype(value.dtype)
            if dtype != received:
                refuse(f"input {name}: expected {dtype.name}, received {received.name}")
        try:
            with self._lock:
                return self._session.run(signature, inputs)
        except SessionError as error:
            code, _, message = str(error).partition(": ")
            raise Refused(code, message) from None
        except ExportError as error:
            raise Refused("INTERNAL", str(error)) from None


class Rest(NamedTuple):
    """REST, as functions from a request to what is answered in JSON."""

    model: Model

    def get(self, path: str) -> dict[str, Any]:
        if match := _METADATA.fullmatch(path):
            self._find(match)
            return self._metadata()
        if match := _STATUS.fullmatch(path):
            self._find(match)
            fine = {"error_code": "OK", "error_message": ""}
            version = {"version": str(self.model.version), "state": "AVAILABLE", "status": fine}
            return {"model_version_status": [version]}
        refuse(f"Malformed request: GET {path}")

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        match = _PREDICT.fullmatch(path)
        if not match:
            refuse(f"Malformed request: POST {path}")
        self._find(match)
        try:
            request = json.loads(body)
        except ValueError as error:
            refuse(f"JSON Parse error: {error}")
        if not isinstance(request, dict):
            refuse(f"JSON Value: {request!r} Is not object")
        signature = request.get("signature_name", "serving_default")
        if not isinstance(signature, str):
            refuse("'signature_name' key must be a string value.")
        infos = self.model.inputs(signature)
        if "instances" in request and "inputs" in request:
            refuse("Not formatted correctly expecting only one of 'inputs' or 'instances' keys")
        if "instances" in request:
            outputs = self.model.predict(signature, _of_rows(request["instances"], infos))
            return {"predictions": _rows(outputs)}
        if "inputs" in request:
            outputs = self.model.predict(signature, _of_columns(request["inputs"], infos))
            columns = {name: _json_values(name, value) for name, value in outputs.items()}
            return {"outputs": _alone(columns)}
        refuse("Missing 'inputs' or 'instances' key")

    def _find(self, match: re.Match[str]) -> None:
        self.model.find(match[1], None if match[2] is None else int(match[2]))

    def _metadata(self) -> dict[str, Any]:
        signatures = metadata_pb2.SignatureDefMap(signature_def=self.model.signatures)
        # Other fields of a tensor's shape are printed too; nobody reads them.
        found = json_format.MessageToDict(signatures, preserving_proto_field_name=True)
        version = str(self.model.version)
        spec = {"name": self.model.name, "signature_name": "", "version": version}
        return {"model_spec": spec, "metadata": {"signature_def": found}}


def _of_rows(instances: Any, infos: dict[str, Any]) -> Arrays:
    if not isinstance(instances, list):
        refuse("Expecting 'instances' to be an list/array")
    if not instances:
        refuse("No values in 'instances' array")
    if _is_object(instances[0]):
        for i, row in enumerate(instances):
            if not _is_object(row):
                refuse(f"Expecting object but got list at item {i} of input list")
            if set(row) != set(infos):
                refuse(f"Failed to process element: {i}: keys must be equal to: {','.join(infos)}")
        return {
            name: _array([row[name] for row in instances], info.dtype)
            for name, info in infos.items()
        }
    if len(infos) > 1:
        refuse("instances is a plain list, but expecting list of objects as multiple input tensors")
    for i, row in enumerate(instances):
        if _is_object(row):
            refuse(f"Expecting value/list but got object at item {i} of input list")
    ((name, info),) = infos.items()
    return {name: _array(instances, info.dtype)}


def _of_columns(inputs: Any, infos: dict[str, Any]) -> Arrays:
    if not _is_object(inputs):
        if len(infos) > 1:
            refuse("inputs is a plain value/list, but expecting an object as multiple tensors")
        ((name, info),) = infos.items()
        return {name: _array(inputs, info.dtype)}
    for name in infos:
        if name not in inputs:
            refuse(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(inputs[name], info.dtype) for name, info in infos.items()}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not (set(value) == {"b64"} and isinstance(value["b64"], str))


def _array(value: Any, code: int) -> npt.NDArray[Any]:
    """Turn nested lists into a tensor, whose shape is that of the first of each list."""
    dtype = tf.dtypes.as_dtype(code)
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    leaves = [_leaf(leaf, dtype) for leaf in _leaves(value, shape)]
    return np.array(leaves, "S" if dtype == tf.string else dtype.as_numpy_dtype).reshape(shape)


def _leaves(value: Any, shape: list[int]) -> Iterator[Any]:
    if not shape:
        if isinstance(value, list):
            refuse("Encountered list at unexpected level")
        yield value
        return
    if not isinstance(value, list):
        refuse(f"JSON Value: {json.dumps(value)[:200]} found at incorrect level in the JSON DOM")
    if len(value) != shape[0]:
        refuse(f"Encountered list at unexpected size: {len(value)} expected size: {shape[0]}")
    for item in value:
        yield from _leaves(item, shape[1:])


def _leaf(value: Any, dtype: tf.DType) -> Any:
    if dtype == tf.string and isinstance(value, dict):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error:
            refuse("Unable to base64 decode")
    if dtype == tf.string and isinstance(value, str):
        return value.encode()
    fits = int if dtype.is_integer else (int, float) if dtype.is_floating else ()
    if not isinstance(value, fits) or isinstance(value, bool):
        refuse(f"JSON Value: {json.dumps(value)[:200]} is not of expected type: {dtype.name}")
    return value


def _rows(outputs: Arrays) -> list[Any]:
    if len({len(value) for value in outputs.values()}) != 1:
        refuse("outputs have inconsistent batch size")
    columns = {name: _json_values(name, value) for name, value in outputs.items()}
    if len(columns) == 1:
        return _alone(columns)
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _alone(columns: dict[str, Any]) -> Any:
    return next(iter(columns.values())) if len(columns) == 1 else columns


def _json_values(name: str, value: npt.NDArray[Any]) -> Any:
    if value.dtype.kind == "S":
        # What is called bytes is given as such.
        if name.endswith("_bytes"):
            return [{"b64": base64.b64encode(item).decode()} for item in value.tolist()]
        return np.char.decode(value, "utf-8").tolist()
    # As few digits as tell one float32 from the next.
    return json.loads(json.dumps(np.vectorize(lambda item: float(str(item)))(value).tolist()))


def _handler(rest: Rest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(lambda: rest.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(lambda: rest.post(self.path, body))

        def _answer(self, ask: Any) -> None:
            try:
                code, content = 200, ask()
            except Refused as error:
                code, content = _HTTP.get(error.code, 500), {"error": str(error)}
            data = json.dumps(content, indent=2).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class Grpc(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: Model) -> None:
        self._model = model

    def Predict(  # noqa: N802
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        try:
            self._find(request.model_spec)
            signature = request.model_spec.signature_name or "serving_default"
            inputs = {name: _bytes(tf.make_ndarray(x)) for name, x in request.inputs.items()}
            outputs = self._model.predict(signature, inputs)
            wanted = list(request.output_filter) or list(outputs)
            if foreign := set(wanted) - set(outputs):
                refuse(f"output tensor alias not found in signature: {foreign.pop()}")
        except Refused as error:
            context.abort(getattr(grpc.StatusCode, error.code), str(error))
        answer = predict_pb2.PredictResponse(model_spec=self._spec())
        answer.model_spec.signature_name = signature
        for name in wanted:
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return answer

    def GetModelMetadata(  # noqa: N802
        self, request: metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> metadata_pb2.GetModelMetadataResponse:
        try:
            self._find(request.model_spec)
            if list(request.metadata_field) != ["signature_def"]:
                refuse("Metadata field is not supported")
        except Refused as error:
            context.abort(getattr(grpc.StatusCode, error.code), str(error))
        answer = metadata_pb2.GetModelMetadataResponse(model_spec=self._spec())
        signatures = metadata_pb2.SignatureDefMap(signature_def=self._model.signatures)
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def _find(self, spec: Any) -> None:
        self._model.find(spec.name, spec.version.value if spec.HasField("version") else None)

    def _spec(self) -> Any:
        spec = predict_pb2.PredictRequest().model_spec
        spec.name = self._model.name
        spec.version.value = self._model.version
        return spec


def _bytes(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return value.astype("S") if value.dtype == object else value


class Addresses(NamedTuple):
    rest: str
    grpc: str


@contextmanager
def serving(name: str, base_path: Path) -> Iterator[Addresses]:
    """Serve a model until the end of the context, at ports that are free."""
    model = Model(name, base_path)
    rest = ThreadingHTTPServer(("127.0.0.1", 0), _handler(Rest(model)))
    thread = threading.Thread(target=rest.serve_forever, daemon=True)
    thread.start()
    server = grpc.server(ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Grpc(model), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Addresses(f"http://127.0.0.1:{rest.server_address[1]}", f"127.0.0.1:{port}")
    finally:
        server.stop(None).wait()
        rest.shutdown()
        rest.server_close()
        thread.join()
        model.close()
