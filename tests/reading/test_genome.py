import os
import time

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.data.genome import Genome
from deepcpg_tf.errors import GenomeError, OutputError
from deepcpg_tf.sequence import decode
from tests.conftest import DATA

CHR1 = "acgtNNRYACGTACGCGCG" * 7
CHRX = "CGCG"


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "genome.fa"
    folded = "\n".join(CHR1[i : i + 10] for i in range(0, len(CHR1), 10))
    path.write_text(f">chr1 first\n{folded}\n>chrX\n{CHRX}\n>chrM\nAACG\n")
    return path


def test_lengths(fasta):
    assert Genome(fasta).lengths == {"chr1": len(CHR1), "chrX": 4, "chrM": 4}


def test_codes(fasta):
    genome = Genome(fasta)
    assert decode(genome.codes("chr1")) == CHR1.upper().replace("R", "N").replace("Y", "N")
    assert decode(genome.codes("chrX")) == "CGCG"


@pytest.mark.parametrize("name", ["plain", "bgzip", "index beside", "read-only"])
def test_every_form_reads_the_same(fasta, tmp_path, name):
    if name == "bgzip":
        pysam.tabix_compress(str(fasta), str(tmp_path / "genome.fa.gz"))
        fasta = tmp_path / "genome.fa.gz"
    if name == "index beside":
        pysam.faidx(str(fasta))
    if name == "read-only":
        fasta.chmod(0o400)
        tmp_path.chmod(0o500)
    before = sorted(tmp_path.iterdir())
    genome = Genome(fasta)
    assert decode(genome.codes("chrX")) == CHRX
    assert len(genome.codes("chr1")) == len(CHR1)
    assert sorted(tmp_path.iterdir()) == before
    tmp_path.chmod(0o700)


def test_a_stale_index_is_not_used(fasta):
    pysam.faidx(str(fasta))
    fasta.write_text(">chr1\nGGGG\n")
    later = time.time() + 10
    os.utime(fasta, (later, later))
    assert Genome(fasta).lengths == {"chr1": 4}


def test_a_changed_file_gets_a_new_index(fasta):
    Genome(fasta)
    fasta.write_text(">chr2\nGGGGG\n")
    assert Genome(fasta).lengths == {"chr2": 5}


@pytest.mark.parametrize(
    ("asked", "found"),
    [("chr1", "chr1"), ("1", "chr1"), ("X", "chrX"), ("MT", "chrM"), ("M", "chrM")],
)
def test_names_with_and_without_chr(fasta, asked, found):
    assert Genome(fasta).resolve(asked) == found


def test_names_without_chr_in_the_genome(tmp_path):
    (tmp_path / "g.fa").write_text(">1\nACGT\n>MT\nACGT\n")
    genome = Genome(tmp_path / "g.fa")
    assert genome.resolve("chr1") == "1"
    assert genome.resolve("chrM") == "MT"


def test_unknown_chromosome(fasta):
    with pytest.raises(
        GenomeError, match=r"chromosome 'chr7': expected one of genome.fa \(chr1, c"
    ):
        Genome(fasta).resolve("chr7")


@given(st.lists(st.integers(0, len(CHR1) - 1), min_size=1), st.sampled_from([1, 3, 11, 301]))
def test_windows_are_slices_of_the_padded_chromosome(positions, length):
    genome = _GENOME[0]
    padded = "N" * length + decode(genome.codes("1")) + "N" * length
    for position, window in zip(
        positions, genome.windows("1", np.array(positions), length), strict=True
    ):
        start = position + length - length // 2
        assert decode(window) == padded[start : start + length]


_GENOME = [Genome(DATA / "genome" / "mini.fa")]


def test_the_site_is_in_the_middle(fasta):
    genome = Genome(fasta)
    position = CHR1.index("CG")
    window = decode(genome.windows("chr1", np.array([position]), 11)[0])
    assert window[5:7] == "CG"


def test_a_position_off_the_chromosome(fasta):
    with pytest.raises(GenomeError, match="chromosome chrX: expected positions from 0 to 3.*ved 4"):
        Genome(fasta).windows("chrX", np.array([0, 4]), 3)


@pytest.mark.parametrize("length", [0, 2, -1])
def test_a_window_has_a_middle(fasta, length):
    with pytest.raises(GenomeError, match="length: expected an odd number of bases"):
        Genome(fasta).windows("chrX", np.array([0]), length)


@pytest.mark.parametrize("call", ["codes", "windows", "is_cg"])
def test_chromosomes_go_by_the_genomes_own_names(fasta, call):
    arguments = {"codes": (), "windows": (np.array([0]), 3), "is_cg": (np.array([0]),)}
    with pytest.raises(GenomeError, match="chromosome '1': expected one of genome.fa"):
        getattr(Genome(fasta), call)("1", *arguments[call])


def test_an_index_that_cannot_be_kept(fasta, home):
    (home / "fasta-indexes").write_text("a file is in the way")
    with pytest.raises(OutputError, match="cannot write to the cache: .*DEEPCPG_TF_HOME"):
        Genome(fasta)


def test_is_cg(fasta):
    genome = Genome(fasta)
    found = genome.is_cg("chrX", np.array([-1, 0, 1, 2, 3, 4]))
    assert found.tolist() == [False, True, False, True, False, False]


def test_missing_file(tmp_path):
    with pytest.raises(GenomeError, match="no.fa: expected a FASTA file, found none there"):
        Genome(tmp_path / "no.fa")


def test_plain_gzip_is_refused_with_the_remedy(fasta, tmp_path):
    import gzip

    path = tmp_path / "genome.fa.gz"
    path.write_bytes(gzip.compress(fasta.read_bytes()))
    with pytest.raises(GenomeError, match="received plain gzip.*gunzip -k genome.fa.gz"):
        Genome(path)


@pytest.mark.parametrize("content", ["", "hello\n", "\x00\x01\x02"])
def test_no_fasta(tmp_path, content, capfd):
    path = tmp_path / "g.fa"
    path.write_text(content)
    with pytest.raises(GenomeError, match="g.fa: expected FASTA"):
        Genome(path)
    assert capfd.readouterr().err == ""


def test_foreign_letters(tmp_path):
    (tmp_path / "g.fa").write_text(">p\nACGT\nACEG\n")
    with pytest.raises(GenomeError, match=r"g.fa: chromosome p, position 7: .*received 'E'"):
        Genome(tmp_path / "g.fa").codes("p")


def test_truncated_bgzip(fasta, tmp_path):
    import random

    letters = "".join(random.Random(0).choices("ACGT", k=300_000))
    fasta.write_text(f">chr1\n{letters}\n")
    path = tmp_path / "genome.fa.gz"
    pysam.tabix_compress(str(fasta), str(path))
    pysam.faidx(str(path))
    content = path.read_bytes()
    times = path.stat()
    path.write_bytes(content[: len(content) // 2])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(GenomeError, match="genome.fa.gz: .*chr"):
        Genome(path).codes("chr1")
