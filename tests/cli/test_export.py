import errno
import io
import json
import shlex
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from deepcpg_tf.exporters.place import claim
from tests import tolerances
from tests.conftest import DATA

LEGACY = DATA / "legacy" / "keras1-distributed"
RUN = DATA / "original-run"
PRECISIONS = ("float32", "float16", "int8")


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def run_of(content):
    """Return what is said of the only export."""
    (found,) = content["exports"].values()
    return found


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
    assert lines[-1] == f"{out}: 10 artefacts; compared on: generated"
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
    assert result.err.endswith("(--calibration) it may be within, and --no-int8 writes none\n")
    assert result.out.splitlines()[-1].startswith(f"{out}: 2 artefacts, 1 left out; compared on: ")
    content = manifest(out)
    assert run_of(content)["calibration"]["source"] == "sites.tsv, 1000 windows"
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
    source = run_of(manifest(tmp_path / "out"))["calibration"]["source"]
    assert source == f"windows.fa, {len(letters)} windows and {1280 - len(letters)} generated"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model trained in a folder of its own, with its table; and the cache that knows of it."""
    import keras
    from typer.testing import CliRunner

    from deepcpg_tf.cli.app import app

    folder = tmp_path_factory.mktemp("trained in")
    profiles = sorted((RUN / "cpg").iterdir())
    genome = ("--genome", RUN / "dna")
    table, model = folder / "my table.h5ad", folder / "model"
    config = DeepCpgDnaConfig(
        sequence_length=101,
        conv_channels=(16,),
        conv_kernel_sizes=(11,),
        conv_pool_sizes=(4,),
        bottleneck_size=16,
        cells=("c1", "c2", "c3"),
    )
    keras.utils.set_random_seed(0)  # so that int8 is always within its bounds
    DeepCpgDnaForSequencePrediction(config).save_to_preset(folder / "start")
    fast = ("--from", folder / "start", "--epochs", 1, "--train", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPCPG_TF_HOME", str(folder / "cache"))
        for command in (
            ("data", "build", "--profiles", *profiles, *genome, "--out", table),
            ("train", table, *genome, *fast, "--out", model),
        ):
            patch.setattr("sys.argv", ["deepcpg-tf", *map(str, command)])
            result = CliRunner().invoke(app, [*map(str, command)])
            assert result.exit_code == 0, result.output
    return folder


def test_windows_and_labels_of_the_training_data(run, tmp_path, trained, monkeypatch):
    """A model trained here is calibrated on its data, and its AUC is looked at."""
    monkeypatch.setenv("DEEPCPG_TF_HOME", str(trained / "cache"))
    model, out = trained / "model", tmp_path / "out"
    result = run("export", model, "--out", out, "--formats", "onnx")
    assert result.code == 0, result.err
    content = manifest(out)
    assert run_of(content)["calibration"]["source"] == "the training data"
    changes = [entry["auc_change"] for entry in content["artefacts"].values()]
    assert len(changes) == 3
    assert all(abs(change) <= 0.002 for change in changes)
    assert run_of(content)["genome"] == "dna"
    assert "| training data | my table.h5ad |" in (out / "README.md").read_text()
    (trained / "my table.h5ad").rename(trained / "x.h5ad")
    result = run("export", model, "--out", tmp_path / "again", "--formats", "onnx")
    (trained / "x.h5ad").rename(trained / "my table.h5ad")
    assert result.out.splitlines()[-1].endswith("compared on: generated")


def test_calibrated_on_a_table(run, tmp_path, trained, monkeypatch):
    """Where the cache does not know of it: on another machine."""
    monkeypatch.setenv("DEEPCPG_TF_HOME", str(tmp_path / "cache"))
    out, table = tmp_path / "out", trained / "my table.h5ad"
    more = ("--calibration", table, "--genome", RUN / "dna", "--formats", "onnx", "--out", out)
    result = run("export", trained / "model", *more)
    assert result.code == 0, result.err
    content = manifest(out)
    assert run_of(content)["calibration"]["source"].startswith("my table.h5ad, ")
    assert content["artefacts"]["onnx/float32.onnx"]["auc_change"] is not None
    result = run("export", trained / "model", "--calibration", table, "--out", out)
    assert result.code == 2
    assert "expected" in result.err
    assert "genome" in result.err


@pytest.mark.filterwarnings("default:.*left out")
def test_calibrated_on_data_of_the_original(run, tmp_path):
    (data, *_) = sorted((RUN / "data").glob("*.h5"))
    more = ("--calibration", data, "--formats", "onnx", "--out", tmp_path / "out")
    result = run("export", RUN / "model", *more)
    assert result.code == 0, result.err
    content = manifest(tmp_path / "out")
    assert run_of(content)["calibration"]["source"].startswith(f"{data.name}, ")
    assert content["artefacts"]["onnx/float32.onnx"]["auc_change"] is not None


def contents(folder):
    """Yield name and bytes of every file, and of those within them."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield from within(str(path.relative_to(folder)), path.read_bytes())


def within(name, data):
    yield name, data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from within(f"{name}/{member}", archive.read(member))


@pytest.mark.full
def test_no_file_holds_a_folder_of_this_machine(run, tmp_path, trained, monkeypatch):
    """Of a model trained here, and of one that was saved when presets did hold them."""
    monkeypatch.setenv("DEEPCPG_TF_HOME", str(trained / "cache"))
    old = shutil.copytree(trained / "model", tmp_path / "old")
    config = json.loads((old / "config.json").read_text())
    table = trained / "my table.h5ad"
    home = Path.home() / "genomes" / "mm10.fa"
    config["provenance"] |= {
        "command": shlex.join(["deepcpg-tf", "train", str(table), f"--genome={home}"]),
        "files": [str(table)],
        "genome": str(home),
        "notes": {"nested": [f"from {home}, and '{table}'"]},
    }
    (old / "config.json").write_text(json.dumps(config))
    (old / "weights.h5").touch()
    folders = Path.home(), Path.cwd(), trained, tmp_path, tempfile.gettempdir()
    forbidden = [f"{folder}/".encode() for folder in folders]
    for model in (trained / "model", old):
        out = tmp_path / f"export of {model.name}"
        result = run("export", model, "--out", out)
        assert result.code == 0, result.err
        found = dict(contents(out))
        assert len(found) > 30
        assert f"keras/{model.name}.keras/config.json" in found
        for name, data in found.items():
            for folder in forbidden:
                assert folder not in data, name
    content = run_of(manifest(tmp_path / "export of old"))["provenance"]
    assert content["command"] == "deepcpg-tf train 'my table.h5ad' --genome=mm10.fa"
    assert (content["files"], content["genome"]) == (["my table.h5ad"], "mm10.fa")


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


def test_two_at_once(fails, tmp_path):
    """The second is told at once, before anything is loaded."""
    out = tmp_path / "out"
    with claim(out):
        expected = "out: expected no other export at work there, found one; wait for its end"
        assert expected in fails("export", "smallwood2014-serum", "--out", out)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to(fails, tmp_path, monkeypatch):
    """Before the model is loaded, which would take the network here."""

    real = Path.mkdir

    def refuse(path, *given, **more):
        if path.name == "out":
            raise OSError(errno.EROFS, "Read-only file system")
        real(path, *given, **more)

    monkeypatch.setattr(Path, "mkdir", refuse)
    expected = "out: cannot write there: Read-only file system"
    assert expected in fails("export", "smallwood2014-serum", "--out", tmp_path / "out")


def test_a_full_disk(fails, tmp_path, monkeypatch):
    """As TensorFlow tells it."""

    def save(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "x/data; No space left on device [Op:S]")

    monkeypatch.setattr(tf.saved_model, "save", save)
    out = tmp_path / "out"
    line = fails("export", LEGACY, "--out", out, "--formats", "saved_model")
    assert line == f"deepcpg-tf: error: {out}: cannot write there: No space left on device\n"
    assert list(tmp_path.iterdir()) == []


def test_another_model_takes_an_option(run, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    fields = DeepCpgDnaForSequencePrediction.from_preset(LEGACY).config.to_dict()
    config = DeepCpgDnaConfig.from_dict({**fields, "cells": ("x", "y", "z")})
    DeepCpgDnaForSequencePrediction(config).save_to_preset(other)
    more = ("--out", out, "--formats", "onnx", "--no-int8")
    assert run("export", LEGACY, *more).code == 0
    result = run("export", other, *more)
    assert result.code == 2
    assert result.err == (
        f"deepcpg-tf: error: {out}: expected a model with the cells of keras1-distributed, whose "
        "export is there, received other with others; another folder takes it, and --replace "
        "removes what is there\n"
    )
    result = run("export", other, *more, "--replace")
    assert result.code == 0, result.err
    assert manifest(out)["cells"] == ["x", "y", "z"]
    assert run("verify", out).code == 0
