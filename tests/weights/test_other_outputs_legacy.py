"""Checkpoints of the original with outputs other than cells.

No such file of the original is at hand: these are written after its definition of the
layers, by the writer that `test_keras_legacy` holds against genuine files.
"""

import json
import shutil

import h5py
import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaConfig
from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.models.registry import build_model, load_model, new_model
from deepcpg_tf.weights.keras_legacy import read_json_and_weights
from tests import tolerances
from tests.contract.test_models import SMALL, random_arrays, random_weights
from tests.weights.legacy_files import write_checkpoint
from tests.weights.test_cpg_joint_legacy import JOINT, arrays_of

OUTPUTS = (
    "bulk/serum",
    "cpg_stats/cat2_var",
    "cpg_stats/cat_var",
    "cpg_stats/diff",
    "cpg_stats/entropy",
    "cpg_stats/mean",
    "cpg_stats/mode",
    "cpg_stats/var",
    "win_stats/1001/var",
)
CONFIG = DeepCpgDnaConfig(
    sequence_length=101,
    conv_channels=(8,),
    conv_kernel_sizes=(11,),
    conv_pool_sizes=(4,),
    bottleneck_size=16,
    cells=("b", "a/c"),
    outputs=OUTPUTS,
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def by_hand(model, arrays):
    """What the original's layers compute of the embedding, one after the other."""
    embedding = model.predict_arrays(arrays, "embedding")
    kernel, bias = (model.variables_by_name[f"cpg/{name}"].numpy() for name in ("kernel", "bias"))
    logits = embedding @ kernel + bias
    columns = list(logits.T)
    result = {cell: sigmoid(columns.pop(0)) for cell in model.cells}
    for name in model.config.outputs:
        match name.split("/")[-1]:
            case "var":
                result[name] = 0.251 * sigmoid(columns.pop(0))
            case "entropy":
                result[name] = np.maximum(columns.pop(0), 0)
            case "cat_var":
                powers = np.exp([columns.pop(0).astype(np.float64) for _ in range(3)])
                for i, share in enumerate(powers / powers.sum(axis=0)):
                    result[f"{name}_{i}"] = share
            case _:
                result[name] = sigmoid(columns.pop(0))
    assert not columns
    return result


def written(tmp_path, config=CONFIG, keras=1, layout="published"):
    model = random_weights(new_model(config))
    tensors = dict(model.checkpoint().tensors)
    document = write_checkpoint(tmp_path, config, tensors, keras, layout)
    return model, document


@pytest.mark.parametrize("layout", ["published", "weights-only", "single-file"])
@pytest.mark.parametrize("keras", [1, 2])
def test_they_load(keras, layout, tmp_path):
    model, _ = written(tmp_path, keras=keras, layout=layout)
    loaded = load_model(tmp_path)
    assert loaded.config.outputs == OUTPUTS
    assert loaded.cells == ("b", "a/c")
    arrays = random_arrays(model.reads, 7)
    columns = loaded.predict_arrays(arrays).T
    found = dict(zip(loaded.value_names("probabilities"), columns, strict=True))
    expected = by_hand(model, arrays)
    assert list(found) == list(expected)
    for name, values in expected.items():
        atol = tolerances.logits(model.config)
        np.testing.assert_allclose(found[name], values, atol=atol, rtol=0, err_msg=name)
    assert found["cpg_stats/entropy"].min() == 0 < found["cpg_stats/entropy"].max()
    taps = loaded.activations(arrays, ["cpg_stats/var", "cpg_stats/cat_var", "cpg/b"])
    assert [one.shape for one in taps.values()] == [(7, 1), (7, 3), (7, 1)]
    np.testing.assert_array_equal(taps["cpg_stats/var"][:, 0], found["cpg_stats/var"])
    loaded.save_to_preset(tmp_path / "preset")
    again = load_model(tmp_path / "preset")
    assert (again.config, again.digest()) == (loaded.config, loaded.digest())


def test_without_cells(tmp_path):
    config = DeepCpgDnaConfig.from_dict(
        {**CONFIG.to_dict(), "cells": (), "num_labels": 0, "outputs": OUTPUTS[5:6]}
    )
    model, _ = written(tmp_path, config)
    loaded = load_model(tmp_path)
    assert (loaded.cells, loaded.config.outputs) == ((), ("cpg_stats/mean",))
    arrays = random_arrays(model.reads, 3)
    np.testing.assert_array_equal(loaded.predict_arrays(arrays), model.predict_arrays(arrays))
    assert loaded.config.from_dict(loaded.config.to_dict()) == loaded.config


def scaled(layers):
    layers["cpg_stats/var"]["config"]["scaling"] = 0.3


def unscaled(layers):
    layers["cpg_stats/var"]["class_name"] = "Dense"


def named_cov(layers):
    layers["cpg_stats/diff"]["name"] = "cpg_stats/cov"


def two_classes(layers):
    layers["cpg_stats/cat_var"]["config"]["output_dim"] = 2


def linear_mean(layers):
    layers["cpg_stats/mean"]["config"]["activation"] = "linear"


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (scaled, r"layer cpg_stats/var: expected scaling 0.251, .*found 0.3"),
        (unscaled, "layer cpg_stats/var: expected class ScaledSigmoid, .*found Dense"),
        (named_cov, "output cpg_stats/cov: expected an output of a cell .*, a statistic over"),
        (two_classes, "layer cpg_stats/cat_var: expected units 3, .*found 2"),
        (linear_mean, "layer cpg_stats/mean: expected activation sigmoid, .*found linear"),
    ],
)
def test_others_are_refused(edit, match, tmp_path):
    _, document = written(tmp_path)
    layers = document["config"]["layers"]
    edit({layer["name"]: layer for layer in layers})
    names = [layer["name"] for layer in layers if layer["inbound_nodes"]]
    heads = [name for name in names if name.startswith(("cpg", "bulk", "win")) or name == "dense_6"]
    document["config"]["output_layers"] = [[name, 0, 0] for name in heads]
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=match):
        read_json_and_weights(tmp_path / "model.json", tmp_path / "model_weights.h5")


@pytest.mark.parametrize("module", sorted(name for name in SMALL if "local" not in name))
def test_of_every_module(module, tmp_path):
    """Also what a preset keeps of them, and the part of a Joint module."""
    config = SMALL[module].with_cells(SMALL[module].cells, OUTPUTS)
    assert config.from_json(config.to_json()) == config
    model = random_weights(new_model(config))
    arrays = random_arrays(model.reads, 6)
    found = model.predict_arrays(arrays)
    expected = by_hand(model, arrays)
    assert model.value_names("probabilities") == list(expected)
    atol = tolerances.logits(model.config)
    np.testing.assert_allclose(found, np.stack([*expected.values()], axis=1), atol=atol, rtol=0)
    model.save_to_preset(tmp_path / "preset")
    loaded = load_model(tmp_path / "preset")
    assert loaded.digest() == model.digest()
    np.testing.assert_array_equal(loaded.predict_arrays(arrays), found)
    for part in config.parts.values():
        assert part.outputs == OUTPUTS


def test_nothing_is_said_of_how_they_are_computed(monkeypatch):
    """What AutoGraph cannot read it warns of on stderr, or else raises."""
    monkeypatch.setenv("AUTOGRAPH_STRICT_CONVERSION", "1")
    model = new_model(SMALL["cpg"].with_cells(("a",), OUTPUTS))
    assert model.predict_arrays(random_arrays(model.reads, 2)).shape[0] == 2


def test_no_outputs_leave_the_configuration_as_it_was():
    for config in SMALL.values():
        assert "outputs" not in config.to_json()


def with_other_heads(source, folder, others):
    """Copy a genuine file, its first heads called otherwise; return also what it predicts."""
    shutil.copytree(JOINT / source, folder)
    expected = np.load(folder / "expected.npz")
    cells = [str(cell) for cell in expected["cells"]]
    model_json, weights = folder / "model.json", folder / "model_weights.h5"
    with h5py.File(weights, "a") as file:
        group = file.get("model_weights", file)
        names = [name.decode() for name in group.attrs["layer_names"]]
        for cell, new in zip(cells, others, strict=False):
            old = f"cpg/{cell}"
            model_json.write_text(model_json.read_text().replace(json.dumps(old), json.dumps(new)))
            names[names.index(old)] = new
            group.move(old, new)
        group.attrs["layer_names"] = np.array([name.encode() for name in names])
    return model_json, weights, cells, expected


@pytest.mark.parametrize("source", ["keras1-joint-l2-rnnl1", "keras2-cpg-rnnl1"])
def test_a_genuine_file_without_any_cell(run, fails, source, tmp_path):
    """It does not say whose neighbours are read, so that `convert` has to be told."""
    others = ("bulk/serum", "cpg_stats/mean", "bulk/2i", "win_stats/1001/mean")
    folder, out = tmp_path / "model", tmp_path / "out"
    model_json, weights, cells, expected = with_other_heads(source, folder, others)
    given = ("convert", "--model-json", model_json, "--weights", weights, "--out", out)
    told = "expected to know the 4 cells whose neighbours are read; the outputs of the file name 0"
    assert told in fails(*given)
    with pytest.raises(CheckpointError, match="those read as `input_cells` of deepcpg-tf convert"):
        load_model(folder)
    result = run(*given, "--input-cells", ",".join(cells))
    assert result.code == 0, result.err
    assert f", 0 cells, {', '.join(others)}, " in result.out
    model = load_model(out)
    assert (model.cells, model.config.outputs) == ((), others)
    allowed = min(1e-5, tolerances.probabilities(model.config))
    found = model.predict_arrays(arrays_of(expected))
    np.testing.assert_allclose(found, expected["prob"], atol=allowed, rtol=0)


@pytest.mark.parametrize("source", ["keras1-joint-l2-rnnl1", "keras2-joint-l2-rnnl1"])
def test_a_genuine_file_with_another_name_for_a_head(source, tmp_path):
    """The head of a level is that of a cell but for its name, so that its golden values hold."""
    new = "cpg_stats/mean"
    model_json, weights, cells, expected = with_other_heads(source, tmp_path / "model", [new])
    with pytest.raises(CheckpointError, match="name those read as `input_cells`"):
        read_json_and_weights(model_json, weights)
    model = build_model(read_json_and_weights(model_json, weights, cells))
    assert model.cells == tuple(cells[1:])
    assert model.config.outputs == (new,)
    order = [*range(1, len(cells)), 0]
    found = model.predict_arrays(arrays_of(expected))
    allowed = min(1e-5, tolerances.probabilities(model.config))
    np.testing.assert_allclose(found, expected["prob"][:, order], atol=allowed, rtol=0)
