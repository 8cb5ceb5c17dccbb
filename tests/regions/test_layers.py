"""Against the definitions of MethSCAn and ALLCools, written out plainly."""

import numpy as np
import pytest
import scipy.stats

from deepcpg_tf.regions.layers import (
    BANDWIDTH,
    hypo_score,
    posterior_fraction,
    shrunken_residuals,
    smoothed,
)


def plain_smoothed(positions, calls):
    """Smooth over every base of a chromosome, as MethSCAn's matrix of bases by cells is."""
    half = BANDWIDTH // 2
    share = np.full(positions[-1] + 2 * BANDWIDTH, np.nan)
    for position, row in zip(positions, calls, strict=True):
        if (row != 0).any():
            share[position + half] = (row > 0).sum() / (row != 0).sum()
    kernel = (1 - np.abs((np.arange(BANDWIDTH) - half) / half) ** 3) ** 3
    result = np.full(len(positions), np.nan)
    for i, position in enumerate(positions):
        if np.isnan(share[position + half]):
            continue
        window = share[position : position + BANDWIDTH]
        some = ~np.isnan(window)
        result[i] = (window[some] * kernel[some]).sum() / kernel[some].sum()
    return result


@pytest.fixture(scope="module")
def calls():
    rng = np.random.default_rng(0)
    positions = np.sort(rng.choice(9_000, 300, replace=False))
    values = np.where(rng.random((300, 12)) < 0.2, rng.choice([1, -1], (300, 12)), 0)
    assert ((values != 0).sum(axis=1) == 0).any()
    return positions, values


def test_smoothing(calls):
    positions, values = calls
    found = smoothed(positions, (values > 0).sum(axis=1), (values != 0).sum(axis=1))
    np.testing.assert_allclose(found, plain_smoothed(positions, values), rtol=1e-12)


def test_smoothing_of_one_site_and_of_none():
    assert smoothed(np.array([5]), np.array([1]), np.array([2])).tolist() == [0.5]
    assert np.isnan(smoothed(np.array([5]), np.array([0]), np.array([0]))).all()
    far = smoothed(np.array([0, 500]), np.array([1, 0]), np.array([1, 1]))
    assert far.tolist() == [1, 0]  # half of the bandwidth away weighs nothing


def plain_residuals(calls, mean_of_cells):
    """Of one region: sum of state minus mean, by the number of calls and one."""
    result = np.full(calls.shape[1], np.nan)
    for cell in range(calls.shape[1]):
        total, number = 0.0, 0
        for call, mean in zip(calls[:, cell], mean_of_cells, strict=True):
            if call:
                total += (1 if call == 1 else 0) - mean
                number += 1
        if number:
            result[cell] = total / (number + 1)
    return result


def test_shrunken_residuals(calls):
    positions, values = calls
    means = plain_smoothed(positions, values)
    part = values[40:52]
    seen = part != 0
    assert (seen.sum(axis=0) == 0).any()
    found = shrunken_residuals(
        (part == 1).sum(axis=0),
        (seen * np.nan_to_num(means[40:52])[:, None]).sum(axis=0),
        seen.sum(axis=0),
    )
    np.testing.assert_allclose(found, plain_residuals(part, means[40:52]), rtol=1e-12)


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(1)
    observed = rng.integers(0, 30, (6, 50)) * (rng.random((6, 50)) < 0.8)
    methylated = rng.binomial(observed, rng.beta(0.3, 1.0, (6, 50)))
    return methylated.astype(float), observed.astype(float)


def plain_posterior(methylated, observed):
    result = np.zeros_like(methylated)
    for cell in range(len(result)):
        raw = [m / n for m, n in zip(methylated[cell], observed[cell], strict=True) if n]
        mean = sum(raw) / len(raw)
        variance = sum((one - mean) ** 2 for one in raw) / len(raw)
        a = (1 - mean) * mean**2 / variance - mean
        b = a * (1 / mean - 1)
        for region in range(methylated.shape[1]):
            posterior = (methylated[cell, region] + a) / (observed[cell, region] + a + b)
            result[cell, region] = min(posterior / (a / (a + b)), 10)
    return result


def test_posterior_fractions(counts):
    methylated, observed = counts
    raw = np.where(observed > 0, methylated / np.maximum(observed, 1), np.nan)
    found = posterior_fraction(
        methylated, observed, np.nanmean(raw, axis=1), np.nanvar(raw, axis=1)
    )
    np.testing.assert_allclose(found, plain_posterior(*counts), rtol=1e-12)
    np.testing.assert_allclose(found[observed == 0], 1)
    assert found.max() > 2


def test_posterior_fractions_are_cut_and_told_where_there_are_none():
    zero = np.zeros(2)
    level, spread = np.array([0.01, 0.5]), np.array([1e-4, 0.0])
    full = np.full((2, 1), 99.0)
    found = posterior_fraction(full, full, level, spread)
    assert found[0] == 10
    assert np.isnan(found[1])
    assert np.isnan(posterior_fraction(full, full, zero, zero)).all()


def test_hypo_scores(counts):
    methylated, observed = counts
    level = methylated.sum(axis=1) / (observed.sum(axis=1) + 1e-6)
    found = hypo_score(methylated, observed, level)
    for cell, region in np.ndindex(found.shape):
        m, n = methylated[cell, region], observed[cell, region]
        score = scipy.stats.binom(n, level[cell]).sf(m) if n > m else 0.0
        assert found[cell, region] == pytest.approx(score if score >= 0.9 else 0.0, rel=1e-12)
    assert 0 < (found > 0).mean() < 1
