from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest

from deepcpg_tf.genome.sequence import decode, encode
from deepcpg_tf.variants.shuffles import dinucleotide_shuffles, shuffled_windows
from tests.reference import random_windows


def pairs(row):
    return Counter(pairwise(row.tolist()))


def windows(n=20, length=101):
    """Codes, a tenth of them N, a site in the middle of each."""
    result = random_windows(n, length)
    result[:, length // 2 : length // 2 + 2] = encode("CG")
    result[:10, : length // 2] %= 4  # some without N on the left
    return result


def test_dinucleotides_n_and_the_site_stay():
    given = windows()
    shuffled = shuffled_windows(given, 7)
    assert shuffled.shape == (20, 7, 101)
    assert shuffled.dtype == np.uint8
    for window, rows in zip(given, shuffled, strict=True):
        for row in rows:
            assert pairs(row) == pairs(window)
            np.testing.assert_array_equal(row == 4, window == 4)
            assert decode(row[50:52]) == "CG"
    long = shuffled[:10, :, :50]
    assert (long != given[:10, None, :50]).mean() > 0.5
    assert len(np.unique(long[0], axis=0)) == 7


def test_a_window_without_a_site_is_shuffled_across_its_middle():
    given = windows()[:1] % 4
    given[:, 50:52] = encode("AT")
    assert (shuffled_windows(given, 50)[0, :, 50] != 0).any()


def test_a_window_has_its_shuffles_wherever_it_is():
    given = windows()
    whole = shuffled_windows(given, 3, seed=5)
    np.testing.assert_array_equal(whole[4:6], shuffled_windows(given[4:6], 3, seed=5))
    assert (whole != shuffled_windows(given, 3, seed=6)).any()


@pytest.mark.parametrize("text", ["AACAGCA", "ACACCATA", "AAAB", "ABABCACB", "AABBABCAB"])
def test_all_sequences_are_drawn_alike(text):
    """Chi-squared of 60 draws for each, against all sequences there are."""
    given = np.array([*map(ord, text)])
    others = set(permutations(given.tolist()))
    want = {one for one in others if Counter(pairwise(one)) == pairs(given)}
    want = {one for one in want if (one[0], one[-1]) == (given[0], given[-1])}
    number = 60 * len(want)
    drawn = dinucleotide_shuffles(given, number, np.random.default_rng(1))
    seen = Counter(tuple(row) for row in drawn.tolist())
    assert seen.keys() == want
    free = len(want) - 1
    chi = sum((count - 60) ** 2 / 60 for count in seen.values())
    assert chi <= free + 5 * np.sqrt(2 * free)


@pytest.mark.parametrize("text", ["", "A", "AC", "ACG", "AAAAAAAA", "ACGT"])
def test_what_has_one_order_only(text):
    given = np.array([*map(ord, text)], np.uint8)
    drawn = dinucleotide_shuffles(given, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, [given, given])
    assert drawn.dtype == np.uint8
