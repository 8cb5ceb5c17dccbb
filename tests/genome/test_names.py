import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.errors import GenomeError
from deepcpg_tf.genome.names import (
    common_name,
    find_name,
    names_without_chr,
    natural_order,
    shown_names,
)

SAME = [("1", "chr1"), ("X", "chrX"), ("M", "MT", "chrM", "chrMT"), ("GL456210.1", "chrGL456210.1")]
NAMES = [name for names in SAME for name in names]


@pytest.mark.parametrize("names", SAME)
def test_each_name_of_a_chromosome_finds_every_other(names):
    for asked in names:
        for known in names:
            assert find_name(asked, [known, "7"]) == known
            assert common_name(asked) == common_name(known)


@given(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)))
def test_what_is_found(asked, known):
    same = next(names for names in SAME if asked in names)
    meant = known & set(same)
    if asked in known:
        assert find_name(asked, known) == asked
    elif len(meant) > 1:
        with pytest.raises(GenomeError, match=f"chromosome '{asked}': expected .* one chromosome"):
            find_name(asked, known)
    else:
        assert find_name(asked, known) == (meant.pop() if meant else None)


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        *[("x", "X"), ("CHR1", "1"), ("Chr1", "chr1"), ("chrchr1", "chr1"), ("chr1", "chrchr1")],
        *[("01", "1"), ("mt", "MT"), ("chrMito", "MT"), ("1", "11"), ("", "chr1"), ("23", "X")],
    ],
)
def test_nothing_else_is_the_same(asked, known):
    assert find_name(asked, [known]) is None


def test_an_ambiguous_name_tells_what_it_may_mean():
    with pytest.raises(GenomeError, match=r"^chromosome 'chrM': .* that may mean M or MT$"):
        find_name("chrM", ["1", "MT", "M"])


def test_chr_is_taken_away_where_names_stay_apart():
    assert names_without_chr(["chr1", "chrM", "MT", "un"]) == ["1", "M", "MT", "un"]
    assert names_without_chr(["1", "chr1", "chrX"]) == ["1", "chr1", "X"]


def test_natural_order():
    names = ["X", "chr10", "chr2", "HLA.1", "1", "MT"]
    assert sorted(names, key=natural_order) == ["1", "chr2", "chr10", "HLA.1", "MT", "X"]


def test_many_names_are_counted():
    assert shown_names(["1", "2"]) == "1, 2"
    assert shown_names([str(i) for i in range(7)]) == "0, 1, 2, 3, 4, … (7 in all)"
    assert shown_names(["1", "2" * 100]) == f"1, {'2' * 60}…"
