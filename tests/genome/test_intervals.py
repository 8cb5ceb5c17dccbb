import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.errors import AnnotationError
from deepcpg_tf.genome.intervals import Annotation, read_annotation, read_intervals

NAMES = ("1", "2", "M")
REAL = Path(__file__).parents[3] / "shared" / "real-profiles"


def write(folder, text, name="a.bed"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def spans(annotation, chromosome="1"):
    starts, ends = annotation.intervals[chromosome]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def test_overlapping_and_touching_intervals_are_merged(tmp_path):
    text = "1\t20\t30\n1\t5\t10\n2\t7\t8\n1\t22\t24\n1\t10\t12\n1\t28\t31\n1\t40\t41\n"
    annotation = read_annotation(write(tmp_path, text), NAMES)
    assert spans(annotation) == [(5, 12), (20, 31), (40, 41)]
    assert spans(annotation, "2") == [(7, 8)]


def test_a_long_interval_around_short_ones(tmp_path):
    assert spans(
        read_annotation(write(tmp_path, "1\t0\t100\n1\t10\t20\n1\t30\t40\n1\t99\t101\n"), NAMES)
    ) == [(0, 101)]


def test_what_a_bed_file_may_have(tmp_path):
    text = (
        "\ufeff# made by hand\r\ntrack name=x\r\nbrowser position chr1\r\nchrom\tstart\tend\r\n\r\n"
        "chr1\t5\t10\tCpG: 12\t0\t+\r\n1 20 30\r\nchrMT\t1\t2\r\nchr1\t50\t50\r\n"
    )
    annotation = read_annotation(write(tmp_path, text), NAMES)
    assert spans(annotation) == [(5, 10), (20, 30), (50, 50)]
    assert spans(annotation, "M") == [(1, 2)]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("CGI.bed", "CGI"),
        ("CGI.bed.gz", "CGI"),
        ("mm10.exons.bed.bgz", "mm10.exons"),
        ("x.txt", "x.txt"),
        (".bed", ".bed"),
    ],
)
def test_names(tmp_path, file, name):
    content = b"1\t5\t10\n"
    (tmp_path / file).write_bytes(gzip.compress(content) if file.endswith("gz") else content)
    assert read_annotation(tmp_path / file, NAMES).name == name


def test_gzip_of_several_members_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.bed.gz"
    path.write_bytes(gzip.compress(b"1\t5\t10\n") + gzip.compress(b"2\t1\t2\n"))
    assert read_annotation(path, NAMES).intervals.keys() == {"1", "2"}


def test_sites(tmp_path):
    chromosomes = ("1", "chr2", "MT", "3", "4")
    path = write(tmp_path, "chr1\t5\t10\n2\t0\t1\nchrM\t3\t4\n3\t7\t7\n")
    annotation = read_annotation(path, chromosomes)
    ids = np.array([0, 0, 0, 0, 1, 1, 2, 3, 4, 0])
    positions = np.array([4, 5, 9, 10, 0, 1, 3, 7, 5, 6])
    inside = [False, True, True, False, True, False, True, False, False, True]
    assert annotation.contains(chromosomes, ids, positions).tolist() == inside


@pytest.mark.parametrize(("in_bed", "in_genome"), [("MT", "chrM"), ("chr1", "1"), ("M", "MT")])
def test_chromosomes_are_named_as_asked_for(tmp_path, in_bed, in_genome):
    annotation = read_annotation(write(tmp_path, f"{in_bed}\t3\t4\nother\t1\t2\n"), [in_genome])
    assert annotation.intervals.keys() == {in_genome}
    assert spans(annotation, in_genome) == [(3, 4)]


def test_intervals_under_two_names_are_merged(tmp_path):
    text = "chr1\t1\t5\n1\t3\t8\n"
    assert spans(read_annotation(write(tmp_path, text), ["1"])) == [(1, 8)]
    apart = read_annotation(write(tmp_path, text), ["1", "chr1"])
    assert (spans(apart), spans(apart, "chr1")) == ([(3, 8)], [(1, 5)])


def test_a_chromosome_that_may_be_one_of_two(tmp_path):
    with pytest.raises(AnnotationError, match="a.bed: chromosome 'chrM': .* may mean M or MT"):
        read_annotation(write(tmp_path, "chrM\t1\t5\n"), ["M", "MT"])


intervals = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), min_size=1, max_size=12)


@given(intervals)
def test_against_a_mask_of_bases(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("bed")
    text = "".join(f"chr1\t{start}\t{start + length}\n" for start, length in rows)
    expected = np.zeros(50, bool)
    for start, length in rows:
        expected[start : start + length] = True
    annotation = read_annotation(write(folder, text), NAMES)
    found = annotation.contains(("1",), np.zeros(50, np.int32), np.arange(50))
    np.testing.assert_array_equal(found, expected)
    starts, ends = annotation.intervals["1"]
    assert (starts[1:] > ends[:-1]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# c\n1\t5\t10\n1\t5\n", r"a.bed, line 3: expected the BED columns .* received '1\\t5'"),
        ("1\t5\t10\n\n1\t10\t5\n1\tx\t2\n", r"a.bed, line 3: .* received '1\\t10\\t5'"),
        ("1\t5\t10\n1\t-1\t5\n", r"a.bed, line 2: "),
        ("1\t5.5\t10\n", r"a.bed, line 1: "),
        ("1\t5\t10x\n", r"a.bed, line 1: "),
        ("1\t5\t99999999999999999999\n", r"a.bed, line 1: "),
        ("1\t5\t7\u20282\n", r"a.bed, line 1: "),
        ("1\t5\t٣٣\n", r"a.bed, line 1: "),
        ("\x1f\n1\t5\t10\n", r"a.bed, line 1: .* received '\\x1f'"),
        ("", r"a.bed: expected an interval a line, found none"),
        ("# nothing\n\n", r"a.bed: expected an interval a line, found none"),
        ("chrom\tstart\tend\n", r"a.bed: expected an interval a line, found none"),
    ],
)
def test_files_that_are_no_bed(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_annotation(write(tmp_path, text), NAMES)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(AnnotationError, match=r"no.bed: cannot read it: No such file"):
        read_annotation(tmp_path / "no.bed", NAMES)
    with pytest.raises(AnnotationError, match=r"cannot read it: Is a directory"):
        read_annotation(tmp_path, NAMES)
    cut = tmp_path / "cut.bed.gz"
    cut.write_bytes(gzip.compress(b"1\t5\t10\n" * 1000)[:-12])
    with pytest.raises(
        AnnotationError, match=r"cut.bed.gz: expected text, plain or compressed, but"
    ):
        read_annotation(cut, NAMES)
    binary = tmp_path / "binary.bed"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(AnnotationError, match=r"binary.bed: expected text"):
        read_annotation(binary, NAMES)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here")
@pytest.mark.parametrize("name", ["CGI", "exons"])
def test_real_annotations(name):
    with gzip.open(REAL / f"{name}.bed.gz", "rt") as file:
        rows = [line.split() for line in file]
    chromosomes = {row[0] for row in rows}
    annotation = read_annotation(REAL / f"{name}.bed.gz", chromosomes)
    assert isinstance(annotation, Annotation)
    assert annotation.name == name
    for chromosome in chromosomes:
        covered = np.zeros(100_000_000, bool)
        for _, start, end in (row[:3] for row in rows if row[0] == chromosome):
            covered[int(start) : int(end)] = True
        starts, ends = annotation.intervals[chromosome]
        assert np.sum(ends - starts) == covered.sum()
        positions = np.arange(0, len(covered), 997)
        found = annotation.contains((chromosome,), np.zeros(len(positions), int), positions)
        np.testing.assert_array_equal(found, covered[positions])


def test_intervals_one_by_one(tmp_path):
    text = (
        "# genes\n2\t7\t8\tCpG: 1\t0\t+\nchr1\t20\t30\tb\n1\t5\t10\n1\t5\t30 c\n1 20 30 e\n"
        "chr1\t20\t30\tb\n7\t1\t2\tno\n"
    )
    found = read_intervals(write(tmp_path, text), NAMES)
    assert found.keys() == {"1", "2"}
    assert found["1"].starts.tolist() == [5, 5, 20]
    assert found["1"].ends.tolist() == [10, 30, 30]
    assert found["1"].names == ("", "c", "b,e")
    assert found["2"].names == ("CpG: 1",)
