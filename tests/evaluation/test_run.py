import math

import numpy as np
import pytest

from deepcpg_tf.errors import EvaluationError
from deepcpg_tf.evaluation.run import evaluate_arrays as evaluate
from deepcpg_tf.evaluation.scores import METRICS, score
from deepcpg_tf.evaluation.write import write_evaluation
from tests import tolerances
from tests.counting import Counting
from tests.evaluation.examples import original, random


def test_each_annotation_is_scored_as_if_it_were_alone():
    labels, probabilities, cells = original()
    rng = np.random.default_rng(0)
    masks = {"a": rng.random(len(labels)) < 0.3, "none": np.zeros(len(labels), bool)}
    evaluation = evaluate(labels, probabilities, cells, masks)
    assert evaluation.sites == len(labels)
    assert list(evaluation.annotations) == ["a", "none"]
    whole, part = score(labels, probabilities, cells), masks["a"]
    alone = score(labels[part], probabilities[part], cells)
    for metric in METRICS:
        np.testing.assert_array_equal(evaluation.scores.values[metric], whole.values[metric])
        found = evaluation.annotations["a"].scores.values[metric]
        np.testing.assert_allclose(found, alone.values[metric], rtol=tolerances.FLOAT64)
    assert evaluation.annotations["a"].sites == part.sum()
    assert evaluation.annotations["none"].sites == 0
    assert evaluation.annotations["none"].scores.values["n"].tolist() == [0, 0, 0]
    assert np.isnan(evaluation.annotations["none"].scores.values["acc"]).all()


def test_calibration_counts_every_label():
    labels, probabilities, cells = original()
    calibration = evaluate(labels, probabilities, cells).calibration
    np.testing.assert_array_equal(calibration.counts.sum(axis=1), (labels >= 0).sum(axis=0))
    np.testing.assert_array_equal(calibration.positives.sum(axis=1), (labels == 1).sum(axis=0))
    sums = np.where(labels >= 0, probabilities, 0).sum(axis=0, dtype=float)
    np.testing.assert_allclose(calibration.probabilities.sum(axis=1), sums)


def test_progress_and_memory_mapped_input(tmp_path):
    labels, probabilities, cells = random(500, 3)
    np.save(tmp_path / "p.npy", probabilities)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    steps = Counting()
    evaluation = evaluate(labels, mapped, cells, progress=steps)
    assert steps.done == [1, 1, 1]
    expected = score(labels, probabilities, cells).values["auc"]
    np.testing.assert_array_equal(evaluation.scores.values["auc"], expected)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_labels_for_curves(tmp_path, n):
    masks = {"a": np.ones(n, bool)}
    evaluation = evaluate(
        np.zeros((n, 2), np.int8), np.zeros((n, 2), np.float32), ["a", "b"], masks
    )
    assert evaluation.curves == (None, None)
    assert evaluation.scores.values["n"].tolist() == [n, n]
    assert all(math.isnan(value) for value in evaluation.scores.values["auc"])
    write_evaluation(evaluation, tmp_path)
    assert "AUC is not defined" in (tmp_path / "report.html").read_text()


def test_impossible_input():
    labels, probabilities, cells = random(50, 2)
    message = r"annotation a: expected a value for each of 50 sites, received the shape \[49\]"
    with pytest.raises(EvaluationError, match=message):
        evaluate(labels, probabilities, cells, {"a": np.ones(49, bool)})
    with pytest.raises(EvaluationError, match="expected labels and probabilities of"):
        evaluate(labels, probabilities[:10], cells)
