"""Profiles whose lines are in another order than that of chromosomes and positions."""

import gzip
import itertools
import random
import warnings

import pytest

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles import blocks, sorting
from deepcpg_tf.profiles.read import read_profile
from tests.profiles.texts import (
    ALLC,
    BEDGRAPH,
    CHR1,
    CHR2,
    COV,
    DEEPCPG,
    ENCODE,
    LABELS,
    MODKIT,
    REPORT,
    labels,
    refusal,
)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr2\n{CHR2}\n>chr1\n{CHR1}\n")
    return Genome(path)


@pytest.fixture
def read(tmp_path, genome):
    def call(text, name="cell.txt", **options):
        (tmp_path / name).write_text(text)
        return read_profile(tmp_path / name, genome, **options)

    return call


@pytest.mark.parametrize("size", [9, 60, 1 << 20])
@pytest.mark.parametrize("text", [DEEPCPG, BEDGRAPH, COV, REPORT, ALLC, MODKIT, ENCODE])
def test_any_order_gives_the_same(read, monkeypatch, text, size):
    whole = read(text)
    assert labels(whole) == LABELS
    monkeypatch.setattr(blocks, "_BLOCK", size)
    header, *rest = text.splitlines()
    if header.startswith(("track", "chr\t")):
        header += "\n"
    else:
        header, rest = "", [header, *rest]
    for seed in range(5):
        random.Random(seed).shuffle(rest)
        shuffled = read(header + "# c\n".join(f"{line}\n" for line in rest))
        assert labels(shuffled) == LABELS
        note = shuffled.account.notes.pop()
        assert note.startswith("sorted, as its lines are out of order from line ")
        assert shuffled.account == whole.account


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# c\n1\t7\t1\n1\t3\t0\n", 3),
        ("1\t3\t1\n2\t2\t1\n2\t9\t1\n1\t7\t1\n", 4),
        ("GL1\t7\t1\nGL1\t3\t1\n1\t3\t1\n", 2),
    ],
)
def test_the_account_tells_that_a_file_was_sorted(read, text, line):
    assert f"; sorted, as its lines are out of order from line {line} on" in str(read(text).account)


def test_a_block_is_looked_through_for_lines_once(read, monkeypatch):
    """However many chromosomes it has."""
    lines, looked = blocks.Block.lines, []

    def noted(self):
        looked.append(self.first)
        return lines(self)

    monkeypatch.setattr(blocks.Block, "lines", noted)
    read("1\t7\t1\n1\t3\t1\n# c\n" + "".join(f"GL{i}\t7\t1\n" for i in range(50)))
    assert len(looked) < 20


def test_the_fault_of_a_line_can_be_raised_anew():
    """As the command line does, with options for arguments."""
    assert str(type(sorting.UnsortedError("a"))("b")) == "b"


def report(*strands, position=3):
    return "".join(f"1\t{position}\t{strand}\t3\t1\tCG\tCGT\n" for strand in strands)


@pytest.mark.parametrize("strands", ["+-+", "-+-", "+-+-", "-+", ".+.", "-+.-"], ids="{}".format)
@pytest.mark.parametrize("size", [9, 1 << 20])
def test_a_site_that_is_there_again_after_another_strand(read, monkeypatch, strands, size):
    """It is counted once, in any order."""
    monkeypatch.setattr(blocks, "_BLOCK", size)
    account = alternating(read, report(*strands)).account
    assert account.duplicates == len(strands) - len(set(strands))
    with pytest.raises(ProfileError, match="3 again, with another label"):
        read(report(*strands, strands[0]).replace("3\t1\tCG", "1\t3\tCG", 1))


def alternating(read, text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(text + "1\t7\t+\t0\t1\tCG\tCGT\n", min_reference_match=0)


def test_strands_of_a_position_in_the_order_of_sort_are_not_sorted(read, monkeypatch):
    monkeypatch.setattr(sorting, "_MOST", 0)
    assert alternating(read, report("+", "+", ".", "-", "-")).account.duplicates == 2
    with pytest.raises(ProfileError, match=r"ascending positions, received 3 \+ after -"):
        alternating(read, report("-", "+"))


def test_sorted_files_are_not_held_in_memory(read, monkeypatch):
    monkeypatch.setattr(sorting, "_MOST", 0)
    for text in (DEEPCPG, COV, MODKIT):
        assert read(text).account.kept == 5


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("cell.tsv", "sort -k1,1 -k2,2n cell.tsv > SORTED"),
        ("cell.tsv.gz", "zcat cell.tsv.gz | sort -k1,1 -k2,2n > SORTED"),
    ],
)
def test_files_too_large_to_be_sorted(tmp_path, genome, monkeypatch, name, command):
    text = b"1\t3\t1\n1\t7\t0\nGL1\t3\t1\n1\t10\t1\n"
    path = tmp_path / name
    content = gzip.compress(text) if name.endswith("gz") else text
    path.write_bytes(content)
    assert read_profile(path, genome).account.kept == 3
    monkeypatch.setattr(sorting, "_MOST", 19)
    assert refusal(path, content, genome) == (
        ", line 4: expected all lines of chromosome 1 together, received more of them after "
        "those of GL1 (taken for deepcpg by the 3 columns of line 1); it is too large to be sorted "
        f"here (0 MiB): sort it first, {command}"
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[1::5])
def test_lines_of_one_site_in_any_order(tmp_path, genome, order):
    lines = ["1\t3\t+\t1\t0\tCG\tCGT", "1\t4\t-\t1\t0\tCG\tCGT", "1\t3\t+\t2\t0\tCG\tCGT"]
    lines.append("1\t7\t+\t1\t0\tCG\tCGT")
    text = "".join(f"{lines[i]}\n" for i in order)
    (tmp_path / "cell.txt").write_text(text)
    second = max(order.index(0), order.index(2)) + 1
    with pytest.warns(UserWarning, match=f"line {second}: expected each site once, received 1"):
        profile = read_profile(tmp_path / "cell.txt", genome)
    assert labels(profile) == {"chr1": {2: 1, 6: 1}}
    assert (profile.account.duplicates, profile.account.joined) == (1, 1)
    contradicting = text.replace("1\t3\t+\t2\t0", "1\t3\t+\t0\t2")
    assert refusal(tmp_path / "cell.txt", "# c\n" + contradicting, genome) == (
        f", line {second + 1}: expected each site once, received 3 again, with another label"
    )
