"""Files of another assembly: positions that are no cytosines of the reference."""

import numpy as np
import pytest

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import encode
from deepcpg_tf.profiles.match import Count, ReferenceMatch
from deepcpg_tf.profiles.read import read_profile
from tests.profiles.texts import refusal


def letters(seed, bases=6000):
    return "".join(np.random.default_rng(seed).choice([*"ACGT"], bases))


def cpgs(sequence):
    return [i for i in range(len(sequence) - 1) if sequence[i : i + 2] == "CG"]


FORMS = {
    "cov": ("{0}\t{1}\t{1}\t100\t1\t0\n", 1, "+-"),
    "merged": ("{0}\t{1}\t{2}\t100\t1\t0\n", 1, "+"),
    "bedgraph": ("{0}\t{1}\t{2}\t100\n", 0, "+-"),
    "report": ("{0}\t{1}\t{3}\t1\t0\tCG\tCGN\n", 1, "+-"),
}


def text_of(form, chromosomes):
    """Return a file of all CpGs of some chromosomes, given as name={letters}."""
    line, base, strands = FORMS[form]
    return "".join(
        line.format(name, at + base, at + base + 1, strand)
        for name, sequence in chromosomes.items()
        for position in cpgs(sequence)
        for at, strand in ((position, "+"), (position + 1, "-"))[: len(strands)]
    )


def genome_of(folder, **chromosomes):
    path = folder / "genome.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in chromosomes.items()))
    return Genome(path)


RIGHT = {"chr1": letters(1), "chr2": letters(2)}


@pytest.mark.parametrize("form", FORMS)
def test_another_species(tmp_path, form):
    genome = genome_of(tmp_path, chr1=letters(3), chr2=letters(4, 5000))
    message = refusal(tmp_path / "cell", text_of(form, RIGHT), genome)
    assert message.startswith(
        ": expected at least 95% of the positions on each chromosome to be a C or a G of "
        "genome.fa, as `min_reference_match` asks, received chr1: "
    )
    assert message.endswith(" past the end): is it of another assembly?")
    past = sum(cpg + i >= 5000 for cpg in cpgs(RIGHT["chr2"]) for i in range(len(FORMS[form][2])))
    assert f" ({past} past the end): " in message


@pytest.mark.parametrize("form", FORMS)
def test_one_chromosome_with_a_base_more_or_less(tmp_path, form):
    text = RIGHT["chr2"]
    for other in (text[:2000] + "T" + text[2000:], text[:9] + text[10:]):
        genome = genome_of(tmp_path, chr1=RIGHT["chr1"], chr2=other)
        message = refusal(tmp_path / "cell", text_of(form, RIGHT), genome)
        assert message.endswith(": is it of another assembly?")
        assert "chr2" in message
        assert "chr1" not in message


@pytest.mark.parametrize("form", FORMS)
def test_the_right_genome(tmp_path, form):
    genome = genome_of(tmp_path, **RIGHT)
    (tmp_path / "cell").write_text(text_of(form, RIGHT))
    account = read_profile(tmp_path / "cell", genome).account
    assert account.match == Count(account.read, account.read, 0)
    assert "; on a C or G: 100.0%" in str(account)


def test_a_share_of_ones_own(tmp_path):
    text = text_of("cov", RIGHT)
    genome = genome_of(tmp_path, chr1=RIGHT["chr1"], chr2=letters(5))
    (tmp_path / "cell").write_text(text)
    account = read_profile(tmp_path / "cell", genome, min_reference_match=0.3).account
    on = sum(letters(5)[i + j] in "CG" for i in cpgs(RIGHT["chr2"]) for j in (0, 1))
    total = len(text.splitlines())
    assert account.match == Count(total, 2 * len(cpgs(RIGHT["chr1"])) + on, 0)
    assert refusal(tmp_path / "cell", text, genome, min_reference_match=0.9).startswith(
        ": expected at least 90% of"
    )
    for wrong in (-0.1, 1.1, float("nan"), 95):
        with pytest.raises(ProfileError, match="^min_reference_match: expected a share from 0 to"):
            read_profile(tmp_path / "cell", genome, min_reference_match=wrong)


def matching(**chromosomes):
    """Return the matches of chromosomes, given as name=(positions, how many of them match)."""
    result = ReferenceMatch()
    for name, (positions, on) in chromosomes.items():
        codes = encode("C" * on + "A" * (positions - on))
        at = np.arange(positions)
        result.add(name, codes, at, np.zeros(positions, np.int64))
    return result


@pytest.mark.parametrize(
    ("chromosomes", "fault"),
    [
        # A chromosome with enough positions is judged by itself.
        ({"a": (1000, 1000), "b": (100, 95)}, None),
        ({"a": (1000, 1000), "b": (100, 94)}, "b: 94.0% of 100"),
        # Others are judged together.
        ({"a": (1000, 1000), "b": (3, 2), "c": (99, 99)}, None),
        ({"a": (1000, 1000), "b": (60, 30), "c": (50, 50)}, "b, c: 72.7% of 110"),
        # Few positions: a variant or two must not decide, chance must.
        ({"a": (1000, 1000), "b": (3, 2)}, None),
        ({"a": (20, 15)}, None),
        ({"a": (20, 14)}, "a: 70.0% of 20"),
        ({"a": (9, 0)}, None),
        ({}, None),
        (
            {f"c{i}": (100, i) for i in range(7)},
            ", ".join(f"c{i}: {i}.0% of 100" for i in range(5)) + ", … (7 in all)",
        ),
    ],
)
def test_what_is_judged(chromosomes, fault):
    assert matching(**chromosomes).fault(0.95) == fault


def test_strands_and_unknown_bases():
    match = ReferenceMatch()
    positions = np.array([0, 1, 2, 3, 4, 5, 9])
    counts = [
        match.add(str(strand), encode("CGATNC"), positions, np.full(7, strand))
        for strand in (1, -1, 0)
    ]
    # N is neither; 9 is past the end.
    assert match.fault(0) is None
    assert counts == [Count(6, 2, 1), Count(6, 1, 1), Count(6, 3, 1)]
    assert counts[1].plus(Count()).percent == "16.6%"
    assert Count(3000, 2999, 0).percent == "99.9%"
    assert Count().percent == "none"
