import re
from html.parser import HTMLParser

import numpy as np
import pytest

from deepcpg_tf.evaluation.run import evaluate_arrays as evaluate
from deepcpg_tf.evaluation.write import write_evaluation
from tests.evaluation.examples import original, random

DASH = "\N{EN DASH}"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Gathers tables as rows of text, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.sources, self.tags, self.text = [], [], [], set(), ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        attributes = dict(attrs)
        self.sources += [attributes[key] for key in ("src", "href") if key in attributes]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


def page(tmp_path, *arguments):
    write_evaluation(evaluate(*arguments), tmp_path)
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


HEADER = ["cell", "n", "methylated", "AUC", "AP", "ACC", "TPR", "TNR", "F1", "MCC"]


def test_the_table_of_cells(tmp_path):
    labels, probabilities, cells = original()
    table, _ = page(tmp_path, labels, probabilities, cells).tables
    assert table[0] == HEADER
    share = np.mean(labels[labels[:, 1] >= 0, 1])
    # The values of the original program's eval.tsv.
    row = table[2]
    assert row[:4] + row[5:] == [
        "c2",
        "1,341",
        f"{share:.3f}",
        "0.512",
        "0.507",
        "0.800",
        "0.209",
        "0.621",
        "0.012",
    ]
    aucs = [0.4898471990056149, 0.5120167282110603, 0.4854381425274495]
    assert [row[0] for row in table[-2:]] == ["mean", "sd"]
    assert [row[3] for row in table[-2:]] == [f"{np.mean(aucs):.3f}", f"{np.std(aucs, ddof=1):.3f}"]
    assert table[-2][1] == "1,323"


def test_what_is_not_defined_is_a_dash_and_left_out_of_means(tmp_path):
    labels = np.array([[1, 1], [0, 1]], np.int8)
    table, _ = page(
        tmp_path, labels, np.array([[0.9, 0.9], [0.1, 0.2]], np.float32), ["a", "b"]
    ).tables
    assert [row[3] for row in table] == ["AUC", "1.000", DASH, "1.000", DASH]


def test_one_cell_has_no_mean(tmp_path):
    found = page(tmp_path, *random(200, 1))
    assert [row[0] for row in found.tables[0]] == ["cell", "c0"]
    assert "1 cell, 200 sites" in found.text


def test_calibration(tmp_path):
    """Of each cell and all together, and with what was predicted where that was calibrated."""
    labels, probabilities, cells = random(500, 2)
    evaluation = evaluate(labels, probabilities, cells, predicted=probabilities**2)
    write_evaluation(evaluation, tmp_path)
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    table = found.tables[1]
    assert table[0] == ["cell", "ECE", "Brier", "ECE as predicted", "Brier as predicted"]
    assert [row[0] for row in table[1:]] == ["c0", "c1", "all together"]
    before, after = evaluation.predicted, evaluation.calibration
    assert table[2][1:] == [
        f"{values[1]:.3f}" for one in (after, before) for values in (one.ece, one.brier)
    ]
    assert table[3][1] == f"{after.pooled().ece[0]:.3f}"
    assert "but for what is called as predicted" in found.text
    lines = (tmp_path / "calibration.tsv").read_text().splitlines()
    assert f"ece_predicted\tcpg/c1\t{before.ece[1]}" in lines
    (_, alone) = page(tmp_path, labels, probabilities, cells).tables
    assert alone[0] == ["cell", "ECE", "Brier"]


def test_annotations(tmp_path):
    labels, probabilities, cells = original()
    masks = {"island": np.arange(len(labels)) % 2 == 0}
    table = page(tmp_path, labels, probabilities, cells, masks).tables[-1]
    assert table[0] == ["annotation", "sites", "measured states", *HEADER[3:]]
    assert table[1][:4] == ["all sites", "2,297", "3,969", "0.496 ± 0.014"]
    assert table[2][:3] == ["island", "1,149", f"{(labels[::2] >= 0).sum():,}"]


def test_text_of_the_user_is_escaped(tmp_path):
    evil = '<script>alert("x")</script>&'
    labels, probabilities, _ = random(100, 2)
    arguments = labels, probabilities, ["a", evil], {evil: np.ones(100, bool)}, {evil: evil}
    found = page(tmp_path, *arguments)
    assert "script" not in found.tags
    about, cells, calibration, annotations = found.tables
    assert about == [[evil, evil]]
    assert cells[2][0] == calibration[2][0] == evil
    assert annotations[2][0] == evil


def test_nothing_is_fetched(tmp_path):
    found = page(tmp_path, *random(100, 2), {"a": np.ones(100, bool)})
    assert len(found.sources) == 6
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert not re.search(r"url\(|@import|https?:", (tmp_path / "report.html").read_text())


@pytest.mark.parametrize("annotated", [False, True])
def test_every_metric_and_figure_is_explained(tmp_path, annotated):
    masks = {"a": np.ones(100, bool)} if annotated else {}
    found = page(tmp_path, *random(100, 2), masks)
    for name in (*HEADER[1:], "ECE", "Brier"):
        assert re.search(rf"{name}[A-Z]", found.text.split("What the metrics mean")[1]), name
    assert ("AUC within annotations" in found.text) == annotated
