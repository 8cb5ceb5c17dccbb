import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaForSequencePrediction
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


@pytest.mark.parametrize("module", ["CpG", "Joint"])
def test_other_modules(fails, tmp_path, module):
    document = json.loads(JSON.read_text())
    names = ["cpg/state", "cpg/dist"] + (["dna"] if module == "Joint" else [])
    for name in names[:2]:
        entry = {"name": name, "class_name": "InputLayer", "config": {}, "inbound_nodes": []}
        document["config"]["layers"].append(entry)
    document["config"]["input_layers"] = [[name, 0, 0] for name in names]
    (tmp_path / "model.json").write_text(json.dumps(document))
    arguments = ("--model-json", tmp_path / "model.json", "--weights", WEIGHTS)
    error = fails("convert", *arguments, "--out", tmp_path / "out")
    assert f"this is a {module} module" in error
    assert "only DNA modules" in error
    assert not (tmp_path / "out").exists()


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
