import numpy as np
import pytest

from benchmarks.hiding import check_split, draw_sites, hide_alone, hide_entries, hide_stretches
from deepcpg_tf.data.splits import Split, chromosome_split
from deepcpg_tf.errors import SplitError
from tests.benchmarks.tables import make_table

TABLE = make_table()
TEST = np.flatnonzero(TABLE.chromosome_ids == 2)


def test_entries_are_all_that_is_observed_with_the_other_cells_counted():
    hidden = hide_entries(TABLE, TEST)
    calls = TABLE.calls.toarray()
    assert hidden.table is TABLE
    found = set(zip(hidden.sites.tolist(), hidden.cells.tolist(), strict=True))
    rows, cells = np.nonzero(calls[TEST])
    assert found == set(zip((TEST[rows]).tolist(), cells.tolist(), strict=True))
    np.testing.assert_array_equal(hidden.truth, calls[hidden.sites, hidden.cells] > 0)
    observed = (calls != 0).sum(axis=1)
    np.testing.assert_array_equal(hidden.others, observed[hidden.sites] - 1)


def test_stretches_are_runs_of_a_cell_and_are_taken_out():
    run = 5
    hidden = hide_stretches(TABLE, TEST, run=run, one_of=4, seed=1)
    before, after = TABLE.calls.toarray(), hidden.table.calls.toarray()
    is_hidden = np.zeros(before.shape, bool)
    is_hidden[hidden.sites, hidden.cells] = True
    assert 0.1 < is_hidden.sum() / np.count_nonzero(before[TEST]) < 0.4
    assert not after[is_hidden].any()
    assert before[is_hidden].all()
    np.testing.assert_array_equal(after[~is_hidden], before[~is_hidden])
    assert set(TABLE.chromosome_ids[hidden.sites]) == {2}
    np.testing.assert_array_equal(hidden.truth, before[hidden.sites, hidden.cells] > 0)
    np.testing.assert_array_equal(hidden.others, (after != 0).sum(axis=1)[hidden.sites])
    for cell in range(len(TABLE.cells)):
        of_cell = is_hidden[TEST, cell][before[TEST, cell] != 0]
        bounds = np.flatnonzero(np.diff(of_cell.astype(int))) + 1
        lengths = [len(part) for part in np.split(of_cell, bounds) if part[0]]
        # Those at the ends of the chromosome may be cut short.
        assert all(length % run == 0 for length in lengths[1:-1])
    again = hide_stretches(TABLE, TEST, run=run, one_of=4, seed=1)
    np.testing.assert_array_equal(again.sites, hidden.sites)


def test_a_random_split_is_no_test():
    split = chromosome_split(TABLE, train=["chr1"], validation=["chr2"], test=["chr3"])
    check_split(TABLE, split)
    parts = np.array_split(np.random.default_rng(0).permutation(len(TABLE)), 3)
    with pytest.raises(SplitError, match="in both train and validation; .* leaks: not a test"):
        check_split(TABLE, Split(*map(np.sort, parts)))
    with pytest.raises(SplitError, match="chr3 in both train and test"):
        check_split(TABLE, Split(np.append(split.train, TEST[0]), split.validation, TEST[1:]))


def test_sites_are_drawn_with_about_as_many_entries():
    train = np.flatnonzero(TABLE.chromosome_ids == 0)
    drawn = draw_sites(TABLE, train, 100, 0)
    held = TABLE.calls[drawn].nnz
    assert 100 <= held < 100 + len(TABLE.cells)
    assert set(drawn) <= set(train)
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(draw_sites(TABLE, train, 1e9, 0), train)


def test_the_entries_of_stretches_alone():
    stretches = hide_stretches(TABLE, TEST, one_of=4)
    alone, all_ = hide_alone(TABLE, stretches), hide_entries(TABLE, TEST)
    assert alone.table is TABLE
    of_all = {
        (site, cell): (truth, others)
        for site, cell, truth, others in zip(
            *(a.tolist() for a in (all_.sites, all_.cells, all_.truth, all_.others)), strict=True
        )
    }
    assert 0 < len(alone.sites) < len(all_.sites)
    for site, cell, *told in zip(*(a.tolist() for a in alone[1:]), strict=True):
        assert tuple(told) == of_all[site, cell]
    assert (alone.others >= stretches.others).all()
