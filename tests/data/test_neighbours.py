import dataclasses

import h5py
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.data.neighbours import NeighbourReader, state_means
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import Reference
from deepcpg_tf.errors import TableError
from deepcpg_tf.workflows.tables import build_table
from tests.conftest import DATA

RUN = DATA / "original-run"


@pytest.fixture(scope="module")
def run_table():
    return build_table(
        [RUN / "cpg" / f"{c}" for c in ("c1.tsv", "c2.tsv", "c3.tsv.gz")], RUN / "dna"
    )


@pytest.mark.parametrize("path", sorted((RUN / "data").iterdir()), ids=lambda path: path.stem)
def test_equal_to_the_original(run_table, path):
    """What dcpg_data.py wrote of the same profiles."""
    reader = NeighbourReader(run_table, DeepCpgCpgConfig(cells=run_table.cells, neighbours=10))
    with h5py.File(path) as file:
        names, ids = np.unique(file["chromo"][()].astype(str), return_inverse=True)
        sites = SiteColumns(names.tolist(), ids.astype(np.int32), file["pos"][()].astype(int) - 1)
        group = file["inputs/cpg"]
        state = np.stack([group[cell]["state"][()] for cell in run_table.cells], axis=1)
        dist = np.stack([group[cell]["dist"][()] for cell in run_table.cells], axis=1)
    found = reader.arrays(sites)
    there = state >= 0
    assert there.mean() > 0.9
    np.testing.assert_array_equal(found["state"][there], state[there])
    scaled = (dist[there] / np.float32(25_000)).clip(max=1)
    np.testing.assert_allclose(found["dist"][there], scaled, rtol=1e-6)
    means = np.broadcast_to(np.array(state_means(run_table, run_table.cells))[:, None], there.shape)
    np.testing.assert_allclose(found["state"][~there], means[~there], rtol=1e-6)
    assert (found["dist"][~there] == 1).all()
    reader.reads.check(found)


def table_of(labels, positions, chromosome_ids=None):
    """A table of labels [sites, cells]."""
    calls = np.where(labels < 0, 0, np.where(labels > 0, 1, -1)).astype(np.int8)
    ids = np.zeros(len(positions), np.int32) if chromosome_ids is None else chromosome_ids
    return MethylationTable(
        tuple(f"c{i}" for i in range(labels.shape[1])),
        tuple(f"chr{i + 1}" for i in range(int(ids.max(initial=0)) + 1)),
        ids.astype(np.int32),
        np.asarray(positions, np.int64),
        scipy.sparse.csr_array(calls),
        Reference("x.fa", ""),
    )


def sites_of(table):
    return SiteColumns(table.chromosomes, table.chromosome_ids, table.positions)


def by_definition(table, config, site):
    """State and distance of one site, a cell and a side at a time."""
    chromosome, position = table.chromosome_ids[site], table.positions[site]
    labels = table.labels(np.arange(len(table)))
    means = state_means(table, table.cells)
    side = config.neighbours // 2
    state, dist = [], []
    for cell in range(len(table.cells)):
        observed = (table.chromosome_ids == chromosome) & (labels[:, cell] >= 0)
        left = np.flatnonzero(observed & (table.positions < position))[-side:]
        right = np.flatnonzero(observed & (table.positions > position))[:side]
        empty_left, empty_right = side - len(left), side - len(right)
        near = [*left, *right]
        bases = [abs(table.positions[i] - position) for i in near]
        shares = [min(base, config.max_distance) / config.max_distance for base in bases]
        state.append(
            [means[cell]] * empty_left
            + [labels[i, cell] for i in near]
            + [means[cell]] * empty_right
        )
        dist.append([1.0] * empty_left + shares + [1.0] * empty_right)
    return np.array(state, np.float32), np.array(dist, np.float32)


@given(st.data())
def test_the_definition(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 16)))
    sites, cells = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 4))
    ids = np.sort(rng.integers(0, 3, sites))
    positions = np.concatenate(
        [np.sort(rng.choice(4000, (ids == i).sum(), replace=False)) for i in range(3)]
    )
    table = table_of(rng.integers(-1, 2, (sites, cells)), positions, ids)
    config = DeepCpgCpgConfig(
        cells=table.cells, neighbours=2 * data.draw(st.integers(1, 5)), max_distance=1000
    )
    found = NeighbourReader(table, config).arrays(sites_of(table))
    for site in range(sites):
        state, dist = by_definition(table, config, site)
        np.testing.assert_allclose(found["state"][site], state, rtol=1e-6)
        np.testing.assert_allclose(found["dist"][site], dist, rtol=1e-6)


def test_a_sites_own_label_does_not_leak():
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 2, (60, 3))
    table = table_of(labels, np.sort(rng.choice(9000, 60, replace=False)))
    config = DeepCpgCpgConfig(cells=table.cells, neighbours=8, state_means=(0.5, 0.25, 0.75))
    before = NeighbourReader(table, config).arrays(sites_of(table))
    for site in range(0, 60, 7):
        for value in (-1, 0, 1):
            changed = labels.copy()
            changed[site] = value
            after = NeighbourReader(table_of(changed, table.positions), config).arrays(
                sites_of(table)
            )
            for name in ("state", "dist"):
                np.testing.assert_array_equal(after[name][site], before[name][site])
    flipped = labels.copy()
    flipped[30] = 1 - np.maximum(labels[30], 0)
    after = NeighbourReader(table_of(flipped, table.positions), config).arrays(sites_of(table))
    assert (after["state"][29] != before["state"][29]).any(), "a neighbour's label is read"


def test_the_origin_is_all_that_is_read():
    labels = np.array([[1, 0], [-1, 1], [0, -1]])
    table = table_of(labels, [100, 200, 300])
    config = DeepCpgCpgConfig(cells=table.cells, state_means=(0.5, 0.25))

    def origin(table, config=config):
        origins = NeighbourReader(table, config).origins(["chr1"])
        assert list(origins) == ["neighbours"]
        return origins["neighbours"]

    others = [
        table_of(np.where(labels == 0, 1, labels), table.positions),
        table_of(np.maximum(labels, 0), table.positions),
        table_of(labels, [100, 200, 301]),
        table_of(labels, table.positions, np.array([0, 0, 1])),
    ]
    changed = [origin(one) for one in others]
    changed.append(origin(table, dataclasses.replace(config, state_means=(0.5, 0.5))))
    assert len({origin(table), *changed}) == 6
    assert origin(table_of(labels, table.positions)) == origin(table)


def test_sites_that_the_table_lacks():
    table = table_of(np.array([[1], [0]]), [100, 200])
    config = DeepCpgCpgConfig(cells=("c0",), neighbours=4, max_distance=1000)
    sites = SiteColumns(("chr1", "chrX"), np.array([0, 1], np.int32), np.array([150, 150]))
    found = NeighbourReader(table, config).arrays(sites)
    half = [0.5] * 4
    np.testing.assert_allclose(found["state"][:, 0], np.array([[0.5, 1, 0, 0.5], half]))
    np.testing.assert_allclose(found["dist"][:, 0], np.array([[1, 0.05, 0.05, 1], [1] * 4]))


def test_means_and_order_are_those_of_the_configuration():
    table = table_of(np.array([[1, 0], [-1, 0]]), [100, 200])
    config = DeepCpgCpgConfig(
        cells=("c0", "c1"), input_cells=("c1", "c0"), neighbours=2, state_means=(0.1, 0.9)
    )
    found = NeighbourReader(table, config).arrays(sites_of(table))
    np.testing.assert_allclose(found["state"][0], np.array([[0.1, 0], [0.9, 0.9]]))
    assert state_means(table, ("c1", "c0")) == (0.0, 1.0)
    assert state_means(table_of(np.full((2, 1), -1), [1, 2]), ("c0",)) == (0.5,)


def test_a_cell_without_observations():
    table = table_of(np.full((3, 1), -1), [1, 5, 9])
    found = NeighbourReader(table, DeepCpgCpgConfig(cells=("c0",))).arrays(sites_of(table))
    assert (found["state"] == 0.5).all()
    assert (found["dist"] == 1).all()


def test_more_cells_and_chromosomes_than_keys():
    cells, chromosomes = (1 << 13) + 1, 1 << 14
    table = table_of(np.zeros((2, cells), int), [1, 1], np.array([0, chromosomes - 1]))
    with pytest.raises(TableError, match="at most 134,217,728 cells times chromosomes, .* 8,193 c"):
        NeighbourReader(table, DeepCpgCpgConfig(cells=table.cells))


def test_a_cell_that_the_table_lacks():
    table = table_of(np.array([[1]]), [100])
    with pytest.raises(TableError, match="neighbours the model reads, c0, d, found none called d"):
        NeighbourReader(table, DeepCpgCpgConfig(cells=("c0", "d")))
