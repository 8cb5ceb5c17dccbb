import json
import shutil

import numpy as np
import onnxruntime
import pytest

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from tests import tolerances
from tests.conftest import DATA

LEGACY = DATA / "legacy" / "keras1-distributed"
RUN = DATA / "original-run"
PRECISIONS = ("float32", "float16", "int8")


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_export_and_verify(run, tmp_path):
    out = tmp_path / "exported"
    result = run("export", LEGACY, "--out", out)
    assert result.code == 0, result.err
    assert result.err == ""
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("artefact", "keras/keras1-distributed.keras", "onnx/float32.onnx", "onnx/int8.onnx"),
        "saved_model/1",
        *(f"tflite/{p}{b}.tflite" for b in ("", "_batch1") for p in PRECISIONS),
        f"{out}:",
    ]
    assert lines[-1] == f"{out}: 10 artefacts; windows: generated"
    result = run("verify", out)
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1] == f"{out}: 10 artefacts are as they should be"
    (out / "onnx" / "int8.onnx").write_bytes(b"x")
    result = run("verify", out)
    assert result.code == 2
    assert "onnx/int8.onnx: expected" in result.err


def test_the_default_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(LEGACY, tmp_path / "mine")
    assert run("export", "mine", "--formats", "onnx").code == 0
    assert (tmp_path / "saved_models" / "mine" / "onnx" / "int8.onnx").is_file()


@pytest.mark.filterwarnings("default:.*left out")
def test_calibrated_on_sites(run, tmp_path):
    """With a model too small and too sure of itself for int8, which is left out."""
    sites, out = tmp_path / "sites.tsv", tmp_path / "out"
    sites.write_text("".join(f"1\t{position}\n" for position in range(2000, 3000)))
    more = ("--calibration", sites, "--genome", RUN / "dna", "--formats", "onnx", "--out", out)
    result = run("export", RUN / "model", *more, "--strict")
    assert result.code == 2
    assert "error: onnx/int8.onnx: expected probabilities within 0.02 of the model's" in result.err
    assert not out.exists()
    result = run("export", RUN / "model", *more)
    assert result.code == 0, result.err
    assert "warning: onnx/int8.onnx: left out: expected probabilities within 0.02" in result.err
    assert result.err.count("\n") == 1
    assert result.out.splitlines()[-1].startswith(f"{out}: 2 artefacts, 1 left out; windows: ")
    content = manifest(out)
    assert content["calibration"]["source"] == "sites.tsv, 1000 windows"
    assert set(content["artefacts"]) == {"keras/model.keras", "onnx/float32.onnx"}
    assert set(content["left_out"]) == {"onnx/int8.onnx"}
    assert run("verify", out).code == 0


def test_calibrated_on_fasta(run, tmp_path):
    fasta = tmp_path / "windows.fa"
    letters = (LEGACY / "sequences.txt").read_text().split()
    fasta.write_text("".join(f">{i}\n{window}\n" for i, window in enumerate(letters)))
    more = ("--calibration", fasta, "--formats", "onnx")
    result = run("export", LEGACY, "--out", tmp_path / "out", *more)
    assert result.code == 0, result.err
    source = manifest(tmp_path / "out")["calibration"]["source"]
    assert source == f"windows.fa, {len(letters)} windows and {1280 - len(letters)} generated"


def test_windows_and_labels_of_the_training_data(run, tmp_path):
    """A model trained here is calibrated on its data, and its AUC is looked at."""
    table, model, out = (tmp_path / name for name in ("t.h5ad", "model", "out"))
    profiles = sorted((RUN / "cpg").iterdir())
    genome = ("--genome", RUN / "dna")
    assert run("data", "build", "--profiles", *profiles, *genome, "--out", table).code == 0
    start = DeepCpgDnaForSequencePrediction(
        DeepCpgDnaConfig(
            sequence_length=101,
            conv_channels=(16,),
            conv_kernel_sizes=(11,),
            conv_pool_sizes=(4,),
            bottleneck_size=16,
            cells=("c1", "c2", "c3"),
        )
    )
    start.save_to_preset(tmp_path / "start")
    fast = ("--from", tmp_path / "start", "--epochs", 1, "--train", 1)
    assert run("train", table, *genome, *fast, "--out", model).code == 0
    result = run("export", model, "--out", out, "--formats", "onnx")
    assert result.code == 0, result.err
    content = manifest(out)
    assert content["calibration"]["source"] == "the training data"
    changes = [entry["auc_change"] for entry in content["artefacts"].values()]
    assert len(changes) == 3
    assert all(abs(change) <= 0.002 for change in changes)
    assert content["genome"] == "dna"
    assert str(table) in (out / "README.md").read_text()
    table.unlink()
    result = run("export", model, "--out", tmp_path / "again", "--formats", "onnx")
    assert result.out.splitlines()[-1].endswith("windows: generated")


def test_artefacts_equal_a_genuine_checkpoint(run, tmp_path):
    """From a checkpoint of Keras 1.2.2 to ONNX Runtime, in two commands."""
    model, out = tmp_path / "model", tmp_path / "out"
    files = ("--model-json", LEGACY / "model.json", "--weights", LEGACY / "model_weights.h5")
    assert run("convert", *files, "--out", model).code == 0
    assert run("export", model, "--out", out, "--formats", "onnx").code == 0
    letters = (LEGACY / "sequences.txt").read_text().split()
    tokens = np.array([[*window.encode()] for window in letters], np.uint8)
    session = onnxruntime.InferenceSession(out / "onnx" / "float32.onnx")
    (found,) = session.run(["probabilities"], {"tokens": tokens})
    with np.load(LEGACY / "expected.npz") as expected:
        np.testing.assert_allclose(found, expected["prob"], atol=tolerances.TINY_PROBABILITIES)
    metadata = session.get_modelmeta().custom_metadata_map
    cells = DeepCpgDnaForSequencePrediction.from_preset(LEGACY).cells
    assert tuple(json.loads(metadata["cells"])) == cells


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--formats", "onnx,coreml"), "formats: expected some of onnx, saved_model, tflite"),
        (("--formats", ","), "formats: expected some of onnx, saved_model, tflite"),
        (("--genome", "x.fa"), "--genome: expected --calibration with it"),
        (("--calibration", "none.fa"), "none.fa: expected a file, found none there"),
        (("--calibration", LEGACY / "model.json"), "model.json"),
    ],
)
def test_what_cannot_be(fails, tmp_path, arguments, message):
    assert message in fails("export", LEGACY, "--out", tmp_path / "out", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_no_such_model(fails, tmp_path):
    assert "expected a folder with a model" in fails("export", "none", "--out", tmp_path / "out")


def test_verify_of_another_folder(fails, tmp_path):
    assert "expected an export with its manifest.json" in fails("verify", tmp_path)
