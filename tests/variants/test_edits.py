"""Sites near an edit, and their windows."""

import numpy as np
import pytest

from deepcpg_tf.genome.sequence import decode, encode
from deepcpg_tf.genome.variants import Allele, trimmed
from deepcpg_tf.variants.edits import CLASSES, Window, aligned, nearby
from tests.variants import strings

WINDOW = Window(20, 41)


def found(chromosome, allele, window=WINDOW, others=()):
    """Return class, position and offset of each site, with its window in the alternate allele."""
    result = nearby(encode(chromosome), allele, window, others)
    windows = iter(result.windows)
    columns = (result.classes.tolist(), result.positions.tolist(), result.offsets.tolist())
    return [
        (CLASSES[kind], at, offset, None if CLASSES[kind] == "lost" else decode(next(windows)))
        for kind, at, offset in zip(*columns, strict=True)
    ]


def check(chromosome, allele, window, others=()):
    """Compare with edits of a string."""
    own = found(chromosome, allele, window, others)
    expected = list(strings.nearby(chromosome, allele, window.before, window.after, others))
    for kind in CLASSES:
        # Where sites are inserted, only their windows tell them apart.
        ours = [(at if offset < 0 else None, now) for one, at, offset, now in own if one == kind]
        theirs = [(at, now) for one, at, _, now in expected if one == kind]
        key = lambda one: (one[0] is None, one)  # noqa: E731
        assert sorted(ours, key=key) == sorted(theirs, key=key), (kind, allele)
    result = nearby(encode(chromosome), allele, window, others)
    same = {at: old == new for kind, at, old, new in expected if kind == "kept"}
    kept = result.classes == 0
    assert result.unchanged[kept].tolist() == [same[at] for at in result.positions[kept].tolist()]
    assert not result.unchanged[~kept].any()
    assert (np.diff(result.positions) >= 0).all()
    less = nearby(encode(chromosome), allele, window, others, kept_windows=False)
    for one, other in zip(less[:3], result[:3], strict=True):
        np.testing.assert_array_equal(one, other)
    has_window = result.classes != CLASSES.index("lost")
    is_gained = result.classes[has_window] == CLASSES.index("gained")
    np.testing.assert_array_equal(less.windows, result.windows[is_gained])
    return own


@pytest.mark.parametrize("window", [WINDOW, Window(20, 42), Window(0, 2)])
def test_random_variants_against_strings(window):
    rng = strings.rng()
    kinds = set()
    for _ in range(1000):
        chromosome = strings.random_chromosome(rng, rng.choice((30, 200)))
        if not strings.sites(chromosome):
            continue
        variant = strings.random_variant(rng, chromosome)
        allele = aligned(encode(chromosome), trimmed(*variant))
        assert allele == strings.minimal(chromosome, *variant)
        kinds.update(one[0] for one in check(chromosome, allele, window))
    assert kinds == set(CLASSES)


def test_haplotypes_against_strings():
    rng = strings.rng(1)
    for _ in range(1000):
        chromosome = strings.random_chromosome(rng, 250)
        edits = []
        for _ in range(rng.randint(2, 12)):
            allele = trimmed(*strings.random_variant(rng, chromosome))
            if all(apart(allele, other) for other in edits):
                edits.append(allele)
        for allele in edits:
            others = sorted(one for one in edits if one != allele)
            check(chromosome, allele, WINDOW, others)


def apart(one, other):
    """Return whether two alleles neither overlap nor touch."""
    return (
        one.position + len(one.ref) < other.position
        or other.position + len(other.ref) < one.position
    )


def test_one_variant_written_in_several_ways():
    #             0123456789
    chromosome = "AAGCTGATTTCGAA"
    codes = encode(chromosome)
    ways = [(5, "G", "A"), (4, "TG", "TA"), (2, "GCTG", "GCTA"), (5, "GAT", "AAT")]
    assert {aligned(codes, trimmed(*way)) for way in ways} == {Allele(5, "G", "A")}
    ways = [(1, "A", "AGCT"), (2, "GCT", "GCTGCT"), (4, "T", "TGCT"), (5, "G", "GCTG")]
    assert {aligned(codes, trimmed(*way)) for way in ways} == {Allele(2, "", "GCT")}
    ways = [(7, "TT", "T"), (8, "TT", "T"), (6, "AT", "A")]
    assert {aligned(codes, trimmed(*way)) for way in ways} == {Allele(7, "T", "")}


def test_alleles_are_moved_no_farther_than_a_floor_or_n():
    codes = encode("ACTTNTTTTG")
    assert aligned(codes, Allele(8, "T", "")) == Allele(5, "T", "")
    assert aligned(codes, Allele(8, "T", ""), 7) == Allele(7, "T", "")
    assert aligned(encode("NNNN"), Allele(2, "N", "")) == Allele(2, "N", "")
    long = encode("A" + "CA" * 500)
    assert aligned(long, Allele(1001, "", "CA")) == Allele(0, "", "AC")


def test_what_becomes_of_sites():
    #             0         1
    #             012345678901234
    chromosome = "TTTCGTTTTTTCGTT"

    def classes(*variant):
        return [one[:3] for one in found(chromosome, trimmed(*variant))]

    assert classes(3, "C", "T") == [("lost", 3, -1), ("kept", 11, -1)]
    assert classes(4, "G", "A") == [("lost", 3, -1), ("kept", 11, -1)]
    assert classes(6, "TT", "CG") == [("kept", 3, -1), ("gained", 6, -1), ("kept", 11, -1)]
    # The C stays and gets another G; then it is another C that the G gets.
    assert classes(3, "C", "CGA") == [("kept", 3, -1), ("kept", 11, -1)]
    assert classes(3, "C", "CA") == [("lost", 3, -1), ("kept", 11, -1)]
    assert classes(3, "CG", "CAACG")[0] == ("kept", 3, -1)
    assert classes(3, "CG", "CAAGGTC")[0] == ("lost", 3, -1)
    inserted = classes(8, "T", "TCGTCG")
    assert inserted[1:3] == [("gained", 9, 0), ("gained", 9, 3)]
    assert classes(6, "TTT", "ACGCG")[1:3] == [("gained", 7, 1), ("gained", 8, 3)]


def test_real_bases_fill_a_deletion():
    chromosome = "ACGTACCA" + "TTTTTTTTTT" + "CGAAGGAACC"
    window = found(chromosome, Allele(8, "T" * 10, ""), Window(4, 9))
    assert [one for one in window if one[1] == 18] == [("kept", 18, -1, "ACCACGAAG")]
    at_the_end = found("TTTTACGTTTT", Allele(8, "TTT", ""), Window(4, 9))
    assert at_the_end == [("kept", 5, -1, "TTTACGTNN")]


def test_sites_at_the_edge_of_a_window():
    chromosome = "CG" + "A" * 18 + "T" + "A" * 19 + "CG"
    # The base is the last one of the window before it, and the first one of that after it.
    assert [one[1] for one in found(chromosome, Allele(20, "T", "C"))] == [0, 40]
    assert [one[1] for one in found(chromosome, Allele(21, "A", "C"))] == [40]
    assert [one[1] for one in found(chromosome, Allele(19, "A", "C"))] == [0]
    # Between two bases, the windows that have both.
    assert [one[1] for one in found(chromosome, Allele(20, "", "C"))] == [0]
    assert [one[1] for one in found(chromosome, Allele(21, "", "C"))] == [40]
