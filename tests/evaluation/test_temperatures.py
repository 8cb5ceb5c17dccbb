import numpy as np
import pytest
from scipy.special import expit

from deepcpg_tf.errors import EvaluationError
from deepcpg_tf.evaluation.temperatures import fit_temperatures


def drawn(temperatures, n=60_000, seed=0):
    """Return logits that are too large by these factors, and labels as their calm ones say."""
    rng = np.random.default_rng(seed)
    calm = rng.normal(0.7, 2, (n, len(temperatures)))
    labels = (rng.random(calm.shape) < expit(calm)).astype(np.int8)
    return (calm * temperatures).astype(np.float32), labels


def test_known_temperatures_are_found():
    logits, labels = drawn([0.5, 1.0, 2.5])
    labels[::3, 1] = -1
    logits[::3, 1] = np.nan
    found = fit_temperatures(logits, labels)
    assert found.own == pytest.approx([0.5, 1.0, 2.5], rel=0.03)
    assert 0.5 < found.common < 2.5
    assert found.mostly_common == []
    assert found == fit_temperatures(logits, labels)


def test_cells_that_say_little_are_like_the_others():
    """Without labels, with those of one state, and with a few that a step would tell apart."""
    logits, labels = drawn([2.0] * 4)
    labels[:, 1] = -1
    labels[:, 2] = np.where(labels[:, 2] == 1, 1, -1)
    labels[6:, 3] = -1
    logits[:6, 3] = [-3, -2, -1, 1, 2, 3]
    labels[:6, 3] = [0, 0, 0, 1, 1, 1]
    found = fit_temperatures(logits, labels)
    assert found.own[1:3] == [None, None]
    assert found.mostly_common == [1, 2, 3]
    assert found.own[3] == pytest.approx(2, rel=0.15)
    assert found.own[0] == pytest.approx(2, rel=0.03)


def test_labels_that_are_told_apart_have_a_finite_temperature():
    logits = np.linspace(-4, 4, 400, dtype=np.float32)[:, None]
    found = fit_temperatures(logits, (logits > 0).astype(np.int8))
    assert found.own == pytest.approx([0.5], abs=0.49)
    assert np.isfinite(found.common)


@pytest.mark.parametrize("label", [-1, 0, 1])
def test_labels_of_one_state(label):
    labels = np.full((5, 2), label, np.int8)
    message = f"received {0 if label < 0 else 10} observed, {10 if label == 1 else 0} of them meth"
    with pytest.raises(EvaluationError, match=message):
        fit_temperatures(np.zeros((5, 2), np.float32), labels)
