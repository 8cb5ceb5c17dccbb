import csv
import errno
from pathlib import Path

import numpy as np
import pytest

from deepcpg_tf.errors import OutputError
from deepcpg_tf.evaluation import write
from deepcpg_tf.evaluation.evaluation import about
from deepcpg_tf.evaluation.run import evaluate_arrays as evaluate
from deepcpg_tf.evaluation.scores import score
from deepcpg_tf.evaluation.write import write_evaluation
from tests.evaluation.examples import original, random

FIGURES = {
    *("roc.png", "precision_recall.png", "auc.png", "calibration.png", "risk_coverage.png"),
    *("calibration.tsv", "risk_coverage.tsv"),
}
PNG = b"\x89PNG\r\n\x1a\n"


def test_the_folder(tmp_path):
    labels, probabilities, cells = original()
    masks = {"island": np.arange(len(labels)) % 3 == 0}
    folder = tmp_path / "new" / "out"
    write_evaluation(evaluate(labels, probabilities, cells, masks), folder)
    files = {"metrics.tsv", "metrics_by_annotation.tsv", "report.html", "annotations.png"}
    assert {path.name for path in folder.iterdir()} == FIGURES | files
    assert all(path.read_bytes().startswith(PNG) for path in folder.glob("*.png"))
    with (folder / "metrics_by_annotation.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["annotation"] for row in rows] == ["island"] * 8 * 3
    values = {(row["metric"], row["output"]): row["value"] for row in rows}
    part = masks["island"]
    expected = score(labels[part], probabilities[part], cells)
    assert float(values["auc", "cpg/c2"]) == pytest.approx(expected.values["auc"][1], rel=1e-12)
    assert float(values["n", "cpg/c1"]) == (labels[part, 0] >= 0).sum()


def test_a_second_evaluation_leaves_nothing_of_the_first(tmp_path):
    labels, probabilities, cells = original()
    (tmp_path / "notes.txt").write_text("mine")
    write_evaluation(
        evaluate(labels, probabilities, cells, {"a": np.ones(len(labels), bool)}), tmp_path
    )
    write_evaluation(evaluate(labels, probabilities, cells), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FIGURES | {
        "metrics.tsv",
        "report.html",
        "notes.txt",
    }


def test_a_folder_that_cannot_be(tmp_path):
    labels, probabilities, cells = random(50, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file: cannot make the folder: File exists"):
        write_evaluation(evaluate(labels, probabilities, cells), tmp_path / "file")


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("fails", ["write_metrics", "figures", "save_png", "report_html"])
@pytest.mark.parametrize("error", [ZeroDivisionError, OSError(errno.ENOSPC, "no room")])
def test_a_failure_leaves_the_earlier_report_whole(tmp_path, monkeypatch, fails, error):
    """At any step: not a file of the one and a file of the other."""
    labels, probabilities, cells = random(60, 2)
    masks = {"a": np.ones(len(labels), bool)}
    write_evaluation(evaluate(labels, probabilities, cells, masks), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    assert len(before) == 12

    def fail(*arguments):
        raise error

    monkeypatch.setattr(write, fails, fail)
    with pytest.raises(ZeroDivisionError if error is ZeroDivisionError else OutputError):
        write_evaluation(evaluate(1 - labels.clip(0), probabilities, cells), tmp_path)
    assert contents(tmp_path) == before


def test_a_failure_leaves_no_folder_that_was_not_there(tmp_path, monkeypatch):
    labels, probabilities, cells = random(60, 2)
    monkeypatch.setattr(write, "report_html", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_evaluation(evaluate(labels, probabilities, cells), tmp_path / "new" / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_a_file(tmp_path):
    labels, probabilities, cells = random(60, 2)
    write_evaluation(evaluate(labels, probabilities, cells), tmp_path)
    (tmp_path / "auc.png").unlink()
    (tmp_path / "auc.png").mkdir()
    before = contents(tmp_path)
    message = r"auc.png: expected the name of a file to write, received a folder"
    with pytest.raises(OutputError, match=message):
        write_evaluation(evaluate(1 - labels.clip(0), probabilities, cells), tmp_path)
    assert contents(tmp_path) == before


def test_no_path_of_this_machine_is_told(tmp_path, monkeypatch):
    """A report goes to others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mymodel").mkdir()
    data = [tmp_path / "cells.h5ad", Path("folder/more.h5")]
    told = about(str(tmp_path / "mymodel"), "CnnL2h128", data, "all sites")
    assert told == {
        "model": "mymodel",
        "architecture": "CnnL2h128",
        "data": "cells.h5ad, more.h5",
        "sites": "all sites",
    }
    assert about("smallwood2014-serum", "", [], "")["model"] == "smallwood2014-serum"
    monkeypatch.chdir(tmp_path / "mymodel")
    assert about(".", "", [], "")["model"] == "mymodel"
    labels, probabilities, cells = random(60, 2)
    write_evaluation(evaluate(labels, probabilities, cells, about=told), tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()
