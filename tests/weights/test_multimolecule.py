import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from deepcpg_tf import DeepCpgDnaForSequencePrediction
from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.weights.multimolecule import read_multimolecule
from tests import tolerances
from tests.conftest import DATA

GENUINE = DATA / "multimolecule-tiny"


@pytest.fixture
def folder(tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(GENUINE / name, tmp_path)
    return tmp_path


def test_genuine_checkpoint():
    """Written by MultiMolecule 0.2.2, with the logits and embedding that it computed."""
    expected = np.load(GENUINE / "expected.npz")
    model = DeepCpgDnaForSequencePrediction.from_preset(GENUINE)
    assert model.cells == tuple(expected["cells"])
    letters = (GENUINE / "sequences.txt").read_text().split()
    assert any("N" in window for window in letters)
    tolerance = {"atol": tolerances.logits(model.config), "rtol": 0}
    logits = model.predict_sequences(letters, "logits")
    np.testing.assert_allclose(logits, expected["logits"], **tolerance)
    embedding = model.predict_sequences(letters, "embedding")
    np.testing.assert_allclose(embedding, expected["pooler_output"], **tolerance)
    windows = np.array([0, 3, 2, 1, 4], np.uint8)[expected["ids_ACGTN"]]
    np.testing.assert_array_equal(model.predict_windows(windows, "logits"), logits)


def _edit_config(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def _edit_tensors(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "I32", "BOOL", "C64"])
def test_tensors_that_are_no_floats_of_numpy(folder, dtype):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    # The same bytes, taken for more or fewer numbers.
    each = {"BF16": 2, "F8_E4M3": 1, "BOOL": 1, "C64": 8}.get(dtype, 4)
    entry = header["sequence_head.decoder.weight"]
    start, end = entry["data_offsets"]
    entry.update(dtype=dtype, shape=[(end - start) // each])
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    with pytest.raises(
        CheckpointError, match=f"sequence_head.decoder.weight: expected one of F32.* found {dtype}"
    ):
        read_multimolecule(folder)


def test_a_header_of_another_kind_is_told_in_one_line(folder):
    text = b'{"cpg":\n{"dtype":"x\\ny","shape":[0],"data_offsets":[0,0]}}'
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(CheckpointError, match="expected an intact safetensors file, but") as caught:
        read_multimolecule(folder)
    assert "\n" not in str(caught.value)


def test_numbers_too_large_for_float32(folder):
    _edit_tensors(folder, lambda t: t.update({"sequence_head.decoder.bias": np.full(3, 1e300)}))
    with pytest.raises(CheckpointError, match="cpg/bias: expected finite numbers"):
        read_multimolecule(folder).check()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "bert"}, "expected model_type 'deepcpgdna', received 'bert'"),
        ({"vocab_size": 7}, "vocab_size: expected 5 .*received 7"),
        ({"hidden_act": "gelu"}, "hidden_act: expected 'relu', received 'gelu'"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label: expected the keys 0 to 1, missing '1'"),
        ({"num_labels": 4}, "num_labels: expected 3, the number of cells, received 4"),
        ({"head": {"transform": "nonlinear"}}, "head.transform: expected None"),
        ({"head": {"act": "tanh"}}, "head.act: expected None, received 'tanh'"),
        ({"head": {"bias": False}}, "head.bias: expected True, received False"),
        ({"head": 3}, "head, id2label: expected objects"),
        ({"id2label": ["a"]}, "head, id2label: expected objects"),
        ({"bottleneck_size": 17}, r"bottleneck.dense.weight: expected shape \(17, 120\)"),
    ],
)
def test_other_configurations(folder, fields, message):
    _edit_config(folder, **fields)
    with pytest.raises(CheckpointError, match=message):
        read_multimolecule(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda t: t.pop("sequence_head.decoder.bias"),
            "tensor sequence_head.decoder.bias: expected, found none by that name",
        ),
        (
            lambda t: t.update(more=np.zeros(1, "f4")),
            "tensor more: not in the model's configuration",
        ),
        (
            lambda t: t["model.encoder.layers.0.conv.weight"].__setitem__((0, 4, 0), 0.5),
            "expected zeros in the channel of N.*values up to 0.5",
        ),
    ],
)
def test_other_tensors(folder, edit, message):
    _edit_tensors(folder, edit)
    with pytest.raises(CheckpointError, match=message):
        read_multimolecule(folder)


def test_truncated_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="expected an intact safetensors file, but"):
        read_multimolecule(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"expected a file {name}, found none there"):
        read_multimolecule(folder)


def test_no_json(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="config.json: expected JSON"):
        read_multimolecule(folder)
