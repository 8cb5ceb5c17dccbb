from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from benchmarks.camelia import FEATURES, SIDE, CameliaFeatures
from benchmarks.hiding import hide_entries
from benchmarks.predictors import (
    Camelia,
    CellMean,
    Local,
    Module,
    OtherCells,
    OwnNeighbours,
    Unseen,
    table_path,
)
from deepcpg_tf import TrainingSettings
from tests.benchmarks.tables import make_table

TABLE = make_table(sites=150, observed=0.6)
TRAIN, VALIDATION, TEST = (np.flatnonzero(TABLE.chromosome_ids == i) for i in range(3))


def changed(table, site, cell, call):
    calls = table.calls.toarray()
    calls[site, cell] = call
    return replace(table, calls=scipy.sparse.csr_array(calls))


@pytest.fixture(scope="module")
def places():
    """Some observed entries of the test."""
    hidden = hide_entries(TABLE, TEST)
    chosen = np.random.default_rng(0).choice(len(hidden.sites), 12, replace=False)
    return [(int(hidden.sites[i]), int(hidden.cells[i])) for i in chosen]


def fitted(predictor):
    predictor.fit(TABLE, TRAIN, VALIDATION, 0)
    return predictor


def check_blind(predictor, places):
    """Neither the other state nor none at all changes what is predicted of an entry."""
    before = predictor.predict(TABLE, TEST)
    assert before.shape == (len(TEST), len(TABLE.cells))
    assert (before >= 0).all()
    assert (before <= 1).all()
    for site, cell in places:
        call = TABLE.calls[site, cell]
        for other in (-call, 0):
            after = predictor.predict(changed(TABLE, site, cell, other), TEST)
            assert after[site - TEST[0], cell] == before[site - TEST[0], cell]


@pytest.mark.parametrize("kind", [CellMean, OtherCells, OwnNeighbours])
def test_an_entry_does_not_tell_itself(kind, places):
    predictor = fitted(kind())
    check_blind(predictor, places)


def test_others_are_told(places):
    """What must change does: the same state seen from another cell, or from another site."""
    site, cell = places[0]
    flipped = changed(TABLE, site, cell, -TABLE.calls[site, cell])
    at = site - TEST[0]
    by_others, by_own = fitted(OtherCells()), fitted(OwnNeighbours())
    others = by_others.predict(flipped, TEST) != by_others.predict(TABLE, TEST)
    assert others[at].sum() == len(TABLE.cells) - 1
    assert others.sum() == len(TABLE.cells) - 1
    own = by_own.predict(flipped, TEST) != by_own.predict(TABLE, TEST)
    assert own[:, cell].sum() > 4
    assert own.sum() == own[:, cell].sum()


def test_means_by_hand():
    calls = TABLE.calls.toarray()
    trained = calls[TRAIN]
    means = (trained > 0).sum(axis=0) / (trained != 0).sum(axis=0)
    np.testing.assert_allclose(fitted(CellMean()).predict(TABLE, TEST)[0], means, rtol=1e-6)
    found = fitted(OtherCells()).predict(TABLE, TEST)
    for at, site in enumerate(TEST[:20]):
        for cell in range(len(TABLE.cells)):
            others = np.delete(calls[site], cell)
            expected = ((others > 0).sum() + means[cell]) / ((others != 0).sum() + 1)
            assert found[at, cell] == pytest.approx(expected, rel=1e-6)


def entries_of(table):
    sites = np.repeat(np.arange(len(table)), len(table.cells))
    return sites, np.tile(np.arange(len(table.cells)), len(table))


def test_camelia_features_do_not_read_the_entry(places):
    sites, cells = entries_of(TABLE)
    before = CameliaFeatures(TABLE).of(sites, cells)
    assert before.shape == (len(sites), FEATURES)
    for site, cell in places:
        own = (sites == site) & (cells == cell)
        for call in (-TABLE.calls[site, cell], 0):
            after = CameliaFeatures(changed(TABLE, site, cell, call)).of(sites, cells)
            np.testing.assert_array_equal(after[own], before[own])
            # Those of others do change, the cell's own and those of the other cells.
            assert not np.array_equal(after[cells == cell], before[cells == cell], equal_nan=True)


def test_camelia_features_by_hand():
    """By the definition, entry by entry."""
    sites, cells = entries_of(TABLE)
    found = CameliaFeatures(TABLE).of(sites, cells)
    calls, n = TABLE.calls.toarray(), len(TABLE.cells)
    checked = np.zeros(2, int)
    for site in np.flatnonzero(TABLE.chromosome_ids == 1)[::7]:
        within = np.flatnonzero(TABLE.chromosome_ids == TABLE.chromosome_ids[site])
        for cell in range(n):
            row = found[site * n + cell]
            seen = within[calls[within, cell] != 0]
            near = np.append(seen[seen < site][-SIDE:], seen[seen > site][:SIDE])
            if min((near < site).sum(), (near > site).sum()) < SIDE:
                assert np.isnan(row[: 2 * SIDE]).all()
            else:
                distance = np.abs(TABLE.positions[near] - TABLE.positions[site])
                state = (calls[near, cell] > 0).astype(float)
                expected = np.log2(state + 1.01) * (1 - distance / distance.max())
                np.testing.assert_allclose(row[: 2 * SIDE], expected, rtol=1e-5, atol=1e-7)
                checked[0] += 1
            terms = []
            for other in range(n):
                if other == cell or calls[site, other] == 0:
                    continue
                both = within[(calls[within, cell] != 0) & (calls[within, other] != 0)]
                left, right = both[both < site][-SIDE:], both[both > site][:SIDE]
                if len(left) == len(right) == SIDE:
                    around = np.append(left, right)
                    share = (calls[around, cell] == calls[around, other]).mean()
                    if share >= 0.8:
                        terms.append(share * np.log2((calls[site, other] > 0) + 1.01))
            if terms:
                assert row[-1] == pytest.approx(np.mean(terms), rel=1e-5)
                checked[1] += 1
            else:
                assert np.isnan(row[-1])
    assert (checked > 20).all()


def test_camelia(places):
    pytest.importorskip("catboost")
    check_blind(fitted(Camelia(trees=5)), places[:2])


def test_the_local_module_does_not_read_the_entry(places, tmp_path):
    settings = TrainingSettings.of_module("local", epochs=1, batch_size=64)
    local = Local(tmp_path, settings, without=["similar"])
    local.fit(TABLE, TRAIN, VALIDATION, 0)
    assert "similar_mean" not in local.model.config.feature_names
    before = local.predict(TABLE, TEST)
    for site, cell in places[:5]:
        at = site - TEST[0]
        call = TABLE.calls[site, cell]
        flipped = local.predict(changed(TABLE, site, cell, -call), TEST)
        assert flipped[at, cell] == before[at, cell]
        # Of a site less, the sums of others are rounded otherwise.
        hidden = local.predict(changed(TABLE, site, cell, 0), TEST)
        np.testing.assert_allclose(hidden[at, cell], before[at, cell], atol=2e-5)


def test_cells_never_seen_are_predicted_by_a_network_of_others(monkeypatch, tmp_path):
    class Seen:
        def __init__(self, folder):
            pass

        def fit(self, table, train_sites, validation_sites, seed):
            self.table, self.seed = table, seed

        def predict(self, table, sites):
            known = [table.cells.index(cell) for cell in self.table.cells]
            np.testing.assert_array_equal(
                self.table.calls.toarray(), table.calls.toarray()[:, known]
            )
            assert self.seed == 3
            return np.tile(~np.isin(table.cells, self.table.cells), (len(sites), 1))

    monkeypatch.setattr("benchmarks.predictors.Local", Seen)
    unseen = Unseen(tmp_path, parts=3)
    unseen.fit(TABLE, TRAIN, VALIDATION, 3)
    assert len(unseen._trained) == 3
    np.testing.assert_array_equal(unseen.predict(TABLE, TEST), 1)


def test_each_table_has_a_file_of_its_own(tmp_path):
    one = table_path(TABLE, tmp_path)
    assert table_path(replace(TABLE), tmp_path) == one
    (site, *_), (cell, *_) = TABLE.calls.nonzero()
    assert table_path(changed(TABLE, site, cell, 0), tmp_path) != one


def test_a_module_does_not_read_the_site(places, tmp_path):
    settings = TrainingSettings(epochs=1, batch_size=64, class_weights=False)
    module = Module(tmp_path, settings, architecture="FcAvg", neighbours=4, max_distance=1000)
    module.fit(TABLE, TRAIN, VALIDATION, 0)
    check_blind(module, places[:3])
