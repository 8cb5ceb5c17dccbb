import gzip

import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles import blocks
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
    LEGACY_BEDGRAPH,
    MERGED_COV,
    MODKIT,
    REPORT,
    labels,
    zero_based,
)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr2\n{CHR2}\n>chr1\n{CHR1}\n>chrM\nACGT\n")
    return Genome(path)


@pytest.fixture
def write(tmp_path):
    def call(text, name="cell.txt"):
        (tmp_path / name).write_bytes(text.encode())
        return tmp_path / name

    return call


NOT_CG, TIES = "not on a CG of the reference", "ties"


@pytest.mark.parametrize(
    ("format_", "text", "dropped", "joined", "offsets"),
    [
        ("deepcpg", DEEPCPG, {NOT_CG: 1, TIES: 1}, 2, (5, 3, 1)),
        ("bedgraph", BEDGRAPH, {NOT_CG: 1, TIES: 1}, 2, (5, 3, 1)),
        ("bismark-cov", COV, {NOT_CG: 1, TIES: 1}, 2, (5, 3, 1)),
        ("bismark-cov", MERGED_COV, {NOT_CG: 1, TIES: 1}, 0, (6, 0, 0)),
        (
            "bismark-report",
            REPORT,
            {NOT_CG: 1, "under 1 read": 1, TIES: 1, "outside a CG context": 1},
            4,
            (6, 5, 1),
        ),
        (
            "allc",
            ALLC,
            {NOT_CG: 1, "under 1 read": 1, TIES: 1, "outside a CG context": 1},
            2,
            (6, 3, 1),
        ),
        (
            "bedmethyl",
            MODKIT,
            {NOT_CG: 1, TIES: 1, "of another modification than m": 1},
            1,
            (5, 2, 1),
        ),
        ("bedmethyl", ENCODE, {NOT_CG: 1, "under 1 read": 1, TIES: 1}, 2, (6, 3, 1)),
    ],
    ids=["deepcpg", "bedgraph", "cov", "merged-cov", "report", "allc", "modkit", "encode"],
)
@pytest.mark.parametrize("explicit", [False, True])
def test_formats(write, genome, format_, text, dropped, joined, offsets, explicit):
    profile = read_profile(write(text), genome, format=format_ if explicit else None)
    assert labels(profile) == LABELS
    assert list(profile.sites) == ["chr2", "chr1"]
    account = profile.account
    assert account.format == format_
    assert account.dropped == dropped
    assert (account.kept, account.joined, account.duplicates) == (5, joined, 0)
    assert tuple(account.offsets[offset] for offset in (0, -1, 1)) == offsets
    # What the file says, less comments and the header.
    lines = [line for line in text.splitlines() if not line.startswith(("track", "chr\t"))]
    assert account.read == len(lines) == 5 + joined + sum(dropped.values())


def test_formats_that_only_a_name_can_tell(write, genome):
    legacy = read_profile(write(LEGACY_BEDGRAPH), genome, format="legacy-bedgraph")
    assert labels(legacy) == LABELS
    zero = read_profile(write(zero_based(COV)), genome, format="bismark-zero-cov")
    assert labels(zero) == LABELS
    assert zero.account.dropped == {NOT_CG: 1, TIES: 1}


def test_merged_cpgs_of_methyldackel(write, genome):
    text = 'track type="bedGraph" description="CpG"\nchr1\t2\t4\t75\t3\t1\nchr1\t6\t8\t0\t0\t2\n'
    profile = read_profile(write(text), genome)
    assert (profile.account.format, labels(profile)) == ("bismark-zero-cov", {"chr1": {2: 1, 6: 0}})


def test_account(write, genome):
    text = COV + "GL1\t3\t3\t100\t1\t0\nGL1\t4\t4\t100\t1\t0\nchrMT\t2\t2\t100\t1\t0\n"
    account = read_profile(write(text), genome).account
    assert account.absent == ["GL1"]
    assert str(account) == (
        "cell.txt: bismark-cov, 12 sites read, 6 kept; "
        "4 dropped: 1 not on a CG of the reference, 1 ties, "
        "2 on chromosomes that the reference lacks (GL1); 2 joined with the other strand; "
        "on a CG: 6 at offset 0, 3 at -1, 1 at +1; on a C or G: 90.0%"
    )


def test_names_of_chromosomes(write, genome):
    profile = read_profile(write("MT\t2\t1\nchr2\t1\t0\n1\t3\t1\n"), genome)
    assert labels(profile) == {"chr2": {0: 0}, "chr1": {2: 1}, "chrM": {1: 1}}


def test_many_absent_chromosomes_are_not_all_named(write, genome):
    names = "".join(f"GL{i}\t1\t1\n" for i in range(7))
    account = read_profile(write(names + "1\t3\t1\n"), genome).account
    assert len(account.absent) == 7
    assert "7 on chromosomes that the reference lacks (GL0, GL1, GL2, GL3, GL4, …)" in str(account)


@pytest.mark.parametrize(
    ("reads", "expected", "low"),
    [
        # Reads on C and G of the CpG at 2: methylated, unmethylated, methylated, unmethylated.
        ((2, 0, 0, 1), {2: 1}, 0),
        ((1, 0, 0, 1), {}, 1),
        ((0, 1, 0, 2), {2: 0}, 0),
        ((2, 1, 1, 2), {}, 0),
    ],
)
def test_min_coverage_counts_both_strands(write, genome, reads, expected, low):
    a, b, c, d = reads
    text = "".join(
        f"1\t{position}\t{position}\t{100 * m / (m + u)}\t{m}\t{u}\n"
        for position, m, u in ((3, a, b), (4, c, d), (7, 0, 3))
    )
    profile = read_profile(write(text), genome, min_coverage=3)
    assert labels(profile) == {"chr1": expected | {6: 0}}
    assert profile.account.dropped.get("under 3 reads", 0) == low
    assert profile.account.dropped.get(TIES, 0) == 1 - low - len(expected)


def test_no_state_at_all_is_no_error(write, genome):
    profile = read_profile(write(COV), genome, min_coverage=6)
    assert profile.sites == {}
    assert profile.account.dropped == {NOT_CG: 1, "under 6 reads": 6}


@pytest.mark.parametrize("compress", ["gzip", "two members", "bgzip"])
def test_compressed(write, tmp_path, genome, compress):
    path = tmp_path / "BS27.x.bismark.cov.gz"
    content = COV.encode()
    if compress == "bgzip":
        pysam.tabix_compress(str(write(COV)), str(path))
    elif compress == "gzip":
        path.write_bytes(gzip.compress(content))
    else:
        path.write_bytes(gzip.compress(content[:50]) + gzip.compress(content[50:]))
    profile = read_profile(path, genome)
    assert labels(profile) == LABELS
    assert (profile.cell, profile.path) == ("BS27.x", path)


@pytest.mark.parametrize(
    "text",
    [
        DEEPCPG.replace("\n", "\r\n"),
        DEEPCPG.replace("\n", "\r"),
        "\ufeff" + DEEPCPG,
        "#chrom\tpos\tvalue\n" + DEEPCPG,
        "chrom\tpos\tvalue\n" + DEEPCPG,
        "\n# a comment\nbrowser position chr1\ntrack name=x\n\nchromo pos value\n" + DEEPCPG,
        DEEPCPG.replace("2\t2", "# in between\n\ntrack name=y\n   \n2\t2"),
        DEEPCPG.replace("\t", " "),
        DEEPCPG.removesuffix("\n"),
    ],
)
def test_forms_of_text(write, genome, text):
    profile = read_profile(write(text), genome)
    assert labels(profile) == LABELS
    assert profile.account.read == 9


def test_modkit_with_spaces_from_column_10_on(write, genome):
    lines = (line.split("\t") for line in MODKIT.splitlines())
    text = "".join("\t".join(x[:10]) + " " + " ".join(x[10:]) + "\n" for x in lines)
    assert labels(read_profile(write(text), genome)) == LABELS


@pytest.mark.parametrize("size", [1, 7, 40, 100])
@pytest.mark.parametrize("text", [DEEPCPG, BEDGRAPH, COV, REPORT, ALLC, MODKIT, "a b c\n" + ENCODE])
def test_blocks_do_not_matter(write, genome, monkeypatch, text, size):
    whole = read_profile(write(text), genome)
    monkeypatch.setattr(blocks, "_BLOCK", size)
    in_blocks = read_profile(write(text), genome)
    assert labels(in_blocks) == labels(whole)
    assert in_blocks.account == whole.account


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Values up to 1, percent, and zeros only: the most tell which of the two it is.
        ("1\t2\t3\t0.6\n1\t6\t7\t0.4\n", {2: 1, 6: 0}),
        ("1\t2\t3\t60\n1\t6\t7\t40\n1\t9\t10\t0.6\n", {2: 1, 6: 0, 9: 0}),
        ("1\t2\t3\t1\n1\t6\t7\t0\n", {2: 1, 6: 0}),
        ("1\t2\t3\t0\n1\t6\t7\t0\n", {2: 0, 6: 0}),
        ("1\t2\t4\t100\n1\t6\t8\t50\n", {2: 1}),
    ],
)
def test_values_and_percent_of_bedgraph(write, genome, text, expected):
    assert labels(read_profile(write(text), genome)) == {"chr1": expected}


def test_reverse_calls_on_a_forward_c_are_no_calls(write, genome):
    text = "1\t3\t-\t1\t0\tCG\tCGT\n1\t8\t+\t1\t0\tCG\tCGT\n1\t10\t+\t1\t0\tCG\tCGT\n"
    profile = read_profile(write(text), genome)
    assert labels(profile) == {"chr1": {9: 1}}
    assert profile.account.dropped == {NOT_CG: 2}


def test_a_site_past_the_end_of_its_chromosome_is_no_cg(write, genome):
    profile = read_profile(write("2\t1\t1\n2\t10\t1\n2\t11\t1\n2\t5000\t1\n"), genome)
    assert labels(profile) == {"chr2": {0: 1, 8: 1}}
    assert profile.account.dropped == {NOT_CG: 2}


@pytest.mark.parametrize("size", [20, 1 << 20])
def test_duplicates_of_equal_state_are_merged(write, genome, monkeypatch, size):
    monkeypatch.setattr(blocks, "_BLOCK", size)
    line = "1\t3\t3\t75\t3\t1\n"
    path = write("# a comment\n" + line + "1\t3\t3\t60\t3\t2\n" + line + "1\t7\t7\t0\t0\t2\n")
    expected = (
        r"cell\.txt, line 3: expected each site once, received 2 again with the same label, "
        "which were merged$"
    )
    with pytest.warns(UserWarning, match=expected) as caught:
        profile = read_profile(path, genome, min_coverage=2)
    assert caught[0].filename == __file__
    assert labels(profile) == {"chr1": {2: 1, 6: 0}}
    assert (profile.account.read, profile.account.duplicates) == (4, 2)
    assert "; 2 duplicates; " in str(profile.account)
    with pytest.warns(UserWarning, match=expected):
        # The reads of one line count, not of all three.
        assert labels(read_profile(path, genome, min_coverage=5)) == {}


def test_the_cell_is_named_as_the_file_or_as_one_says(write, genome):
    path = write(DEEPCPG, "a_bismark_bt2.cov.gz")
    assert read_profile(path, genome).cell == "a"
    assert read_profile(path, genome, cell="mine").cell == "mine"


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_reads_may_be_on_either_strand(write, genome, data):
    reads = st.integers(0, 4)
    sites = {"chr1": (2, 6, 9, 11, 16), "chr2": (0, 8)}
    least = data.draw(st.integers(1, 5), "least")
    apart = together = ""
    expected: dict = {}
    for chromosome, positions in sites.items():
        for position in positions:
            a, b = data.draw(reads), data.draw(reads)
            c, d = data.draw(st.integers(0, a)), data.draw(st.integers(0, b))
            together += f"{chromosome}\t{position + 1}\t+\t{a}\t{b}\tCG\tCGN\n"
            apart += f"{chromosome}\t{position + 1}\t+\t{c}\t{d}\tCG\tCGN\n"
            apart += f"{chromosome}\t{position + 2}\t-\t{a - c}\t{b - d}\tCG\tCGN\n"
            if a + b >= least and a != b:
                expected.setdefault(chromosome, {})[position] = int(a > b)
    for text in (together, apart):
        assert labels(read_profile(write(text), genome, min_coverage=least)) == expected
