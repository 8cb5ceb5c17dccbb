import json
import shutil

import h5py
import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaForSequencePrediction
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.errors import CheckpointError, OutputError
from deepcpg_tf.presets import PRESETS
from deepcpg_tf.weights import store
from tests.conftest import DATA
from tests.reference import random_tensors, random_windows
from tests.weights.legacy_files import write_checkpoint

GENUINE = DATA / "legacy" / "keras1-renumbered"
TINY = DeepCpgDnaConfig.from_dict(
    {
        "sequence_length": 101,
        "conv_channels": [8, 12],
        "conv_kernel_sizes": [11, 3],
        "conv_pool_sizes": [4, 2],
        "bottleneck_size": 16,
        "cells": ["zeta", "alpha", "mid"],
        "layer_names": [
            *("convolution1d_3", "activation_4", "maxpooling1d_3"),
            *("convolution1d_4", "activation_5", "maxpooling1d_4"),
            *("flatten_2", "dense_2", "activation_6", "dropout_2"),
        ],
    }
)


@pytest.fixture(scope="module")
def model():
    return DeepCpgDnaForSequencePrediction.from_preset(GENUINE)


@pytest.fixture
def folder(model, tmp_path):
    model.save_to_preset(tmp_path / "model")
    return tmp_path / "model"


def test_save_and_load(model, folder):
    loaded = DeepCpgDnaForSequencePrediction.from_preset(folder)
    assert loaded.config == model.config
    assert loaded.provenance == model.provenance
    windows = random_windows(5, 101)
    np.testing.assert_array_equal(loaded.predict_windows(windows), model.predict_windows(windows))
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "weights.h5"]
    assert [file.name for file in folder.parent.iterdir()] == ["model"]


def test_a_preset_may_be_replaced(model, folder):
    model.save_to_preset(folder)
    assert [file.name for file in folder.parent.iterdir()] == ["model"]
    DeepCpgDnaForSequencePrediction.from_preset(folder)


def test_other_files_are_not_replaced(model, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="expected a new folder.* it holds thesis.txt"):
        model.save_to_preset(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["results.tsv", "more"])
def test_a_preset_with_other_files_is_not_replaced(model, folder, name):
    path = folder / name
    path.mkdir() if name == "more" else path.write_text("hours of work")
    with pytest.raises(OutputError, match=f"nothing but a preset to replace; it holds {name}"):
        model.save_to_preset(folder)
    assert path.exists()


def test_files_of_the_same_names_are_not_replaced(model, folder):
    (folder / "config.json").write_text("{}")
    with pytest.raises(OutputError, match="it holds files that are no preset of ours"):
        model.save_to_preset(folder)
    assert (folder / "config.json").read_text() == "{}"


def test_the_folder_worked_in_is_not_replaced(model, folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(OutputError, match="expected a folder other than the one worked in"):
        model.save_to_preset(".")


def test_a_failed_save_leaves_the_old_preset(model, folder, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OutputError, match="No space left"):
        model.save_to_preset(folder)
    assert [file.name for file in folder.parent.iterdir()] == ["model"]
    DeepCpgDnaForSequencePrediction.from_preset(folder)


def _edit(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "other"}, "expected format 'deepcpg_tf' version 1, received 'other'"),
        ({"format_version": 2}, "received 'deepcpg_tf' version 2"),
        ({"provenance": 3}, "expected the description of a model"),
        ({"provenance": [["format", "x"]]}, "a model, but its provenance is no object"),
        ({"config": {"vocab_size": 9}}, "config.json: vocab_size"),
        (
            {"config": {**DeepCpgDnaConfig().to_dict(), "sequence_length": 101}},
            r"tensor dna/\w+/kernel: expected, but the checkpoint lacks it",
        ),
        (
            {"config": {**TINY.to_dict(), "bottleneck_size": 17}},
            r"tensor dna/dense_2/kernel: expected shape \(120, 17\), found \(120, 16\)",
        ),
    ],
)
def test_other_descriptions(folder, fields, message):
    _edit(folder, **fields)
    with pytest.raises(CheckpointError, match=message) as error:
        DeepCpgDnaForSequencePrediction.from_preset(folder)
    assert "\n" not in str(error.value)


def test_truncated_description(folder):
    (folder / "config.json").write_text('{"format": ')
    with pytest.raises(CheckpointError, match="expected the description of a model"):
        DeepCpgDnaForSequencePrediction.from_preset(folder)


def test_truncated_weights(folder):
    path = folder / "weights.h5"
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(CheckpointError, match="weights.h5: expected an intact HDF5.*truncated"):
        DeepCpgDnaForSequencePrediction.from_preset(folder)


def test_missing_weights(folder):
    with h5py.File(folder / "weights.h5", "a") as file:
        del file["cpg/bias"]
    with pytest.raises(CheckpointError, match="tensor cpg/bias: expected, but the checkpoint l"):
        DeepCpgDnaForSequencePrediction.from_preset(folder)


@pytest.mark.parametrize("name", ["cpg/kernel", "more"])
def test_a_tensor_larger_than_any_memory_is_not_read(folder, name):
    with h5py.File(folder / "weights.h5", "a") as file:
        file.pop(name, None)
        file.create_dataset(name, (2**40, 3), "f4", chunks=(16, 3))
    with pytest.raises(CheckpointError, match=f"tensor {name}: (expected shape|in the checkpoint)"):
        DeepCpgDnaForSequencePrediction.from_preset(folder)


@pytest.mark.parametrize("dtype", ["i4", "S4", "c8", "?"])
def test_weights_that_are_no_floats(folder, dtype):
    with h5py.File(folder / "weights.h5", "a") as file:
        del file["cpg/bias"]
        file["cpg/bias"] = np.zeros(3, dtype)
    with pytest.raises(CheckpointError, match="tensor cpg/bias: expected floating point, found"):
        DeepCpgDnaForSequencePrediction.from_preset(folder)


def test_left_over_weights(folder):
    with h5py.File(folder / "weights.h5", "a") as file:
        file["cpg/more"] = np.zeros(3)
    with pytest.raises(CheckpointError, match="tensor cpg/more: in the checkpoint, but the model"):
        DeepCpgDnaForSequencePrediction.from_preset(folder)


def test_unknown_name_lists_the_presets():
    with pytest.raises(CheckpointError, match="smallwood2014-serum.*found none there"):
        DeepCpgDnaForSequencePrediction.from_preset("serum")


def test_a_file_is_no_folder():
    with pytest.raises(CheckpointError, match="expected a folder with a model.*found a file"):
        DeepCpgDnaForSequencePrediction.from_preset(GENUINE / "model.json")


def test_folder_without_a_model(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(CheckpointError, match="or one legacy checkpoint .* found notes.txt"):
        DeepCpgDnaForSequencePrediction.from_preset(tmp_path)


def test_ambiguous_folder(tmp_path):
    for name in ("a.h5", "b.h5"):
        shutil.copy(GENUINE / "model_weights.h5", tmp_path / name)
    with pytest.raises(CheckpointError, match="found a.h5, b.h5"):
        DeepCpgDnaForSequencePrediction.from_preset(tmp_path)


def test_folder_of_the_originals_training(tmp_path):
    """Training leaves several weights; the original itself prefers those of validation."""
    config = DeepCpgDnaConfig(sequence_length=101, cells=("a",))
    for name, seed in (("train", 1), ("val", 2)):
        write_checkpoint(tmp_path, config, random_tensors(config, seed))
        (tmp_path / "model_weights.h5").rename(tmp_path / f"model_weights_{name}.h5")
    shutil.copy(tmp_path / "model_weights_train.h5", tmp_path / "model.h5")
    model = DeepCpgDnaForSequencePrediction.from_preset(tmp_path)
    assert model.provenance["files"][1]["name"] == "model_weights_val.h5"
    expected = random_tensors(config, 2)["cpg/bias"]
    np.testing.assert_array_equal(model.variables_by_name["cpg/bias"], expected)


def test_published_preset_from_the_cache(tmp_path, monkeypatch):
    """The published files' names, holding weights of our own."""
    preset = PRESETS["hou2016-mesc"]
    config = DeepCpgDnaConfig.from_architecture(preset.architecture, cells=preset.cells)
    write_checkpoint(tmp_path, config, random_tensors(config))
    model, weights = tmp_path / preset.model_file.name, tmp_path / preset.weights_file.name
    (tmp_path / "model.json").rename(model)
    (tmp_path / "model_weights.h5").rename(weights)
    monkeypatch.setattr(store, "cached", lambda preset: store.PresetFiles(model, weights))
    loaded = DeepCpgDnaForSequencePrediction.from_preset("hou2016-mesc")
    assert loaded.cells == preset.cells
    (tmp_path / "hou2016-mesc").mkdir()
    monkeypatch.chdir(tmp_path)
    assert DeepCpgDnaForSequencePrediction.from_preset("hou2016-mesc").cells == preset.cells
    (tmp_path / "hou2016-mesc").rmdir()
    in_folder = DeepCpgDnaForSequencePrediction.from_preset(tmp_path)
    assert in_folder.config == loaded.config
