import csv
import json

import numpy as np
import pytest

from benchmarks import imputation
from benchmarks.imputation import compare, main, report_tables, shown
from benchmarks.predictors import CellMean, OtherCells
from deepcpg_tf.data.splits import Split, chromosome_split
from deepcpg_tf.errors import SplitError
from tests.benchmarks.tables import make_table

TABLE = make_table(sites=300)


class Drawn(CellMean):
    """Predicts at random, and keeps what it was given."""

    name = "drawn"
    seeded = True

    def __init__(self):
        self.fits = []

    def fit(self, table, train_sites, validation_sites, seed):
        self.fits.append((len(train_sites), seed))
        self._seed = seed

    def predict(self, table, sites):
        rng = np.random.default_rng(self._seed)
        return rng.random((len(sites), len(table.cells))).astype(np.float32)


def split_of(table):
    return chromosome_split(table, train=["chr1"], validation=["chr2"], test=["chr3"])


def test_seeds_and_learning_curve():
    drawn, large = Drawn(), make_table(sites=1200)
    result = compare(
        large, split_of(large), [OtherCells(), drawn], seeds=(0, 1, 2), entries=(50, 200)
    )
    assert [seed for _, seed in drawn.fits] == [0, 1, 2, 0, 1, 2]
    assert max(n for n, _ in drawn.fits[:3]) < min(n for n, _ in drawn.fits[3:])
    rows = {
        (row["predictor"], row["train_entries"], row["protocol"]): row for row in result["rows"]
    }
    assert len(rows) == 12
    row = rows["drawn", 50, "hidden entries"]
    auc = row["scores"]["all"]["auc"]
    assert auc["min"] < auc["median"] < auc["max"]
    assert row["below_best"] > 5 * row["below_best_error"] > 0
    best = rows["other cells at the site", 200, "hidden entries"]
    assert best["below_best"] == best["below_best_error"] == 0
    text = report_tables(result)
    assert report_tables(shown(result, groups=True)) == text
    assert {tuple(row["scores"]) for row in shown(result, groups=False)["rows"]} == {("all",)}
    assert "### Hidden entries: " in text
    assert "| drawn | 50 |" in text


def test_a_random_split_is_refused():
    parts = np.array_split(np.random.default_rng(0).permutation(len(TABLE)), 3)
    with pytest.raises(SplitError, match="leaks: not a test"):
        compare(TABLE, Split(*map(np.sort, parts)), [CellMean()])


def test_what_lacks_something_is_left_out_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.predictors.find_spec", lambda name: None)
    from benchmarks.predictors import Camelia

    result = compare(TABLE, split_of(TABLE), [Camelia(), CellMean()])
    assert {row["predictor"] for row in result["rows"]} == {"cell mean"}
    (line,) = result["left_out"]
    assert "expected catboost" in line
    assert line in report_tables(result)


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "y.npz"
    states = TABLE.labels(np.arange(len(TABLE)))
    np.savez(path, chr1=states[:300], chr2=states[300:600], chr3=states[600:])
    return path


def test_matrix(matrix, tmp_path):
    table = imputation.read_data(matrix, ["chr1", "chr3"], tmp_path)
    assert table.chromosomes == ("chr1", "chr3")
    np.testing.assert_array_equal(table.labels(np.arange(600)), TABLE.labels(np.r_[0:300, 600:900]))
    assert table.positions[300:303].tolist() == [50, 150, 250]


def arguments(matrix, out, **more):
    given = {"train": "chr1", "validation": "chr2", "test": "chr3", "out": out, **more}
    return [str(matrix), *(part for name, of in given.items() for part in (f"--{name}", str(of)))]


def test_command(matrix, tmp_path):
    out = tmp_path / "out"
    main(arguments(matrix, out, predictors="cell-mean,other-cells"))
    with (out / "imputation.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    (row,) = (
        row
        for row in rows
        if row["protocol"] == "hidden entries"
        and row["predictor"] == "other cells at the site"
        and (row["group"], row["score"]) == ("all", "auc")
    )
    result = json.loads((out / "imputation.json").read_text())
    expected = compare(TABLE, split_of(TABLE), [OtherCells()])["rows"][0]["scores"]["all"]
    assert float(row["median"]) == pytest.approx(expected["auc"]["median"])
    assert result["machine"]["processor"]
    text = (out / "imputation.md").read_text()
    assert "| processor |" in text
    assert "| test | chr3 |" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"test": "chr1"}, "error: test: expected chromosomes that no other part has"),
        ({"test": "chr9"}, "expected the chromosomes chr1, chr2, chr9, found none called chr9"),
        ({"predictors": "magic"}, "received magic"),
    ],
)
def test_faults_are_one_line(matrix, tmp_path, capsys, more, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments(matrix, tmp_path / "out", **more))
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
