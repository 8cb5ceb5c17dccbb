"""A training that was cut off goes on with the same inputs only; two at once are one too many."""

import dataclasses
import json
import re
import shutil
from functools import partial
from pathlib import Path

import h5py
import pytest

from deepcpg_tf import (
    TrainingSettings,
    build_table,
    chromosome_split,
    load_model,
    train,
    write_table,
)
from deepcpg_tf.errors import OutputError, SplitError
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.resume import held_folder, owned_folder
from deepcpg_tf.workflows import train as train_workflow
from tests.conftest import DATA
from tests.counting import Counting
from tests.shell import ROOT
from tests.workflows.test_modules import CPG

RUN = DATA / "original-run"
PROFILES = sorted((RUN / "cpg").iterdir())
LEGACY = sorted((RUN / "data").glob("*.h5"))[:1]
SETTINGS = TrainingSettings(epochs=2, batch_size=512)
ONE, TWO = (partial(chromosome_split, train=[name]) for name in ("1", "2"))


class CutOff(Counting):
    """Ends the training after its first epoch, as Ctrl-C does."""

    def begins(self, what, total, unit):
        if what == "epoch 2/2":
            raise KeyboardInterrupt
        super().begins(what, total, unit)


def cut_off(data, out, **given):
    with pytest.raises(KeyboardInterrupt):
        train(data, out, progress=CutOff(), **{"split": ONE, "settings": SETTINGS, **given})
    assert (out.parent / f".{out.name}.training" / "state.npz").exists()


def refused(differing, data, out, **given):
    """Check that going on is refused, naming what differs alone, and told nothing else."""
    progress = Counting()
    message = f"expected the unfinished run to have the same {differing}; repeat that command"
    with pytest.raises(OutputError, match=message):
        train(data, out, progress=progress, **{"split": ONE, "settings": SETTINGS, **given})
    assert progress.lines == []
    assert not out.exists()


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(RUN / "model", tmp_path / "start")


def test_another_genome(tmp_path, model):
    """With CpGs where the first has them, and so the same sites and labels."""
    genome, table, out = tmp_path / "dna", tmp_path / "t.h5ad", tmp_path / "out"
    shutil.copytree(RUN / "dna", genome)
    build_table(PROFILES, genome, table)
    cut_off(table, out, genome=genome, start=model)
    for path in genome.iterdir():
        header, letters = path.read_text().split("\n", 1)
        exchanged = letters.translate(str.maketrans("ATat", "TAta"))
        path.write_text(f"{header}\n{exchanged}")
    build_table(PROFILES, genome, table)
    refused("genome", table, out, genome=genome, start=model)


def test_other_neighbours(tmp_path):
    """With the same sites and targets: variances stay as they are where all states are flipped."""
    model = new_model(CPG.with_cells((), ("cpg_stats/var",)))
    table, out = tmp_path / "t.h5ad", tmp_path / "out"
    held = build_table(PROFILES, RUN / "dna")
    write_table(held, table)
    cut_off(table, out, start=model)
    write_table(dataclasses.replace(held, calls=-held.calls), table)
    refused("neighbours", table, out, start=model)
    write_table(held, table)
    train(table, out, split=ONE, settings=SETTINGS, start=model)


def test_other_windows(tmp_path, model):
    data, out = tmp_path / "data.h5", tmp_path / "out"
    shutil.copy(LEGACY[0], data)
    cut_off(data, out, start=model)
    other = Path(shutil.copy(LEGACY[0], tmp_path / "other.h5"))
    with h5py.File(other, "r+") as file:
        file["inputs/dna"][3, 0] = (file["inputs/dna"][3, 0] + 1) % 4
    other.replace(data)
    refused("inputs", data, out, start=model)


def test_another_model_to_start_from(tmp_path, model):
    out = tmp_path / "out"
    cut_off(LEGACY, out, start=model)
    other = load_model(model)
    other.weights[0].assign(other.weights[0] * 1.5)
    shutil.rmtree(model)
    other.save_to_preset(model)
    refused("from", LEGACY, out, start=model)


def test_other_settings_split_and_threads_are_named(tmp_path, model, monkeypatch, fails):
    out = tmp_path / "out"
    cut_off(LEGACY, out, start=model)
    longer, other = TrainingSettings(epochs=3, batch_size=512), TrainingSettings(seed=3, l2=0)
    refused("settings.epochs", LEGACY, out, start=model, settings=longer)
    differing = "settings.batch_size, settings.epochs, settings.l2, settings.seed"
    refused(differing, LEGACY, out, start=model, settings=other)
    refused("freeze", LEGACY, out, start=model, freeze="backbone")
    command = ("train", *LEGACY, "--train", "1", "--epochs", "2", "--batch-size", "512")
    error = fails(*command, "--seed", "4", "--from", model, "--out", out)
    assert "expected the unfinished run to have the same settings.seed; repeat" in error
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "77")
    refused(r"threads \(\d+, now 77; TF_NUM_INTRAOP_THREADS sets it\)", LEGACY, out, start=model)
    monkeypatch.undo()
    # After all of that, the same call goes on.
    trained = train(LEGACY, out, split=ONE, settings=SETTINGS, start=model)
    assert [row["epoch"] for row in trained.history] == [1, 2]


def test_another_split(tmp_path, model):
    files, out = sorted((RUN / "data").glob("*.h5")), tmp_path / "out"
    cut_off(files, out, start=model)
    same = "split.train.chromosomes, split.train.sha256, split.train.sites"
    refused(same, files, out, start=model, split=TWO)


def test_the_second_of_two_at_once_is_refused_before_it_reads(tmp_path, fails):
    out, data = tmp_path / "out", tmp_path / "no-data.h5"
    data.write_text("read")
    with owned_folder(tmp_path / ".out.training", {}, out):
        error = fails("train", data, "--train", "1", "--seed", "1", "--out", out)
    assert error.endswith(f"{out}: expected nothing else to write it, found another run\n")


def test_a_folder_that_another_has_just_finished_is_seen_before_reading(tmp_path, monkeypatch):
    out = tmp_path / "out"

    def after_another(state, result):
        out.mkdir()
        (out / "weights.h5").touch()
        return held_folder(state, result)

    monkeypatch.setattr(train_workflow, "held_folder", after_another)
    with pytest.raises(OutputError, match="out: expected a new folder, found that it is there"):
        train(LEGACY, out, split=ONE, start="no model")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failure_before_the_first_epoch_leaves_nothing(tmp_path):
    with pytest.raises(SplitError, match="expected chromosomes of the data"):
        train(LEGACY, tmp_path / "out", split=partial(chromosome_split, train=["7"]))
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_of_an_unfinished_run_has_no_path(tmp_path, model):
    out = tmp_path / "out"
    cut_off(LEGACY, out, start=model)
    identity = (tmp_path / ".out.training" / "identity.json").read_text()
    documented = (ROOT / "docs" / "formats.md").read_text()
    table = documented.partition("What an unfinished training goes on with")[2].split("\n\n")[2]
    names = {
        name for row in table.splitlines() for name in re.findall(r"`(.+?)`", row.split("|")[1])
    }
    assert json.loads(identity).keys() | {"genome", "neighbours"} == names
    assert str(tmp_path) not in identity
    assert str(RUN) not in identity


def test_tensorflow_is_prepared_before_a_model_is_loaded(tmp_path, monkeypatch):
    """Loading one computes, after which sums cannot be told any more to keep their order."""
    from deepcpg_tf.training import step

    def prepare(devices):
        raise KeyboardInterrupt

    monkeypatch.setattr(step, "prepare_devices", prepare)
    monkeypatch.setattr(train_workflow, "open_model", lambda model: pytest.fail("loaded before"))
    with pytest.raises(KeyboardInterrupt):
        train(LEGACY, tmp_path / "out", split=ONE, start="any")
