import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters.formats.saved_model import WARM_UP_FILE
from deepcpg_tf.exporters.session import ServingSession, SessionError
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from tests import tolerances

LENGTH = 101


@pytest.mark.parametrize("signature", ["serving_default", "tokens", "one_hot"])
def test_every_signature_predicts_as_the_original(exported, session, signature):
    inputs = {
        "serving_default": {"sequences": exported.strings},
        "tokens": {"tokens": exported.tokens},
        "one_hot": {"one_hot": one_hot_of_bytes()[exported.tokens]},
    }
    found = session.run(signature, inputs[signature])
    assert set(found) == {"logits", "probabilities"}
    np.testing.assert_allclose(
        found["probabilities"], exported.probabilities, atol=tolerances.TINY_PROBABILITIES
    )
    np.testing.assert_allclose(
        1 / (1 + np.exp(-found["logits"])),
        exported.probabilities,
        atol=tolerances.TINY_PROBABILITIES,
    )


def test_the_embedding_is_the_originals(exported, session):
    found = session.run("embedding", {"sequences": exported.strings})["embedding"]
    np.testing.assert_allclose(found, exported.embedding, atol=tolerances.TINY_LOGITS)


def test_labels_are_the_cells(exported, session):
    found = session.run("labels", {"index": np.array([2, 0])})["cells"]
    assert found.tolist() == [exported.model.cells[i].encode() for i in (2, 0)]


def test_signatures_all_have_inputs(session):
    """TensorFlow Serving cannot call one without."""
    assert set(session.signatures) == {
        *("serving_default", "tokens", "one_hot", "embedding", "labels"),
    }
    assert all(signature.inputs for signature in session.signatures.values())


def test_case_and_u_are_accepted(exported, session):
    expected = session.run("serving_default", {"sequences": exported.strings})
    for change in (bytes.lower, lambda window: window.replace(b"T", b"u")):
        strings = np.array([change(window) for window in exported.strings.tolist()])
        found = session.run("serving_default", {"sequences": strings})
        np.testing.assert_array_equal(found["logits"], expected["logits"])


def test_windows_of_n_are_finite(session):
    found = session.run("tokens", {"tokens": np.full((1, LENGTH), ord("N"), np.uint8)})
    assert np.isfinite(found["logits"]).all()


GOOD = np.full((3, LENGTH), ord("A"), np.uint8)
FOREIGN = GOOD.copy()
FOREIGN[1, 7] = ord("!")
STRINGS = np.array([row.tobytes() for row in GOOD])


@pytest.mark.parametrize(
    ("signature", "name", "value", "message"),
    [
        ("serving_default", "sequences", np.array([b"A" * LENGTH, b"A" * 100]), "[[2]] [100]"),
        ("serving_default", "sequences", np.array([b"A" * 100]), "expected windows of 101 letters"),
        ("serving_default", "sequences", STRINGS[None], "not compatible with expected shape [?]"),
        ("serving_default", "sequences", STRINGS[:0], "at least one window"),
        ("serving_default", "sequences", np.array([r.tobytes() for r in FOREIGN]), "[[2 8]]"),
        ("embedding", "sequences", np.array([b"A" * 102]), "expected windows of 101 letters"),
        ("tokens", "tokens", FOREIGN, "expected IUPAC nucleotide letters"),
        ("tokens", "tokens", GOOD[:, :100], "expected shape [?,101]"),
        ("tokens", "tokens", GOOD[0], "expected shape [?,101]"),
        ("tokens", "tokens", GOOD[:0], "at least one window"),
        ("one_hot", "one_hot", np.zeros((2, 100, 4), np.float32), "expected shape [?,101,4]"),
        ("one_hot", "one_hot", np.zeros((2, LENGTH), np.float32), "expected shape [?,101,4]"),
        ("one_hot", "one_hot", np.zeros((0, LENGTH, 4), np.float32), "at least one window"),
        ("labels", "index", np.array([99]), "99 is not in [0, 3)"),
        ("labels", "index", np.array([[0]]), "expected shape [?]"),
    ],
)
def test_what_is_wrong_is_refused_and_the_process_lives(session, signature, name, value, message):
    with pytest.raises(SessionError) as error:
        session.run(signature, {name: value})
    assert str(error.value).startswith("INVALID_ARGUMENT: ")
    assert message in str(error.value)
    assert session.run("tokens", {"tokens": GOOD})["logits"].shape == (3, 3)


def test_every_warm_up_record_runs(exported, session):
    """One that fails would keep TensorFlow Serving from loading the model."""
    folder = exported.folder / "saved_model" / "1" / "assets.extra"
    signatures = set()
    for record in tf.data.TFRecordDataset(str(folder / WARM_UP_FILE)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
        signature = log.request.model_spec.signature_name
        signatures.add(signature)
        inputs = {name: tf.make_ndarray(value) for name, value in log.request.inputs.items()}
        inputs = {k: v.astype("S") if v.dtype == object else v for k, v in inputs.items()}
        assert session.run(signature, inputs)
    assert signatures == {"serving_default", "tokens", "one_hot", "embedding"}


def test_cells_and_provenance_lie_beside(exported):
    folder = exported.folder / "saved_model" / "1" / "assets.extra"
    assert tuple((folder / "cells.txt").read_text().split()) == exported.model.cells
    description = json.loads((folder / "description.json").read_text())
    assert description["provenance"] == exported.model.provenance
    assert description["window"]["one_hot_channels"] == ["A", "T", "G", "C"]


def test_python_loads_it_too(exported):
    loaded = tf.saved_model.load(str(exported.folder / "saved_model" / "1"))
    found = loaded.signatures["serving_default"](sequences=tf.constant(exported.letters))
    np.testing.assert_allclose(
        found["probabilities"], exported.probabilities, atol=tolerances.TINY_PROBABILITIES
    )


def test_a_keras_model_as_attribute_would_be_noticed(exported, tmp_path):
    """The loader of TensorFlow Serving refuses what loads in Python."""
    module = tf.Module()
    module.model = exported.model

    @tf.function(input_signature=[tf.TensorSpec((None, LENGTH, 4), tf.float32, name="one_hot")])
    def run(one_hot):
        return {"logits": module.model(one_hot)}

    tf.saved_model.save(module, str(tmp_path / "1"), signatures=run)
    one_hot = one_hot_of_bytes()[exported.tokens]
    assert tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"](
        tf.constant(one_hot)
    )
    with ServingSession(tmp_path / "1") as session, pytest.raises(SessionError):
        session.run("serving_default", {"one_hot": one_hot})


def test_what_is_no_saved_model_does_not_load(exported, tmp_path):
    with pytest.raises(ExportError, match="expected a SavedModel that loads, but"):
        ServingSession(tmp_path)
    damaged = tmp_path / "1"
    shutil.copytree(exported.folder / "saved_model" / "1", damaged)
    weights = damaged / "variables" / "variables.data-00000-of-00001"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ExportError, match="expected a SavedModel that loads, but"):
        ServingSession(damaged)


def test_the_process_never_imports_tensorflow():
    code = (
        "import sys, deepcpg_tf.exporters.session_worker as w; print('tensorflow' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_the_death_of_the_process_is_told(exported):
    with ServingSession(exported.folder / "saved_model" / "1") as session:
        session._process.kill()
        with pytest.raises(ExportError, match="the process that serves the model died, code -9"):
            session.run("tokens", {"tokens": GOOD})
