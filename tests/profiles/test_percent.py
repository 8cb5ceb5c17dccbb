"""Percent and counts of a line that contradict each other, and what is right all the same."""

import numpy as np
import pytest

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles import blocks
from deepcpg_tf.profiles.read import read_profile
from tests.profiles.texts import encode, labels, modkit, refusal

SITES = 40
# Methylated and all reads of each CpG.
COUNTS = [(int(m), int(n)) for n in range(1, 9) for m in range(n + 1)][:SITES]


@pytest.fixture
def genome(tmp_path):
    (tmp_path / "g.fa").write_text(f">1\n{'ACG' * SITES}\n")
    return Genome(tmp_path / "g.fa")


def cov(form, counts=COUNTS):
    lines = []
    for index, (m, n) in enumerate(counts):
        values = form(m, n)
        lines.append("\t".join(map(str, ("1", 3 * index + 2, 3 * index + 2, *values))))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("form", "fits"),
    [
        (lambda m, n: (100 * m / n, m, n), "columns 5 and 6 as methylated, all reads"),
        (lambda m, n: (round(100 * m / n), m, n), "columns 5 and 6 as methylated, all reads"),
        (lambda m, n: (100 * m / n, n, m), "columns 5 and 6 as all reads, methylated"),
        (lambda m, n: (100 * m / n, n - m, m), "columns 5 and 6 as unmethylated, methylated"),
        (lambda m, n: (int(100 * m / n), n - m, m), "columns 5 and 6 as unmethylated, methylated"),
        (
            lambda m, n: (m / n, m, n - m),
            "columns 5 and 6 as methylated, unmethylated and column 4 as a fraction, 0 to 1",
        ),
        (
            lambda m, n: (f"{m / n:.2f}", m, n),
            "columns 5 and 6 as methylated, all reads and column 4 as a fraction, 0 to 1",
        ),
    ],
)
@pytest.mark.parametrize("format_", [None, "bismark-cov"])
def test_other_orders_of_columns_are_named(tmp_path, genome, form, fits, format_):
    message = refusal(tmp_path / "cell.cov", cov(form), genome, format=format_)
    assert message.endswith(f": the line fits {fits}")


def test_the_line_and_both_values_are_told(tmp_path, genome):
    text = cov(lambda m, n: (100 * m / n, m, n - m)) + "1\t200\t200\t25\t3\t1\n"
    assert refusal(tmp_path / "cell.cov", text, genome) == (
        ", line 41: expected 75 in column 4 (percent), as 3 of 4 reads are methylated by columns "
        "5 and 6, received 25: the line fits columns 5 and 6 as unmethylated, methylated"
    )
    text = "# c\n\n1\t200\t200\t30\t3\t1\n"
    message = refusal(tmp_path / "cell.cov", text, genome)
    assert message.startswith(", line 3: expected 75 in")
    assert message.endswith("received 30: no order of columns fits")


def test_a_contradiction_in_a_later_block(tmp_path, genome, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK", 50)
    text = cov(lambda m, n: (100 * m / n, m, n - m)) + "1\t200\t200\t25\t3\t1\n"
    assert refusal(tmp_path / "cell.cov", text, genome).startswith(", line 41: expected 75 in")


@pytest.mark.parametrize(
    "form",
    [
        lambda x: f"{x:.15g}",
        lambda x: f"{x:.6f}",
        lambda x: f"{x:.2f}",
        lambda x: f"{x:.1f}",
        lambda x: f"{x:.0f}",
        lambda x: str(int(x)),  # cut off, as by MethylDackel
        lambda x: f"{int(10 * x) / 10}",
        lambda x: str(np.float32(x)),
    ],
)
def test_rounded_percents_agree(tmp_path, genome, form):
    counts = [(m, n) for n in (3, 7, 199, 1000) for m in range(0, n, max(1, n // 9))][:SITES]
    text = cov(lambda m, n: (form(100 * m / n), m, n - m), counts)
    (tmp_path / "cell.cov").write_text(text)
    expected = {3 * i + 1: int(2 * m > n) for i, (m, n) in enumerate(counts) if 2 * m != n}
    assert labels(read_profile(tmp_path / "cell.cov", genome)) == {"1": expected}


def test_lines_without_reads_agree_with_any_percent(tmp_path, genome):
    (tmp_path / "cell.cov").write_text("1\t2\t2\t0\t0\t0\n1\t5\t5\t50\t0\t0\n1\t8\t8\t100\t1\t0\n")
    assert labels(read_profile(tmp_path / "cell.cov", genome)) == {"1": {7: 1}}
    rows = encode("1", 1, "+", 0, 33), encode("1", 4, "+", 0, 0.5), encode("1", 7, "+", 1, 100)
    (tmp_path / "cell.bed").write_text("".join(rows))
    assert labels(read_profile(tmp_path / "cell.bed", genome)) == {"1": {7: 1}}


def test_bedmethyl_of_modkit(tmp_path, genome):
    right = modkit(1, "+", 1, 2, 4, chromosome="1")
    assert "\t14.29\t1\t2\t4\t" in right
    (tmp_path / "cell.bed").write_text(right)
    read_profile(tmp_path / "cell.bed", genome)
    for wrong, fits in (
        (right.replace("\t1\t2\t4\t", "\t2\t1\t4\t"), "unmethylated, methylated"),
        (right.replace("14.29", "0.1429"), "methylated, unmethylated and column 11 as a fraction"),
        (modkit(1, "+", 1, 2, chromosome="1").replace("\t1\t2\t", "\t1\t3\t"), "methylated, all"),
    ):
        message = refusal(tmp_path / "cell.bed", wrong, genome)
        assert "in column 11 (percent), as " in message
        assert f": the line fits columns 12 and 13 as {fits}" in message


def test_a_fraction_in_a_bedmethyl_of_encode(tmp_path, genome):
    # Of 7 of 10 valid reads, 3 methylated: other programs count reads without a call.
    text = encode("1", 1, "+", 10, 42.86) + encode("1", 4, "+", 3, 0) + encode("1", 7, "+", 200, 1)
    (tmp_path / "cell.bed").write_text(text)
    assert labels(read_profile(tmp_path / "cell.bed", genome)) == {"1": {1: 0, 4: 0, 7: 0}}
    for percent in (0.75, 1):
        wrong = encode("1", 1, "+", 4, 0) + encode("1", 4, "+", 4, percent)
        assert refusal(tmp_path / "cell.bed", wrong, genome) == (
            ", line 2: expected 0 or the percent of one read or more in column 11 (percent), 25 "
            f"for 4 reads in column 10 (coverage), received {percent}: that fits a fraction, 0 "
            "to 1, of reads"
        )


@pytest.mark.parametrize(
    ("format_", "end"),
    [
        (None, "(taken for bismark-cov by the 6 columns of line 2)"),
        ("bismark-cov", "(read as bismark-cov, as `format` says)"),
    ],
)
def test_messages_say_what_the_file_was_taken_for(tmp_path, genome, format_, end):
    for fault in ("1\t5\t5\t50\t0\t1\n", "1\t5\t5\tx\t0\t1\n", "1\t2\t2\t0\t0\t1\n", "1\t5\n"):
        (tmp_path / "cell.cov").write_text("# c\n1\t2\t2\t100\t1\t0\n" + fault)
        with pytest.raises(ProfileError) as caught:
            read_profile(tmp_path / "cell.cov", genome, format=format_)
        assert str(caught.value).startswith(f"{tmp_path / 'cell.cov'}, line 3: expected ")
        assert str(caught.value).endswith(end)
