"""A second export into a folder: what it adds, what stays, and what is refused."""

import json
import shutil

import pytest

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from deepcpg_tf.errors import ExportError, OutputError
from deepcpg_tf.exporters.bundle import export, verify
from deepcpg_tf.exporters.parity import Reference
from tests.exporters.conftest import edit


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def like(model, **fields):
    """Return a model with some other fields of its configuration, and weights of its own."""
    return DeepCpgDnaForSequencePrediction(
        DeepCpgDnaConfig.from_dict({**model.config.to_dict(), **fields})
    )


@pytest.fixture(scope="module")
def newer(exported):
    """The model with other weights: trained on, say."""
    model = DeepCpgDnaForSequencePrediction(exported.model.config)
    model.set_weights([weights * 0.9 for weights in exported.model.get_weights()])
    return model


@pytest.fixture(scope="module")
def one(exported, tmp_path_factory):
    """An export of two formats."""
    out = tmp_path_factory.mktemp("one") / "out"
    formats = ["saved_model", "onnx"]
    export(exported.model, "tiny", out, exported.drawn, formats=formats, int8=False)
    return out


@pytest.fixture
def out(one, tmp_path):
    return shutil.copytree(one, tmp_path / "out")


def test_other_weights_are_the_next_version(exported, newer, out):
    before, first = files(out), manifest(out)["exports"]["1"]
    formats = ["saved_model", "onnx"]
    content = export(newer, "newer", out, exported.drawn, formats=formats, int8=False)
    assert set(content["artefacts"]) == {
        *("keras/newer.keras", "onnx/float32.onnx", "saved_model/1", "saved_model/2"),
    }
    weights = exported.model.digest(), newer.digest()
    for path, entry in content["artefacts"].items():
        number = 1 if path == "saved_model/1" else 2
        assert (entry["export"], entry["weights"]) == (number, weights[number - 1])
    assert content["exports"]["1"] == first
    assert (content["exports"]["2"]["weights"], content["name"]) == (weights[1], "newer")
    found = files(out)
    kept = {name for name in before if name.startswith("saved_model/1") or name == "parity/1.npz"}
    assert {name: found[name] for name in kept} == {name: before[name] for name in kept}
    assert not any(name.startswith("keras/tiny") for name in found)
    card = (out / "README.md").read_text()
    assert f"| 1 | tiny | `{weights[0][:12]}…` | saved_model/1 |" in card
    assert f"| 2 | newer | `{weights[1][:12]}…` | keras/newer.keras, onnx/float32.onnx, sa" in card
    told = []
    assert verify(out, lambda path, measured: told.append(path)) == manifest(out)
    assert set(told) == set(content["artefacts"])


def test_a_format_more_of_the_same_weights(exported, out):
    """What is there stays, and is measured on its own windows."""
    before = files(out)
    content = export(exported.model, "tiny", out, exported.drawn, formats=["tflite"], int8=False)
    found = files(out)
    for name in before:
        if not name.startswith(("keras/", "README", "manifest")):
            assert found[name] == before[name]
    assert {entry["export"] for entry in content["artefacts"].values()} == {1, 2}
    assert content["artefacts"]["onnx/float32.onnx"]["export"] == 1
    assert set(content["other_files"]) == {"parity/1.npz", "parity/2.npz", "README.md"}
    verify(out)
    content = export(
        exported.model, "tiny", out, exported.drawn, formats=["onnx", "tflite"], int8=False
    )
    assert {path: entry["export"] for path, entry in content["artefacts"].items()} == {
        **dict.fromkeys(content["artefacts"], 3),
        "saved_model/1": 1,
    }
    assert set(content["exports"]) == {"1", "3"}
    assert not (out / "parity" / "2.npz").exists()
    verify(out)


def test_nothing_is_left_of_other_weights(exported, newer, out):
    """But for versions of the SavedModel, which have their number."""
    before = files(out)
    with pytest.raises(OutputError, match=r"^formats: expected onnx too, which .*/out has of oth"):
        export(newer, "tiny", out, exported.drawn, formats=["saved_model"])
    with pytest.raises(OutputError, match=r"^formats: .*, received keras, tflite; `replace` remo"):
        export(newer, "tiny", out, exported.drawn, formats=["tflite"])
    assert files(out) == before


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"cells": ("x", "y", "z")}, "cells"),
        ({"sequence_length": 121}, "window"),
        ({"bottleneck_size": 17}, "architecture"),
    ],
)
def test_another_model_is_refused(exported, out, fields, what):
    other = like(exported.model, **fields)
    before = files(out)
    expected = f"out: expected a model with the {what} of tiny, whose export is there, received o"
    with pytest.raises(OutputError, match=expected):
        export(other, "other", out, exported.drawn)
    assert files(out) == before


def test_what_does_not_decide_about_a_model(exported, out):
    """Dropout, and names of layers."""
    names = [f"layer{i}" for i in range(len(exported.model.config.layer_names))]
    other = like(exported.model, hidden_dropout=0.5, layer_names=names)
    formats = ["saved_model", "onnx"]
    content = export(other, "tiny", out, exported.drawn, formats=formats, int8=False)
    assert "saved_model/2" in content["artefacts"]
    verify(out)


def test_replace(exported, out):
    other = like(exported.model, cells=("x", "y", "z"))
    content = export(
        other, "other", out, exported.drawn, formats=["onnx"], int8=False, replace=True
    )
    assert set(content["artefacts"]) == {"keras/other.keras", "onnx/float32.onnx"}
    assert set(files(out)) == {
        *("keras/other.keras", "onnx/float32.onnx", "parity/2.npz"),
        *("README.md", "manifest.json"),
    }
    assert content["cells"] == ["x", "y", "z"]
    verify(out)


def test_no_version_is_used_twice(exported, out):
    """A server that has one loaded would not notice."""
    content = export(
        exported.model, "x", out, exported.drawn, formats=["saved_model"], replace=True
    )
    assert set(content["artefacts"]) == {"keras/x.keras", "saved_model/2"}


def test_an_old_version_that_was_removed(exported, newer, out):
    shutil.rmtree(out / "saved_model" / "1")
    with pytest.raises(ExportError, match="saved_model/1: missing"):
        verify(out)
    formats = ["saved_model", "onnx"]
    content = export(newer, "tiny", out, exported.drawn, formats=formats, int8=False)
    assert "saved_model/1" not in content["artefacts"]
    assert "1" not in content["exports"]
    verify(out)


@pytest.mark.parametrize("name", ["saved_model/1/variables/x", "saved_model/7/x", "tflite/x"])
def test_what_was_changed_is_not_added_to(exported, out, name):
    (out / name).parent.mkdir(exist_ok=True, parents=True)
    (out / name).write_text("x")
    before = files(out)
    with pytest.raises(OutputError, match=r"out/[\w/]+: (new|not in manifest.json); `replace` re"):
        export(exported.model, "tiny", out, exported.drawn, formats=["onnx"])
    assert files(out) == before


def test_a_manifest_that_was_changed_is_not_added_to(exported, out):
    edit(out, lambda content: content["bounds"].update(int8=1.0))
    with pytest.raises(ExportError, match=r"expected the bounds .*; `replace` removes what is the"):
        export(exported.model, "tiny", out, exported.drawn)


def test_each_is_compared_with_its_own_model(exported, newer, out):
    formats = ["saved_model", "onnx"]
    export(newer, "tiny", out, exported.drawn, formats=formats, int8=False)
    first, second = (Reference.load(out / "parity" / f"{number}.npz") for number in (1, 2))
    assert abs(first.probabilities - second.probabilities).max() > 0.01
    # What is of one model passed for the other's would be noticed, whatever the manifest says.
    one, two = (out / "saved_model" / number for number in "12")
    (out / "x").mkdir()
    one.rename(out / "x" / "1")
    two.rename(one)
    (out / "x" / "1").rename(two)
    (out / "x").rmdir()

    def swap(content):
        artefacts = content["artefacts"]
        for key in ("sha256", "files", "bytes"):
            values = [artefacts[f"saved_model/{number}"][key] for number in (2, 1)]
            for number, value in zip((1, 2), values, strict=True):
                artefacts[f"saved_model/{number}"][key] = value

    edit(out, swap)
    with pytest.raises(ExportError, match='saved_model/1: expected a model of the weights "'):
        verify(out)
