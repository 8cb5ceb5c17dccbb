"""The published schema of ``manifest.json``."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from deepcpg_tf.exporters import parity
from deepcpg_tf.exporters.bundle import export

SCHEMA = Path(__file__).parents[2] / "docs" / "manifest.schema.json"


@pytest.fixture(scope="module")
def schema():
    found = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.fixture(scope="module")
def manifest(exported):
    return json.loads((exported.folder / "manifest.json").read_text())


def test_a_manifest_is_as_the_schema_says(schema, manifest):
    schema.validate(manifest)


def test_every_key_of_a_manifest_is_in_the_schema(schema, manifest):
    """What is new is to be described."""
    assert {*manifest, "neighbours"} == set(schema.schema["properties"])
    described = schema.schema["$defs"]["artefact"]["allOf"][2]["properties"]
    others = {"bytes", "sha256", "files", "inputs", "outputs", "signatures"}
    for entry in manifest["artefacts"].values():
        assert set(entry) <= {*described, *others}


def test_with_something_left_out(schema, exported, tmp_path, monkeypatch):
    monkeypatch.setattr(
        parity, "fault", lambda artefact, _: "bad" if artefact.precision == "int8" else None
    )
    with pytest.warns(UserWarning, match="left out"):
        export(exported.model, "tiny", tmp_path / "out", exported.drawn, formats=["onnx"])
    content = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert content["left_out"]
    schema.validate(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format_version",), 2),
        (("digest",), "x"),
        (("bounds", "float32"), 0.5),
        (("exports",), {}),
        (("exports", "0"), {}),
        (("exports", "1", "weights"), None),
        (("artefacts", "onnx/int8.onnx", "export"), "1"),
        (("cells",), []),
        (("window", "one_hot_channels"), ["A", "C", "G", "T"]),
        (("artefacts", "onnx/int8.onnx", "precision"), "int4"),
        (("artefacts", "onnx/int8.onnx", "calibration"), None),
        (("artefacts", "onnx/int8.onnx", "batch"), 0),
        (("artefacts", "onnx/int8.onnx", "sha256"), "x"),
        (("artefacts", "onnx/int8.onnx", "inputs"), {"tokens": "uint8"}),
        (("artefacts", "onnx/int8.onnx", "signatures"), {}),
        (("other_files", "/etc/passwd"), {"bytes": 1, "sha256": "0" * 64}),
        (("other_files", "a/../../b"), {"bytes": 1, "sha256": "0" * 64}),
        (("left_out", "x"), {}),
    ],
)
def test_the_schema_refuses(schema, manifest, path, value):
    changed = copy.deepcopy(manifest)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not schema.is_valid(changed)
