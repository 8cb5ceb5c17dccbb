import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from deepcpg_tf.evaluation.scores import METRICS, score, write_metrics
from tests.conftest import DATA

RUN = DATA / "original-run"


def one_cell(labels, probabilities):
    labels = np.array(labels, np.int8)[:, None]
    scores = score(labels, np.array(probabilities, np.float32)[:, None], ["a"])
    return {name: scores.values[name][0] for name in METRICS}


def test_equals_the_original_program():
    with h5py.File(RUN / "eval.h5") as file:
        cells = [*file["outputs/cpg"]]
        labels = np.stack([file[f"outputs/cpg/{cell}"][:] for cell in cells], axis=1)
        probabilities = np.stack([file[f"preds/cpg/{cell}"][:] for cell in cells], axis=1)
    scores = score(labels, probabilities, cells)
    rows = [line.split("\t") for line in (RUN / "eval.tsv").read_text().splitlines()[1:]]
    assert len(rows) == 21
    for metric, output, value in rows:
        found = scores.values[metric][cells.index(output.removeprefix("cpg/"))]
        assert found == pytest.approx(float(value), abs=1e-5 if metric == "auc" else 1e-6)


def test_by_hand():
    found = one_cell([1, 1, 0, 0, 1, -1], [0.9, 0.5, 0.6, 0.1, 0.7, 0.8])
    # Calls: 1 0 1 0 1; the fifth site is methylated, the sixth is missing.
    assert found["n"] == 5
    assert found["acc"] == pytest.approx(3 / 5)
    assert found["tpr"] == pytest.approx(2 / 3)
    assert found["tnr"] == pytest.approx(1 / 2)
    assert found["f1"] == pytest.approx(4 / 6)
    assert found["mcc"] == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))
    # Of the pairs methylated > unmethylated: 0.9 and 0.7 win both, 0.5 one of two.
    assert found["auc"] == pytest.approx(5 / 6)


def test_a_probability_of_one_half_is_no_call():
    assert one_cell([0, 1], [0.5, 0.6])["acc"] == 1


def test_one_class():
    found = one_cell([1, 1], [0.9, 0.2])
    assert np.isnan(found["auc"])
    assert np.isnan(found["ap"])
    assert (found["acc"], found["tpr"], found["mcc"]) == (0.5, 0.5, 0)


def test_no_labels():
    found = one_cell([-1, -1], [0.9, 0.2])
    assert found["n"] == 0
    assert all(np.isnan(found[name]) for name in METRICS if name != "n")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 8))
def test_equals_scikit_learn(seed, n, levels):
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1, 0, 1], n)
    labels[:2] = 0, 1
    probabilities = (rng.integers(0, levels + 1, n) / levels).astype(np.float32)
    found = one_cell(labels, probabilities)
    seen = labels >= 0
    y, p = labels[seen], probabilities[seen]
    calls = p > 0.5
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, p))
    assert found["ap"] == pytest.approx(metrics.average_precision_score(y, p))
    assert found["acc"] == pytest.approx(metrics.accuracy_score(y, calls))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, calls, zero_division=0))
    assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(y, calls))
    assert found["tpr"] == pytest.approx(metrics.recall_score(y, calls))
    assert found["tnr"] == pytest.approx(metrics.recall_score(y, calls, pos_label=0))


def test_file(tmp_path):
    labels, probabilities = np.array([[1, -1], [0, -1]], np.int8), np.full((2, 2), 0.25, "f4")
    write_metrics(tmp_path / "metrics.tsv", score(labels, probabilities, ["b", "a"]))
    rows = (tmp_path / "metrics.tsv").read_text().splitlines()
    assert rows[0] == "metric\toutput\tvalue"
    assert "acc\tcpg/b\t0.5" in rows
    assert "acc\tcpg/a\t" in rows
    assert "n\tcpg/a\t0.0" in rows
