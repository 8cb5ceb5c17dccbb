import contextlib
import json

import h5py
import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.files import sha256
from deepcpg_tf.weights.keras_legacy import read_json_and_weights, read_model_h5
from tests import tolerances
from tests.conftest import DATA
from tests.reference import forward, random_tensors, random_windows
from tests.weights.legacy_files import architecture, write_checkpoint, write_weights

LEGACY = sorted((DATA / "legacy").iterdir())
TINY = DeepCpgDnaConfig(
    sequence_length=101,
    conv_channels=(8, 12),
    conv_kernel_sizes=(11, 3),
    conv_pool_sizes=(4, 2),
    bottleneck_size=16,
    cells=("zeta", "alpha"),
)


@pytest.mark.parametrize("folder", LEGACY, ids=lambda folder: folder.name)
def test_genuine_checkpoint(folder):
    """Written by Keras 1.2.2 and 2.2.4, with the activations that they computed."""
    expected = np.load(folder / "expected.npz")
    model = DeepCpgDnaForSequencePrediction.from_preset(folder)
    assert model.cells == tuple(expected["cells"])
    windows = expected["ids"].astype(np.uint8)
    atol = tolerances.probabilities(model.config)
    np.testing.assert_allclose(model.predict_windows(windows), expected["prob"], atol=atol, rtol=0)
    names = [name.removeprefix("act/") for name in expected if name.startswith("act/")]
    assert names == [name for name in model.original_names if name.startswith("dna/")]
    for name, found in model.activations({"windows": windows}, names).items():
        hidden = {"atol": tolerances.logits(model.config), "rtol": 0}
        np.testing.assert_allclose(found, expected[f"act/{name}"], **hidden, err_msg=name)
    for i, cell in enumerate(model.cells):
        found = model.activations({"windows": windows}, [f"cpg/{cell}"])[f"cpg/{cell}"]
        np.testing.assert_allclose(found[:, 0], expected["prob"][:, i], atol=atol, rtol=0)


@pytest.mark.parametrize("folder", LEGACY, ids=lambda folder: folder.name)
def test_genuine_checkpoint_from_letters(folder):
    expected = np.load(folder / "expected.npz")["prob"]
    model = DeepCpgDnaForSequencePrediction.from_preset(folder)
    letters = (folder / "sequences.txt").read_text().split()
    atol = tolerances.probabilities(model.config)
    np.testing.assert_allclose(model.predict_sequences(letters), expected, atol=atol, rtol=0)


def test_cell_order_is_that_of_the_outputs():
    model = DeepCpgDnaForSequencePrediction.from_preset(DATA / "legacy" / "keras1-renumbered")
    assert model.cells == ("zeta", "alpha", "mid")
    assert model.config.layer_names[0] == "convolution1d_3"


def test_provenance(tmp_path):
    write_checkpoint(tmp_path, TINY, random_tensors(TINY))
    files = [tmp_path / "model.json", tmp_path / "model_weights.h5"]
    provenance = read_json_and_weights(*files).provenance
    assert provenance == {
        "format": "Keras 1.2.2, JSON + full HDF5",
        "files": [{"name": file.name, "sha256": sha256(file)} for file in files],
    }


LAYOUTS = pytest.mark.parametrize("layout", ["published", "weights-only", "single-file"])
VERSIONS = pytest.mark.parametrize("keras", [1, 2])


@LAYOUTS
@VERSIONS
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_round_trip(tmp_path, depth, keras, layout):
    config = DeepCpgDnaConfig(
        sequence_length=101,
        conv_channels=(8, 12, 16)[:depth],
        conv_kernel_sizes=(11, 3, 3)[:depth],
        conv_pool_sizes=(4, 2, 2)[:depth],
        bottleneck_size=16,
        cells=("b", "a", "c"),
    )
    _there_and_back(tmp_path, config, keras, layout)


@pytest.mark.full
@LAYOUTS
@VERSIONS
@pytest.mark.parametrize("variant", ["CnnL2h128", "CnnL3h128"])
def test_full_size_round_trip(tmp_path, variant, keras, layout):
    config = DeepCpgDnaConfig.from_architecture(variant, cells=("b", "a", "c"))
    model = _there_and_back(tmp_path, config, keras, layout)
    assert model.config.architecture == variant


def _there_and_back(folder, config, keras, layout):
    tensors = random_tensors(config)
    write_checkpoint(folder, config, tensors, keras, layout)
    model = DeepCpgDnaForSequencePrediction.from_preset(folder)
    assert model.cells == ("b", "a", "c")
    assert len(model.variables_by_name) == len(tensors)
    for expected, variable in zip(tensors.values(), model.variables_by_name.values(), strict=True):
        np.testing.assert_array_equal(variable, expected)
    windows = random_windows(2, config.sequence_length)
    _, probabilities = forward(config, tensors, windows)
    atol = tolerances.probabilities(config)
    np.testing.assert_allclose(model.predict_windows(windows), probabilities, atol=atol, rtol=0)
    return model


@pytest.mark.parametrize("keras", [1, 2])
def test_our_files_are_laid_out_as_genuine_ones(tmp_path, keras):
    """The writer of this suite, held against files that Keras wrote."""
    folder = DATA / "legacy" / f"keras{keras}-distributed"
    config = DeepCpgDnaForSequencePrediction.from_preset(folder).config
    document = write_checkpoint(tmp_path, config, random_tensors(config), keras)
    genuine = json.loads((folder / "model.json").read_text())
    assert document["config"]["output_layers"] == genuine["config"]["output_layers"]
    for ours, theirs in zip(document["config"]["layers"], genuine["config"]["layers"], strict=True):
        assert ours["class_name"] == theirs["class_name"]
        assert ours["inbound_nodes"] == theirs["inbound_nodes"]
        assert {**theirs["config"], **ours["config"]} == theirs["config"]
    with (
        h5py.File(tmp_path / "model_weights.h5") as ours,
        h5py.File(folder / "model_weights.h5") as theirs,
    ):
        assert list(ours["model_weights"].attrs["layer_names"]) == list(
            theirs["model_weights"].attrs["layer_names"]
        )
        assert _shapes(ours) == _shapes(theirs)


def _shapes(file):
    shapes = {}
    file.visititems(lambda name, item: shapes.update({name: getattr(item, "shape", None)}))
    return shapes


# -- what is wrong with a checkpoint must be said


def _edit_json(folder, edit):
    path = folder / "model.json"
    document = json.loads(path.read_text())
    edit(document["config"])
    path.write_text(json.dumps(document))


def _layer(config, name):
    return next(layer for layer in config["layers"] if layer["name"] == name)


def _set(layer, **settings):
    return lambda config: _layer(config, layer)["config"].update(settings)


def _set_class(layer, kind):
    return lambda config: _layer(config, layer).update(class_name=kind)


def _read(folder):
    return read_json_and_weights(folder / "model.json", folder / "model_weights.h5")


@pytest.fixture
def checkpoint(tmp_path):
    write_checkpoint(tmp_path, TINY, random_tensors(TINY))
    return tmp_path


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_set("dna/convolution1d_1", border_mode="same"), "convolution1d_1: expected padding val"),
        (_set("dna/convolution1d_1", subsample_length=2), "convolution1d_1: expected stride 1.*2"),
        (_set("dna/convolution1d_1", bias=False), "convolution1d_1: expected bias True.* False"),
        (_set("dna/convolution1d_1", activation="relu"), "expected activation linear.* relu"),
        (_set("dna/activation_2", activation="tanh"), "activation_2: expected activation relu"),
        (_set("dna/maxpooling1d_1", stride=3), "maxpooling1d_1: expected stride 4.* found 3"),
        (_set("cpg/alpha", activation="linear"), "cpg/alpha: expected activation sigmoid"),
        (_set("cpg/alpha", output_dim=2), "cpg/alpha: expected units 1.* found 2"),
        (_set("dna", batch_input_shape=[None, 101, 5]), "dna: expected channels 4.* found 5"),
        (_set("dna", batch_input_shape=[None, 101]), r"expected the shape \[null, length, 4\]"),
        (_set("dna", batch_input_shape=[None, 100, 4]), "sequence_length: expected an odd"),
        (_set_class("dna/maxpooling1d_2", "AveragePooling1D"), "MaxPooling1D.*AveragePooling1D"),
        (_set_class("dna/flatten_1", "BatchNormalization"), "Flatten.* found BatchNormalization"),
        (lambda c: c.update(output_layers=[]), "expected an output for each cell, found none"),
        (
            lambda c: c.update(output_layers=[["dna/dropout_1", 0, 0]]),
            "output dna/dropout_1: expected an output of a cell",
        ),
        (lambda c: c.pop("layers"), "expected the JSON of a functional Keras model"),
        (
            lambda c: _layer(c, "dna/activation_2").update(
                inbound_nodes=[[["dna/convolution1d_2", 0, 0], ["dna/maxpooling1d_1", 0, 0]]]
            ),
            "activation_2: expected one input.* found 2",
        ),
        (
            lambda c: _layer(c, "cpg/alpha").update(inbound_nodes=[[["dna/dense_1", 0, 0]]]),
            "dna/dense_1: expected to feed either one layer or all 2 heads",
        ),
        (
            lambda c: _layer(c, "dna/activation_1").update(inbound_nodes=[[["gone", 0, 0]]]),
            "layer gone: referred to, but not described",
        ),
        (
            lambda c: _layer(c, "dna/flatten_1").update(name="flatten_1"),
            "flatten_1: referred to, but not described",
        ),
    ],
)
def test_other_architectures(checkpoint, edit, message):
    _edit_json(checkpoint, edit)
    with pytest.raises(CheckpointError, match=message) as error:
        _read(checkpoint)
    assert "model.json: " in str(error.value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_set("dna/conv1d_1", padding="same"), "conv1d_1: expected padding valid"),
        (_set("dna/conv1d_1", strides=[2]), "conv1d_1: expected stride 1.* found 2"),
        (_set("dna/conv1d_1", dilation_rate=[2]), "conv1d_1: expected dilation 1.* found 2"),
        (_set("dna/conv1d_1", data_format="channels_first"), "conv1d_1: expected data_format"),
        (_set("dna/conv1d_1", groups=2), "conv1d_1: expected groups 1.* found 2"),
        (_set("dna/conv1d_1", use_bias=False), "conv1d_1: expected bias True"),
        (_set("dna/max_pooling1d_1", padding="same"), "pooling1d_1: expected padding valid"),
        (_set("dna/max_pooling1d_1", data_format="channels_first"), "pooling1d_1: expected data"),
        (_set("dna/flatten_1", data_format="channels_first"), "flatten_1: expected data_format"),
        (_set("dna/dense_1", activation="relu"), "dense_1: expected activation linear"),
        (_set("dna/dense_1", use_bias=False), "dense_1: expected bias True"),
        (_set("cpg/alpha", use_bias=False), "cpg/alpha: expected bias True"),
        (_set_class("cpg/alpha", "Activation"), "cpg/alpha: expected class Dense"),
        (_set_class("dna", "Masking"), "dna: expected an InputLayer, found Masking"),
        (
            lambda c: _layer(c, "dna/dense_1")["inbound_nodes"].append([["dna/flatten_1", 0, 0]]),
            "dna/dense_1: expected one use, found 2",
        ),
        (
            lambda c: (
                c["layers"].append(
                    {**_layer(c, "dna/dropout_1"), "name": "dna/x", "inbound_nodes": [[["dna/y"]]]}
                )
                or c["layers"].append(
                    {**_layer(c, "dna/dropout_1"), "name": "dna/y", "inbound_nodes": [[["dna/x"]]]}
                )
            ),
            "layer dna/x: not on the way from the input to the heads",
        ),
        (lambda c: _layer(c, "dna/dense_1").update(config=3), "missing or malformed"),
        (lambda c: _layer(c, "dna/dense_1").update(inbound_nodes=3), "missing or malformed"),
        (_set("dna/dense_1", units="many"), "bottleneck_size: expected positive integers"),
    ],
)
def test_other_architectures_of_keras_2(tmp_path, edit, message):
    write_checkpoint(tmp_path, TINY, random_tensors(TINY), keras=2)
    _edit_json(tmp_path, edit)
    with pytest.raises(CheckpointError, match=message):
        _read(tmp_path)


def test_names_outside_the_scope(checkpoint):
    text = (checkpoint / "model.json").read_text().replace("dna/dense_1", "other/dense_1")
    (checkpoint / "model.json").write_text(text)
    with pytest.raises(CheckpointError, match="other/dense_1: expected a name in the scope 'dna/'"):
        _read(checkpoint)


def test_kernels_of_theano_are_flipped(tmp_path):
    """Keras 2 records the backend; Theano's convolution runs over the kernel backwards."""
    tensors = random_tensors(TINY)
    flipped = {k: v[::-1] if v.ndim == 3 else v for k, v in tensors.items()}
    write_checkpoint(tmp_path, TINY, flipped, keras=2)
    with h5py.File(tmp_path / "model_weights.h5", "a") as file:
        file.attrs["backend"] = b"theano"
    for name, tensor in _read(tmp_path).tensors.items():
        np.testing.assert_array_equal(tensor, tensors[name.replace("conv1d", "convolution1d")])


def test_another_backend(tmp_path):
    write_checkpoint(tmp_path, TINY, random_tensors(TINY), keras=2)
    with h5py.File(tmp_path / "model_weights.h5", "a") as file:
        file.attrs["backend"] = b"cntk"
    with pytest.raises(CheckpointError, match="expected weights of the backend .* found cntk"):
        _read(tmp_path)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_hdf5_never_ends_otherwise(checkpoint, seed):
    path = checkpoint / "model_weights.h5"
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(content), 200):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        _read(checkpoint)


def test_additional_layer(checkpoint):
    def edit(config):
        extra = {"name": "dna/dense_2", "class_name": "Dense", "config": {}}
        config["layers"].append({**extra, "inbound_nodes": [[["dna/dropout_1", 0, 0]]]})
        for cell in TINY.cells:
            _layer(config, f"cpg/{cell}")["inbound_nodes"] = [[["dna/dense_2", 0, 0]]]

    _edit_json(checkpoint, edit)
    with pytest.raises(CheckpointError, match="dna/dense_2: expected the heads after dna/dropout"):
        _read(checkpoint)


@pytest.mark.parametrize(
    "inputs", [["cpg/state", "dna"], ["cpg/dist", "cpg/state", "dna", "x"], ["x"], []]
)
def test_inputs_of_no_module(checkpoint, inputs):
    def edit(config):
        for name in inputs:
            if name != "dna":
                entry = {"name": name, "class_name": "InputLayer", "config": {}}
                config["layers"].append({**entry, "inbound_nodes": []})
        config["input_layers"] = [[name, 0, 0] for name in inputs]

    _edit_json(checkpoint, edit)
    with pytest.raises(CheckpointError, match="inputs of a module of DeepCpG: dna, or cpg/state"):
        _read(checkpoint)


def test_sequential_model(checkpoint):
    (checkpoint / "model.json").write_text('{"class_name": "Sequential", "config": []}')
    with pytest.raises(CheckpointError, match="expected a functional .* received class Sequential"):
        _read(checkpoint)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "expected JSON"), ("[1]", "expected a JSON object"), ("\x89", "expected JSON")],
)
def test_no_json(checkpoint, text, message):
    (checkpoint / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=f"model.json: {message}"):
        _read(checkpoint)


def test_json_of_another_architecture(checkpoint):
    other = DeepCpgDnaConfig.from_dict({**TINY.to_dict(), "conv_channels": [8, 10]})
    (checkpoint / "model.json").write_text(json.dumps(architecture(other)))
    with pytest.raises(CheckpointError) as error:
        _read(checkpoint)
    message = str(error.value)
    assert "dna/convolution1d_2" in message
    assert "(3, 8, 10)" in message
    assert "(3, 1, 8, 12)" in message


def test_json_with_other_layers(checkpoint):
    other = DeepCpgDnaConfig(
        **{**TINY.to_dict(), "cells": ("zeta", "alpha", "new"), "num_labels": 3}
    )
    (checkpoint / "model.json").write_text(json.dumps(architecture(other)))
    with pytest.raises(CheckpointError, match="layer cpg/new: expected .* weights are of dna/conv"):
        _read(checkpoint)


def test_json_with_fewer_layers(checkpoint):
    fewer = DeepCpgDnaConfig(**{**TINY.to_dict(), "cells": ("zeta",), "num_labels": 1})
    (checkpoint / "model.json").write_text(json.dumps(architecture(fewer)))
    with pytest.raises(CheckpointError, match="layer cpg/alpha: in the weights, but not in the m"):
        _read(checkpoint)


def _weights(folder, edit):
    with h5py.File(folder / "model_weights.h5", "a") as file:
        edit(file["model_weights"])


def _replace(group, name, value):
    del group[name]
    group[name] = value


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda g: g["dna/dense_1"].__delitem__("dense_1_W:0"),
            "dna/dense_1: expected a tensor dense_1_W:0, found none",
        ),
        (
            lambda g: g["dna/dense_1"].attrs.create("weight_names", [b"dense_1_W:0"]),
            "dna/dense_1: expected a kernel and a bias, found dense_1_W:0",
        ),
        (
            lambda g: _replace(g, "dna/dense_1/dense_1_b:0", np.zeros(17, "f4")),
            r"dna/dense_1: expected dense_1_b:0 of shape \(16,\), found \(17,\)",
        ),
        (
            lambda g: _replace(g, "dna/dense_1/dense_1_b:0", np.zeros(16, "i4")),
            "expected dense_1_b:0 of floating point, found int32",
        ),
        (
            lambda g: g["dna/dense_1"].create_dataset("more", data=np.zeros(3)),
            "tensor dna/dense_1/more: in the weights, but not in the model's",
        ),
    ],
)
def test_other_tensors(checkpoint, edit, message):
    _weights(checkpoint, edit)
    with pytest.raises(CheckpointError, match=message) as error:
        _read(checkpoint)
    assert "model_weights.h5: " in str(error.value)


def test_weights_that_are_not_finite(checkpoint):
    bias = np.full(16, np.nan, "f4")
    _weights(checkpoint, lambda g: _replace(g, "dna/dense_1/dense_1_b:0", bias))
    with pytest.raises(CheckpointError, match="dna/dense_1/bias: expected finite numbers"):
        DeepCpgDnaForSequencePrediction.from_preset(checkpoint)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated_hdf5(checkpoint, share):
    path = checkpoint / "model_weights.h5"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match="expected an intact HDF5 file, but .*truncated"):
        _read(checkpoint)


def test_no_hdf5(checkpoint):
    (checkpoint / "model_weights.h5").write_text("<html>404</html>")
    with pytest.raises(CheckpointError, match="model_weights.h5: expected an intact HDF5 file"):
        _read(checkpoint)


def test_hdf5_without_weights(checkpoint):
    with h5py.File(checkpoint / "model_weights.h5", "w") as file:
        file["chromo"] = np.zeros(3)
    with pytest.raises(CheckpointError, match="expected Keras weights .* found chromo"):
        _read(checkpoint)


def test_weights_only_is_no_single_file(checkpoint):
    with pytest.raises(CheckpointError, match="expected the attribute 'model_config'"):
        document = json.loads((checkpoint / "model.json").read_text())
        write_weights(checkpoint / "w.h5", document, random_tensors(TINY), full=False)
        read_model_h5(checkpoint / "w.h5")


def test_long_lists_of_names_are_split_by_keras_2(checkpoint):
    """Keras 2 writes ``layer_names0``, ``layer_names1``, … when a list is over 64 kB."""

    def split(group):
        names = group.attrs["layer_names"]
        del group.attrs["layer_names"]
        group.attrs["layer_names0"], group.attrs["layer_names1"] = names[:5], names[5:]

    expected = _read(checkpoint).tensors
    _weights(checkpoint, split)
    for name, tensor in _read(checkpoint).tensors.items():
        np.testing.assert_array_equal(tensor, expected[name])


def test_a_foreign_name_with_line_ends_is_told_in_one_line(tmp_path):
    document = json.loads((DATA / "legacy" / "keras2-distributed" / "model.json").read_text())
    document["config"]["input_layers"][0][0] = "a\nb"
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="layer a b: referred to") as caught:
        read_json_and_weights(tmp_path / "model.json", tmp_path / "none.h5")
    assert "\n" not in str(caught.value)
