"""CpG and Joint modules written by Keras 1.2.2 and 2.2.4, with what they computed."""

import json
import shutil

import h5py
import numpy as np
import pytest

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.models.registry import MODELS, load_model
from deepcpg_tf.weights.keras_legacy import read_json_and_weights, read_model_h5
from tests import tolerances
from tests.conftest import DATA

JOINT = DATA / "legacy-joint"
FOLDERS = sorted(JOINT.iterdir())


def arrays_of(expected):
    arrays = {"state": expected["state"], "dist": expected["dist"]}
    if "ids" in expected:
        arrays["tokens"] = np.frombuffer(b"ATGCN", np.uint8)[expected["ids"]]
    return arrays


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_genuine_checkpoint(folder):
    expected = np.load(folder / "expected.npz")
    model = load_model(folder)
    assert type(model) is MODELS["joint" if "joint" in folder.name else "cpg"]
    assert model.cells == tuple(expected["cells"])
    arrays = arrays_of(expected)
    found = model.predict_arrays(arrays)
    allowed = min(1e-5, tolerances.probabilities(model.config))
    np.testing.assert_allclose(found, expected["prob"], atol=allowed, rtol=0)
    names = [name.removeprefix("act/") for name in expected if name.startswith("act/")]
    assert sorted(names) == sorted(model.config.layer_paths)
    allowed = min(1e-5, tolerances.logits(model.config))
    for name, values in model.activations(arrays, names).items():
        np.testing.assert_allclose(
            values, expected[f"act/{name}"], atol=allowed, rtol=0, err_msg=name
        )


def test_they_are_all_here():
    assert len(FOLDERS) == 14
    kinds = {name for folder in FOLDERS for name in folder.name.split("-")}
    assert {"rnnl1", "rnnl2", "fcavg", "l0", "l1", "l2", "renumbered"} <= kinds


def test_what_a_module_does_not_read_is_passed_over():
    expected = np.load(JOINT / "keras2-cpg-rnnl1" / "expected.npz")
    arrays = arrays_of(expected)
    model = load_model(JOINT / "keras2-cpg-rnnl1")
    more = {**arrays, "tokens": np.zeros((len(arrays["state"]), 1001), np.uint8)}
    np.testing.assert_array_equal(model.predict_arrays(more), model.predict_arrays(arrays))


def test_the_wrong_sigmoid_would_show():
    """Keras 3's `hard_sigmoid` has a slope of 1/6, that of Keras 1 and 2 one of 0.2."""
    import keras

    folder = JOINT / "keras2-cpg-rnnl1"
    expected = np.load(folder / "expected.npz")
    model = load_model(folder)
    part = model.parts["cpg"]
    rows = part.get_layer("time_distributed_1").output
    tapped = keras.Model(part.inputs, rows)
    gru = part.get_layer("bidirectional_1").forward_layer
    stock = keras.layers.GRU(
        gru.units, reset_after=False, recurrent_activation="hard_sigmoid", name="stock"
    )
    rows = tapped([expected["state"], expected["dist"]])
    stock(rows)
    stock.set_weights(gru.get_weights())
    ours = gru(rows)
    np.testing.assert_allclose(ours, expected["act/cpg/bidirectional_1"][:, : gru.units], atol=1e-5)
    assert np.abs(np.asarray(stock(rows)) - np.asarray(ours)).max() > 1e-3


def _edited(tmp_path, source, edit):
    folder = tmp_path / "edited"
    shutil.copytree(JOINT / source, folder)
    path = folder / "model.json"
    document = json.loads(path.read_text())
    edit(document["config"])
    path.write_text(json.dumps(document))
    return path, folder / "model_weights.h5"


def _layer(config, name):
    return next(layer for layer in config["layers"] if layer["name"] == name)


def _rename_inputs(config, ending):
    """Give the inputs the names that early files have."""
    text = json.dumps(config)
    for name in ("cpg/state", "cpg/dist"):
        text = text.replace(f'"{name}"', f'"{name}{ending}"')
    config.clear()
    config.update(json.loads(text))


def _rename_groups(path, ending):
    with h5py.File(path, "a") as file:
        group = file.get("model_weights", file)
        names = [name.decode() for name in group.attrs["layer_names"]]
        names = [name + ending if name in ("cpg/state", "cpg/dist") else name for name in names]
        group.attrs["layer_names"] = np.array([name.encode() for name in names])


def test_early_files_name_the_cells_that_are_read(tmp_path):
    ending = "/d--c--b--a"
    files = _edited(tmp_path, "keras1-cpg-rnnl1", lambda config: _rename_inputs(config, ending))
    _rename_groups(files[1], ending)
    config = read_json_and_weights(*files).config
    assert isinstance(config, DeepCpgCpgConfig)
    assert config.input_cells == ("d", "c", "b", "a")
    assert config.cells[0] == "BS24_1_2I"
    with pytest.raises(CheckpointError, match="`input_cells`: expected those in the file, d, c, b"):
        read_json_and_weights(files[0], files[1], input_cells=("a", "b", "c", "d"))


def test_cells_that_are_read_must_be_known(tmp_path):
    def edit(config):
        config["output_layers"] = config["output_layers"][:3]
        config["layers"] = [one for one in config["layers"] if one["name"] != "cpg/BS24_6_2I"]

    model_json, weights = _edited(tmp_path, "keras1-cpg-rnnl1", edit)
    with h5py.File(weights, "a") as file:
        group = file["model_weights"]
        del group["cpg/BS24_6_2I"]
        names = [name for name in group.attrs["layer_names"] if b"BS24_6" not in name]
        group.attrs["layer_names"] = np.array(names)
    with pytest.raises(CheckpointError, match="expected to know the 4 cells .* `input_cells`"):
        read_json_and_weights(model_json, weights)
    config = read_json_and_weights(model_json, weights, input_cells=tuple("abcd")).config
    assert isinstance(config, DeepCpgCpgConfig)
    assert (config.input_cells, len(config.cells)) == (tuple("abcd"), 3)
    with pytest.raises(CheckpointError, match="expected 4 cells, received 2"):
        read_json_and_weights(model_json, weights, input_cells=("a", "b"))


def _set(name, **settings):
    return lambda config: _layer(config, name)["config"].update(settings)


def _set_inner(name, **settings):
    return lambda config: _layer(config, name)["config"]["layer"]["config"].update(settings)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_set_inner("cpg/bidirectional_1", inner_activation="sigmoid"), "of gates hard_sigmoid"),
        (_set_inner("cpg/bidirectional_1", return_sequences=True), "return_sequences False"),
        (_set_inner("cpg/bidirectional_1", go_backwards=True), "go_backwards False"),
        (_set_inner("cpg/bidirectional_1", activation="relu"), "activation tanh"),
        (_set("cpg/bidirectional_1", merge_mode="sum"), "merge mode concat"),
        (_set("cpg/merge_1", mode="sum"), "merge_1: expected mode concat"),
        (_set("cpg/merge_1", concat_axis=1), "merge_1: expected axis -1 or 2"),
        (_set("cpg/state", batch_input_shape=[None, 3]), r"state: expected the shape \[null"),
        (_set("cpg/dist", batch_input_shape=[None, 3, 8]), "dist: expected the shape of cpg/state"),
        (_set("joint/dropout_4", p=0.3), "one rate of dropout in joint/"),
        (_set("joint/activation_5", activation="tanh"), "activation_5: expected activation relu"),
        (
            lambda config: _layer(config, "cpg/merge_1")["inbound_nodes"][0].reverse(),
            "merge_1: expected to read cpg/state and cpg/dist, found that it reads cpg/dist and",
        ),
        (
            lambda config: _layer(config, "merge_2")["inbound_nodes"][0].reverse(),
            "layer cpg/merge_1: expected one input, dna",
        ),
        (
            lambda config: config["layers"].append(
                {"name": "x", "class_name": "Flatten", "config": {}, "inbound_nodes": []}
            ),
            "layer x: not on the way",
        ),
    ],
)
def test_other_architectures(tmp_path, edit, message):
    files = _edited(tmp_path, "keras1-joint-l2-rnnl1", edit)
    with pytest.raises(CheckpointError, match=message) as error:
        read_json_and_weights(*files)
    assert "model.json: " in str(error.value)


def test_weights_must_be_those_of_the_json(tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(JOINT / "keras1-joint-l2-rnnl1", folder)
    weights = folder / "model_weights.h5"
    with h5py.File(weights, "a") as file:
        group = file["model_weights/cpg/bidirectional_1"]
        group.attrs["weight_names"] = group.attrs["weight_names"][:-1]
    with pytest.raises(CheckpointError, match="bidirectional_1: expected the weights of a GRU"):
        read_json_and_weights(folder / "model.json", weights)


def test_parts_of_the_configuration_are_those_of_the_file():
    config = read_model_h5(JOINT / "keras2-joint-l1-rnnl2-single-file" / "model.h5").config
    assert isinstance(config, DeepCpgJointConfig)
    assert config.dna.sequence_length == 101
    assert config.cpg.recurrent_sizes == (4, 5)
    assert config.joint_sizes == (7,)
    assert config.hidden_dropout == 0.1
    assert config.cells == config.dna.cells == config.cpg.cells == config.cpg.input_cells
    assert config.layer_paths[-4:] == (
        "concatenate_2",
        "joint/dense_3",
        "joint/activation_5",
        "joint/dropout_3",
    )
