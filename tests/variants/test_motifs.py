"""Motifs of filters, by the rules of the original written out over all activations at once."""

import numpy as np
import pytest

from deepcpg_tf.genome.sequence import encode, one_hot
from deepcpg_tf.variants.filters import Filters
from deepcpg_tf.variants.meme import meme_text, stats_text
from deepcpg_tf.variants.motifs import (
    FEWEST,
    ActivationStatistics,
    KmerCounts,
    filter_motifs,
    thresholds_of,
)
from tests.tolerances import FLOAT64, UNIT

ACGT = [0, 3, 2, 1]


def drawn(width=11, count=6, length=61, windows=300, seed=0):
    """Draw filters and windows; weights are so few that activations are often equal."""
    rng = np.random.default_rng(seed)
    kernel = rng.integers(-2, 3, (width, 4, count)).astype(np.float32) / 4
    bias = rng.integers(-4, 1, count).astype(np.float32) / 4
    return Filters(kernel, bias), kernel, bias, rng.integers(0, 4, (windows, length), np.uint8)


def all_activations(kernel, bias, windows):
    """Return [n, positions, filters], exactly: weights are quarters."""
    rows = np.lib.stride_tricks.sliding_window_view(one_hot(windows), len(kernel), axis=1)
    return np.maximum(np.einsum("npck,kcf->npf", rows, kernel) + bias, 0)


def in_parts(windows, size):
    return [windows[i : i + size] for i in range(0, len(windows), size)]


def original(values, windows, width, most):
    """Return the k-mers of one filter [n, positions], as the original picks them."""
    length, positions = windows.shape[1], values.shape[1]
    left = (length - positions) // 2
    windows = windows[:, left : left + positions]
    halfway = 0.5 * (values - values.mean()).max() + values.mean()
    most = min(most, values.size)
    threshold = max(halfway, np.percentile(values, (1 - most / values.size) * 100))
    kmers = []
    for i, j in np.argwhere(values >= np.float32(threshold)):
        if width // 2 <= j <= positions - width - 1:
            kmers.append(windows[i, j - width // 2 : j - width // 2 + width])
    return np.array(kmers)


@pytest.mark.parametrize("width", [11, 8, 3, 1])
def test_activations_are_those_of_the_convolution(width):
    filters, kernel, bias, windows = drawn(width)
    windows[::7, ::5] = 4
    found = np.stack([own.copy() for own in filters.activations(windows)], axis=-1)
    assert np.array_equal(found, all_activations(kernel, bias, windows))


def test_the_same_bases_give_the_same_bits():
    rng = np.random.default_rng(0)
    filters = Filters(rng.normal(size=(11, 4, 3)), rng.normal(size=3))
    windows = np.tile(rng.integers(0, 4, 20, np.uint8), 40)[None, :701]
    for (values,) in filters.activations(windows):
        assert np.array_equal(values[20:], values[:-20])


@pytest.mark.parametrize("width", [11, 8])
@pytest.mark.parametrize("most", [25_000, 700, 60, 1])
def test_kmers_are_the_originals(width, most):
    """Where equal activations lie at the threshold, too, and in batches of any size."""
    filters, kernel, bias, windows = drawn(width)
    values = all_activations(kernel, bias, windows)
    found = filter_motifs(filters, in_parts(windows, 77), most)
    for i in range(filters.count):
        kmers = original(values[:, :, i], windows, width, most)
        assert found.sites[i] == len(kmers)
        if len(kmers) >= FEWEST:
            shares = (kmers[:, :, None] == ACGT).mean(axis=0)
            assert np.allclose(found.values[i], shares, rtol=0, atol=UNIT)
        else:
            assert np.isnan(found.values[i]).all()
            assert found.information[i] == 0
    assert found.sites.any()
    assert np.allclose(found.mean, values.mean(axis=(0, 1), dtype=float), rtol=FLOAT64)
    assert np.allclose(found.deviation, values.std(axis=(0, 1), dtype=float), rtol=FLOAT64)
    assert found.windows == 300


@pytest.mark.parametrize("most", [1, 2, 50, 300 * 51 - 1, 300 * 51, 300 * 51 + 1])
def test_the_quantile_is_that_of_all_activations(most):
    """Only the largest are held, and the quantile is numpy's of all of them."""
    rng = np.random.default_rng(1)
    filters = Filters(rng.normal(size=(11, 4, 4)), rng.normal(size=4))
    _, _, _, windows = drawn()
    statistics = ActivationStatistics(filters, most)
    for part in in_parts(windows, 33):
        statistics.add(part)
    for values, top in zip(filters.activations(windows), statistics._tops, strict=True):
        allowed = min(most, values.size)
        expected = np.percentile(values.astype(float), (1 - allowed / values.size) * 100)
        assert statistics._quantile(top) == pytest.approx(expected, rel=FLOAT64, abs=FLOAT64)
        assert (values >= np.float32(statistics._quantile(top))).sum() >= allowed
        assert top._size <= 2 * (most + 1)


def test_a_dead_filter_and_one_that_hardly_fires_have_no_motif():
    kernel = np.zeros((3, 4, 3), np.float32)
    kernel[:, 0, 1] = 1  # AAA alone
    kernel[:, 0, 2] = 1
    windows = np.full((9, 21), encode("C")[0], np.uint8)
    windows[:, 10:13] = encode("AAA")
    filters = Filters(kernel, np.array([-1, -2.5, -2.5], np.float32))
    found = filter_motifs(filters, [windows])
    assert list(found.sites) == [0, 9, 9]
    assert found.found == []
    found = filter_motifs(filters, [windows, windows[:1]])
    assert list(found.sites) == [0, 10, 10]
    assert found.found == [1, 2]
    assert (found.values[1] == [1, 0, 0, 0]).all()
    text = stats_text(found).splitlines()
    assert [row.split("\t")[0] for row in text[1:]] == ["1", "2", "0"]  # equal ones by index
    assert text[3] == "0\tAAA\t0.0000\t0.0000\t0.0000\t0"
    assert "MOTIF filter0\n" not in meme_text(found)


def test_kmers_near_the_ends_do_not_count():
    """Of 20 bases and 3 at a time: of activations 1 to 14 alone, with the k-mers around them."""
    kernel = np.zeros((3, 4, 1), np.float32)
    kernel[1, 2] = 1  # a G in the middle
    filters = Filters(kernel, np.zeros(1, np.float32))
    windows = np.zeros((20, 20), np.uint8)
    np.fill_diagonal(windows, 2)
    counted = KmerCounts(filters, np.ones(1, np.float32))
    counted.add(windows)
    # The G of activation j is base j + 1, in the window cropped by one that of k-mer j.
    assert counted.sites == 14
    assert (counted.counts[0, 1] == [0, 0, 14, 0, 0]).all()
    assert np.allclose(counted.background, [343 / 364, 1 / 364, 19 / 364, 1 / 364], rtol=FLOAT64)


def test_n_counts_for_no_letter():
    kernel = np.zeros((3, 4, 1), np.float32)
    filters = Filters(kernel, np.ones(1, np.float32))
    windows = np.full((4, 12), 4, np.uint8)
    windows[:, 5] = 1
    found = filter_motifs(filters, [windows])
    assert found.sites[0] == 4 * 6  # activations 1 to 6 of 10
    assert (found.values[0] == [0, 0, 0, 1]).all()
    assert np.allclose(found.background, [1 / 8, 1 / 8, 1 / 8, 5 / 8], rtol=FLOAT64)


def test_windows_too_short_to_count_have_no_kmers():
    filters = Filters(np.zeros((11, 4, 1), np.float32), np.ones(1, np.float32))
    found = filter_motifs(filters, [np.zeros((5, 25), np.uint8)])
    assert found.sites[0] == 0
    assert found.found == []
    activations = ActivationStatistics(filters)
    activations.add(np.zeros((5, 25), np.uint8))
    assert thresholds_of(activations.result())[0] == 1
