import numpy as np
import pytest

from deepcpg_tf.errors import InputError
from deepcpg_tf.genome.intervals import NamedIntervals
from deepcpg_tf.regions.places import (
    SCALES,
    Blocks,
    bin_size,
    bins_of,
    chunks,
    intervals_of,
    runs_of,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("500", 500), ("10kb", 10_000), ("1Mb", 1_000_000), ("7 ".strip(), 7), ("2MB", 2_000_000)],
)
def test_sizes_of_bins(text, size):
    assert bin_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0kb", "10k", "1.5kb", "-1", "kb", "1e3", "1 kb x"])
def test_no_sizes_of_bins(text):
    with pytest.raises(InputError, match="^bins: expected a size as 500, 10kb or 1Mb, received"):
        bin_size(text)


def test_bins():
    places = bins_of(np.array([0, 99, 100, 350, 399]), 100)
    assert places.starts.tolist() == [0, 100, 300]
    assert places.ends.tolist() == [100, 200, 400]
    assert list(zip(places.firsts.tolist(), places.lasts.tolist(), strict=True)) == [
        (0, 2),
        (2, 3),
        (3, 5),
    ]


def test_intervals_that_overlap_lie_apart_or_have_no_site():
    intervals = NamedIntervals(
        np.array([0, 5, 6, 20, 30]), np.array([10, 8, 30, 20, 40]), tuple("abcde")
    )
    places = intervals_of(np.array([5, 7, 10, 29]), intervals)
    assert places.names == ("a", "b", "c")
    assert places.firsts.tolist() == [0, 0, 1]
    assert places.lasts.tolist() == [2, 2, 4]


def random_places(rng, positions):
    starts = np.sort(rng.integers(0, positions[-1], 30))
    ends = starts + rng.integers(0, 30_000, 30)
    return intervals_of(positions, NamedIntervals(starts, ends, ("",) * 30))


@pytest.mark.parametrize("places", ["bins", "intervals"])
def test_sums_by_blocks_are_those_over_pairs_of_sites(places):
    rng = np.random.default_rng(0)
    positions = np.sort(rng.choice(100_000, 400, replace=False))
    own = bins_of(positions, 7_000) if places == "bins" else random_places(rng, positions)
    blocks = Blocks(positions[own.firsts.min() :], own, int(own.firsts.min()))
    one, other = rng.random((2, len(positions), 3))
    rows = [values[own.firsts.min() :][blocks.rows] for values in (one, other)]
    found = blocks.products(blocks.nested(rows[0]), blocks.nested(rows[1]))
    sums = blocks.sums(rows[0])
    for region, (first, last) in enumerate(zip(own.firsts, own.lasts, strict=True)):
        part = slice(first, last)
        np.testing.assert_allclose(sums[region], one[part].sum(axis=0))
        for scale, size in enumerate((*SCALES, 10**9)):
            block = positions[part] // size
            together = block[:, None] == block
            expected = np.einsum("ic,jc,ij->c", one[part], other[part], together)
            np.testing.assert_allclose(found[scale, region], expected)


def test_runs_have_all_regions_once_and_so_many_sites():
    rng = np.random.default_rng(1)
    positions = np.sort(rng.choice(100_000, 900, replace=False))
    for places in (bins_of(positions, 1_000), random_places(rng, positions)):
        runs = list(runs_of(places, 50))
        assert np.concatenate([run.starts for run in runs]).tolist() == places.starts.tolist()
        for run in runs:
            assert len(run) == 1 or (run.lasts - run.firsts).sum() <= 100
            assert len(run) == 1 or run.lasts.max() - run.firsts.min() <= 50


def test_chunks():
    assert list(chunks(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(chunks(0, 2)) == []
