from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.data.splits import (
    chromosome_split,
    count_sites,
    fraction_split,
    published_split,
)
from deepcpg_tf.errors import SplitError


class Sites(NamedTuple):
    chromosomes: tuple
    chromosome_ids: np.ndarray


def make(**counts):
    """Sites with so many of them on each chromosome."""
    ids = np.repeat(np.arange(len(counts), dtype=np.int32), list(counts.values()))
    return Sites(tuple(counts), ids)


def chromosomes(sites, split):
    """Return the chromosomes of each part, having checked that each is whole."""
    result = []
    for indices in split:
        assert indices.dtype == np.int64
        ids = set(sites.chromosome_ids[indices].tolist())
        whole = np.flatnonzero(np.isin(sites.chromosome_ids, list(ids)))
        assert indices.tolist() == whole.tolist()
        result.append([sites.chromosomes[i] for i in sorted(ids)])
    return result


MOUSE = make(**{f"chr{name}": 2 for name in [*range(1, 20), "X", "Y", "M"]})


def test_published():
    assert chromosomes(MOUSE, published_split(MOUSE)) == [
        [f"chr{i}" for i in (1, 3, 5, 7, 9, 11)],
        [f"chr{i}" for i in (*range(13, 20), "X", "Y", "M")],
        [f"chr{i}" for i in (2, 4, 6, 8, 10, 12)],
    ]


def test_published_names_without_chr():
    sites = make(**{"1": 1, "2": 3, "X": 2})
    assert [part.tolist() for part in published_split(sites)] == [[0], [4, 5], [1, 2, 3]]


def test_published_on_data_without_a_part():
    sites = make(chr1=1, chr13=2)
    with pytest.raises(SplitError, match="test: expected sites, received none: .* chr1, chr13"):
        published_split(sites)
    split = published_split(sites, parts=("train", "validation"))
    assert [part.tolist() for part in split] == [[0], [1, 2], []]


def test_lists():
    split = chromosome_split(MOUSE, train=["1", "chr3", "3"], validation=["MT"], test=["chrX"])
    assert chromosomes(MOUSE, split) == [["chr1", "chr3"], ["chrM"], ["chrX"]]


@pytest.mark.parametrize("asked", ["M", "MT", "chrM", "chrMT"])
@pytest.mark.parametrize("known", ["M", "MT", "chrM", "chrMT"])
def test_the_mitochondrion(known, asked):
    sites = make(**{"1": 1, known: 1})
    assert chromosomes(sites, chromosome_split(sites, test=[asked])) == [[], [], [known]]


def test_a_name_that_may_be_one_of_two():
    sites = make(M=1, MT=1)
    assert chromosomes(sites, chromosome_split(sites, test=["MT"])) == [[], [], ["MT"]]
    with pytest.raises(SplitError, match="test: chromosome 'chrM': .* may mean M or MT"):
        chromosome_split(sites, test=["chrM"])


def test_a_part_may_be_left_out():
    split = chromosome_split(MOUSE, train=["1"], test=["2"])
    assert chromosomes(MOUSE, split) == [["chr1"], [], ["chr2"]]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train": ["1"], "test": ["chr1"]}, "test: .* received 'chr1', which is in train"),
        ({"train": ["1"], "validation": ["23"]}, "validation: .*chr1, chr2, .* received '23'"),
        ({}, "at least one part, received none"),
    ],
)
def test_lists_that_cannot_be(lists, message):
    with pytest.raises(SplitError, match=message):
        chromosome_split(MOUSE, **lists)


def test_a_chromosome_whose_sites_are_gone():
    sites = Sites(("1", "2"), np.array([0, 0], np.int32))
    with pytest.raises(SplitError, match="test: expected sites, received none"):
        chromosome_split(sites, train=["1"], test=["2"])


@pytest.mark.parametrize(
    ("counts", "fractions", "expected"),
    [
        # In tens of sites. 60, 20, 20 are lacking; a to train leaves 10, 20, 20; b to
        # validation, -10; c to test.
        ({"a": 50, "b": 30, "c": 20}, (0.6, 0.2, 0.2), "a/b/c"),
        # a to train leaves 20, 20, 20; two are left for the two parts that are empty.
        ({"a": 40, "b": 35, "c": 25}, (0.6, 0.2, 0.2), "a/b/c"),
        # b, the largest, to train: 30 of its 70 lacking, and 15 and 15; c too; then a, the
        # first of two equal ones, to validation and d to test.
        ({"a": 15, "b": 40, "c": 30, "d": 15}, (0.7, 0.15, 0.15), "bc/a/d"),
        # Two parts: a to train: 50 - 40 = 10, 50; b to test: 10, 20; c to test: 10, 0.
        ({"a": 40, "b": 30, "c": 20, "d": 10}, (0.5, 0, 0.5), "ad//bc"),
        ({"a": 5}, (0, 0, 1), "//a"),
        ({"a": 0, "b": 2, "c": 1}, (0.5, 0, 0.5), "b//c"),
    ],
)
def test_fractions(counts, fractions, expected):
    sites = make(**counts)
    found = chromosomes(sites, fraction_split(sites, fractions))
    assert "/".join("".join(part) for part in found) == expected


@given(
    st.lists(st.integers(1, 50), min_size=3, max_size=12),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
)
def test_any_fractions(counts, weights):
    sites = make(**{f"c{i}": count for i, count in enumerate(counts)})
    shares = np.array(weights) / sum(weights)
    split = fraction_split(sites, shares)
    parts = chromosomes(sites, split)
    assert all(parts)
    assert sorted(name for part in parts for name in part) == sorted(sites.chromosomes)
    if len(counts) > 6 and max(counts) < 2 * min(counts):
        for part, share in zip(split, shares, strict=True):
            assert abs(len(part) - share * sum(counts)) <= 2 * max(counts)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.5, 0.5), "expected three, .* received 0.5, 0.5"),
        ((0.5, 0.5, 0.5), "with the sum 1, received 0.5, 0.5, 0.5"),
        ((1.5, -0.5, 0), "from 0 to 1 .* received 1.5, -0.5, 0"),
        ((), "expected three, .* received none"),
    ],
)
def test_fractions_that_cannot_be(fractions, message):
    with pytest.raises(SplitError, match=message):
        fraction_split(MOUSE, fractions)


def test_fewer_chromosomes_than_parts():
    with pytest.raises(SplitError, match="at least 3 chromosomes, .* received 2"):
        fraction_split(make(a=3, b=2), (0.6, 0.2, 0.2))


def test_counts():
    sites = make(a=4, b=3, c=2, d=1)
    rows = count_sites(sites, chromosome_split(sites, train=["d", "b"], test=["a"]))
    assert rows == [("b", "train", 3), ("d", "train", 1), ("a", "test", 4), ("c", "unused", 2)]
