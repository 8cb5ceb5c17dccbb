"""Where every command may write: over no input, and only where something can be written.

It is told before anything is read: the inputs here are empty files, and what would read them
fails.
"""

import os
import tempfile
from functools import partial
from pathlib import Path

import pytest

from deepcpg_tf import quiet
from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import check_writable
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.workflows.opening import check_other_than
from tests.conftest import DATA

TINY = DATA / "legacy" / "keras1-distributed"
MODEL, FASTA, SITES = "model", "genome.fa", "sites.tsv"

COMMANDS = {
    "predict sequences": ("predict", MODEL, "--sequences", "windows.txt", "--out"),
    "predict fasta": ("predict", MODEL, "--fasta", "windows.fa", "--out"),
    "predict sites": ("predict", MODEL, "--sites", SITES, "--genome", FASTA, "--out"),
    "predict genome": ("predict", MODEL, "--genome", FASTA, "--regions", "some.bed", "--out"),
    "impute": ("impute", MODEL, "cells.h5ad", "--genome", FASTA, "--regions", "some.bed", "--out"),
    "regions": (
        *("regions", "cells.h5ad", "--regions", "some.bed", "--hidden", "more.h5ad", "--out"),
    ),
    "evaluate": (
        *("evaluate", MODEL, "cells.h5ad", "--genome", FASTA, "--annotations", "some.bed"),
        *("--out", "report", "--predictions"),
    ),
    "build": ("data", "build", "--profiles", "a.cov", "b.cov", "--genome", FASTA, "--out"),
    "import": ("data", "import-legacy", "a.h5", "b.h5", "--genome", FASTA, "--out"),
}
ENDINGS = {"evaluate": ".parquet", "build": ".h5ad", "import": ".h5ad", "regions": ".h5ad"}
FOLDERS = {
    "train": ("train", "cells.h5ad", "--genome", FASTA, "--split", "published", "--out"),
    "evaluate": ("evaluate", MODEL, "cells.h5ad", "--genome", FASTA, "--out"),
    "export": ("export", MODEL, "--calibration", "some.bed", "--genome", FASTA, "--out"),
    "convert": ("convert", "--model-h5", "a.h5", "--out"),
}


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Inputs by the names above, which must not be read."""
    monkeypatch.chdir(tmp_path)
    for name in {word for command in COMMANDS.values() for word in command if "." in word}:
        Path(name).touch()
    Path(MODEL).mkdir()
    for name in ("config.json", "weights.h5"):
        Path(MODEL, name).touch()

    def read(*_, **__):
        raise AssertionError("something was read")

    monkeypatch.setattr(Genome, "__init__", read)
    monkeypatch.setattr(quiet, "import_tensorflow", read)
    return sorted(tmp_path.rglob("*"))


def linked(kind, name, out):
    if kind == "same":
        return Path(name)
    (out.symlink_to if kind == "link" else out.hardlink_to)(name)
    return out


@pytest.mark.parametrize("kind", ["link", "hard link"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_input_is_written_over(fails, inputs, command, kind):
    """By another name, as most inputs are not called like results."""
    out = Path(f"out{ENDINGS.get(command, '.tsv')}")
    for name in {word for word in COMMANDS[command] if "." in word}:
        same = linked(kind, name, out)
        message = fails(*COMMANDS[command], same)
        assert f"{out}: expected another file than the input, received the same" in message, name
        out.unlink()


@pytest.mark.parametrize(
    ("command", "name"),
    [("impute", "cells.h5ad"), ("predict sites", SITES), ("predict genome", "regions.tsv")],
)
def test_nor_by_its_own_name(fails, inputs, command, name):
    Path("regions.tsv").touch()
    words = [word.replace("some.bed", "regions.tsv") for word in COMMANDS[command]]
    message = fails(*words, name)
    assert f"{name}: expected another file than the input, received the same" in message


@pytest.mark.parametrize("command", ["predict genome", "impute", "evaluate"])
@pytest.mark.parametrize("legacy", [False, True])
def test_nor_the_weights_of_the_model(fails, inputs, command, legacy):
    if legacy:
        Path(MODEL, "config.json").unlink()
    out = Path(MODEL, "weights.h5")
    assert f"{out}: expected another file than the input" in fails(*COMMANDS[command], out)


def test_a_result_of_a_model_may_lie_beside_its_weights(tmp_path):
    for name in ("config.json", "weights.h5", "all.h5"):
        (tmp_path / name).touch()
    check_other_than(tmp_path / "all.h5", tmp_path, tmp_path / "none", "hou2016-hcc", None)
    with pytest.raises(OutputError, match="expected another file"):
        check_other_than(tmp_path / "weights.h5", tmp_path)


@pytest.mark.parametrize("name", ["train", "convert"])
def test_nor_a_folder_with_something_else(fails, inputs, name):
    message = fails(*FOLDERS[name], MODEL)
    assert f"{MODEL}: expected " in message
    assert sorted(Path().absolute().rglob("*")) == inputs


def test_nor_the_folder_that_an_input_is_in(fails, inputs):
    """It would be replaced whole."""
    (inside := Path("exported", "onnx")).mkdir(parents=True)
    Path("exported", "manifest.json").touch()
    Path("some.bed").rename(inside / "some.bed")
    words = [word.replace("some.bed", str(inside / "some.bed")) for word in FOLDERS["export"]]
    message = fails(*words, "exported")
    assert f"expected a folder without the input, received that of {inside / 'some.bed'}" in message


@pytest.fixture
def locked(inputs, monkeypatch):
    """A folder that nobody may write to, root neither."""
    folder = Path("locked").absolute()
    folder.mkdir()

    def refuse(make, **how):
        if Path(how["dir"]).is_relative_to(folder):
            raise PermissionError(13, "Permission denied", str(how["dir"]))
        return make(**how)

    monkeypatch.setattr(tempfile, "TemporaryFile", partial(refuse, tempfile.TemporaryFile))
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_for_a_file_is_tried_first(fails, locked, command):
    out = locked / f"out{ENDINGS.get(command, '.tsv')}"
    assert f"{out}: cannot write there: Permission denied" in fails(*COMMANDS[command], out)


@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize("name", ["new", "far/new"])
def test_a_place_for_a_folder_is_tried_first(fails, locked, command, name):
    out = locked / name
    assert f"{out}: cannot write there: Permission denied" in fails(*FOLDERS[command], out)


@pytest.mark.parametrize("ending", [".bigwig", ".bedgraph"])
def test_a_place_for_tracks_is_tried_first(fails, locked, ending):
    out = locked / f"out{ending}"
    message = fails("predict", MODEL, "--genome", FASTA, "--out", out)
    assert f"{out}: cannot write there: Permission denied" in message


def test_a_place_is_as_it_was(tmp_path):
    (tmp_path / "there").write_text("kept")
    for name in ("there", "new", "far/new"):
        check_writable(tmp_path / name)
        check_writable(tmp_path / name, inside=name != "there")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="out: cannot write there: Permission denied"):
            check_writable(tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)
