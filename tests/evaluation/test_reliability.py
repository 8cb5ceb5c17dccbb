import numpy as np
import pytest

from deepcpg_tf.evaluation.reliability import (
    Reliability,
    figures_of,
    reliability,
    risk_rows,
    together,
)
from deepcpg_tf.evaluation.scores import observe
from tests import tolerances
from tests.evaluation.examples import random


def of(labels, probabilities):
    return reliability(observe(np.array(labels, np.int8), np.array(probabilities, np.float32), "c"))


def test_bins_by_hand():
    found = of([1, 0, 1, 1, -1, 0], [0.0, 0.0625, 0.125, 1.0, 0.5, 0.9375])
    assert found.counts.tolist() == [[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]]
    assert found.positives.tolist() == [[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]
    sums = [0.0625, 0.125, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1.9375]
    assert found.probabilities.tolist() == [sums]
    assert found.ece[0] == (0.9375 + 0.875 + 0.9375) / 5
    assert found.brier[0] == (1 + 0.0625**2 + 0.875**2 + 0.9375**2) / 5


def test_equals_the_definitions():
    """Over all labels of a cell, and of all cells together."""
    labels, probabilities, _ = random(4000, 3)
    cells = [of(labels[:, i], probabilities[:, i]) for i in range(3)]
    found = together(cells)
    known = labels >= 0
    for i, one in enumerate([*cells, found.pooled()]):
        own = known[:, i] if i < 3 else known
        y = (labels[:, i] if i < 3 else labels)[own].astype(float)
        p = (probabilities[:, i] if i < 3 else probabilities)[own].astype(float)
        assert one.brier[0] == pytest.approx(np.mean((p - y) ** 2), rel=tolerances.FLOAT64)
        bins = np.minimum(np.floor(p * 15), 14)
        parts = [bins == k for k in range(15) if (bins == k).any()]
        ece = sum(part.mean() * abs(y[part].mean() - p[part].mean()) for part in parts)
        assert one.ece[0] == pytest.approx(ece, rel=tolerances.FLOAT64)
        (risk,) = one.risks()
        sure = np.maximum(p, 1 - p)
        for level in (0, 137, 333, 499):
            kept = sure >= risk.min_confidence[level]
            # Those within rounding of a level may count as on either side of it.
            near = (np.abs(sure - risk.min_confidence[level]) < 1e-6).mean()
            assert risk.coverage[level] == pytest.approx(kept.mean(), abs=near + 1e-12)
        kept = sure >= risk.min_confidence[333]
        assert risk.error[333] == pytest.approx(((p > 0.5) != y)[kept].mean(), rel=0.01)
    np.testing.assert_array_equal(found.ece, [one.ece[0] for one in cells])


def test_share_methylated():
    counts = np.array([[3.0, 1.0], [0.0, 0.0]])
    positives = np.array([[1.0, 1.0], [0.0, 0.0]])
    shares = Reliability(counts, positives, counts, counts[:, 0], counts, counts).methylated
    assert shares == pytest.approx([0.5, np.nan], nan_ok=True)


def test_no_label_and_no_cell():
    one = of([-1], [0.5])
    assert np.isnan([one.ece[0], one.brier[0], one.methylated[0]]).all()
    assert np.isnan(one.risks()[0].error).all()
    none = together([])
    assert none.ece.shape == none.brier.shape == (0,)
    assert none.pooled().counts.sum() == 0
    rows = list(figures_of((), none, None))
    assert [row[:2] for row in rows] == [("brier", "cpg"), ("ece", "cpg")]
    assert np.isnan([row[2] for row in rows]).all()


def test_figures_before_and_after():
    before, after = of([1, 0], [0.75, 0.75]), of([1, 0], [0.5, 0.5])
    rows = list(figures_of(("c",), after, before))
    assert rows == [
        ("brier", "cpg/c", 0.25),
        ("brier", "cpg", 0.25),
        ("ece", "cpg/c", 0.0),
        ("ece", "cpg", 0.0),
        ("brier_predicted", "cpg/c", 0.3125),
        ("brier_predicted", "cpg", 0.3125),
        ("ece_predicted", "cpg/c", 0.25),
        ("ece_predicted", "cpg", 0.25),
    ]


def test_risk_by_hand():
    rows = {level: pair for level, *pair in risk_rows(of([1, 0, 1, 0], [0.95, 0.85, 0.4, 0]))}
    assert rows[0.5] == [1, 0.5]
    assert rows[0.8] == [0.75, pytest.approx(1 / 3)]
    assert rows[0.9] == [0.5, 0]
    assert rows[0.999] == [0.25, 0]
    assert len(rows) == 51
