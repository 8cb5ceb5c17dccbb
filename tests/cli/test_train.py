import csv
import json
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaForSequencePrediction
from deepcpg_tf.files import sha256
from tests import tolerances
from tests.conftest import DATA, bfloat16
from tests.reference import random_windows

RUN = DATA / "original-run"
LEGACY = sorted((RUN / "data").glob("*.h5"))
FAST = ("--architecture", "CnnL1h128", "--learning-rate", "1e-3", "--batch-size", "256")
SMALL = ("--from", RUN / "model")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "table.h5ad"
    profiles = sorted((RUN / "cpg").iterdir())
    arguments = ["data", "build", "--profiles", *profiles, "--genome", RUN / "dna", "--out", path]
    subprocess.run([sys.executable, "-m", "deepcpg_tf", *map(str, arguments)], check=True)
    return path


def train(table, out, *more, model=FAST):
    data = (table, "--genome", RUN / "dna", "--train", "1", "--validation", "2")
    return ("train", *data, *model, *more, "--out", out)


def weights(folder):
    with h5py.File(folder / "weights.h5") as file:
        found = {}
        file.visititems(lambda n, i: found.update({n: i[()]}) if hasattr(i, "shape") else None)
        return found


def test_train(run, table, tmp_path):
    out = tmp_path / "model"
    result = run(*train(table, out, "--epochs", "2"))
    assert result.code == 0, result.err
    assert "1,480 sites to train on, 525 to validate, 3 cells" in result.err
    told = [line.split("  ")[0] for line in result.err.splitlines()]
    assert told[1:] == ["epoch 1/2", "epoch 2/2"]
    assert result.out.startswith(f"{out}: 2 epochs, the weights of epoch ")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "weights.h5", "history.csv", "learning_curve.png"),
    }
    rows = list(csv.DictReader((out / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    provenance = json.loads((out / "config.json").read_text())["provenance"]
    assert provenance["split"]["validation"]["sites"] == 525
    assert provenance["settings"]["learning_rate"] == 1e-3
    assert provenance["files"] == [
        {"name": table.name, "bytes": table.stat().st_size, "sha256": sha256(table)}
    ]
    assert provenance["kept"]["epoch"] in (1, 2)
    for path in out.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path
        assert str(table.parent).encode() not in path.read_bytes(), path
        assert str(RUN).encode() not in path.read_bytes(), path
    model = DeepCpgDnaForSequencePrediction.from_preset(out)
    assert model.cells == ("c1", "c2", "c3")
    assert model.predict_windows(random_windows(2, 1001)).shape == (2, 3)


def test_tensorboard(run, table, tmp_path):
    from tensorflow.python.summary.summary_iterator import summary_iterator

    out, logs = tmp_path / "model", tmp_path / "logs"
    more = ("--epochs", "2", "--tensorboard", logs)
    assert run(*train(table, out, *more, model=SMALL)).code == 0
    (file,) = logs.iterdir()
    for folder in (tmp_path, table.parent, RUN):
        assert str(folder).encode() not in file.read_bytes()
    values = [
        (event.step, value.tag)
        for event in summary_iterator(str(file))
        for value in event.summary.value
    ]
    for epoch in (1, 2):
        for tag in ("loss", "validation_loss", "validation_auc", "learning_rate"):
            assert (epoch, tag) in values


@pytest.mark.full
def test_killed_and_resumed_ends_with_the_same_weights(run, table, tmp_path, home):
    whole = tmp_path / "whole"
    assert run(*train(table, whole, "--epochs", "6")).code == 0
    out = tmp_path / "model"
    command = [sys.executable, "-m", "deepcpg_tf", *map(str, train(table, out, "--epochs", "6"))]
    state = tmp_path / ".model.training" / "state.npz"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not state.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    result = run(*train(table, out, "--epochs", "6"))
    assert result.code == 0, result.err
    assert "epoch 1/6" not in result.err
    assert (out / "history.csv").read_text() == (whole / "history.csv").read_text()
    resumed = weights(out)
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(resumed[name], value)
    assert not state.parent.exists()


def test_fine_tune_keeps_the_heads_of_the_same_cells(run, tmp_path):
    out = tmp_path / "model"
    start = DeepCpgDnaForSequencePrediction.from_preset(RUN / "model")
    data = (*LEGACY, "--train", "1", "--epochs", "1", "--learning-rate", "1e-30")
    result = run("train", *data, "--from", RUN / "model", "--freeze", "backbone", "--out", out)
    assert result.code == 0, result.err
    assert "3 of 3 cells keep their heads, 0 get new ones" in result.err
    assert "no validation: all 1 epochs are run" in result.err
    tuned = DeepCpgDnaForSequencePrediction.from_preset(out)
    for name, variable in start.variables_by_name.items():
        np.testing.assert_allclose(tuned.variables_by_name[name], variable, rtol=tolerances.UNIT)


def test_fine_tune_with_other_cells(run, tmp_path):
    out = tmp_path / "model"
    start = DATA / "legacy" / "keras1-distributed"
    data = (*LEGACY, "--train", "1", "--epochs", "1")
    result = run("train", *data, "--from", start, "--freeze", "first-conv", "--out", out)
    assert result.code == 0, result.err
    assert "0 of 3 cells keep their heads, 3 get new ones" in result.err
    before = DeepCpgDnaForSequencePrediction.from_preset(start).variables_by_name
    after = DeepCpgDnaForSequencePrediction.from_preset(out).variables_by_name
    first, second = (f"dna/convolution1d_{i}/kernel" for i in (1, 2))
    np.testing.assert_array_equal(after[first], before[first])
    assert np.abs(after[second].numpy() - before[second].numpy()).max() > 0


DEVICES = ("--epochs", "1", "--devices", "2", "--precision", "mixed_bfloat16")


@bfloat16
def test_two_devices_and_bfloat16(run, tmp_path, table):
    out = tmp_path / "model"
    assert run(*train(table, out, *DEVICES, model=SMALL)).code == 0
    assert (out / "weights.h5").exists()


@bfloat16
@pytest.mark.full
def test_two_devices_in_a_process_of_its_own(tmp_path, table):
    """Which has to make them."""
    out, more = tmp_path / "model", DEVICES
    command = [sys.executable, "-m", "deepcpg_tf", *map(str, train(table, out, *more))]
    subprocess.run(command, check=True, capture_output=True)
    assert (out / "weights.h5").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "split: expected --split published, or chromosomes"),
        (("--train", "1", "--validation", "1"), "validation: expected chromosomes that no other"),
        (("--train", "7"), "--train: expected chromosomes of the data (1, 2, X), received '7'"),
        (("--validation", "1"), "--train: expected chromosomes to train on, received none"),
        (("--train", "1", "--genome", "g.fa"), "--genome: expected none with data files of the"),
        (("--train", "1", "--tensorboard", __file__), "--tensorboard: expected a folder, received"),
        (("--train", "1", "--architecture", "x"), "architecture: expected one of CnnL1h128"),
        (("--train", "1", "--epochs", "0"), "epochs: expected at least 1, received 0"),
        (
            ("--train", "1", "--seed", "4294967296"),
            "--seed: expected 0 to 4294967295, received 429",
        ),
        (("--train", "1", "--seed", "-1"), "--seed: expected 0 to 4294967295, received -1"),
        (
            ("--train", "1", "--learning-rate", "nan"),
            "--learning-rate, --decay: expected a positiv",
        ),
        (("--train", "1", "--l2", "inf"), "--l2: expected 0 or more, received inf"),
        (("--train", "1", "--dropout", "nan"), "--dropout: expected at least 0 and below 1, recei"),
        (
            ("--train", "1", "--dropout", "1"),
            "--dropout: expected at least 0 and below 1, received",
        ),
        (("--train", "1", "--precision", "half"), "precision: expected one of float32, mixed_bf"),
        (("--train", "1", "--batch-size", "9", "--devices", "2"), "--batch-size: expected a mult"),
        (
            ("--train", "1", "--freeze", "backbone"),
            "--freeze: expected --from with it, a model to begin with, received none",
        ),
        (
            ("--train", "1", "--from", "m", "--architecture", "CnnL1h128"),
            "--architecture: expected none with --from, which says what model to make",
        ),
    ],
)
def test_faults(fails, tmp_path, arguments, message):
    assert message in fails("train", *LEGACY, *arguments, "--out", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_stays_of_a_training_that_cannot_be(fails, tmp_path):
    fails("train", *LEGACY, "--train", "7", "--out", tmp_path / "a" / "b" / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_that_is_worked_in(fails, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    error = fails("train", *LEGACY, "--train", "1", "--out", ".")
    assert "expected a folder other than the one worked in" in error
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_step_that_does_not_fit_into_memory(run, tmp_path, monkeypatch):
    import tensorflow as tf

    from deepcpg_tf.training import trainer

    def no_room(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\n of shape")

    monkeypatch.setattr(trainer, "_train_epoch", no_room)
    result = run("train", *LEGACY, "--train", "1", *FAST, "--out", tmp_path / "model")
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        "deepcpg-tf: error: --batch-size: expected a step that fits into memory, received 256 "
        "sites; fewer need less"
    )
    assert list(tmp_path.iterdir()) == []


def test_logs_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").touch()
    logs = ("--tensorboard", tmp_path / "file" / "logs")
    result = run("train", *LEGACY, "--train", "1", *SMALL, *logs, "--out", tmp_path / "model")
    assert result.code == 2
    expected = f"--tensorboard: cannot write to {tmp_path / 'file' / 'logs'}: Not a directory"
    assert result.err.splitlines()[-1] == f"deepcpg-tf: error: {expected}"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_data_without_a_genome(fails, table, tmp_path):
    error = fails("train", table, "--train", "1", "--out", tmp_path / "model")
    assert (
        "--genome: expected a reference, of which a dna module reads windows, received none"
        in error
    )


def test_an_earlier_model_is_not_overwritten(fails, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.h5").write_text("x")
    error = fails("train", *LEGACY, "--train", "1", "--out", tmp_path / "model")
    assert "expected a new folder, found that it is there already" in error
