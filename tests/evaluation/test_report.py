import numpy as np
import pytest

from deepcpg_tf.errors import EvaluationError
from deepcpg_tf.evaluation.run import evaluate


def make(cells, n=400, one_class=False):
    rng = np.random.default_rng(0)
    labels = rng.choice([-1, 0, 1], size=(n, len(cells))).astype(np.int8)
    if one_class:
        labels[:] = 1
    probabilities = np.clip(rng.normal(0.5 + 0.1 * labels, 0.2), 0, 1).astype(np.float32)
    return labels, probabilities


@pytest.mark.parametrize("cells", [1, 3, 60])
def test_folder(tmp_path, cells):
    names = [f"cell <{i}>" for i in range(cells)]
    labels, probabilities = make(names)
    islands = np.arange(400) < 100
    result = evaluate(labels, probabilities, names, {"islands": islands}, {"model": "<b>x</b>"})
    result.write(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("metrics.tsv", "metrics_by_annotation.tsv", "report.html"),
        *("roc.png", "precision_recall.png", "auc.png", "calibration.png", "annotations.png"),
    }
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 5
    assert "http" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "cell &lt;0&gt;" in html
    assert "<b>x" not in html
    seen = (labels[islands] >= 0).sum(axis=0)
    np.testing.assert_array_equal(result.annotations["islands"].scores.values["n"], seen)


def test_one_class_only(tmp_path):
    labels, probabilities = make(["a"], one_class=True)
    evaluate(labels, probabilities, ["a"]).write(tmp_path / "out")
    assert "<td>-</td>" in (tmp_path / "out" / "report.html").read_text()


def test_impossible_values():
    labels, probabilities = make(["a"])
    with pytest.raises(EvaluationError):
        evaluate(labels, probabilities + 1, ["a"])
    with pytest.raises(EvaluationError):
        evaluate(labels, probabilities, ["a", "b"])
    with pytest.raises(EvaluationError):
        evaluate(labels[:-1], probabilities, ["a"])
