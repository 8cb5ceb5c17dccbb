"""Statistics over cells, against their definition site by site, and by hand."""

import math

import numpy as np
import pytest
import scipy.sparse

from deepcpg_tf.configs.outputs import STATISTICS, Statistic, full_name, statistic_of
from deepcpg_tf.data.calls import calls_of_labels
from deepcpg_tf.data.statistics import cell_statistics
from deepcpg_tf.errors import ConfigError

NAMES = tuple(STATISTICS)


def computed(labels, names=NAMES, window=None, positions=None, chromosome_ids=None):
    calls = scipy.sparse.csr_array(calls_of_labels(np.asarray(labels, np.int8)))
    n = calls.shape[0]
    positions = np.arange(n) if positions is None else np.asarray(positions)
    ids = np.zeros(n, np.int32) if chromosome_ids is None else np.asarray(chromosome_ids, np.int32)
    wanted = [Statistic(name, window) for name in names]
    return cell_statistics(calls, ids, positions, wanted)


def by_definition(values):
    """The statistics of the values of those cells that have one, a cell at a time."""
    mean = sum(values) / len(values)
    var = sum((value - mean) ** 2 for value in values) / len(values)
    share = min(max(mean, 1e-7), 1 - 1e-7)
    # The original's three bins begin a little below 0, and so each ends a little early.
    bounds = [-1e-7 + (0.25 + 1e-7) * i / 3 for i in (1, 2)]
    third = sum(var > bound for bound in bounds)
    return {
        "mean": mean,
        "var": var,
        "cat_var": third,
        "cat2_var": int(third > 0),
        "diff": int(min(values) != int(max(values))),
        "mode": int(mean > 0.5),
        "entropy": -share * math.log(share) - (1 - share) * math.log(1 - share),
    }


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        # mean, var, cat_var, cat2_var, diff, mode, entropy
        ([1, 1, 1, -1], [1, 0, 0, 0, 0, 1, 0]),
        ([0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]),
        ([1, 0, 1, 0], [0.5, 0.25, 2, 1, 1, 0, math.log(2)]),
        ([1, 1, 0, -1], [2 / 3, 2 / 9, 2, 1, 1, 1, math.log(3) - 2 / 3 * math.log(2)]),
        ([1, 1, -1, -1], [-1] * 7),
        ([-1, -1, -1, -1], [-1] * 7),
    ],
)
def test_by_hand(labels, expected):
    np.testing.assert_allclose(computed([labels])[0], expected, atol=3e-6)


def test_thirds_of_the_variance():
    """1 of 10: 0.09; 1 of 12: 0.076; 1 of 5: 0.16; 1 of 4: 0.1875."""
    labels = np.full((4, 12), -1)
    for row, n in enumerate((10, 12, 5, 4)):
        labels[row, :n] = 0
        labels[row, 0] = 1
    assert computed(labels, ["cat_var"])[:, 0].tolist() == [1, 0, 1, 2]
    assert computed(labels, ["cat2_var"])[:, 0].tolist() == [1, 0, 1, 1]


def test_all_of_many_sites():
    rng = np.random.default_rng(0)
    labels = rng.choice([-1, 0, 1], (20_000, 9), p=[0.6, 0.2, 0.2])  # more than are done at once
    found = computed(labels)
    for row in (*range(300), *range(16_300, 16_500), 19_999):
        values = [value for value in labels[row].tolist() if value >= 0]
        expected = by_definition(values) if len(values) >= 3 else dict.fromkeys(NAMES, -1)
        for column, name in enumerate(NAMES):
            assert found[row, column] == pytest.approx(expected[name], abs=1e-6), (row, name)


def test_windows():
    rng = np.random.default_rng(1)
    n, length = 300, 41
    ids = np.sort(rng.integers(0, 3, n))
    positions = np.concatenate(
        [np.sort(rng.choice(600, (ids == i).sum(), replace=False)) for i in range(3)]
    )
    labels = rng.choice([-1, 0, 1], (n, 4), p=[0.7, 0.15, 0.15])
    order = rng.permutation(n)  # whatever the order of the sites
    found = computed(labels[order], NAMES, length, positions[order], ids[order])
    alone = 0
    for row, site in enumerate(order):
        near = (ids == ids[site]) & (np.abs(positions - positions[site]) <= length // 2)
        means = [column[column >= 0].mean() for column in labels[near].T if (column >= 0).any()]
        alone += not means
        expected = by_definition(means) if means else dict.fromkeys(NAMES, -1)
        for column, name in enumerate(NAMES):
            assert found[row, column] == pytest.approx(expected[name], abs=1e-6), (row, name)
    assert alone


def test_names():
    assert full_name("mean") == "cpg_stats/mean"
    assert full_name("win_stats/1001/var") == "win_stats/1001/var"
    assert full_name("bulk/a/b") == "bulk/a/b"
    assert statistic_of("win_stats/1001/var") == Statistic("var", 1001)
    for wrong in ("cov", "cpg_stats/cov", "win_stats/0/mean", "win_stats/mean", "bulk/", "cpg/a"):
        with pytest.raises(ConfigError, match="outputs: expected mean, var, cat_var"):
            full_name(wrong)
