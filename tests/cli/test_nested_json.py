"""JSON nested deeper than can be read is a fault of the file, told in one line."""

import shutil

import h5py
import pytest

from tests.conftest import DATA

DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
LEGACY = DATA / "legacy" / "keras1-distributed"


@pytest.mark.parametrize("text", [DEEP, "[" * 100_000])
def test_model_json(fails, tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    weights = LEGACY / "model_weights.h5"
    arguments = ("--model-json", tmp_path / "model.json", "--weights", weights)
    message = fails("convert", *arguments, "--out", tmp_path / "out")
    assert "model.json: expected JSON, received it is nested too deeply" in message
    assert not (tmp_path / "out").exists()


def test_model_in_hdf5(fails, tmp_path):
    path = tmp_path / "model.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs.create("model_config", DEEP.encode(), dtype=h5py.string_dtype())
    message = fails("convert", "--model-h5", path, "--out", tmp_path / "out")
    assert "attribute 'model_config': expected JSON, received it is nested" in message


def test_preset(fails, tmp_path, run):
    preset = tmp_path / "preset"
    arguments = ("--model-json", LEGACY / "model.json", "--weights", LEGACY / "model_weights.h5")
    assert run("convert", *arguments, "--out", preset).code == 0
    (preset / "config.json").write_text(DEEP)
    assert "config.json: expected the description of a model, but it is nested" in fails(
        "predict", preset, "--sequence", "ACGT"
    )
    assert "holds files that are no preset of ours" in fails("convert", *arguments, "--out", preset)


def test_multimolecule(fails, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(DATA / "multimolecule-tiny", folder)
    (folder / "config.json").write_text(DEEP)
    assert "config.json: expected JSON, received it is nested too deeply" in fails(
        "predict", folder, "--sequence", "ACGT"
    )


def test_manifest(fails, tmp_path):
    (tmp_path / "manifest.json").write_text(DEEP)
    assert "manifest.json: expected the manifest of an export, but it is nested" in fails(
        "verify", tmp_path
    )
