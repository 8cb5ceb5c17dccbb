import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from deepcpg_tf.training.metrics import StreamingAuc


def test_equals_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.choice([-1, 0, 1], size=(5000, 3)).astype(np.int8)
    probabilities = np.clip(rng.normal(0.5 + 0.1 * labels, 0.2), 0, 1).astype(np.float32)
    auc = StreamingAuc(3)
    for part in np.array_split(np.arange(5000), 7):
        auc.update(labels[part], probabilities[part])
    expected = np.mean(
        [
            roc_auc_score(labels[seen, i], probabilities[seen, i])
            for i in range(3)
            for seen in [labels[:, i] >= 0]
        ]
    )
    assert auc.result() == pytest.approx(expected, abs=1e-4)


def test_ties_count_half():
    auc = StreamingAuc(1)
    auc.update(np.array([[0], [1]], np.int8), np.array([[0.5], [0.5]], np.float32))
    assert auc.result() == 0.5


def test_cells_with_one_class_do_not_count():
    auc = StreamingAuc(2)
    auc.update(np.array([[0, 1], [1, 1]], np.int8), np.array([[0.1, 0.1], [0.9, 0.9]], np.float32))
    assert auc.result() == 1.0


def test_no_cell_with_both_classes_is_nan():
    auc = StreamingAuc(1)
    auc.update(np.array([[1], [-1]], np.int8), np.array([[1.0], [0.0]], np.float32))
    assert np.isnan(auc.result())
