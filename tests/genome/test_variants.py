import bz2
import gzip
import lzma
import random

import pysam
import pysam.bcftools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.errors import AnnotationError, GenomeError, VariantError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.variants import (
    BREAKEND,
    CONTIG,
    LETTERS,
    LONG,
    NONE,
    OFF,
    REASONS,
    REFERENCE,
    SAME,
    STAR,
    SYMBOLIC,
    Allele,
    VcfFile,
    trimmed,
)

#        0123456789012345
CHR1 = "ACGTNACGTRACGCGT"
CHR2 = "CCCCGGGG"
HEADER = (
    "##fileformat=VCFv4.2\n"
    "##contig=<ID=chr1,length=16>\n"
    "##contig=<ID=2,length=8>\n"
    "##contig=<ID=9>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    '##FORMAT=<ID=PS,Number=1,Type=Integer,Description="Phase set">\n'
    '##INFO=<ID=X,Number=1,Type=String,Description="Something">\n'
)
NAMES = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{CHR1.lower()}\n>2\n{CHR2}\n")
    return Genome(path)


def vcf(*records, samples=()):
    """Return a file of records, each ``CHROM POS REF ALT`` with an ID and a genotype, maybe."""
    names = "\t".join((NAMES, *(("FORMAT", *samples) if samples else ())))
    lines = []
    for record in records:
        chromosome, position, ref, alt, *more = record.split(" ")
        line = [chromosome, position, ".", ref, alt, "50", "PASS", "X=1"]
        lines.append("\t".join(line + more))
    return HEADER + "\n".join((names, *lines)) + "\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="calls.vcf"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture
def opened(genome, write):
    def opened(*records, samples=(), **options):
        return VcfFile(write(vcf(*records, samples=samples)), genome, **options)

    return opened


# The minimal form


@pytest.mark.parametrize(
    ("position", "ref", "alt", "expected"),
    [
        (7, "G", "A", (7, "G", "A")),
        (6, "TG", "TA", (7, "G", "A")),
        (4, "GCTG", "GCTA", (7, "G", "A")),
        (7, "GC", "AC", (7, "G", "A")),
        (4, "gCtGCC", "GCTaCC", (7, "G", "A")),
        (4, "A", "ACG", (5, "", "CG")),
        # The same insertion as a duplication.
        (5, "CG", "CGCG", (5, "", "CG")),
        (4, "ACG", "ACGCG", (5, "", "CG")),
        (4, "ACG", "A", (5, "CG", "")),
        (4, "ACGCG", "ACG", (5, "CG", "")),
        (4, "AAA", "A", (4, "AA", "")),  # ends go first
        (4, "ACT", "GCA", (4, "ACT", "GCA")),
        (4, "ACT", "AGGT", (5, "C", "GG")),
        (4, "ACT", "act", (4, "", "")),
    ],
)
def test_the_minimal_form(position, ref, alt, expected):
    assert trimmed(position, ref, alt) == Allele(*expected)


bases = st.text("ACG", max_size=6)


@given(bases, bases, bases, bases)
def test_the_minimal_form_makes_the_same_sequence(left, ref, alt, right):
    sequence = left + ref + right
    position, own, other = trimmed(len(left), ref, alt)
    assert sequence[position : position + len(own)] == own
    edited = sequence[:position] + other + sequence[position + len(own) :]
    assert edited == left + alt + right
    shortest = min(len(own), len(other))
    assert not shortest or (own[0] != other[0] and own[-1] != other[-1])


# Records


def test_all_of_a_record(genome, write):
    line = "1\t6\trs1;rs2\tacG\tAc,T\t.\t.\tX=1\tDP:GT:PS\t3:0|2:77\t4:./.:.\n"
    text = HEADER + "\t".join((NAMES, "FORMAT", "a", "b")) + "\n" + line
    source = VcfFile(write(text), genome, sample="a")
    assert source.samples == ("a", "b")
    assert list(source.header) == text.split("\n")[:-2]
    (record,) = source.records()
    assert tuple(record) == (
        *(1, "1", "chr1", 5, "rs1;rs2", "acG", ("Ac", "T")),
        (Allele(7, "G", ""), Allele(5, "ACG", "T")),
        *(("", ""), (0, 2), True, "77"),
    )
    (without,) = VcfFile(source.path, genome).records()
    assert without == record._replace(genotype=None, phased=False, phase_set="")


SOME = (
    "chr1 1 A C,<DEL>,*",
    "chr1 2 CG C",
    "2 4 CG CCG,TG",
    "9 5 A C",
    "chr1 13 GC G",
)


@pytest.mark.parametrize("kind", ["gzip", "bgzip", "members", "bzip2", "xz", "bcf", "raw", "crlf"])
def test_every_form_reads_the_same(kind, genome, write, tmp_path):
    text = vcf(*SOME)
    plain = write(text)
    path = tmp_path / "other"
    if kind == "bgzip":
        pysam.tabix_compress(str(plain), str(path))
    elif kind in ("bcf", "raw"):
        pysam.bcftools.view(
            "--no-version", "-Ob" if kind == "bcf" else "-Ou", "-o", str(path), str(plain),
            catch_stdout=False,
        )  # fmt: skip
    else:
        content = text.encode()
        half = len(content) // 2
        path.write_bytes(
            {
                "gzip": lambda: gzip.compress(content),
                "members": lambda: gzip.compress(content[:half]) + gzip.compress(content[half:]),
                "bzip2": lambda: bz2.compress(content),
                "xz": lambda: lzma.compress(content),
                "crlf": lambda: content.replace(b"\n", b"\r\n"),
            }[kind]()
        )
    expected, found = VcfFile(plain, genome), VcfFile(path, genome)
    assert list(found.records()) == list(expected.records())
    assert found.check()._replace(path=plain) == expected.check()
    assert NAMES in found.header[-1]


@pytest.mark.parametrize(
    ("record", "reasons"),
    [
        ("chr1 1 A .", (NONE,)),
        ("chr1 1 A C,*", ("", STAR)),
        ("chr1 1 A <DEL>,<*>,<DUP:TANDEM>,<NON_REF>,A<contig1>", (SYMBOLIC,) * 5),
        ("chr1 0 N .[2:4[,]2:4].", (BREAKEND,) * 2),  # as telomeres are written
        ("chr1 1 A A[2:4[,]2:4]A,A.,.A,]<x>:4]A,A[chr1_KI-2:3[", (BREAKEND,) * 6),
        ("chr1 1 A N,CN,cR,T", (LETTERS, LETTERS, LETTERS, "")),
        ("3 1 A C,*", (CONTIG, STAR)),
        ("chr1 0 A C", (OFF,)),
        ("chr1 17 A C", (OFF,)),
        ("chr1 99999999999 A C", (OFF,)),
        ("chr1 15 GTA G", (OFF,)),
        ("chr1 16 T TCG", ("",)),
        ("chr1 1 C A,<DEL>", (REFERENCE, SYMBOLIC)),
        ("chr1 1 N <DEL>", (SYMBOLIC,)),
        ("chr1 2 CGA C", (REFERENCE,)),
        ("chr1 1 A A", (SAME,)),
        ("chr1 1 ACG acg,AC", (SAME, "")),
        ("chr1 1 ACGT A,AC,ACGTCCC,ACGTCC", (LONG, "", LONG, "")),
        ("chr1 1 A " + "C" * 5, (LONG,)),
        # What the genome does not know, the file may call anything that is not known.
        ("chr1 5 N A", ("",)),
        ("chr1 4 tnac t", (LONG,)),
        ("chr1 10 R A", ("",)),
        ("chr1 10 N A", ("",)),
        ("chr1 10 A G", (REFERENCE,)),
        ("chr1 1 N C", (REFERENCE,)),
    ],
)
def test_reasons(record, reasons, opened):
    (found,) = opened(record, longest=2, allow_mismatches=True).records()
    assert found.reasons == reasons
    assert found.alts == tuple(record.split(" ")[3].split(","))
    assert [allele is None for allele in found.alleles] == [bool(reason) for reason in reasons]
    assert set(reasons) <= {"", *REASONS}


def test_words_of_reasons_have_no_spaces():
    assert all(word.isascii() and word.isalpha() for word in REASONS)


def test_going_on_after_some_records(opened):
    source = opened(*SOME)
    whole = list(source.records())
    assert [record.number for record in whole] == [1, 2, 3, 4, 5]
    for start in range(7):
        assert list(source.records(start)) == whole[start:]


def test_records_are_read_one_by_one(opened):
    records = opened("chr1 1 A C", "chr1 x A C").records()
    assert next(records).position == 0
    with pytest.raises(
        VariantError, match="line 11: expected a whole number of 18 digits at most as POS"
    ):
        next(records)


def test_empty_lines_are_no_records(genome, write):
    text = vcf("chr1 1 A C") + "\n\n"
    assert VcfFile(write(text), genome).check().records == 1


# Which records


def test_chromosomes(opened):
    def numbers(*names):
        return [record.number for record in opened(*SOME, chromosomes=names).records()]

    assert numbers("1") == numbers("chr1") == [1, 2, 5]
    assert numbers("2") == [3]
    assert opened(*SOME, chromosomes=["2"]).check()[1:4] == (1, 4, 2)
    with pytest.raises(GenomeError, match="'9': expected one of genome.fa"):
        numbers("9")


def test_regions(opened, write):
    def numbers(text, **options):
        source = opened(*SOME, regions=write(text, "a.bed"), **options)
        return [record.number for record in source.records()]

    assert numbers("1\t1\t2\n") == [2]
    assert numbers("1\t2\t3\n") == [2]  # the last base of REF
    assert numbers("1\t3\t12\n") == []
    assert numbers("1\t2\t2\n1\t13\t20\nchr2\t0\t4\n") == [3, 5]
    assert numbers("chr1\t0\t16\n2\t0\t3\n") == [1, 2, 5]
    assert numbers("chr1\t0\t16\n2\t0\t9\n", chromosomes=["2"]) == [3]
    with pytest.raises(AnnotationError, match="chromosomes asked for"):
        numbers("9\t1\t5\n")
    with pytest.raises(VariantError, match="intervals asked for, found none of the 5 in the file"):
        opened(*SOME, regions=write("1\t3\t12\n", "a.bed")).check()


@given(st.lists(st.tuples(st.integers(0, 16), st.integers(0, 5)), min_size=1, max_size=4))
def test_regions_against_bases(intervals):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "genome.fa").write_text(f">1\n{CHR1}\n")
        covered = {p for start, length in intervals for p in range(start, start + length)}
        bed = "".join(f"1\t{start}\t{start + length}\n" for start, length in intervals)
        (place / "a.bed").write_text(bed)
        records = [f"1 {p + 1} {CHR1[p : p + n]} C" for p in range(13) for n in (1, 3)]
        (place / "a.vcf").write_text(vcf(*records))
        source = VcfFile(place / "a.vcf", Genome(place / "genome.fa"), regions=place / "a.bed")
        found = {record.number for record in source.records()}
        for number, record in enumerate(records, 1):
            _, position, ref, _ = record.split(" ")
            bases = range(int(position) - 1, int(position) - 1 + len(ref))
            assert (number in found) == bool(covered.intersection(bases))


# Genotypes


@pytest.mark.parametrize(
    ("text", "genotype", "phased"),
    [
        ("0/1", (0, 1), False),
        ("0|2", (0, 2), True),
        ("1", (1,), True),
        ("./.", (None, None), False),
        (".", (None,), True),
        (".|1", (None, 1), True),
        ("0|1/2", (0, 1, 2), False),
        ("|0|1", (0, 1), True),
        ("/1", (1,), False),
    ],
)
def test_genotypes(text, genotype, phased, opened):
    source = opened(f"chr1 1 A C,G GT 0/0 {text}", samples=("a", "b"), sample="b")
    (record,) = source.records()
    assert (record.genotype, record.phased, record.phase_set) == (genotype, phased, "")


@pytest.mark.parametrize(("layout", "values"), [("DP", "3"), (".", "."), ("DP:GT", "3")])
def test_a_record_without_a_genotype(layout, values, opened):
    (record,) = opened(f"chr1 1 A C {layout} {values}", samples=("a",), sample="a").records()
    assert record.genotype is None


@pytest.mark.parametrize(
    "text", ["0/3", "0\\1", "", "a", "0/", "0//1", "-1", "0/1/", "99999999999"]
)
def test_no_genotype(text, opened):
    source = opened(f"chr1 1 A C,G GT {text}", samples=("a",), sample="a")
    with pytest.raises(VariantError, match="line 10: expected a genotype of sample a.*received"):
        source.check()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ((), r"\(none\)"),
        (("a", "bb"), r"\(a, bb\)"),
    ],
)
def test_a_sample_that_is_not_there(samples, message, opened):
    with pytest.raises(VariantError, match=f"sample: .*calls.vcf {message}, received 'b'"):
        opened("chr1 1 A C" + " GT 0 0" * bool(samples), samples=samples, sample="b")


# The account


def test_what_is_counted(opened):
    account = opened(*SOME, "chr1 1 A T", "chr1 3 C T,*", allow_mismatches=True).check()
    assert account[1:] == (
        *(7, 0, 11),
        {CONTIG: 1, REFERENCE: 1, STAR: 2, SYMBOLIC: 1},
        *(6, 1, 5, 14),
    )
    assert str(account) == (
        "calls.vcf: 7 records, 11 alternative alleles; 5 cannot be scored "
        "(contig 1, reference 1, star 2, symbolic 1)"
    )


@pytest.mark.parametrize(
    ("records", "unsorted"),
    [
        (("chr1 1 A C", "chr1 1 A G", "chr1 2 C G", "2 1 C G"), 0),
        (("2 1 C G", "chr1 1 A C"), 0),
        (("chr1 2 C G", "chr1 1 A C", "2 1 C G"), 2),
        (("chr1 1 A C", "2 1 C G", "chr1 2 C G"), 3),
    ],
)
def test_order(records, unsorted, opened):
    assert opened(*records).check().unsorted == unsorted


class Told:
    def __init__(self):
        self.total, self.done = 0, 0

    def begins(self, what, total, unit):
        assert (what, unit) == ("reading calls.vcf", "MB")
        self.total = total

    def advances(self, units):
        assert units >= 0
        self.done += units

    def tells(self, line):
        raise AssertionError(line)


def test_progress(genome, write):
    long = "chr1\t1\t.\tA\tC\t.\t.\tX=" + "x" * 500 + "\n"
    told = Told()
    source = VcfFile(write(HEADER + NAMES + "\n" + long * 9000), genome)
    assert source.check(told).records == 9000
    assert told.total == 4
    assert told.done in (3, 4)


# Faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "calls.vcf: expected VCF, found an empty file"),
        ("\ufeff" + HEADER, "line 1: .*received a byte order mark"),
        (NAMES + "\n1\t1\t.\tA\tC\t.\t.\t.\n", r"line 1: expected a first line ##fileformat=VCFv4"),
        ("##fileformat=VCFv3.3\n", "expected a first line ##fileformat=VCFv4"),
        ("1\t1\t.\tA\tC\t.\t.\t.\n", "line 1: expected a first line ##fileformat"),
        ("chr1 1 A C\n", "line 1: expected a first line ##fileformat"),
        (HEADER, "expected a line #CHROM POS ID REF ALT QUAL FILTER INFO, found none"),
        (HEADER + "1\t1\t.\tA\tC\t.\t.\t.\n", "line 9: expected the columns #CHROM.*received '1"),
        (HEADER + NAMES.replace("\t", " ") + "\n", "line 9: expected tabs.*received spaces"),
        (HEADER + "#CHROM\tPOS\tID\tREF\tALT\n", "line 9: expected the columns"),
        (HEADER + NAMES + "\ta\n", "line 9: expected the columns"),
        (HEADER + NAMES + "\tFORMAT\ta\ta\n", "line 9: .*each sample, received 'a' again"),
        (HEADER + NAMES + "\tFORMAT\ta\t\n", "line 9: .*each sample, received ''"),
        (b"\x89HDF\r\n\x1a\n", "calls.vcf: expected text.*received an HDF5 file"),
        (gzip.compress(b"BAM\1abc"), "received a BAM file"),
        (HEADER.encode("utf-16"), "received text in UTF-16"),
    ],
)
def test_no_header(text, message, genome, write):
    with pytest.raises(VariantError, match=message) as error:
        VcfFile(write(text), genome)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t1\t.\tA\tC", "line 10: expected 8 columns.*received 5 in"),
        ("1 1 . A C . . .", "line 10: expected 8 columns with tabs between, received 1 in '1 1"),
        ("1\t1\t.\tA\tC\t.\t.\t.\t.", "line 10: expected 8 columns.*received 9 in"),
        (
            "1\tx\t.\tA\tC\t.\t.\t.",
            "line 10: expected a whole number of 18 digits at most as POS, received 'x'",
        ),
        ("1\t-1\t.\tA\tC\t.\t.\t.", "POS, received '-1'"),
        ("1\t\t.\tA\tC\t.\t.\t.", "POS, received ''"),
        ("1\t1.0\t.\tA\tC\t.\t.\t.", "POS, received '1.0'"),
        ("1\t²\t.\tA\tC\t.\t.\t.", "POS, received '²'"),
        ("1\t" + "9" * 40 + "\t.\tA\tC\t.\t.\t.", "POS, received '999"),
        ("1\t1\t.\t-\tC\t.\t.\t.", "line 10: expected bases as REF, received '-'"),
        ("1\t1\t.\t\tC\t.\t.\t.", "REF, received ''"),
        ("1\t1\t.\t.\tC\t.\t.\t.", "REF, received '.'"),
        ("1\t1\t.\tA,C\tC\t.\t.\t.", "REF, received 'A,C'"),
        ("1\t1\t.\tA\t-\t.\t.\t.", "line 10: expected bases.* as ALT, received '-'"),
        ("1\t1\t.\tA\tCZ\t.\t.\t.", "ALT, received 'CZ'"),
        ("1\t1\t.\tA\tC,CZ\t.\t.\t.", "ALT, received 'CZ'"),
        ("1\t1\t.\tA\tC,\t.\t.\t.", "ALT, received ''"),
        ("1\t1\t.\tA\tC,.\t.\t.\t.", "ALT, received '.'"),
        ("1\t1\t.\tA\tC/G\t.\t.\t.", "ALT, received 'C/G'"),
        ("1\t1\t.\tA\t<DEL\t.\t.\t.", "ALT, received '<DEL'"),
        ("1\t1\t.\tA\tA[2:1]\t.\t.\t.", r"ALT, received 'A\[2:1\]'"),
        ("1\t1\t.\tA\t<\x1b[31m>\t.\t.\t.", "ALT, received '<"),
        ("1\t1\t\x07\tA\tC\t.\t.\t.", "an ID, received"),
        ("\t1\t.\tA\tC\t.\t.\t.", "a chromosome, received ''"),
        (" 1\t1\t.\tA\tC\t.\t.\t.", "a chromosome, received ' 1'"),
        (HEADER.split("\n")[0], "line 10: expected 8 columns"),
        (NAMES, "line 10: expected a whole number of 18 digits at most as POS, received 'POS'"),
    ],
)
def test_no_record(line, message, genome, write):
    source = VcfFile(write(HEADER + NAMES + "\n" + line + "\n"), genome)
    with pytest.raises(VariantError, match=message) as error:
        source.check()
    assert "\n" not in str(error.value)
    assert "calls.vcf, line 10: " in str(error.value)


def test_bytes_that_are_no_text(genome, write):
    text = (HEADER + NAMES + "\n").encode()
    path = write(text + b"1\t1\t.\tA\tC\t.\t.\tX=\xe9\n")
    assert VcfFile(path, genome).check().records == 1
    path = write(text + b"1\t1\t\xe9\tA\tC\t.\t.\t.\n")
    with pytest.raises(VariantError, match=r"line 10: expected an ID, received '\\udce9'"):
        VcfFile(path, genome).check()


@pytest.mark.parametrize("number", [1, 100])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, "bgzip", "bcf"])
def test_files_that_are_cut_off(pack, number, genome, write, tmp_path):
    text = vcf(*(f"chr1 {random.Random(i).randint(1, 9)} N C" for i in range(20 * number)))
    plain, path = write(text), tmp_path / "cut"
    if pack == "bgzip":
        pysam.tabix_compress(str(plain), str(path))
    elif pack == "bcf":
        pysam.bcftools.view("-Ob", "-o", str(path), str(plain), catch_stdout=False)
    else:
        path.write_bytes(pack(text.encode()))
    content = path.read_bytes()
    cuts = [len(content) - 1, len(content) - 28, len(content) - 29, len(content) // 2, 60]
    for cut in cuts:
        path.write_bytes(content[:cut])
        with pytest.raises(VariantError, match="cut: expected .*but ") as error:
            VcfFile(path, genome, allow_mismatches=True).check()
        assert "\n" not in str(error.value)


def test_a_damaged_bcf(genome, write, tmp_path, capfd):
    rng = random.Random(0)
    records = (f"chr1 {rng.randint(1, 9)} N {'ACGT'[rng.randrange(4)]}" for _ in range(60000))
    path = tmp_path / "a.bcf"
    plain = write(vcf(*records))
    pysam.bcftools.view("-Ob", "-o", str(path), str(plain), catch_stdout=False)
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)
    source = VcfFile(path, genome, allow_mismatches=True)
    with pytest.raises(VariantError, match="a.bcf: expected whole BCF, but after record [0-9]+"):
        source.check()
    assert capfd.readouterr().err == ""


def test_a_bcf_of_other_letters(genome, write, tmp_path):
    path = tmp_path / "a.bcf"
    plain = write(
        ("##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##by=\u00e9\n" + NAMES).encode("cp1252")
    )
    pysam.bcftools.view("-Ob", "-o", str(path), str(plain), catch_stdout=False)
    with pytest.raises(VariantError, match="a.bcf: expected whole BCF, but .*utf-8"):
        VcfFile(path, genome)


def test_a_fault_in_bcf_is_told_by_its_record(genome, write, tmp_path):
    path = tmp_path / "a.bcf"
    plain = write(vcf("chr1 1 A C", "chr1 2 C -"))
    pysam.bcftools.view("-Ob", "-o", str(path), str(plain), catch_stdout=False)
    with pytest.raises(VariantError, match="a.bcf, record 2: expected bases.*received '-'"):
        VcfFile(path, genome).check()


@pytest.mark.parametrize("kind", ["none", "folder"])
def test_no_file(kind, genome, tmp_path):
    path = tmp_path / "a.vcf"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(VariantError, match=f"a.vcf: expected a VCF file, found .*{kind}"):
        VcfFile(path, genome)


def test_no_records(opened):
    with pytest.raises(VariantError, match="calls.vcf: expected records, found none"):
        opened().check()


@pytest.mark.parametrize("longest", [0, -1])
def test_longest(longest, opened):
    with pytest.raises(VariantError, match=f"longest: expected 1 .*received {longest}"):
        opened("chr1 1 A C", longest=longest)


def test_all_on_chromosomes_that_are_not_there(opened):
    message = r"chromosomes of genome.fa \(chr1, 2\), found them on 3, chr4"
    with pytest.raises(VariantError, match=message):
        opened("3 1 A C", "chr4 1 A C").check()
    assert opened("3 1 A C", "chr1 1 A C").check().reasons == {CONTIG: 1}


def test_a_chromosome_that_may_be_one_of_two(write, tmp_path):
    (tmp_path / "m.fa").write_text(">M\nACGT\n>MT\nACGT\n")
    source = VcfFile(write(vcf("chrM 1 A C")), Genome(tmp_path / "m.fa"))
    with pytest.raises(VariantError, match="line 10: chromosome 'chrM': .* may mean M or MT"):
        source.check()


# Another assembly


def test_too_many_mismatches(opened):
    right = ["chr1 1 A C"] * 98
    assert opened(*right, "chr1 1 C A", "chr1 0 A C").check()[5:7] == (100, 2)
    three = (*right, "chr1 1 C A", "chr1 2 G A", "chr1 0 A C")
    with pytest.raises(VariantError, match="assembly, or damaged .`allow_mismatches`") as error:
        opened(*three).check()
    assert (
        str(error.value)
        .split("calls.vcf, ")[1]
        .startswith(
            "line 108: chromosome chr1, POS 1 has REF C, the genome A; expected REF to be what "
            "genome.fa has, found another in 3 of 101 records"
        )
    )
    account = opened(*three, allow_mismatches=True).check()
    assert (account.mismatches, account.reasons) == (3, {OFF: 1, REFERENCE: 2})


def test_the_first_mismatch_may_be_off_the_chromosome(opened):
    with pytest.raises(VariantError, match="POS 20 lies off the 16 bases of the chromosome; expec"):
        opened("chr1 20 A C").check()


def test_what_cannot_be_a_mismatch_does_not_count(opened):
    """Callers of structural variants write N; what is on no chromosome has no REF."""
    records = ("chr1 1 N <DEL>", "chr1 2 N <DUP>,*", "chr1 1 N .", "3 1 A C", "chr1 1 A C")
    assert opened(*records).check()[5:7] == (1, 0)
    # A record that has bases, too, is held to its REF.
    with pytest.raises(VariantError, match="in 1 of 2 records"):
        opened(*records, "chr1 1 N <DEL>,C").check()


def test_lengths_of_another_assembly_are_told(genome, write):
    text = vcf("chr1 1 C A").replace("length=16", "length=17")
    with pytest.raises(VariantError, match=r"assembly \(its chromosome chr1 has 17 bases, the ge"):
        VcfFile(write(text), genome).check()
