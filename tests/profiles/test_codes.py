"""Modifications in bedMethyl: 5hmC beside 5mC, other spellings, and what is told of them."""

import pytest

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.read import read_profile
from tests.profiles.texts import labels, modkit, refusal


@pytest.fixture
def genome(tmp_path):
    # CG at 1, 4, 7, 10.
    (tmp_path / "g.fa").write_text(">chr1\nACGACGACGACG\n")
    return Genome(tmp_path / "g.fa")


@pytest.fixture
def read(tmp_path, genome):
    def call(text, **options):
        (tmp_path / "cell.bed").write_text(text)
        return read_profile(tmp_path / "cell.bed", genome, **options)

    return call


# 5mC, canonical, 5hmC of each site.
SITES = {1: (0, 2, 8), 4: (1, 1, 2), 7: (5, 1, 0), 10: (0, 3, 1)}
ONLY_M = "".join(modkit(p, "+", m, c, h) for p, (m, c, h) in SITES.items())
# As modkit writes: a line for each modification, with the reads of the others.
H_AND_M = "".join(
    modkit(p, "+", h, c, m, code="h") + modkit(p, "+", m, c, h) for p, (m, c, h) in SITES.items()
)


@pytest.mark.parametrize("text", [ONLY_M, H_AND_M])
@pytest.mark.parametrize(
    ("mode", "expected", "how"),
    [
        (None, {1: 1, 4: 1, 7: 1, 10: 0}, "read as methylated"),
        ("methylated", {1: 1, 4: 1, 7: 1, 10: 0}, "read as methylated"),
        ("ignore", {1: 0, 7: 1, 10: 0}, "left out"),
        ("unmethylated", {1: 0, 4: 0, 7: 1, 10: 0}, "read as unmethylated"),
    ],
)
def test_hydroxymethylation(read, text, mode, expected, how):
    profile = read(text, **({} if mode is None else {"hydroxymethylation": mode}))
    assert labels(profile) == {"chr1": expected}
    account = profile.account
    assert account.notes == [f"11 reads with 5hmC {how}, in 3 lines"]
    assert str(account).endswith(f"; {account.notes[0]}")
    of_h = {"of another modification than m": 4} if text is H_AND_M else {}
    assert {k: n for k, n in account.dropped.items() if k != "ties"} == of_h


@pytest.mark.parametrize(
    ("mode", "least", "expected"),
    [("methylated", 10, {1: 1}), ("methylated", 11, {}), ("ignore", 3, {7: 1, 10: 0})],
)
def test_coverage_counts_the_reads_that_are_used(read, mode, least, expected):
    profile = read(H_AND_M, hydroxymethylation=mode, min_coverage=least)
    assert labels(profile) == ({"chr1": expected} if expected else {})


def test_nothing_is_told_where_there_is_no_5hmc(read):
    assert read(modkit(1, "+", 1, 0)).account.notes == []


@pytest.mark.parametrize("code", ["C", "5mC", "27551", "C,CG,0", "5mC,CG,0", "m,CGCG,2"])
def test_other_spellings(read, code):
    assert labels(read(modkit(1, "+", 3, 1, code=code))) == {"chr1": {1: 1}}


@pytest.mark.parametrize("mode", ["ignore", "unmethylated"])
def test_any_modification_has_no_5hmc_apart(tmp_path, genome, mode):
    text = modkit(1, "+", 3, 1) + modkit(4, "+", 3, 1, code="C")
    assert refusal(tmp_path / "cell.bed", text, genome, hydroxymethylation=mode) == (
        ", line 2: expected 5mC and 5hmC apart, as `hydroxymethylation` asks, received 'C' in "
        "column 4 (code), any modification of a cytosine"
    )


def test_formats_that_tell_no_5hmc(tmp_path, genome):
    message = refusal(
        tmp_path / "cell.cov", "1\t2\t2\t100\t1\t0\n", genome, hydroxymethylation="ignore"
    )
    assert message == (
        ": expected a format that tells 5hmC from 5mC (modkit's bedMethyl of 18 columns), as "
        "`hydroxymethylation` asks, received bismark-cov"
    )
    with pytest.raises(ProfileError) as caught:
        read_profile(tmp_path / "cell.cov", genome, hydroxymethylation="no")
    assert str(caught.value) == (
        "hydroxymethylation: expected one of methylated, ignore, unmethylated, received 'no'"
    )


def test_the_option(run, fails, tmp_path):
    (tmp_path / "g.fa").write_text(">chr1\nACGACGACGACG\n")
    (tmp_path / "cell.bed").write_text(H_AND_M)
    arguments = (
        "data",
        "build",
        "--profiles",
        tmp_path / "cell.bed",
        "--genome",
        tmp_path / "g.fa",
    )
    result = run(*arguments, "--out", tmp_path / "t.h5ad", "--hydroxymethylation", "ignore")
    assert result.code == 0, result.err
    assert "3 kept" in result.err
    assert "11 reads with 5hmC left out, in 3 lines" in result.err
    message = fails(*arguments, "--out", tmp_path / "u.h5ad", "--hydroxymethylation", "no")
    assert "--hydroxymethylation" in message
    (tmp_path / "cell.bed").write_text(modkit(1, "+", 3, 1, code="C"))
    message = fails(*arguments, "--out", tmp_path / "u.h5ad", "--hydroxymethylation", "ignore")
    assert "5mC and 5hmC apart, as --hydroxymethylation asks, received 'C'" in message
    assert not (tmp_path / "u.h5ad").exists()


def test_patterns_of_both_strands(tmp_path, genome):
    text = modkit(1, "+", 1, 0).replace("\tm\t", "\tm,-,C\t").replace("\t+\t", "\t.\t")
    assert refusal(tmp_path / "cell.bed", "# c\n" + text, genome) == (
        ", line 2: expected a pileup of each strand by itself, received 'm,-,C' in column 4 "
        "(code): patterns of both strands, as modkit pileup-hemi writes; make the file with "
        "modkit pileup"
    )


def test_what_there_is_instead_of_5mc_is_told(tmp_path, genome):
    text = "".join(modkit(p, "+", 1, 0, code=c) for p, c in ((1, "h"), (4, "a"), (7, "h")))
    assert refusal(tmp_path / "cell.bed", text, genome) == (
        ": expected sites of 5-methylcytosine in a CG context, received none in 3 lines of "
        "bedmethyl: 2 of code 'h', 1 of code 'a'"
    )
    text = "".join(f"chr1\t{3 * i + 2}\t+\tC{c}A\t1\t1\t1\n" for i, c in enumerate("AAATTCHY"[:4]))
    assert refusal(tmp_path / "cell.tsv", text, genome).endswith(
        "none in 4 lines of allc: 3 of context 'CAA', 1 of context 'CTA'"
    )
