import gzip

import numpy as np
import pytest

from deepcpg_tf.errors import SiteError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sites import CpgCount, count_cpgs, read_sites

#        0123456789
CHR1 = "ACGTACGTCG"


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{CHR1}\n>2\nCGCG\n")
    return Genome(path)


@pytest.fixture
def write(tmp_path):
    def call(text, name="sites.txt"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return call


def read(path, genome, **options):
    chunks = list(read_sites(path, genome, **options))
    return [
        (chromosome, int(position), strand)
        for sites in chunks
        for chromosome, position, strand in zip(
            sites.chromosomes, sites.positions, sites.strands, strict=True
        )
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1\t2\n1\t6\n", [("chr1", 1, "+"), ("1", 5, "+")]),
        ("chr1\t2\t1.0\n", [("chr1", 1, "+")]),
        ("chr1\t2\t0\n", [("chr1", 1, "+")]),
        ("chr1\t2\t1\n", [("chr1", 1, "+")]),
        (f"chr1\t2\t{'9' * 5000}\n", [("chr1", 1, "+")]),
        ("chr1 2\r\nchr2 3\r\n", [("chr1", 1, "+"), ("chr2", 2, "+")]),
        ("chr1\t2\t+\nchr1\t3\t-\n", [("chr1", 1, "+"), ("chr1", 1, "-")]),
        ("chr1\t1\t2\n2\t0\t2\n", [("chr1", 1, "+"), ("2", 0, "+")]),
        ("chr1\t1\t2\tx\t0\t+\nchr1\t2\t3\tx\t0\t-\n", [("chr1", 1, "+"), ("chr1", 1, "-")]),
        ("chr1\t1\t3\tx\t0\t-\n", [("chr1", 1, "-")]),
        ("chr1\t1\t2\tx\t0\t.\n", [("chr1", 1, "+")]),
        ("\ufeff# a comment\ntrack name=x\n\nchrom\tpos\nchr1\t2\n", [("chr1", 1, "+")]),
        ("chr1\t9\n", [("chr1", 8, "+")]),
        ("chromo\tpos\nchr1\t9\n", [("chr1", 8, "+")]),
        (
            "chromosome\tposition\tstrand\tcell\nchr1\t1\t+\t0.5\nchr1\t5\t-\t0.1\n",
            [("chr1", 1, "+"), ("chr1", 5, "-")],
        ),
    ],
)
def test_forms(write, genome, text, expected):
    assert read(write(text), genome) == expected


def test_gzip(write, genome, tmp_path):
    path = tmp_path / "sites.bed"
    path.write_bytes(gzip.compress(b"chr1\t1\t2\n"))
    assert read(path, genome) == [("chr1", 1, "+")]


def test_gzip_damaged_in_the_middle(tmp_path, genome):
    content = bytearray(gzip.compress(b"".join(b"chr1\t%d\n" % (i % 9 + 1) for i in range(9999))))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "sites.gz").write_bytes(content)
    # What comes out of the damage may be no site before it is found to be damage.
    with pytest.raises(SiteError, match=r"sites.gz(, line \d+)?: "):
        read(tmp_path / "sites.gz", genome)


def test_chunks_keep_order_and_lines(write, genome):
    path = write("".join(f"chr1\t{i}\n\n" for i in (9, 2, 6, 3, 1)))
    chunks = list(read_sites(path, genome, chunk_size=2))
    assert [len(sites) for sites in chunks] == [2, 2, 1]
    assert np.concatenate([sites.positions for sites in chunks]).tolist() == [8, 1, 5, 2, 0]
    assert np.concatenate([sites.lines for sites in chunks]).tolist() == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "sites.txt: expected a site a line, found none"),
        ("# only a comment\n", "expected a site a line, found none"),
        ("chr1\t2\nchr9\t2\n", "line 2: chromosome 'chr9': expected one of genome.fa"),
        ("chr1\n", "line 1: expected the columns chromosome and position, received 'chr1'"),
        ("chr1\ttwo\n", "line 1: expected a whole number as position, received 'two'"),
        ("chr1\t2.5\n", "expected a whole number as position, received '2.5'"),
        ("chr1\t-2\n", "expected a whole number as position, received '-2'"),
        ("chr1\t1\x1f\n", r"expected a whole number as position, received '1\\x1f'"),
        ("chr1\t٣\n", "expected a whole number as position, received '٣'"),
        ("chr1\t²\t٣\n", "expected a whole number as position, received '²'"),
        (f"chr1\t{'9' * 5000}\n", f"expected a whole number as position, received '{'9' * 60}'$"),
        ("chr1\t0\n", "line 1: expected a site within the 10 bases of chromosome chr1"),
        ("chr1\t11\n", "expected a site within the 10 bases of chromosome chr1, received 'chr1"),
        ("chr1\t10\t11\n", "expected a site within the 10 bases"),
        ("chr1\t1\t9\n", r"line 1: expected a site of 1 or 2 bases .* received 1 to 9"),
        ("chr1\t1\t2\nchr1\t3\n", "line 2: expected the BED columns chromosome, start, end"),
        ("chr1\t1\t2\nchr1\t3\tx\n", "line 2: expected a whole number as end, received 'x'"),
        ("chr1\t1\t2\tn\t0\tplus\n", r"line 1: expected a strand \(\+, - or .\), received 'plus'"),
    ],
)
def test_faults(write, genome, text, message):
    with pytest.raises(SiteError, match=message):
        read(write(text), genome)


def test_binary_file(tmp_path, genome):
    (tmp_path / "sites.bam").write_bytes(bytes(range(128, 256)))
    with pytest.raises(SiteError, match="expected text, plain or compressed, but"):
        read(tmp_path / "sites.bam", genome)


def test_truncated_gzip(tmp_path, genome):
    content = gzip.compress(b"".join(b"chr1\t%d\n" % (i % 9 + 1) for i in range(9999)))
    (tmp_path / "sites.gz").write_bytes(content[:-20])
    with pytest.raises(SiteError, match="expected text, plain or compressed, but"):
        read(tmp_path / "sites.gz", genome)


def test_cpgs_are_counted_at_three_offsets(write, genome):
    path = write("chr1\t2\nchr1\t3\n2\t2\nchr1\t6\nchr1\t4\n")
    count = count_cpgs(path, genome)
    assert count[:4] == (5, 2, 2, 1)
    assert sorted(count.references) == ["2", "chr1"]
    assert str(count).startswith(
        "2 of 5 sites are CG in the reference (2 are at offset -1, 1 at +1); WARNING"
    )


def test_require_cpg_names_the_first_line(write, genome):
    path = write("chr1\t2\n2\t1\nchr1\t6\nchr1\t1\n2\t2\n")
    with pytest.raises(SiteError, match="4: expected a CG, as .* asks, found AC at chr1, 0-based"):
        count_cpgs(path, genome, require="as `require_cpg` asks")


@pytest.mark.parametrize(
    ("counts", "warning"),
    [
        ((5091, 5091, 300, 300), None),
        ((100, 60, 20, 20), None),
        ((5091, 306, 322, 328), "most are none: is the genome another assembly?"),
        ((20, 0, 0, 1), "most are none: is the genome another assembly?"),
        ((5091, 0, 5091, 358), "the positions look 1 too large for how they were read"),
        ((5091, 300, 358, 4000), "the positions look 1 too small for how they were read"),
    ],
)
def test_one_warning_at_most(counts, warning):
    told = str(CpgCount(*counts)).split("; WARNING: ")
    assert told[1:] == ([] if warning is None else [warning])
