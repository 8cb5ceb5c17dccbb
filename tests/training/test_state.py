"""States of a training that are damaged; whole ones are in test_trainer.py."""

import json
from typing import Any

import numpy as np
import pytest

from deepcpg_tf.errors import OutputError
from deepcpg_tf.training.state import State, load_state, save_state

ROWS = [{"epoch": 1, "loss": 0.5, "validation_loss": 0.4}, {"epoch": 2, "loss": 0.25}]


def write(folder, text):
    arrays: dict[str, Any] = {"text": np.array(text), "variable:a": np.ones(2)}
    np.savez(folder / "state.npz", **arrays)


def test_a_state_comes_back(tmp_path):
    state = State(ROWS, 1, {"a": np.ones(2)}, {"b": np.zeros(3)})
    save_state(tmp_path, state)
    loaded = load_state(tmp_path)
    assert (loaded.history, loaded.kept, loaded.best_loss, loaded.waited) == (ROWS, 1, 0.4, 1)
    assert loaded.variables["a"].tolist() == [1, 1]
    assert loaded.best["b"].tolist() == [0, 0, 0]
    write(tmp_path, json.dumps({"history": [], "kept": 0}))
    assert load_state(tmp_path).best_loss == np.inf
    assert load_state(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ([], "its description is another one"),
        ({"history": ROWS}, "its description is another one"),
        ({"history": {}, "kept": 1}, "its history is none"),
        ({"history": [[1]], "kept": 1}, "its history is none"),
        ({"history": [{"epoch": 1, "loss": "0.4"}], "kept": 1}, "its history is none"),
        ({"history": [{"epoch": 1, "loss": True}], "kept": 1}, "its history is none"),
        ({"history": [{"epoch": 2, "loss": 0.4}], "kept": 1}, "its history is none"),
        ({"history": [{"loss": 0.4}], "kept": 1}, "its history is none"),
        ({"history": ROWS, "kept": {}}, "it keeps epoch {} of 2"),
        ({"history": ROWS, "kept": True}, "it keeps epoch True of 2"),
        ({"history": ROWS, "kept": 1.0}, "it keeps epoch 1.0 of 2"),
        ({"history": ROWS, "kept": 0}, "it keeps epoch 0 of 2"),
        ({"history": ROWS, "kept": 7}, "it keeps epoch 7 of 2"),
        ({"history": [], "kept": 1}, "it keeps epoch 1 of 0"),
    ],
)
def test_descriptions_that_are_none(tmp_path, description, message):
    write(tmp_path, json.dumps(description))
    with pytest.raises(OutputError) as error:
        load_state(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'state.npz'}: expected the state of a training, but {message}; "
        f"remove {tmp_path} to start anew"
    )


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03", 1)),
        lambda path: np.savez(path, a=np.ones(2)),
        lambda path: np.savez(path, text=np.array("{")),
    ],
)
def test_files_that_are_none(tmp_path, harm):
    save_state(tmp_path, State(ROWS, 1, {"a": np.ones(2)}, {}))
    harm(tmp_path / "state.npz")
    with pytest.raises(OutputError, match="state.npz: expected the state of a training, but .+;"):
        load_state(tmp_path)
