"""Features of entries: equal to their plain definition, and never of the entry itself."""

from typing import Any

import numpy as np
import pytest

from deepcpg_tf.configs.local import GROUPS, LocalConfig
from deepcpg_tf.local.context import Folds
from deepcpg_tf.local.reader import LocalReader
from tests.local.made_up import made_up_table, plain_features, with_calls

CONFIG = LocalConfig()
# Sums of some hundred terms of about 1 in float32, of which logarithms are taken.
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 2e-5}


def features_of(table, chromosome, positions, config=CONFIG, sites=None):
    """Features [features, sites, cells] of sites, those of sites for each cell."""
    reader = LocalReader(table, config, sites)
    runs = list(reader.read(chromosome, np.asarray(positions), lambda rows, found: (rows, found)))
    assert [rows.start for rows, _ in runs] == [0, *(rows.stop for rows, _ in runs[:-1])]
    cell = np.concatenate([found.cell for _, found in runs], axis=1)
    site = np.concatenate([found.site for _, found in runs], axis=1)
    shape = (*site.shape, len(table.cells))
    return np.concatenate([cell, np.broadcast_to(site[..., None], shape)])


def rows_of(table, index):
    return slice(*np.searchsorted(table.chromosome_ids, [index, index + 1]))


@pytest.mark.parametrize("index", [0, 2])
def test_they_are_as_defined(index):
    table = made_up_table()
    rows = rows_of(table, index)
    positions, calls = table.positions[rows], table.calls[rows].toarray()
    context = Folds(table, 32).context(index)
    # Sites of the table, next to them, and far from all.
    sites = np.unique(np.concatenate([positions, positions[::7] + 1, positions[-1:] + 250_000]))
    found = features_of(table, f"chr{index + 1}", sites)
    assert found.shape == (len(CONFIG.feature_names), len(sites), 5)
    assert found.dtype == np.float32
    for i, site in enumerate(sites):
        for cell in range(5):
            expected = plain_features(positions, calls, context, site, cell)
            assert expected.keys() == set(CONFIG.feature_names)
            for name, value in zip(CONFIG.feature_names, found[:, i, cell], strict=True):
                message = f"{name} at {site} in {cell}"
                np.testing.assert_allclose(value, expected[name], err_msg=message, **CLOSE)


def test_an_entry_is_in_none_of_its_own():
    table = made_up_table(sites=(300, 200))
    rows = rows_of(table, 0)
    positions, dense = table.positions[rows], table.calls.toarray()
    before = features_of(table, "chr1", positions)
    rng = np.random.default_rng(1)
    observed = np.argwhere(dense[rows] != 0)
    others_changed = 0
    for site, cell in rng.permutation(observed)[:40]:
        flipped, hidden = dense.copy(), dense.copy()
        flipped[site, cell] *= -1
        hidden[site, cell] = 0
        after = features_of(with_calls(table, flipped), "chr1", positions)
        np.testing.assert_array_equal(after[:, site, cell], before[:, site, cell])
        others_changed += int((after != before).any(axis=(0, 2)).sum() > 1)
        alone = features_of(with_calls(table, hidden), "chr1", positions)
        np.testing.assert_allclose(alone[:, site, cell], before[:, site, cell], **CLOSE)
    assert others_changed == 40


def test_any_sites_have_the_same():
    table = made_up_table(sites=(400, 100))
    positions = table.positions[rows_of(table, 0)]
    whole = features_of(table, "chr1", positions)
    for some in (slice(3, None, 5), slice(100, 101), slice(70, 200)):
        found = features_of(table, "chr1", positions[some])
        np.testing.assert_allclose(found, whole[:, some], **CLOSE)


def test_runs_are_cut_by_their_size(monkeypatch):
    table = made_up_table(sites=(400, 100))
    positions = table.positions[rows_of(table, 0)]
    whole = features_of(table, "chr1", positions)
    monkeypatch.setattr("deepcpg_tf.local.grid._MOST_ENTRIES", 1)  # 64 sites
    np.testing.assert_allclose(features_of(table, "chr1", positions), whole, **CLOSE)


def test_cells_may_come_in_any_order():
    table = made_up_table()
    order = np.array([3, 1, 4, 0, 2])
    positions = table.positions[rows_of(table, 0)]
    turned = with_calls(table, table.calls.toarray()[:, order])
    whole, found = (features_of(one, "chr1", positions) for one in (table, turned))
    np.testing.assert_allclose(found, whole[..., order], **CLOSE)


def test_groups_are_chosen():
    table = made_up_table()
    positions = table.positions[rows_of(table, 0)]
    whole = features_of(table, "chr1", positions)
    for group in GROUPS:
        config = LocalConfig(groups=tuple(name for name in GROUPS if name != group))
        kept = [i for i, n in enumerate(CONFIG.feature_names) if n in config.feature_names]
        assert len(kept) < len(whole)
        np.testing.assert_array_equal(features_of(table, "chr1", positions, config), whole[kept])


def test_a_chromosome_without_sites():
    table = made_up_table()
    found = features_of(table, "chrM", [5, 900])
    names = dict(zip(CONFIG.feature_names, found, strict=True))
    assert np.isfinite(found).all()
    assert (names["own_count_150"] == 0).all()
    assert (names["left_1_distance"] == np.float32(1.2)).all()
    assert len(set(names["cell_mean"][0].tolist())) == 5


def test_what_is_known_of_cells_is_of_other_chromosomes():
    table = made_up_table()
    dense = table.calls.toarray()
    rows = rows_of(table, 1)
    dense[rows] *= -1
    changed = Folds(with_calls(table, dense), 32)
    for fold, same in ((0, False), (1, True), (2, False)):
        before, after = Folds(table, 32).context(fold), changed.context(fold)
        assert (before.means == after.means).all() == same
        # Whether cells agree does not change where all are turned.
        np.testing.assert_array_equal(before.weights.toarray(), after.weights.toarray())


def test_what_is_known_of_cells_is_of_the_sites_to_train_on():
    table = made_up_table()
    train = np.flatnonzero(table.chromosome_ids != 2)
    changed = table.calls.toarray()
    changed[table.chromosome_ids == 2] = 0
    without = with_calls(table, changed)
    for fold in range(3):
        one, other = Folds(table, 32, train).context(fold), Folds(without, 32, train).context(fold)
        for name in ("means", "coverage", "concordance"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_single_chromosome_is_known_by_its_other_stretches():
    table = made_up_table(sites=(400,))
    folds = Folds(table, 32)
    assert len(folds) == 8
    dense = table.calls.toarray()
    dense[folds.starts[3] : folds.starts[4]] *= -1
    changed = Folds(with_calls(table, dense), 32)
    for fold in range(8):
        same = (folds.context(fold).means == changed.context(fold).means).all()
        assert same == (fold == 3)
    features_of(table, "chr1", np.arange(0, table.positions[-1], 50))


def test_weights_of_many_cells_are_sparse(monkeypatch):
    table = made_up_table()
    positions = table.positions[rows_of(table, 0)]
    whole = features_of(table, "chr1", positions)
    monkeypatch.setattr("deepcpg_tf.local.features._DENSE", 0)
    np.testing.assert_allclose(features_of(table, "chr1", positions), whole, **CLOSE)


def test_the_most_similar_cells_are_kept():
    table = made_up_table(sites=(600, 600), cells=6, density=0.9)
    dense = table.calls.toarray()
    seen = np.abs(dense[:, 1])
    dense[:, 1] = dense[:, 0] * seen  # the same cell, but for what is missing
    context = Folds(with_calls(table, dense), 1).context(0)
    weights = context.weights.toarray()
    assert (np.count_nonzero(weights, axis=1) == 1).all()
    assert weights[0].argmax() == 1
    assert weights[1].argmax() == 0
    assert context.weights.nnz == 6
