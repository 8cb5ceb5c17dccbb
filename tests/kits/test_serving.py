"""The kit of TensorFlow Serving, against a stand-in that speaks as it does."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc as library
import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.wrappers_pb2 import Int64Value
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from deepcpg_tf.exporters.artefact import BOUNDS
from tests.kits.conftest import KITS, LENGTH, LETTERS

KIT = KITS / "serving"
GOOD = "A" * LENGTH


@pytest.fixture
def windows(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_text("\n".join(LETTERS))
    return path


@pytest.fixture
def post(addresses):
    """Ask over REST; returns the status and the answer."""

    def ask(content, path="deepcpg:predict"):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        url = f"{addresses.rest}/v1/models/{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data)) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    return ask


@pytest.fixture
def call(addresses):
    """Ask over gRPC; returns the outputs, or raises."""

    def ask(inputs, signature="", model="deepcpg"):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        with library.insecure_channel(addresses.grpc) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            outputs = stub.Predict(request, timeout=30).outputs
        return {name: tf.make_ndarray(value) for name, value in outputs.items()}

    return ask


def test_rest_and_grpc_give_the_same_table(rest, grpc, windows, cells, probabilities):
    result = grpc.run(windows)
    header, _, found = result.table()
    assert header == ["id", *cells]
    np.testing.assert_allclose(found, probabilities, atol=BOUNDS["float32"])
    assert rest.run(windows).out == result.out


def test_rows_and_columns(post, probabilities):
    code, rows = post({"instances": LETTERS})
    assert code == 200
    found = [row["probabilities"] for row in rows["predictions"]]
    np.testing.assert_allclose(found, probabilities, atol=BOUNDS["float32"])
    code, columns = post({"inputs": {"sequences": LETTERS}}, "deepcpg/versions/1:predict")
    assert code == 200
    assert columns["outputs"]["probabilities"] == found
    encoded = [{"b64": base64.b64encode(window.encode()).decode()} for window in LETTERS]
    assert post({"instances": encoded}) == (200, rows)
    assert post({"instances": [{"sequences": window} for window in LETTERS]}) == (200, rows)
    tokens = [[*window.encode()] for window in LETTERS]
    assert post({"signature_name": "tokens", "instances": tokens}) == (200, rows)


def test_names_of_cells(post, cells):
    request = {"signature_name": "labels"}
    assert post({**request, "instances": [0, 2]}) == (200, {"predictions": [cells[0], cells[2]]})
    assert post({**request, "inputs": [0, 1, 2]}) == (200, {"outputs": cells})
    assert post({**request, "inputs": {"index": [1]}}) == (200, {"outputs": [cells[1]]})


def test_model_status(addresses):
    with urllib.request.urlopen(f"{addresses.rest}/v1/models/deepcpg") as answer:
        (version,) = json.load(answer)["model_version_status"]
    assert (version["version"], version["state"]) == ("1", "AVAILABLE")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"instances": [GOOD, "ACGT"]}, "expected windows of 101 letters, received"),
        ({"instances": [GOOD, "!" + GOOD[1:]]}, "expected IUPAC nucleotide letters"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"inputs": {"sequences": []}}, "at least one window"),
        ({"instances": [1]}, "JSON Value: 1 is not of expected type: string"),
        ({"instances": [[GOOD], [GOOD, GOOD]]}, "Encountered list at unexpected size: 2"),
        ({"instances": [{"sequence": GOOD}]}, "keys must be equal to: sequences"),
        ({"inputs": {"sequence": [GOOD]}}, "Missing named input: sequences"),
        ({"instances": [{"b64": "?"}]}, "Unable to base64 decode"),
        ({"signature_name": "none", "instances": [GOOD]}, 'signature name: "none" not found'),
        ({"signature_name": "labels", "instances": [3]}, "3 is not in [0, 3)"),
        ({"signature_name": "tokens", "instances": [[65]]}, "expected shape [?,101]"),
        ({"instances": [GOOD], "inputs": [GOOD]}, "only one of 'inputs' or 'instances'"),
        ({}, "Missing 'inputs' or 'instances' key"),
        (b"{", "JSON Parse error"),
    ],
)
def test_what_is_wrong_is_refused_over_rest(post, request_, message):
    code, answer = post(request_)
    assert (code, set(answer)) == (400, {"error"})
    assert message in answer["error"]
    assert post({"instances": [GOOD]})[0] == 200


@pytest.mark.parametrize(
    ("inputs", "signature", "message"),
    [
        ({"sequences": [GOOD, "ACGT"]}, "", "expected windows of 101 letters, received"),
        ({"sequences": ["!" + GOOD[1:]]}, "", "expected IUPAC nucleotide letters"),
        ({"sequences": np.array([], object)}, "", "at least one window"),
        ({"sequence": [GOOD]}, "", "input keys do not match"),
        ({"sequences": [1]}, "", "expected string, received int32"),
        ({"sequences": [GOOD]}, "none", "not found in signature def"),
    ],
)
def test_what_is_wrong_is_refused_over_grpc(call, inputs, signature, message):
    with pytest.raises(library.RpcError, match=re.escape(message)) as error:
        call(inputs, signature)
    assert error.value.code() == library.StatusCode.INVALID_ARGUMENT
    assert call({"sequences": [GOOD]})["probabilities"].shape == (1, 3)


@pytest.fixture(scope="module")
def client():
    """The program in this process, where TensorFlow is imported already."""
    spec = importlib.util.spec_from_file_location("client", KIT / "client.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["client"] = module
    spec.loader.exec_module(module)
    return module


def test_a_model_that_is_not_there(post, call, rest, client, addresses, windows):
    assert post({"instances": [GOOD]}, "other:predict")[0] == 404
    assert post({"instances": [GOOD]}, "deepcpg/versions/2:predict")[0] == 404
    with pytest.raises(library.RpcError, match="Servable not found") as error:
        call({"sequences": [GOOD]}, model="other")
    assert error.value.code() == library.StatusCode.NOT_FOUND
    expected = "Servable not found for request: Latest(other)"
    assert f"server error 404: {expected}" in rest.fails(windows, "--model", "other")
    with pytest.raises(client.Fault, match=re.escape(f"server error NOT_FOUND: {expected}")):
        client.Grpc(addresses.grpc, "other")


def test_what_the_server_says_is_told(client, addresses):
    """Though a program never sends what it has not checked."""
    for model in (client.Rest(addresses.rest, "deepcpg"), client.Grpc(addresses.grpc, "deepcpg")):
        expected = "server error (400|INVALID_ARGUMENT): .*expected windows of 101 letters, receiv"
        with pytest.raises(client.Fault, match=expected):
            model.run([client.Given(b"ACGT")])
        assert np.shape(model.run([client.Given(GOOD.encode())])) == (1, 3)


def test_another_program_at_the_address(rest, windows):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>" if "html" in self.path else b"{}")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        kit = rest._replace(command=(*rest.command[:-1], url))
        assert "expected a model that deepcpg-tf exported" in kit.fails(windows)
        assert "expected TensorFlow Serving there" in kit.fails(windows, "--model", "html")
        server.shutdown()


def test_no_server(rest, client, windows):
    nowhere = rest._replace(command=(*rest.command[:-1], "http://127.0.0.1:9"))
    assert "deepcpg: cannot be reached: [Errno 111]" in nowhere.fails(windows)
    with pytest.raises(client.Fault, match="model deepcpg: server error UNAVAILABLE: "):
        client.Grpc("127.0.0.1:9", "deepcpg")
    wrong = rest._replace(command=(*rest.command[:-1], "localhost"))
    assert "--rest: expected a URL" in wrong.fails(windows)


def test_rest_or_grpc_has_to_be_given(rest):
    bare = rest._replace(command=rest.command[:-2])
    assert "one of the arguments --rest --grpc is required" in bare.fails("-")
    both = bare.fails("-", "--rest", "http://x", "--grpc", "x:1")
    assert "argument --grpc: not allowed with argument --rest" in both
    assert "pip install tensorflow-serving-api" in bare.fails("-", "--grpc", "x:1")


def test_models_config():
    text = (KIT / "models.config").read_text()
    found = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = found.model_config_list.config
    assert (model.name, model.base_path) == ("deepcpg", "/models/deepcpg")
    assert model.model_version_policy.latest.num_versions == 1


def test_batching_parameters():
    """In the form of ``BatchingParameters`` in session_bundle_config.proto."""
    found = text_format.Parse((KIT / "batching_parameters.txt").read_text(), _batching())
    assert found.max_batch_size.value == 64
    assert found.batch_timeout_micros.value == 2000
    assert found.num_batch_threads.value == 2
    assert found.max_enqueued_batches.value == 100
    (batch,) = re.findall(r"^_BATCH = (\d+)$", (KIT / "client.py").read_text(), re.MULTILINE)
    assert int(batch) <= found.max_batch_size.value


def _batching():
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    file = FileDescriptorProto(name="batching.proto", package="test", syntax="proto3")
    file.dependency.append(Int64Value.DESCRIPTOR.file.name)
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(names, 1):
        message.field.add(
            name=name,
            number=number,
            type=FieldDescriptorProto.TYPE_MESSAGE,
            type_name=".google.protobuf.Int64Value",
            label=FieldDescriptorProto.LABEL_OPTIONAL,
        )
    Default().Add(file)
    return GetMessageClass(Default().FindMessageTypeByName("test.BatchingParameters"))()


def test_compose(addresses):
    (service,) = yaml.safe_load((KIT / "compose.yaml").read_text())["services"].values()
    mounts = [volume.rsplit(":", 2)[1:] for volume in service["volumes"]]
    assert mounts == [
        ["/models/deepcpg", "ro"],
        ["/config/models.config", "ro"],
        ["/config/batching_parameters.txt", "ro"],
    ]
    flags = dict(flag.removeprefix("--").split("=") for flag in service["command"])
    assert flags["enable_batching"] == "true"
    assert all(file in {path for path, _ in mounts} for file in flags.values() if "/" in file)
    program, *check = service["healthcheck"]["test"]
    assert program == "CMD"
    for port, code in ((addresses.rest.rsplit(":", 1)[1], 0), ("9", 1)):
        command = [word.replace("8501", port) for word in check]
        assert subprocess.run(command, capture_output=True).returncode == code
    absent = [word.replace("8501", addresses.rest[-5:]).replace("deepcpg", "x") for word in check]
    assert subprocess.run(absent, capture_output=True).returncode == 1
