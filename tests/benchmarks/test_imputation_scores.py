import numpy as np
import pytest
from sklearn import metrics

from benchmarks.hiding import Hidden, hide_entries
from benchmarks.imputation_scores import bootstrap, calibration_error, groups, score_groups
from tests.benchmarks.tables import make_table

TABLE = make_table(sites=600, cells=9)


@pytest.fixture
def hidden():
    return hide_entries(TABLE, np.arange(len(TABLE)))


@pytest.fixture
def probabilities(hidden):
    rng = np.random.default_rng(1)
    # Rounded, so that some are equal, 0, 1 and 0.5.
    values = np.clip(0.3 + 0.4 * hidden.truth + rng.normal(0, 0.3, len(hidden.truth)), 0, 1)
    return values.round(2).astype(np.float32)


def expected(truth, values):
    predicted = values > 0.5
    return {
        "n": len(truth),
        "auc": metrics.roc_auc_score(truth, values),
        "ap": metrics.average_precision_score(truth, values),
        "mcc": metrics.matthews_corrcoef(truth, predicted),
        "tpr": metrics.recall_score(truth, predicted),
        "tnr": metrics.recall_score(truth, predicted, pos_label=0),
        "brier": metrics.brier_score_loss(truth, values),
    }


def test_equal_to_scikit_learn(hidden, probabilities):
    found = score_groups(hidden, probabilities)
    for name, chosen in groups(hidden).items():
        truth, values, cells = (a[chosen] for a in (hidden.truth, probabilities, hidden.cells))
        for score, value in expected(truth, values).items():
            assert found[name][score] == pytest.approx(value, rel=1e-6), (name, score)
        each = [expected(truth[cells == i], values[cells == i]) for i in np.unique(cells)]
        assert found[name]["cells"] == len(each)
        for score in ("auc", "ap", "mcc", "tpr", "tnr", "brier"):
            mean = np.mean([one[score] for one in each])
            assert found[name][f"cell_{score}"] == pytest.approx(mean, rel=1e-6)
        assert found[name]["worst_auc"] == pytest.approx(min(one["auc"] for one in each))


def test_cells_of_one_class_are_not_among_the_mean(hidden, probabilities):
    truth = np.where(hidden.cells == 2, 1, hidden.truth).astype(np.int8)
    found = score_groups(hidden._replace(truth=truth), probabilities)["all"]
    assert found["cells"] == 8


def test_calibration_error_by_hand():
    truth = np.array([1, 0, 1, 1, 0, 1], np.int8)
    values = np.array([0.01, 0.06, 0.5, 0.5, 0.99, 1.0], np.float32)
    # Bins of 1/15: two in the first, two in the eighth, two in the last.
    assert calibration_error(truth, values) == pytest.approx(
        (abs(0.07 - 1) + abs(1.0 - 2) + abs(1.99 - 1)) / 6, rel=1e-6
    )


def test_groups(hidden):
    found = groups(hidden)
    parts = [found[f"other cells {name}"] for name in ("0", "1-2", "3-5", ">=6")]
    assert (np.sum(parts, axis=0) == 1).all()
    np.testing.assert_array_equal(found["other cells 1-2"], np.isin(hidden.others, (1, 2)))
    np.testing.assert_array_equal(found["other cells >=1"], hidden.others > 0)
    observed = np.diff(TABLE.calls.tocsc().indptr)
    sparsest = set(np.argsort(observed, kind="stable")[:3])
    assert set(hidden.cells[found["cells sparsest"]]) == sparsest
    cells = [found[f"cells {name}"] for name in ("sparsest", "middle", "densest")]
    assert (np.sum(cells, axis=0) == 1).all()


def test_bootstrap_is_what_drawing_blocks_gives():
    """Against the AUROC of entries drawn block by block, of the same draws."""
    rng = np.random.default_rng(2)
    n, blocks, draws = 4000, 8, 20
    sites = np.sort(rng.integers(0, 500 * blocks, n))
    truth = (rng.random(n) < 0.5).astype(np.int8)
    values = ((0.4 * truth + rng.random(n)) / 2).astype(np.float32)
    nothing = np.zeros(n, np.int64)
    found = bootstrap(Hidden(TABLE, sites, nothing, truth, nothing), values, draws=draws, seed=3)
    drawn = np.random.default_rng(3).multinomial(blocks, np.full(blocks, 1 / blocks), draws)
    for auc, times in zip(found, drawn, strict=True):
        weight = times[sites // 500]
        assert auc == pytest.approx(
            metrics.roc_auc_score(truth, values, sample_weight=weight), abs=1e-3
        )
