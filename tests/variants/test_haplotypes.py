"""Records some at a time, and by haplotype."""

import numpy as np
import pytest

from deepcpg_tf.genome.sequence import encode
from deepcpg_tf.genome.variants import Allele, Record
from deepcpg_tf.variants import haplotypes
from deepcpg_tf.variants.haplotypes import parts, phased


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(haplotypes, "_RECORDS", 4)


def record(position, ref="A", alt="C", genotype=None, chromosome="1", *, known=True, phase_set=""):
    allele = Allele(position, ref, alt)
    return Record(
        0, chromosome, chromosome, position, ".", ref or "A", (alt or "A",), (allele,), ("",),
        genotype, known, phase_set,
    )  # fmt: skip


def sizes(records, **options):
    found = [len(part) for part in parts(records, 100, **options)]
    assert sum(found) == len(records)
    return found


def test_parts_end_where_nothing_is_near():
    places = [0, 10, 20, 30, 40, 142, 143, 144, 145, 146, 147]
    assert sizes([record(at) for at in places], strict=False) == [5, 6]
    other = [*map(record, range(5)), *(record(at, chromosome="2") for at in range(5))]
    assert sizes(other, strict=False) == [5, 5]
    assert sizes([record(at) for at in places], strict=True) == [4, 4, 3]
    carried = [record(at, genotype=(0, 1)) for at in places]
    assert sizes(carried, strict=True) == [5, 6]
    # Those of others do not count: nothing is near that the sample has.
    others = [record(at, genotype=(0, int(at == 0))) for at in range(0, 200, 10)]
    assert sizes(others, strict=True) == [11, *[4] * 2, 1]


def test_parts_do_not_grow_without_bound():
    for places in (range(200), range(200, 0, -1), [7] * 200):
        assert max(sizes([record(at) for at in places], strict=False)) <= 33
    # What may be one variant, written in several ways, is in one part where that can be.
    places = [1, 5, 10, 11, 13, 14, 14, 14, 15, 16, 18]
    assert sizes([record(at) for at in places], strict=False) == [10, 1]
    ways = [record(20, "ACG", "ACC"), record(21, "CG", "CC"), record(22, "G", "C")]
    assert sizes([*(record(at) for at in range(0, 14, 2)), *ways, record(30)], strict=False) == [
        10,
        1,
    ]


def units_of(*records, text="ACGT" * 500):
    return phased(records, lambda name: encode(text), 100)


def test_others_are_those_that_a_window_may_hold():
    some = [record(at, genotype=(1,)) for at in (10, 50, 140, 300)]
    units = units_of(*some)
    near = [[one.position for one in unit.change.others] for unit in units]
    assert near == [[50], [10, 140], [50], []]
    # What is deleted does not count.
    text = "ACGT" * 500
    long = [
        record(0, "A", "C", (1,)),
        record(2, text[2:300], "", (1,)),
        record(360, "A", "C", (1,)),
    ]
    units = units_of(*long)
    assert [len(unit.change.others) for unit in units] == [2, 2, 2]


def test_alleles_of_one_haplotype():
    both = [record(10, genotype=(0, 1)), record(20, genotype=(1, 0)), record(30, genotype=(1, 1))]
    units = units_of(*both)
    found = [(u.haplotype, u.change.allele.position, len(u.change.others)) for u in units]
    assert found == [(2, 10, 1), (1, 20, 1), (1, 30, 1), (2, 30, 1)]


def test_what_both_haplotypes_have_is_near_one_that_is_not_phased():
    """The other haplotype has one of the two alone, whichever is called the first."""
    both = [record(10, genotype=(0, 1), known=False), record(30, genotype=(1, 1), known=False)]
    units = units_of(*both)
    found = [(u.haplotype, u.change.allele.position, len(u.change.others)) for u in units]
    assert found == [(2, 10, 1), (1, 30, 0), (2, 30, 1)]


def test_alleles_that_overlap():
    text = "ACGT" * 500
    units = units_of(record(10, text[10:20], "", (1,)), record(15, text[15], "A", (1,)))
    assert [unit.reason for unit in units] == ["", "overlap"]
    assert units[0].change.others == ()


@pytest.mark.parametrize("letters", ["GG", "T"])
def test_one_insertion_in_a_place(letters):
    units = units_of(record(10, "", "GG", (1,)), record(10, "", letters, (1,)))
    assert sorted(unit.reason for unit in units) == ["", "overlap"]
    units = units_of(record(10, "", "GG", (1,)), record(10, "G", "T", (1,)))
    assert [unit.reason for unit in units] == ["", ""]


def test_an_insertion_moves_no_farther_than_the_allele_before_it():
    text = "G" + "T" * 20 + "A" * 100
    one = record(5, "T", "C", (1,))
    units = units_of(one, record(12, "", "T", (1,)), text=text)
    assert units[1].change.allele == Allele(6, "", "T")
    assert units_of(record(12, "", "T", (1,)), text=text)[0].change.allele == Allele(1, "", "T")


@pytest.mark.parametrize(
    ("one", "other", "reasons"),
    [
        ({"genotype": (0, 1)}, {"genotype": (0, 1)}, ["", ""]),
        ({"genotype": (0, 1), "known": False}, {"genotype": (0, 1)}, ["unphased"] * 2),
        ({"genotype": (0, 1), "known": False}, {"genotype": (1, 1), "known": False}, ["", "", ""]),
        ({"genotype": (0, 1), "phase_set": "1"}, {"genotype": (0, 1), "phase_set": "2"},
         ["unphased"] * 2),
        ({"genotype": (None, 1)}, {"genotype": (0, 0)}, ["", "absent"]),
        ({"genotype": None}, {"genotype": (None, None)}, ["absent"] * 2),
    ],
)  # fmt: skip
def test_what_is_in_one_window_must_be_in_phase(one, other, reasons):
    units = units_of(record(10, **one), record(60, **other))
    assert [unit.reason for unit in units] == reasons
    far = units_of(record(10, **one), record(111, **other))
    assert "unphased" not in {unit.reason for unit in far}


@pytest.mark.parametrize("genotype", [(0, 1), (1, 1)])
def test_a_deletion_brings_what_must_be_in_phase_into_one_window(genotype):
    text = "ACGT" * 500
    ends = [record(at, genotype=(0, 1), phase_set=str(at)) for at in (10, 360)]
    assert {unit.reason for unit in units_of(*ends)} == {""}
    units = units_of(ends[0], record(20, text[20:300], "", genotype, phase_set="10"), ends[1])
    found = [unit.reason for unit in units]
    assert (found[0], found[-1]) == ("unphased", "unphased")


def test_two_alternate_alleles_of_one_record():
    both = Record(
        0, "1", "1", 10, ".", "G", ("A", "C"), (Allele(10, "G", "A"), Allele(10, "G", "C")),
        ("", ""), (1, 2), False,
    )  # fmt: skip
    units = units_of(both)
    assert [(unit.alt, unit.reason, unit.haplotype) for unit in units] == [(0, "", 0), (1, "", 0)]
    assert all(unit.change.others == () for unit in units)
    assert not np.array_equal(*(unit.change.allele.alt for unit in units))
