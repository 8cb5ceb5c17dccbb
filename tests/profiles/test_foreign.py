"""Files of other programs: each is told what it is, and what is told to do makes a profile."""

import subprocess

import pytest

from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.read import read_profile
from tests.profiles.texts import labels, refusal


@pytest.fixture
def genome(tmp_path):
    # CG at 1, 4, 7.
    (tmp_path / "g.fa").write_text(">chr1\nACGACGACG\n")
    return Genome(tmp_path / "g.fa")


METHYLKIT = (
    "chr1.2\tchr1\t2\tF\t4\t 75.00\t 25.00\n"
    "chr1.6\tchr1\t6\tR\t3\t  0.00\t100.00\n"
    "chr1.8\tchr1\t8\tF\t3\t 66.67\t 33.33\n"
)
METHYLKIT_HEADER = "chrBase\tchr\tbase\tstrand\tcoverage\tfreqC\tfreqT\n"
BSMAP_HEADER = (
    "chr\tpos\tstrand\tcontext\tratio\teff_CT_count\tC_count\tCT_count\trev_G_count\t"
    "rev_GA_count\tCI_lower\tCI_upper\n"
)
BSMAP = "".join(
    f"chr1\t{p}\t{s}\tAACGA\t{m / n:.3f}\t{n}.00\t{m}\t{n}\t0\t0\t0.1\t0.9\n"
    for p, s, m, n in ((2, "+", 3, 4), (5, "+", 0, 0), (6, "-", 0, 3), (8, "+", 2, 3))
    if n
)
CGMAP = (
    "chr1\tC\t2\tCG\tCG\t0.75\t3\t4\nchr1\tG\t3\tCHG\tCC\t0.5\t1\t2\n"
    "chr1\tG\t6\tCG\tCG\t0.0\t0\t3\nchr1\tC\t8\tCG\tCG\t0.67\t2\t3\n"
)
BISCUIT = "chr1\t1\t3\t0.750\t4\t{0}\nchr1\t4\t6\t0.000\t3\t{0}\nchr1\t7\t9\t0.667\t3\t{0}\n"
PACBIO = "".join(
    f"chr1\t{p}\t{p + 1}\t{100 * m / n:.1f}\tTotal\t{n}\t{m}\t{n - m}\t{100 * m / n:.1f}\n"
    for p, m, n in ((1, 3, 4), (4, 0, 3), (7, 2, 3))
)


@pytest.mark.parametrize(
    ("text", "kind", "format_"),
    [
        (METHYLKIT_HEADER + METHYLKIT, "methylKit's table", None),
        (METHYLKIT, "methylKit's table", None),
        (BSMAP_HEADER + BSMAP, "BSMAP's ratios", None),
        (BSMAP, "BSMAP's ratios", None),
        (CGMAP, "a CGmap", None),
        ("chr\tpos\tN\tX\nchr1\t2\t4\t3\nchr1\t5\t3\t0\nchr1\t8\t3\t2\n", "DSS's table", None),
        (BISCUIT.format("C:0.7:3,G:1:1"), "fraction and coverage, as BISCUIT", "bismark-zero-cov"),
        (BISCUIT.replace("\t{0}", ""), "fraction and coverage, as BISCUIT", "bismark-zero-cov"),
        (PACBIO, "a table of pb-CpG-tools", "bismark-zero-cov"),
    ],
)
def test_what_is_told_to_do_makes_a_profile(tmp_path, genome, text, kind, format_):
    message = refusal(tmp_path / "cell.txt", text, genome)
    place, _, told = message.partition("received ")
    assert place == (
        ", line 1: expected a methylation profile (deepcpg, bedgraph, legacy-bedgraph, "
        "bismark-cov, bismark-zero-cov, bismark-report, allc, bedmethyl), "
    )
    assert told.startswith(kind)
    command = "awk " + told.partition(", awk ")[2].partition("NEW.cov")[0] + "NEW.cov"
    subprocess.run(command.replace("FILE", "cell.txt"), shell=True, cwd=tmp_path, check=True)
    assert told.endswith("bismark-zero-cov") == (format_ is not None)
    profile = read_profile(tmp_path / "NEW.cov", genome, format=format_)
    assert labels(profile) == {"chr1": {1: 1, 4: 0, 7: 1}}
    assert profile.account.dropped == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            'track type="bedGraph" description="x CpG methylation counts"\nchr1\t1\t2\t1\n',
            "the coverage of sites, without their methylation, as MethylDackel --counts writes: "
            "run it without --counts",
        ),
        (
            'track type="bedGraph" description="x CpG logit transformed methylation fractions"\n'
            "chr1\t1\t2\t0.4\n",
            "logits, as MethylDackel --logit writes: run it without --logit",
        ),
        (
            "##fileformat=VCFv4.2\n#CHROM\tPOS\nchr1\t2\t.\tC\tT\t30\tPASS\n",
            "variants (VCF): of BISCUIT's, biscuit vcf2bed makes sites",
        ),
        (
            "Bismark methylation extractor version v0.24.0\nread1\t+\tchr1\t2\tZ\n",
            "calls of single reads: bismark2bedGraph makes coverage",
        ),
        ("fixedStep chrom=chr1 start=2 step=1\n0.5\n", "a wiggle track: make it bedGraph"),
        ("@HD\tVN:1.6\nread\t0\tchr1\t2\n", "aligned reads (SAM)"),
        (">chr1\nACGACGACG\n", "FASTA"),
    ],
)
@pytest.mark.parametrize("format_", [None, "bedgraph"])
def test_headers_that_tell_what_a_file_is(tmp_path, genome, text, kind, format_):
    message = refusal(tmp_path / "cell.txt", f"# c\n\n{text}", genome, format=format_)
    assert message.startswith(", line 3: expected a methylation profile (deepcpg, ")
    assert message.endswith(f"received {kind}")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("read1\t+\tchr1\t2\tz", "calls of single reads, of Bismark's: bismark2bedGraph"),
        ("chr1,2,1", "columns separated by commas: separate them by tabs"),
        ("chr1;2;1;3", "columns separated by semicolons: separate them by tabs"),
        (
            "chr1\t1\t2\t.\t4\t+\t1\t2\t0,0,0\t4\t75\tCG\tCG\t30",
            "a bedMethyl of gemBS: keep its first 11 columns, cut -f1-11 FILE > NEW.bed",
        ),
        (
            "chr1\t1\t2\t5mC\t1000\t+\t1\t2\t0,0,0\t4\t75.00\t1\t3\t0\t0",
            "a bedMethyl of modbam2bed --extended: write it without, in 11 columns",
        ),
    ],
)
def test_columns_that_tell_what_a_file_is(tmp_path, genome, line, kind):
    message = refusal(tmp_path / "cell.txt", f"a header\n{line}\n{line}\n", genome)
    assert message.startswith(", line 2: expected a methylation profile (deepcpg, ")
    assert f"received {kind}" in message


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("1\t2\t1\t", 4),
        ("1\t1\t2\t1\t", 5),
        ("1\t2\t2\t75\t3\t1\t", 7),
        ("1\t2\t+\t1\t0\tCG\tC\t", 8),
    ],
)
def test_a_tab_at_the_end_of_lines(tmp_path, genome, line, count):
    assert refusal(tmp_path / "cell.txt", f"{line}\n", genome) == (
        f", line 1: expected no tab at the end of a line, received {count} columns, the last one "
        "empty: a tab at the end of the line (sed 's/\\t*$//' FILE removes it)"
    )


def test_bytes_that_terminals_obey_are_escaped(run, fails, tmp_path, genome):
    cell = tmp_path / "cell.tsv"
    arguments = ("data", "build", "--genome", tmp_path / "g.fa", "--out", tmp_path / "t.h5ad")
    for text in ("1\t2\t\x1b[31m\n", "1\t2\t1\n\x1b[2J\x07\t2\t1\nchr1\x1b\t\x9b\t1\n"):
        cell.write_bytes(text.encode())
        message = fails(*arguments, "--profiles", cell)
        assert message.removesuffix("\n").isprintable()
        assert r"\x1b" in message or r"\x9b" in message
    cell.write_text("1\t2\t1\n\x1b[2J\t2\t1\n")
    result = run(*arguments, "--profiles", cell)
    assert result.code == 0
    assert r"lacks (\x1b[2J)" in result.err
    cell.rename(tmp_path / "a\x07.tsv")
    assert r"a\x07.tsv: deepcpg" in run(*arguments, "--profiles", tmp_path / "a\x07.tsv").err


BOTH = (
    "strands averaged without their coverage: a coverage file (.cov) of the same reads tells more"
)
COUNTS = "all values are 0 or 1: they may be counts of reads, and no shares"


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("chr1\t1\t2\t100\nchr1\t2\t3\t50\n", [BOTH]),
        ("chr1\t1\t2\t1\nchr1\t2\t3\t0.5\nchr1\t4\t5\t0\n", [BOTH]),
        ("chr1\t1\t2\t1\nchr1\t2\t3\t1\nchr1\t4\t5\t0\n", [BOTH, COUNTS]),
        ("chr1\t1\t2\t1\nchr1\t4\t5\t0\n", []),
        ("chr1\t2\t1\nchr1\t3\t1\nchr1\t5\t0\n", [BOTH]),
        ("chr1\t2\t2\t100\t1\t0\nchr1\t3\t3\t100\t1\t0\n", []),
    ],
)
def test_strands_without_coverage(tmp_path, genome, text, notes):
    (tmp_path / "cell.txt").write_text(text)
    account = read_profile(tmp_path / "cell.txt", genome).account
    assert account.notes == notes
    assert str(account).endswith("; ".join(["", *notes]))
