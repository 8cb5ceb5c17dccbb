import gzip
import os
import resource

import pysam
import pysam.bcftools
import pytest

from deepcpg_tf.errors import OutputError, VariantError
from deepcpg_tf.files import check_bgzip, is_bgzip
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.variants import VcfFile
from deepcpg_tf.results.vcf import KEYS, Annotation, annotate, check_annotated

HEADER = (
    "##fileformat=VCFv4.2\n"
    "##contig=<ID=1,length=16>\n"
    '##contig=<ID=2,length=8,note="is, short">\n'
    '##FILTER=<ID=q10,Description="Low">\n'
    '##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">\n'
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="Known">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    "##anything=\u00e9 <that> was there\n"
)
NAMES = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n"
RECORDS = (
    "1\t1\trs1\tA\tC\t50.10\tPASS\tAF=0.250;DB\tGT\t0/1\t1|1\n"
    "1\t2\t.\tCG\tC,<DEL>,cgg\t.\tq10\tAF=0.1,0.2,3e-1\tGT\t0/1\t.\n"
    "1\t5\t.\tN\t.\t.\t.\t.\tGT\t0/0\t.\n"
    "2\t4\tx\tC\tT,*\t7\tPASS\tDB\tGT\t0/1\t2|1\n"
)
ANNOTATIONS = (
    Annotation(-0.1234567, 3, 12345678.0, 2, 0, 0),
    Annotation(None, None, float("nan"), 0, 1, 0),
    Annotation(reason="symbolic"),
    Annotation(1e-12, 0, 0.0, 1, 0, 3),
    Annotation(reason="none"),
    Annotation(0.5, 6, 2.0, 1, 1, 1),
    Annotation(reason="star"),
)
INFO = (
    "DCPG_DLOGIT=-0.123457;DCPG_SITE=4;DCPG_L2=1.23457e+07;DCPG_KEPT=2;DCPG_LOST=0;DCPG_GAINED=0",
    "DCPG_DLOGIT=.,.,1e-12;DCPG_SITE=.,.,1;DCPG_L2=.,.,0;DCPG_KEPT=0,.,1;DCPG_LOST=1,.,0;"
    "DCPG_GAINED=0,.,3;DCPG_WHY=.,symbolic,.",
    ".",
    "DCPG_DLOGIT=0.5,.;DCPG_SITE=7,.;DCPG_L2=2,.;DCPG_KEPT=1,.;DCPG_LOST=1,.;DCPG_GAINED=1,.;"
    "DCPG_WHY=.,star",
)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">1\nACGTNACGTRACGCGT\n>2\nCCCCGGGG\n")
    return Genome(path)


@pytest.fixture
def source(genome, tmp_path):
    path = tmp_path / "calls.vcf"
    path.write_text(HEADER + NAMES + RECORDS)
    return VcfFile(path, genome)


def content(path):
    raw = path.read_bytes()
    return (gzip.decompress(raw) if is_bgzip(path) else raw).decode()


def beside(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_the_lines_of_a_file_with_keys(name, source, tmp_path):
    out = tmp_path / "results" / name
    out.parent.mkdir()
    annotate(source, out, iter(ANNOTATIONS))
    assert beside(out.parent) == [name, *([f"{name}.tbi"] if name.endswith("gz") else [])]
    lines = content(out).splitlines(keepends=True)
    new = [line for line in lines if line.startswith("##INFO=<ID=DCPG_")]
    assert [line.split("=")[2].partition(",")[0] for line in new] == list(KEYS)
    assert all("Number=A" in line for line in new)
    kept = [line for line in lines if line not in new]
    assert "".join(kept[: HEADER.count("\n") + 1]) == HEADER + NAMES
    found = [line.split("\t") for line in kept[HEADER.count("\n") + 1 :]]
    for own, line, info in zip(found, RECORDS.splitlines(keepends=True), INFO, strict=True):
        columns = line.split("\t")
        assert own[:7] + own[8:] == columns[:7] + columns[8:]
        old = [] if columns[7] == "." else [columns[7]]
        assert own[7] == (";".join((*old, info)) if info != "." else ";".join(old) or ".")


def test_it_is_read_back_by_pysam(source, tmp_path, capfd):
    out = tmp_path / "out.vcf.gz"
    annotate(source, out, ANNOTATIONS)
    check_bgzip(out)
    with pysam.VariantFile(str(out)) as file:
        assert {file.header.info[key].number for key in KEYS} == {"A"}
        kinds = {key: file.header.info[key].type for key in KEYS}
        assert kinds == {
            **dict.fromkeys(("DCPG_DLOGIT", "DCPG_L2"), "Float"),
            **dict.fromkeys(("DCPG_SITE", "DCPG_KEPT", "DCPG_LOST", "DCPG_GAINED"), "Integer"),
            "DCPG_WHY": "String",
        }
        records = [record.copy() for record in file]
        (one,) = file.fetch("2", 3, 4)
        assert one.pos == 4
        assert not list(file.fetch("2", 4, 8))
    first, second, third, fourth = (dict(record.info) for record in records)
    assert first["DCPG_DLOGIT"] == (pytest.approx(-0.1234567, rel=1e-5),)
    assert first["DCPG_SITE"] == (4,)
    assert second["DCPG_SITE"] == (None, None, 1)
    assert second["DCPG_KEPT"] == (0, None, 1)
    assert second["DCPG_WHY"] == (".", "symbolic", ".")
    assert second["AF"] == pytest.approx((0.1, 0.2, 0.3))
    assert third == {}
    assert fourth["DCPG_GAINED"] == (1, None)
    assert records[3].samples["b"]["GT"] == (2, 1)
    assert records[3].samples["b"].phased
    assert capfd.readouterr().err == ""


def test_it_is_read_back_by_bcftools(source, tmp_path):
    out = tmp_path / "out.vcf.gz"
    annotate(source, out, ANNOTATIONS)
    view, query = pysam.bcftools.view, pysam.bcftools.query
    assert [line.split("\t")[1] for line in view("-H", str(out)).splitlines()] == list("1254")
    assert [line.split("\t")[1] for line in view("-H", "-r", "1:2-5", str(out)).splitlines()] == [
        *"25"
    ]
    whole = view("--no-version", str(out)).splitlines()
    assert [line for line in whole if line.startswith("##FILTER=<ID=PASS")]
    text = content(out)
    for ours, its in (("50.10", "50.1"), ("0.250", "0.25"), ("3e-1", "0.3")):
        text = text.replace(ours, its)
    assert [line for line in whole if "FILTER=<ID=PASS" not in line] == text.splitlines()
    assert query("-f", "%POS %DCPG_LOST %DCPG_WHY\n", str(out)) == (
        "1 0 .\n2 1,.,0 .,symbolic,.\n5 . .\n4 1,. .,star\n"
    )
    assert query("-i", "DCPG_DLOGIT<-0.1", "-f", "%ID\n", str(out)) == "rs1\n"


def test_keys_of_an_earlier_run_are_replaced(source, genome, tmp_path):
    first, second = tmp_path / "first.vcf.gz", tmp_path / "second.vcf"
    other = [Annotation(9.0, 9, 9.0, 9, 9, 9, "other")] * len(ANNOTATIONS)
    annotate(source, first, other)
    assert "DCPG_WHY=other,other,other" in content(first)
    annotate(VcfFile(first, genome), second, ANNOTATIONS)
    annotate(source, tmp_path / "at-once.vcf", ANNOTATIONS)
    assert content(second) == content(tmp_path / "at-once.vcf")
    assert content(second).count("##INFO=<ID=DCPG_DLOGIT,") == 1


def test_keys_that_only_begin_as_ours_stay(genome, tmp_path):
    path = tmp_path / "calls.vcf"
    mine = '##INFO=<ID=DCPG_SITES,Number=1,Type=String,Description="Mine">\n'
    path.write_text(HEADER + mine + NAMES + RECORDS.replace("AF=0.250", "DCPG_SITES=a;DCPG_L2=3"))
    annotate(VcfFile(path, genome), tmp_path / "out.vcf", ANNOTATIONS)
    text = content(tmp_path / "out.vcf")
    assert mine in text
    assert f"\tDCPG_SITES=a;DB;{INFO[0]}\t" in text


def test_a_file_without_samples_and_with_nothing_declared(genome, tmp_path):
    """No contigs, no END: what htslib asks for to copy a record that is a <DEL>."""
    path, out = tmp_path / "calls.vcf", tmp_path / "out.vcf.gz"
    names = "\t".join(NAMES.split("\t")[:8])
    path.write_text(f"##fileformat=VCFv4.3\n{names}\n1\t1\t.\tA\tC,<DEL>\t.\t.\tEND=9;SVLEN=8\n")
    annotate(VcfFile(path, genome), out, ANNOTATIONS[1:3])
    assert content(out).splitlines()[-1] == (
        "1\t1\t.\tA\tC,<DEL>\t.\t.\tEND=9;SVLEN=8;DCPG_KEPT=0,.;DCPG_LOST=1,.;DCPG_GAINED=0,.;"
        "DCPG_WHY=.,symbolic"
    )
    with pysam.TabixFile(str(out)) as file:
        assert len(list(file.fetch("1", 0, 1))) == 1


def test_of_bcf(source, genome, tmp_path):
    path, out = tmp_path / "calls.bcf", tmp_path / "out.vcf.gz"
    pysam.bcftools.view(
        "--no-version", "-Ob", "-o", str(path), str(source.path), catch_stdout=False
    )
    annotate(VcfFile(path, genome), out, ANNOTATIONS)
    with pysam.VariantFile(str(out)) as file:
        found = [(record.pos, record.alts, record.info.get("DCPG_LOST")) for record in file]
    assert found == [
        *((1, ("C",), (0,)), (2, ("C", "<DEL>", "cgg"), (1, None, 0))),
        *((5, None, None), (4, ("T", "*"), (1, None))),
    ]


def test_bytes_that_are_no_text_are_kept(genome, tmp_path):
    path, out = tmp_path / "calls.vcf", tmp_path / "out.vcf"
    line = b"1\t1\t.\tA\tC\t.\t.\tX=\xe9\r\n"
    names = b"\t".join(NAMES.encode().split(b"\t")[:8])
    path.write_bytes(b"##fileformat=VCFv4.3\r\n##by=\xff\r\n" + names + b"\r\n" + line)
    annotate(VcfFile(path, genome), out, ANNOTATIONS[:1])
    lines = out.read_bytes().split(b"\n")
    assert lines[:2] == [b"##fileformat=VCFv4.3", b"##by=\xff"]
    assert lines[-2] == b"1\t1\t.\tA\tC\t.\t.\tX=\xe9;" + INFO[0].encode()


def test_records_that_were_not_chosen_are_not_written(source, genome, tmp_path):
    out = tmp_path / "out.vcf.gz"
    annotate(VcfFile(source.path, genome, chromosomes=["2"]), out, ANNOTATIONS[5:])
    records = [line for line in content(out).splitlines() if not line.startswith("#")]
    assert [line.split("\t")[:2] for line in records] == [["2", "4"]]


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
@pytest.mark.parametrize("number", [-1, 1])
def test_as_many_annotations_as_alts(name, number, source, tmp_path):
    given = [*ANNOTATIONS, Annotation()][: len(ANNOTATIONS) + number]
    before = beside(tmp_path)
    with pytest.raises(ValueError, match="annotation"):
        annotate(source, tmp_path / name, given)
    assert beside(tmp_path) == before


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_nothing_half_written(name, source, tmp_path):
    def failing():
        yield from ANNOTATIONS[:4]
        raise ZeroDivisionError

    out = tmp_path / name
    annotate(source, out, ANNOTATIONS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ZeroDivisionError):
        annotate(source, out, failing())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_index_is_of_the_file_beside_it(source, genome, tmp_path):
    out, index = tmp_path / "out.vcf.gz", tmp_path / "out.vcf.gz.tbi"
    (tmp_path / "out.vcf.gz.csi").write_text("of what was there before")
    annotate(source, out, ANNOTATIONS)
    assert not (tmp_path / "out.vcf.gz.csi").exists()
    first = index.read_bytes()
    annotate(VcfFile(source.path, genome, chromosomes=["2"]), out, ANNOTATIONS[5:])
    assert index.read_bytes() != first
    assert out.stat().st_mtime_ns <= index.stat().st_mtime_ns
    with pysam.TabixFile(str(out)) as file:
        assert file.contigs == ["2"]


def test_a_link_stays(source, tmp_path):
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "out.vcf.gz", tmp_path / "disk" / "real.vcf.gz"
    target.touch()
    link.symlink_to(target)
    annotate(source, link, ANNOTATIONS)
    assert link.is_symlink()
    assert beside(target.parent) == ["real.vcf.gz", "real.vcf.gz.tbi"]


def test_a_chromosome_that_is_too_long_for_a_tbi(genome, tmp_path):
    path, out = tmp_path / "calls.vcf", tmp_path / "out.vcf.gz"
    path.write_text(HEADER + NAMES + RECORDS + "wheat\t600000000\t.\tA\tC" + 6 * "\t.")
    source = VcfFile(path, genome)
    annotate(source, out, [*ANNOTATIONS, Annotation(reason="contig")])
    assert not (tmp_path / "out.vcf.gz.tbi").exists()
    with pysam.TabixFile(str(out), index=f"{out}.csi") as file:
        (line,) = file.fetch("wheat", 599_999_999, 600_000_000)
    assert "DCPG_WHY=contig" in line
    check_annotated(out, source.check())


def test_an_end_that_is_too_far_for_a_tbi(genome, tmp_path):
    path, out = tmp_path / "calls.vcf", tmp_path / "out.vcf.gz"
    path.write_text(
        HEADER + NAMES + RECORDS + "wheat\t6\t.\tA\t<DEL>\t.\t.\tEND=600000000\t.\t.\t."
    )
    annotate(VcfFile(path, genome), out, [*ANNOTATIONS, Annotation(reason="contig")])
    assert not (tmp_path / "out.vcf.gz.tbi").exists()
    with pysam.TabixFile(str(out), index=f"{out}.csi") as file:
        assert len([*file.fetch("wheat", 599_999_999, 600_000_000)]) == 1


# Where it cannot be written


def test_a_file_that_is_not_sorted(genome, tmp_path):
    path = tmp_path / "calls.vcf"
    path.write_text(HEADER + NAMES + "".join(RECORDS.splitlines(keepends=True)[::-1]))
    source = VcfFile(path, genome)
    account = source.check()
    message = "out.vcf.gz: expected records of .*calls.vcf in order .*; record 3 is not: sort them"
    with pytest.raises(OutputError, match=message):
        check_annotated(tmp_path / "out.vcf.gz", account)
    check_annotated(tmp_path / "out.vcf", account)
    before = beside(tmp_path)
    with pytest.raises(OutputError, match="out.vcf.gz: cannot make its index"):
        annotate(source, tmp_path / "out.vcf.gz", [Annotation(reason="x")] * len(ANNOTATIONS))
    assert beside(tmp_path) == before


@pytest.mark.parametrize("name", ["out.bcf", "out.gz", "out", "vcf", "out.vcf.bgz"])
def test_other_endings(name, tmp_path):
    with pytest.raises(OutputError, match=f"expected a name that ends .* received {name}"):
        check_annotated(tmp_path / name)


def test_places(tmp_path):
    (tmp_path / "a.vcf").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a.vcf: expected the name of a file to write, received"):
        check_annotated(tmp_path / "a.vcf")
    with pytest.raises(OutputError, match="cannot write there"):
        check_annotated(tmp_path / "file" / "a.vcf")
    check_annotated(tmp_path / "new.vcf.gz")
    assert beside(tmp_path) == ["a.vcf", "file"]


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_a_disk_that_is_full(name, genome, tmp_path, capfd):
    path = tmp_path / "calls.vcf"
    rows = (f"1\t1\trs{os.urandom(40).hex()}\tA\tC\t.\t.\t.\tGT\t.\t.\n" for _ in range(9000))
    path.write_text(HEADER + NAMES + "".join(rows))
    source = VcfFile(path, genome)
    before = beside(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=f"{name}: cannot write there") as error:
            annotate(source, tmp_path / name, [Annotation(1.0, 1, 1.0, 1, 1, 1)] * 9000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert beside(tmp_path) == before
    assert capfd.readouterr().err == ""


def test_a_fault_in_the_file(genome, tmp_path):
    path, out = tmp_path / "calls.vcf", tmp_path / "out.vcf.gz"
    path.write_text(HEADER + NAMES + RECORDS.replace("\t4\t", "\tx\t"))
    with pytest.raises(
        VariantError, match="line 13: expected a whole number of 18 digits at most as POS"
    ):
        annotate(VcfFile(path, genome), out, ANNOTATIONS)
    assert not out.exists()
