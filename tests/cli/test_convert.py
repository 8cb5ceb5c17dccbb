import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaForSequencePrediction, load_model
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.files import sha256
from tests.conftest import DATA

LEGACY = DATA / "legacy"
JSON = LEGACY / "keras1-distributed" / "model.json"
WEIGHTS = LEGACY / "keras1-distributed" / "model_weights.h5"


def source(folder):
    if (folder / "model.safetensors").exists():
        return ["--multimolecule", folder]
    if (folder / "model.json").exists():
        return ["--model-json", folder / "model.json", "--weights", folder / "model_weights.h5"]
    return ["--model-h5", folder / "model.h5"]


@pytest.mark.parametrize(
    "folder", [*sorted(LEGACY.iterdir()), DATA / "multimolecule-tiny"], ids=lambda f: f.name
)
def test_convert(run, tmp_path, folder):
    out = tmp_path / "new" / "model"
    result = run("convert", *source(folder), "--out", out)
    assert (result.code, result.err) == (0, "")
    assert str(out) in result.out
    converted = DeepCpgDnaForSequencePrediction.from_preset(out)
    direct = DeepCpgDnaForSequencePrediction.from_preset(folder)
    letters = (folder / "sequences.txt").read_text().split()
    np.testing.assert_array_equal(
        converted.predict_sequences(letters), direct.predict_sequences(letters)
    )
    provenance = json.loads((out / "config.json").read_text())["provenance"]
    assert provenance == direct.provenance
    for file in provenance["files"]:
        assert file["sha256"] == sha256(folder / file["name"])


def test_again_replaces(run, tmp_path):
    for name in ("keras1-distributed", "keras1-renumbered"):
        assert run("convert", *source(LEGACY / name), "--out", tmp_path / "model").code == 0
    model = DeepCpgDnaForSequencePrediction.from_preset(tmp_path / "model")
    assert model.cells == ("zeta", "alpha", "mid")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "input: expected --model-json with --weights, or --model-h5, or --multimolecule"),
        (["--model-json", JSON], "received --model-json"),
        (["--weights", WEIGHTS], "received --weights"),
        (["--model-h5", WEIGHTS, "--multimolecule", "."], "--model-h5 and --multimolecule"),
        (["--model-json", JSON, "--weights", "no.h5"], "no.h5: expected a file, found none there"),
        (["--model-h5", LEGACY], "legacy: expected a file, found a folder"),
        (["--multimolecule", "no"], "no: expected a file config.json, found none there"),
        (
            ["--model-json", JSON, "--weights", LEGACY / "keras1-weights-only/model_weights.h5"],
            "layer cpg/BS27_1_SER: expected by the model's configuration, but the weights",
        ),
        (["--model-h5", LEGACY / "keras1-weights-only/model_weights.h5"], "'model_config'"),
    ],
)
def test_faults(fails, tmp_path, arguments, message):
    assert message in fails("convert", *arguments, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


JOINT = DATA / "legacy-joint"


def test_modules_that_read_neighbours(run, tmp_path):
    out = tmp_path / "out"
    folder = JOINT / "keras1-joint-l2-rnnl1"
    files = ("--model-json", folder / "model.json", "--weights", folder / "model_weights.h5")
    result = run("convert", *files, "--out", out)
    assert result.code == 0, result.err
    assert result.out == (
        f"{out}: custom+custom+custom, 4 cells, windows of 101 bases, "
        "of 4 cells 10 neighbours each, from Keras 1.2.2, JSON + full HDF5\n"
    )
    assert json.loads((out / "config.json").read_text())["module"] == "joint"
    expected = np.load(folder / "expected.npz")
    arrays = {
        "tokens": np.frombuffer(b"ATGCN", np.uint8)[expected["ids"]],
        "state": expected["state"],
        "dist": expected["dist"],
    }
    found = load_model(out).predict_arrays(arrays)
    np.testing.assert_allclose(found, expected["prob"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("part", ["dna", "cpg"])
def test_a_part_of_a_joint_module(run, tmp_path, part):
    """It has an embedding, the one of the whole, and no heads."""
    out, folder = tmp_path / "part", JOINT / "keras2-joint-l1-rnnl2-single-file"
    result = run("convert", "--model-h5", folder / "model.h5", "--part", part, "--out", out)
    assert result.code == 0, result.err
    assert ", without heads, " in result.out
    model, expected = load_model(out), np.load(folder / "expected.npz")
    assert model.config.module == part
    arrays = {
        "windows": expected["ids"].astype(np.uint8),
        "state": expected["state"],
        "dist": expected["dist"],
    }
    last = {"dna": "dna/dropout_1", "cpg": "cpg/dropout_2"}[part]
    found = model.predict_arrays(arrays, "embedding")
    np.testing.assert_allclose(found, expected[f"act/{last}"], atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match=f"received the {part} module of a Joint module, wh"):
        model.predict_arrays(arrays)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--part", "joint"), "expected a joint module with a part 'joint', received a joint"),
        (("--input-cells", "a,b"), "expected 3 cells, received 2"),
    ],
)
def test_faults_of_joint_modules(fails, tmp_path, arguments, message):
    path = JOINT / "keras2-joint-l1-rnnl2-single-file" / "model.h5"
    error = fails("convert", "--model-h5", path, *arguments, "--out", tmp_path / "out")
    assert message in error
    dna = ("--model-json", JSON, "--weights", WEIGHTS)
    error = fails("convert", *dna, "--input-cells", "a", "--out", tmp_path / "out")
    assert "--input-cells: expected none with a DNA module" in error
    error = fails("convert", *dna, "--part", "dna", "--out", tmp_path / "out")
    assert "expected a joint module with a part 'dna', received a dna module" in error


def test_truncated_hdf5(fails, tmp_path):
    shutil.copy(WEIGHTS, tmp_path)
    path = tmp_path / "model_weights.h5"
    path.write_bytes(path.read_bytes()[:20_000])
    error = fails("convert", "--model-json", JSON, "--weights", path, "--out", tmp_path / "out")
    assert f"{path}: expected an intact HDF5 file, but" in error
    assert [file.name for file in tmp_path.iterdir()] == ["model_weights.h5"]


def test_weights_that_are_not_finite(fails, tmp_path):
    import h5py

    shutil.copy(WEIGHTS, tmp_path)
    path = tmp_path / "model_weights.h5"
    with h5py.File(path, "a") as file:
        file["model_weights/dna/dense_1/dense_1_b:0"][3] = np.nan
    error = fails("convert", "--model-json", JSON, "--weights", path, "--out", tmp_path / "out")
    assert "model_weights.h5: tensor dna/dense_1/bias: expected finite numbers" in error
    assert not (tmp_path / "out").exists()


def test_other_files_are_not_replaced(fails, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    arguments = ("--model-json", JSON, "--weights", WEIGHTS, "--out", tmp_path)
    assert "expected a new folder" in fails("convert", *arguments)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_out_is_a_file(fails, tmp_path):
    (tmp_path / "out").write_text("")
    arguments = ("--model-json", JSON, "--weights", WEIGHTS, "--out", tmp_path / "out")
    assert "expected the name of a folder to write, received a file" in fails("convert", *arguments)


def test_tensorflow_is_imported_without_its_noise(tmp_path):
    """So before any module of ours that imports it."""
    code = (
        "import sys, deepcpg_tf.quiet as quiet\n"
        "def instead():\n"
        "    sys.exit(7 if 'tensorflow' not in sys.modules else 8)\n"
        "quiet.import_tensorflow = instead\n"
        "from deepcpg_tf.cli.app import main\n"
        "main()\n"
    )
    files = source(LEGACY / "keras1-distributed")
    arguments = [sys.executable, "-c", code, "convert", *files, "--out", tmp_path / "model"]
    assert subprocess.run(arguments, check=False).returncode == 7
