import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deepcpg_tf.errors import EvaluationError, OutputError
from deepcpg_tf.evaluation.scores import (
    METRICS,
    Scores,
    observe,
    score,
    write_metrics,
    write_metrics_by_annotation,
)
from tests import tolerances
from tests.evaluation.examples import RUN, original

NAN = math.nan


def one(labels, probabilities):
    """Return the metrics of a single cell as a dictionary."""
    columns = np.array(labels, np.int8)[:, None], np.array(probabilities, np.float32)[:, None]
    scores = score(*columns, ["c"])
    return {metric: float(value[0]) for metric, value in scores.values.items()}


def test_every_value_of_the_original_program():
    with (RUN / "eval.tsv").open() as file:
        expected = {
            (row["metric"], row["output"]): row["value"]
            for row in csv.DictReader(file, delimiter="\t")
        }
    rows = {(metric, output): value for metric, output, value in score(*original()).rows()}
    assert expected.keys() <= rows.keys()
    assert {metric for metric, _ in rows.keys() - expected.keys()} == {"ap"}
    for key, value in expected.items():
        assert rows[key] == pytest.approx(float(value), abs=1e-9), key


def test_the_file_has_the_form_of_the_original(tmp_path):
    write_metrics(tmp_path / "metrics.tsv", score(*original()))
    lines = (tmp_path / "metrics.tsv").read_bytes().decode().split("\n")
    expected = (RUN / "eval.tsv").read_text().split("\n")
    kept = [line for line in lines if not line.startswith("ap\t")]
    assert [line.split("\t")[:2] for line in kept] == [line.split("\t")[:2] for line in expected]
    assert [line for line in kept if line[0:2] == "n\t"] == [
        line for line in expected if line[0:2] == "n\t"
    ]


# What the original program, run on these arrays, returned.
COLUMNS = ("acc", "tpr", "tnr", "f1", "mcc", "auc", "n")
ORIGINAL = {
    "one methylated site": ([1], [0.7], (1, 1, 1, 1, 0, NAN, 1)),
    "methylated, all found": ([1, 1, 1], [0.7, 0.8, 0.9], (1, 1, 1, 1, 0, NAN, 3)),
    "methylated, some found": ([1, 1, 1], [0.7, 0.2, 0.9], (2 / 3, 2 / 3, NAN, 0.8, 0, NAN, 3)),
    "methylated, none found": ([1, 1], [0.1, 0.2], (0, 0, NAN, 0, 0, NAN, 2)),
    "unmethylated, all right": ([0, 0], [0.1, 0.2], (1, 0, 1, 0, 0, NAN, 2)),
    "unmethylated, half right": ([0, 0], [0.1, 0.7], (0.5, 0, 0.5, 0, 0, NAN, 2)),
    "unmethylated, all wrong": ([0, 0], [0.8, 0.7], (0, 0, 0, 0, 0, NAN, 2)),
    "nothing predicted": ([0, 1], [0.1, 0.2], (0.5, 0, 1, 0, 0, 1, 2)),
    "all predicted": ([0, 1], [0.8, 0.7], (0.5, 1, 0, 2 / 3, 0, 0, 2)),
    "a half is unmethylated": ([0, 1, 1], [0.5, 0.5, 0.9], (2 / 3, 0.5, 1, 2 / 3, 0.5, 0.75, 3)),
    "nothing measured": ([-1, -1], [0.2, 0.7], (NAN, NAN, NAN, NAN, NAN, NAN, 0)),
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_conventions_of_the_original(name):
    labels, probabilities, values = ORIGINAL[name]
    expected = dict(zip(COLUMNS, values, strict=True))
    found = one(labels, probabilities)
    assert {key: found[key] for key in expected} == pytest.approx(expected, nan_ok=True)
    if math.isnan(expected["auc"]):
        assert math.isnan(found["ap"])


def test_by_hand():
    # By falling probability: 1, 0, 1 | 0 (the bar is 0.5); missing ones count nowhere.
    found = one([0, 1, -1, 1, 0, -1], [0.8, 0.9, 0.99, 0.6, 0.2, 0.1])
    assert found == pytest.approx(
        {
            "acc": 3 / 4,
            "ap": 0.5 * 1 + 0.5 * 2 / 3,
            "auc": 3 / 4,
            "f1": 4 / 5,
            "mcc": 2 / math.sqrt(3 * 2 * 2 * 1),
            "n": 4,
            "tnr": 1 / 2,
            "tpr": 1,
        }
    )


cell = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.int8, n, elements=st.integers(-1, 1)),
        arrays.arrays(np.float32, n, elements=st.sampled_from([0, 0.1, 0.25, 0.5, 0.51, 0.75, 1])),
    )
)


@settings(deadline=None)
@given(cell)
def test_against_plain_formulas(example):
    labels, probabilities = example
    found = one(labels, probabilities)
    y, p = labels[labels != -1], probabilities[labels != -1].astype(float)
    assert found["n"] == len(y)
    if not len(y):
        return
    z = np.round(p)
    assert found["acc"] == pytest.approx(np.mean(y == z))
    if len(set(y)) == 1:
        assert math.isnan(found["auc"])
        return
    pairs = p[y == 1][:, None] - p[y == 0][None, :]
    assert found["auc"] == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
    steps = []
    for threshold in sorted(set(p), reverse=True):
        called = p >= threshold
        steps.append((np.sum(y[called]) / np.sum(y), np.mean(y[called])))
    recall, precision = np.transpose([(0, 1), *steps])
    assert found["ap"] == pytest.approx(np.sum(np.diff(recall) * precision[1:]))
    assert found["tpr"] == pytest.approx(np.mean(z[y == 1]))
    assert found["tnr"] == pytest.approx(np.mean(1 - z[y == 0]))
    share = np.mean(y[z == 1]) if z.any() else 0
    recalled = found["tpr"]
    harmonic = 2 * share * recalled / (share + recalled) if share + recalled else 0
    assert found["f1"] == pytest.approx(harmonic)
    correlation = np.corrcoef(y, z)[0, 1] if len(set(z)) == 2 else 0
    assert found["mcc"] == pytest.approx(correlation, abs=tolerances.FLOAT64)


@settings(deadline=None)
@given(cell, st.randoms(use_true_random=False))
def test_the_order_of_sites_does_not_matter(example, randomly):
    labels, probabilities = example
    order = list(range(len(labels)))
    randomly.shuffle(order)
    assert one(labels, probabilities) == pytest.approx(
        one(labels[order], probabilities[order]), nan_ok=True, rel=tolerances.FLOAT64
    )


def test_mcc_of_counts_whose_product_exceeds_64_bits():
    labels = np.repeat(np.array([0, 0, 1, 1], np.int8), 100_000)
    probabilities = np.repeat(
        np.array([0.1, 0.9, 0.2, 0.8], np.float32), [100_000, 100_000, 50_000, 150_000]
    )
    # tn 100k, fp 100k, fn 50k, tp 150k
    expected = (15 * 10 - 10 * 5) / math.sqrt(25 * 20 * 20 * 15)
    assert one(labels, probabilities)["mcc"] == pytest.approx(expected)


def test_cells_are_scored_each_by_itself():
    labels, probabilities, cells = original()
    together = score(labels, probabilities, cells)
    for i, name in enumerate(cells):
        alone = score(labels[:, [i]], probabilities[:, [i]], [name])
        assert all(alone.values[m][0] == together.values[m][i] for m in METRICS)


def test_rows_are_sorted_as_text():
    values = {metric: np.array([1.0, 2.0]) for metric in METRICS}
    rows = list(Scores(("c2", "c10"), values).rows())
    assert rows[:3] == [("acc", "cpg/c10", 2.0), ("acc", "cpg/c2", 1.0), ("ap", "cpg/c10", 2.0)]


def test_files(tmp_path):
    scores = score(
        np.array([[1], [1], [1]], np.int8), np.array([[0.7], [0.2], [0.9]], np.float32), ["c"]
    )
    write_metrics(tmp_path / "metrics.tsv", scores)
    text = (
        "metric\toutput\tvalue\nacc\tcpg/c\t0.6666666666666666\nap\tcpg/c\t\nauc\tcpg/c\t\n"
        "f1\tcpg/c\t0.8\nmcc\tcpg/c\t0.0\nn\tcpg/c\t3.0\ntnr\tcpg/c\t\ntpr\tcpg/c\t0.6666666666666666\n"
    )
    assert (tmp_path / "metrics.tsv").read_bytes().decode() == text
    write_metrics_by_annotation(tmp_path / "by.tsv", {"b": scores, "a": scores})
    header, *rows = text.splitlines()
    expected = [f"annotation\t{header}", *(f"{name}\t{row}" for name in "ba" for row in rows)]
    assert (tmp_path / "by.tsv").read_text().splitlines() == expected
    with pytest.raises(OutputError):
        write_metrics(tmp_path / "no" / "metrics.tsv", scores)


def test_within_a_mask_keeps_the_order_by_probability():
    observed = observe(
        np.array([1, -1, 0, 1], np.int8), np.array([0.9, 0.5, 0.2, 0.4], np.float32), "c"
    )
    part = observed.within(np.array([True, True, False, True]))
    assert part.sites.tolist() == [3, 0]
    assert part.labels.tolist() == [1, 1]
    assert part.probabilities.tolist() == np.array([0.4, 0.9], np.float32).tolist()


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([1, 2], [0.5, 0.5], r"cell c: expected labels 1, 0 and -1 \(missing\), received 1 to 2"),
        ([1, -2], [0.5, 0.5], r"cell c: expected labels .* received -2 to 1"),
        ([1, 0], [0.5, 1.5], r"cell c: expected probabilities from 0 to 1, received 1.5$"),
        ([1, 0], [-0.5, 0.5], r"cell c: expected probabilities from 0 to 1, received -0.5$"),
        ([1, 0], [math.nan, 0.5], r"from 0 to 1, received nan; the model's weights are broken"),
    ],
)
def test_impossible_values(labels, probabilities, message):
    with pytest.raises(EvaluationError, match=message):
        one(labels, probabilities)


def test_values_where_nothing_was_measured_do_not_matter():
    assert one([1, 0, -1], [0.9, 0.1, math.nan])["auc"] == 1.0


def test_shapes_and_names():
    labels = np.zeros((3, 2), np.int8)
    with pytest.raises(
        EvaluationError, match=r"of \[sites, 2 cells\], received \[3, 2\] and \[3, 1\]"
    ):
        score(labels, np.zeros((3, 1), np.float32), ["a", "b"])
    with pytest.raises(EvaluationError, match="expected each cell once, received 'a' twice"):
        score(labels, np.zeros((3, 2), np.float32), ["a", "a"])
