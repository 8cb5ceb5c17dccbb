import gzip
import warnings

import numpy as np
import pytest

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles import blocks
from deepcpg_tf.profiles.read import read_profile
from tests.profiles.texts import refusal

MODKIT = "chr1\t2\t3\tm\t4\t+\t2\t3\t255,0,0\t4\t75.00\t3\t1\t0\t0\t0\t0\t0\n"
ENCODE = "chr1\t2\t3\t.\t4\t+\t2\t3\t255,0,0\t4\t75\n"


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    # CG at 2, 6, 9, 11, 16; and at 0 and 8.
    path.write_text(">chr1\nAACGTTCGGCGCGTNACGA\n>chr2\nCGTTTTTTCG\n")
    return Genome(path)


@pytest.fixture
def refused(tmp_path, genome):
    """Return the message of the error that a file causes, without its path."""
    return lambda content, **options: refusal(tmp_path / "cell.txt", content, genome, **options)


@pytest.mark.parametrize(
    "start",
    ["x\x01", "x^", "x\u0680", b"x\x9c", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xef\xbb\xbfchr1"],
)
@pytest.mark.parametrize("before", ["# c\n", "chrom\tpos\tvalue\n", "chr1\t3\t1\n"])
def test_text_is_not_taken_for_compressed_by_its_first_bytes(
    tmp_path, genome, refused, monkeypatch, start, before
):
    """Where a block starts with the bytes of zlib, gzip or zstd, it is text all the same."""
    monkeypatch.setattr(blocks, "_BLOCK", 12)
    start = start if isinstance(start, bytes) else start.encode()
    content = b"chr1\t3\t1\n" + before.encode() + start + b"\t5\t1\nchr2\t9\t0\n"
    if before != "chr1\t3\t1\n":
        content = content.removeprefix(b"chr1\t3\t1\n")
    try:
        start.decode()
    except UnicodeDecodeError:
        assert "received invalid utf-8 sequence" in refused(content)
        return
    (tmp_path / "cell.txt").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        account = read_profile(tmp_path / "cell.txt", genome).account
    assert account.read == content.count(b"\t1\n") + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1\t3\t1\n1\t7\t1.5\n",
            ", line 2: expected a number from 0 to 1 in column 3 (value), received '1.5'",
        ),
        (
            "1\t3\t-0.1\n",
            ", line 1: expected a number from 0 to 1 in column 3 (value), received '-0.1'",
        ),
        (
            "# c\n1\t3\tnan\n",
            ", line 2: expected a number from 0 to 1 in column 3 (value), received 'nan'",
        ),
        (
            "c p v\n\n1\t3\tyes\n",
            ", line 3: expected a number from 0 to 1 in column 3 (value), received 'yes'",
        ),
        (
            "1\t3\t1\n1\t\t1\n",
            ", line 2: expected a whole number from 1 in column 2 (start), received ''",
        ),
        (
            "1\t3\t1\n1\t7.0\t1\n",
            ", line 2: expected a whole number from 1 in column 2 (start), received '7.0'",
        ),
        (
            "1\t0\t1\n",
            ", line 1: expected a whole number from 1 in column 2 (start), received '0'",
        ),
        ("1\t3\t1\n\t7\t1\n", ", line 2: expected a name in column 1 (chrom), received ''"),
        (
            "1\t3\t1\n1\t7\n",
            ", line 2: expected the 3 columns of deepcpg (chrom, start, value), received 2 columns",
        ),
        (
            "1\t3\t1\n1\t7\t1\t\n",
            ", line 2: expected the 3 columns of deepcpg (chrom, start, value), received 4 "
            "columns, the last one empty: a tab at the end of the line",
        ),
        (
            "1\t2\t3\t0.5\n1\t6\t7\t1\n1\t9\t10\t1\n1\t11\t12\t100\n",
            ", line 4: expected a number from 0 to 1 in column 4 (score), received '100'",
        ),
        (
            "1\t2\t3\t50\n1\t6\t7\t101\n",
            ", line 2: expected a number from 0 to 100 in column 4 (score), received '101'",
        ),
        (
            "1\t2\t3\t50\n1\t6\t9\t50\n",
            ", line 2: expected start + 1 or start + 2 in column 3 (end), received start 6 and "
            "end 9",
        ),
        (
            "1\t3\t3\t50\t1\t1\n1\t7\t7\t101\t1\t1\n",
            ", line 2: expected a number from 0 to 100 in column 4 (percent), received '101'",
        ),
        (
            "1\t3\t3\t50\t1\t1\n1\t7\t7\t50\t-1\t1\n",
            ", line 2: expected a whole number from 0 in column 5 (methylated), received '-1'",
        ),
        (
            "1\t3\t3\t50\t1\t1\n1\t7\t9\t50\t1\t1\n",
            ", line 2: expected start + 0 or start + 1 in column 3 (end), received start 7 and "
            "end 9",
        ),
        (
            "1\t3\t+\t1\t1\tCG\tCGT\n1\t4\t*\t1\t1\tCG\tCGT\n",
            ", line 2: expected +, - or . in column 3 (strand), received '*'",
        ),
        (
            "1\t3\t+\t1\t1\tCG\tCGT\n1\t4\t-\t1\t1\tCG\n",
            ", line 2: expected the 7 columns of bismark-report (chrom, start, strand, "
            "methylated, unmethylated, context, …), received 6 columns",
        ),
        (
            "1\t3\t+\tCGT\t1\t2\t1\n1\t4\t-\tCGT\t3\t2\t1\n",
            ", line 2: expected no more methylated reads than reads, received 3 of 2",
        ),
        (
            "1\t3\t+\t\t1\t2\t1\n",
            ", line 1: expected a whole number from 0 in column 4 (methylated), received ''",
        ),
        (
            MODKIT + MODKIT.replace("\t3\t1\t0", "\tx\t1\t0"),
            ", line 2: expected a whole number from 0 in column 12 (methylated), received 'x'",
        ),
        (
            ENCODE + ENCODE.replace("75", "175"),
            ", line 2: expected a number from 0 to 100 in column 11 (percent), received '175'",
        ),
        (
            "1\t3\t5\t7\t9\n",
            ", line 1: expected as many columns as a format has (deepcpg 3, bedgraph 4, "
            "legacy-bedgraph 4, bismark-cov 6, bismark-zero-cov 6, bismark-report 7, allc 7, "
            "bedmethyl 18, bedmethyl 11), received 5",
        ),
        (
            "1\t99999999999999999999\t1\n",
            ", line 1: expected a whole number from 1 to 1000000000000 in column 2 (start), "
            "received '99999999999999999999'",
        ),
        (
            f"1\t3\t1\n1\t{2**63 - 1}\t1\n",
            ", line 2: expected a whole number from 1 to 1000000000000 in column 2 (start), "
            "received '9223372036854775807'",
        ),
        (
            f"1\t3\t4\t100\n1\t{10**12 + 1}\t{10**12 + 2}\t100\n",
            ", line 2: expected a whole number from 0 to 1000000000000 in column 2 (start), "
            "received '1000000000001'",
        ),
        (
            f"1\t3\t3\t50\t{2**63 - 1}\t{2**63 - 1}\n1\t7\t7\t0\t0\t2\n",
            ", line 1: expected a whole number from 0 to 1000000000000 in column 5 (methylated), "
            "received '9223372036854775807'",
        ),
        (
            f"1\t7\t7\t0\t0\t2\n1\t7\t{'9' * 5000}\t0\t0\t2\n",
            ", line 2: expected a whole number from 0 to 1000000000000 in column 3 (end), "
            f"received '{'9' * 60}'…",
        ),
        (
            f"1\t{'0' * 5000}7\t20\t0\t0\t2\n",
            f", line 1: expected start + 0 or start + 1 in column 3 (end), received start "
            f"{'0' * 5000}7 and end 20",
        ),
        (
            "1\t3\t1\n1\t7\t1 \n",
            ", line 2: expected a number from 0 to 1 in column 3 (value), received '1 '",
        ),
        (
            "1\t 3\t1\n1\t+5\t 1\n1\tx\t1\n",
            ", line 3: expected a whole number from 1 in column 2 (start), received 'x'",
        ),
        (
            f"{'a' * 3000}\t3\t1\n",
            f": expected chromosomes of genome.fa (chr1, chr2), received {'a' * 60}…",
        ),
    ],
)
def test_wrong_lines(refused, text, message):
    assert refused(text) == message
    assert refused(text.replace("\n", "\r\n")) == message
    assert refused(gzip.compress(text.encode())) == message


def test_lines_are_counted_over_blocks(refused, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK", 9)
    text = "# c\n\nchrom\tpos\tvalue\n1\t3\t1\n# c\n1\t7\t1\n1\t10\tx\n"
    assert refused(text) == (
        ", line 7: expected a number from 0 to 1 in column 3 (value), received 'x'"
    )


@pytest.mark.parametrize("size", [9, 1 << 20])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1\t3\t1\n\n1\t3\t0\n",
            ", line 3: expected each site once, received 3 again, with another label",
        ),
        (
            "1\t3\t1\n1\t3\t0.5\n",
            ", line 2: expected each site once, received 3 again, with another label",
        ),
        (
            "1\t3\t1\nchr1\t7\t0\n",
            ", line 2: expected one name a chromosome, received chr1 after 1, both chr1 of the "
            "reference",
        ),
    ],
)
def test_order(refused, monkeypatch, text, message, size):
    monkeypatch.setattr(blocks, "_BLOCK", size)
    assert refused(text) == message


@pytest.mark.parametrize("content", ["", "\n\n", "# only\ntrack name=x\n", "chrom\tpos\tvalue\n"])
def test_empty(refused, content):
    assert refused(content) == ": expected a site a line, found none"
    assert refused(gzip.compress(content.encode())) == ": expected a site a line, found none"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1\t3\t+\t1\t1\tCHG\tCTG\n",
            ": expected sites of 5-methylcytosine in a CG context, received none in 1 lines of "
            "bismark-report: 1 of context 'CHG'",
        ),
        (
            MODKIT.replace("\tm\t", "\th\t"),
            ": expected sites of 5-methylcytosine in a CG context, received none in 1 lines of "
            "bedmethyl: 1 of code 'h'",
        ),
        (
            "".join(f"GL{i}\t3\t1\n" for i in range(6)),
            ": expected chromosomes of genome.fa (chr1, chr2), received GL0, GL1, GL2, GL3, GL4, "
            "… (6 in all)",
        ),
        (
            "1\t1\t1\n1\t15\t1\n",
            ": expected sites on a CG of the reference, received 2 as deepcpg with 0 at offset "
            "0, 0 at -1, 0 at +1: is it of another assembly?",
        ),
    ],
)
def test_nothing_in_common_with_the_reference(refused, text, message):
    assert refused(text) == message


LINES = "".join(f"1\t3\t{x}\n" for x in np.random.default_rng(0).random(400)).encode()
WHOLE = gzip.compress(LINES, mtime=0)  # the same bytes, and so the same name, in every process


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            WHOLE[: len(WHOLE) // 2],
            "Compressed file ended before the end-of-stream marker was reached",
        ),
        (WHOLE[:10] + b"\xff" * 50, "Error -3 while decompressing data"),
        (WHOLE[:-8] + b"\0" * 8, "CRC check failed"),
        (WHOLE + b"junk", "Not a gzipped file (b'ju')"),
    ],
)
def test_damaged_gzip(refused, content, reason):
    assert refused(content).startswith(
        f", line 1 or later: expected a whole compressed file, received a damaged one: {reason}"
    )


def test_place_of_the_damage(refused, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK", 8)
    member = gzip.compress(b"1\t3\t1.00\n1\t7\t1.00\n")
    damaged = member + gzip.compress(b"1\t10\t1\n")[:-6]
    assert refused(damaged).startswith(", line 3 or later: expected a whole compressed file")


def test_missing_file(tmp_path, genome):
    path = tmp_path / "none.tsv"
    with pytest.raises(ProfileError, match=f"^{path}: cannot be read: No such file or directory$"):
        read_profile(path, genome)
    with pytest.raises(ProfileError, match=f"^{tmp_path}: cannot be read: Is a directory$"):
        read_profile(tmp_path, genome)


def test_no_text(refused):
    noise = np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes()
    assert refused(b"\x89" + noise).endswith(" bzip2, xz), received a binary file")
    assert ", line " in refused(b"\x89" + noise.replace(b"\0", b""))
    text = b"1\t3\t1\n\xff\t7\t1\n"
    assert "lines 1 to 2: expected the 3 columns of deepcpg" in refused(text)


def test_unknown_format(genome, tmp_path):
    with pytest.raises(ProfileError) as caught:
        read_profile(tmp_path / "any", genome, format="bam")
    assert str(caught.value) == (
        "unknown format of a profile: expected one of deepcpg, bedgraph, legacy-bedgraph, "
        "bismark-cov, bismark-zero-cov, bismark-report, allc, bedmethyl, received 'bam'"
    )


def test_another_format_than_that_of_the_file(refused):
    assert refused("1\t3\t1\n", format="bedmethyl") == (
        ", line 1: expected the 18 columns of bedmethyl (chrom, start, end, code, …, strand, …, "
        "…, …, …, percent, methylated, unmethylated, other, …, …, …, …) or the 11 columns of "
        "bedmethyl (chrom, start, end, …, …, strand, …, …, …, coverage, percent), received 3"
    )
    assert refused("1\t3\t3\t50\t1\t1\n", format="bismark-zero-cov") == (
        ", line 1: expected start + 1 or start + 2 in column 3 (end), received start 3 and end 3"
    )
    assert refused("1\t3\t+\tCGT\t1\t1\t1\n", format="bismark-report") == (
        ", line 1: expected a whole number from 0 in column 4 (methylated), received 'CGT'"
    )


def test_min_coverage_that_cannot_be(refused, genome, tmp_path):
    assert refused("1\t2\t3\t1\n", min_coverage=4) == (
        ": expected a format that tells the coverage of sites, as a minimum coverage of 4 asks, "
        "received bedgraph"
    )
    with pytest.raises(ProfileError, match="^minimum coverage: expected 1 read or more, received"):
        read_profile(tmp_path / "any", genome, min_coverage=0)


def test_a_chromosome_that_may_be_one_of_two(tmp_path):
    (tmp_path / "g.fa").write_text(">1\nACG\n>M\nACG\n>MT\nACG\n")
    found = refusal(tmp_path / "cell.txt", "1\t2\t1\nchrM\t2\t1\n", Genome(tmp_path / "g.fa"))
    assert found == (
        ", line 2: chromosome 'chrM': expected a name that means one chromosome, received one "
        "that may mean M or MT"
    )
