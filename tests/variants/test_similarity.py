"""Tomtom's comparison, worked out by hand and by brute force, and against another program."""

import warnings
from itertools import product

import numpy as np
import pytest

from deepcpg_tf.variants.similarity import Database, benjamini_hochberg, pearson
from tests.tolerances import FLOAT64

A, C, G, T = np.eye(4)


def test_columns_correlate():
    half = (A + C) / 2
    columns = np.array([A, C, half, np.full(4, 0.25)])
    third = -1 / 3
    assert pearson(columns, columns) == pytest.approx(
        np.array(
            [
                [1, third, 3**-0.5, 0],
                [third, 1, 3**-0.5, 0],
                [3**-0.5, 3**-0.5, 1, 0],
                [0, 0, 0, 0],
            ]
        ),
        abs=FLOAT64,
    )


def test_one_column_by_hand():
    """A query A and targets A, C, G: with their complements, A is 1 of 6 columns.

    Of the columns A, C, G, T, G, C only A scores 1, the others -1/3, which is the median too.
    A best score by chance has 1/6, and so p on two strands is 1 - (5/6)^2; others are certain.
    """
    similar = Database([np.array([A]), np.array([C]), np.array([G])]).compare(np.array([A]))
    assert similar.p_value == pytest.approx([1 - (5 / 6) ** 2, 1, 1], rel=FLOAT64)
    assert list(similar.overlap) == [1, 1, 1]
    assert list(similar.offset) == [0, 0, 0]
    assert not similar.reverse.any()


def test_where_two_lie_beside_each_other():
    database = Database([np.array([G, A, C, T, A]), np.array([T, A, G, T, C])])
    similar = database.compare(np.array([A, C, T]))
    assert list(similar.offset) == [1, 1]  # ACT in GACTA, and in GACTA, the reverse of TAGTC
    assert list(similar.overlap) == [3, 3]
    assert list(similar.reverse) == [False, True]
    assert similar.p_value[0] == pytest.approx(similar.p_value[1], rel=FLOAT64)


def by_brute_force(query, targets):
    """Draw every combination of database columns, for every way to lie beside each other."""
    both = [*targets, *(one[::-1, ::-1] for one in targets)]
    columns = np.concatenate(both)
    scores = pearson(query, columns)
    middle = (len(columns) - 1) // 2
    scores = scores - np.sort(scores, axis=1)[:, middle, None]
    least = np.floor(scores.min())
    scale = int(100 / max(scores.max() - least, 1))
    whole = np.floor((scores - least) * scale + 0.5)
    aside = -least * scale
    result = []
    place = 0
    for target in both:
        ways = []
        for offset in range(-len(query) + 1, len(target)):
            under = [i for i in range(len(query)) if 0 <= i + offset < len(target)]
            total = sum(whole[i, place + i + offset] for i in under)
            ways.append((total + aside * (len(query) - len(under)), under))
        best = max(total for total, _ in ways)
        below = 1.0
        for _, under in ways:
            drawn = [sum(one) for one in product(*(whole[i] for i in under))]
            below *= np.mean(np.array(drawn) + aside * (len(query) - len(under)) < best)
        result.append(1 - below)
        place += len(target)
    least_p = np.minimum(*np.reshape(result, (2, -1)))
    return 1 - (1 - least_p) ** 2


def test_p_is_how_often_chance_does_as_well():
    rng = np.random.default_rng(0)
    targets = [rng.dirichlet([0.5] * 4, width) for width in (1, 2, 3, 4)]
    for width in (1, 2, 3):
        query = rng.dirichlet([0.5] * 4, width)
        found = Database(targets).compare(query).p_value
        assert found == pytest.approx(by_brute_force(query, targets), rel=1e-9)


def test_small_p_values_are_not_rounded_away():
    rng = np.random.default_rng(0)
    targets = [rng.dirichlet([0.3] * 4, 15) for _ in range(30)]
    similar = Database(targets).compare(targets[4])
    assert similar.p_value.argmin() == 4
    assert 0 < similar.p_value[4] < 1e-20
    assert ((similar.p_value > 0) & (similar.p_value <= 1)).all()


def test_false_discovery_rates():
    found = benjamini_hochberg(np.array([0.04, 0.01, 0.5, 0.03]))
    assert found == pytest.approx([0.16 / 3, 0.04, 0.5, 0.16 / 3], rel=FLOAT64)
    assert benjamini_hochberg(np.array([0.9, 1.0]))[0] == 1.0


def distance(one, other):
    """Return the negative of Euclid's distance of columns."""
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return -np.sqrt(np.maximum(squares, 0))


@pytest.mark.full
def test_another_program_finds_the_same():
    """Memelite compares by distance alone, which does for ours as any other score does."""
    memelite = pytest.importorskip("memelite")
    rng = np.random.default_rng(0)
    targets = [rng.dirichlet([0.3] * 4, rng.integers(5, 21)) for _ in range(60)]
    queries = [rng.dirichlet([0.3] * 4, rng.integers(6, 13)) for _ in range(6)]
    queries += [targets[3], targets[7][::-1, ::-1], targets[9][2:]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba
        p_values, _, offsets, overlaps, strands = memelite.tomtom(
            [one.T.copy() for one in queries],
            [one.T.copy() for one in targets],
            n_target_bins=None,
            n_median_bins=1_000_000,  # medians are those of columns themselves
        )
    database = Database(targets, distance)
    for i, query in enumerate(queries):
        similar = database.compare(query)
        assert similar.p_value == pytest.approx(p_values[i], rel=1e-9)
        # Of equally good ways, another one may be told.
        same = similar.offset == offsets[i]
        assert same.mean() > 0.9
        assert (similar.overlap == overlaps[i])[same].mean() > 0.9
        assert (similar.reverse == strands[i])[same].mean() > 0.9
        best = similar.p_value.argmin()
        if similar.p_value[best] < 1e-9:
            assert same[best]
            assert similar.reverse[best] == strands[i][best]
