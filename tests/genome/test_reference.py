import gzip
import hashlib
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcpg_tf.errors import GenomeError, OutputError
from deepcpg_tf.genome.fasta import FastaFolder, FastaReference
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import decode, encode
from deepcpg_tf.genome.windows import stretch
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


def test_names_that_may_be_one_of_two(tmp_path):
    (tmp_path / "g.fa").write_text(">1\nA\n>chr1\nC\n>M\nA\n>MT\nC\n")
    genome = Genome(tmp_path / "g.fa")
    assert [genome.resolve(name) for name in ("1", "chr1", "MT")] == ["1", "chr1", "MT"]
    with pytest.raises(GenomeError, match="chromosome 'chrM': .* that may mean M or MT"):
        genome.resolve("chrM")


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


_GENOME = [Genome(DATA / "genome" / "mini.fa") for _ in range(2)]


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
def test_chromosomes_match_without_chr(fasta, call):
    arguments = {"codes": (), "windows": (np.array([0]), 3), "is_cg": (np.array([0]),)}[call]
    genome = Genome(fasta)
    one, other = (getattr(genome, call)(name, *arguments) for name in ("1", "chr1"))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(GenomeError, match="chromosome 'chr9': expected one of genome.fa"):
        getattr(genome, call)("chr9", *arguments)


@pytest.mark.parametrize("content", ["", "garbage"])
def test_a_damaged_index_in_the_cache_is_made_anew(fasta, home, content):
    Genome(fasta)
    (index,) = (home / "fasta-indexes").iterdir()
    index.write_text(content)
    assert Genome(fasta).lengths["chrX"] == 4


@pytest.mark.parametrize("content", ["", "garbage", "chr1\t133\t12\t10\t11\n"])
def test_an_index_beside_is_not_looked_at(fasta, content):
    """It may be of an older file with fewer records, and newer than this one by being copied."""
    fasta.with_name("genome.fa.fai").write_text(content)
    genome = Genome(fasta)
    assert list(genome.lengths) == ["chr1", "chrX", "chrM"]
    assert decode(genome.codes("chrM")) == "AACG"


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b">chr1\nACGT\n>chr2\n>chr3\nAC\n", "letters in each record, received none in 'chr2'"),
        (b">chr1\nACGT\n>chr2 x", "expected FASTA"),
        (b">chr1\nACGT\nAC\0\0\n", "line 3: expected letters, received the byte 0x00"),
        (b">chr1\nACGT\nAC\0\0", "line 3: expected letters, received the byte 0x00"),
        (">chr1 \u00e9\nACGT\nA\x05\n>chr2\nA".encode(), "line 3: .* received the byte 0x05"),
        (b">chr1\nACGT\nAC\xff\n", "line 3: expected letters, received the byte 0xff"),
        (b">chr1\rACG\nACGT\n>chr2\nA\n", r"end in .*, received one of b'chr1\\rACG'"),
    ],
)
def test_records_that_an_index_would_leave_out_or_cut(
    tmp_path, monkeypatch, compress, at_once, content, message
):
    monkeypatch.setattr("deepcpg_tf.genome.fasta._BYTES_AT_ONCE", at_once)
    path = tmp_path / "g.fa"
    path.write_bytes(content)
    if compress:
        pysam.tabix_compress(str(path), str(tmp_path / "g.fa.gz"))
        path = tmp_path / "g.fa.gz"
    with pytest.raises(GenomeError, match=f"{path}.*{message}"):
        Genome(path)


def test_spaces_and_other_alphabets_in_the_line_of_a_name(tmp_path):
    (tmp_path / "g.fa").write_bytes(">chr1 \u00e9 >x\t\nACGT \nAC\n>\u00e9\nA\n".encode())
    genome = Genome(tmp_path / "g.fa")
    assert dict(genome.lengths) == {"chr1": 6, "\u00e9": 1}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
def test_two_records_of_one_name(tmp_path, monkeypatch, compress, at_once):
    monkeypatch.setattr("deepcpg_tf.genome.fasta._BYTES_AT_ONCE", at_once)
    path = tmp_path / "g.fa"
    path.write_text(">chr1 a>b\nACGT\n>chr2\r\nAC\r\n>chr1\tagain\nGGGG\n")
    if compress:
        pysam.tabix_compress(str(path), str(tmp_path / "g.fa.gz"))
        path = tmp_path / "g.fa.gz"
    message = f"{path}: expected a name of its own .* received 'chr1' for records 1 and 3"
    with pytest.raises(GenomeError, match=message):
        Genome(path)


def test_a_bgzip_file_that_is_cut_off_between_blocks(fasta, tmp_path):
    """Nothing else would tell that the last chromosomes are missing."""
    path = tmp_path / "genome.fa.gz"
    pysam.tabix_compress(str(fasta), str(path))
    path.write_bytes(path.read_bytes()[:-28])
    with pytest.raises(GenomeError, match=r"genome.fa.gz: expected whole FASTA, but .*"):
        Genome(path)


def test_an_index_that_cannot_be_kept(fasta, home):
    (home / "fasta-indexes").write_text("a file is in the way")
    with pytest.raises(OutputError, match="cannot write to the cache: .*DEEPCPG_TF_HOME"):
        Genome(fasta)


def test_is_cg(fasta):
    genome = Genome(fasta)
    found = genome.is_cg("chrX", np.array([-1, 0, 1, 2, 3, 4]))
    assert found.tolist() == [False, True, False, True, False, False]
    assert not genome.is_cg("chrX", np.array([5, 2**63 - 1, -(2**63)])).any()


def test_missing_file(tmp_path):
    with pytest.raises(GenomeError, match="no.fa: expected a FASTA file, found none there"):
        Genome(tmp_path / "no.fa")


def test_plain_gzip_is_refused_with_the_remedy(fasta, tmp_path):
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
    letters = "".join(random.Random(0).choices("ACGT", k=300_000))
    fasta.write_text(f">chr1\n{letters}\n")
    path = tmp_path / "genome.fa.gz"
    pysam.tabix_compress(str(fasta), str(path))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[-28:])
    with pytest.raises(GenomeError, match="genome.fa.gz: .* or a damaged file"):
        Genome(path)


def test_a_pipe_is_no_genome(tmp_path):
    os.mkfifo(tmp_path / "g.fa")
    message = "g.fa: expected a FASTA file, found a pipe or device, which cannot be read twice"
    with pytest.raises(GenomeError, match=message):
        Genome(tmp_path / "g.fa")


@pytest.fixture
def folder(tmp_path):
    """The chromosomes 2, 10, X and HLA.1 of a genome, in every form that a file may have."""
    path = tmp_path / "genome"
    path.mkdir()
    (path / "mm.dna.chromosome.X.fa").write_text(">whatever\nCGCG\n")
    (path / "mm.dna.chromosome.10.fa.gz").write_bytes(
        gzip.compress(b">10 dna\r\nAC\r\n") + gzip.compress(b"gt\r\nN\r\n")
    )
    (tmp_path / "2.fa").write_text(f">chr2\n{CHR1}\n")
    pysam.tabix_compress(str(tmp_path / "2.fa"), str(path / "mm.dna.chromosome.2.fa.gz"))
    (path / "mm.dna.chromosome.HLA.1.fa").write_text(">h\nAA\n")
    (path / "mm.dna.nonchromosomal.fa").write_text("not read")
    (path / "mm.dna.chromosome.X.fa.fai").write_text("not read")
    (path / "._mm.dna.chromosome.X.fa").write_text("not read")
    return path


def test_a_folder_of_chromosomes(folder):
    genome = Genome(folder)
    assert list(genome.lengths.items()) == [("2", len(CHR1)), ("10", 5), ("HLA.1", 2), ("X", 4)]
    assert decode(genome.codes("10")) == "ACGTN"
    assert genome.codes("2").tolist() == encode(CHR1).tolist()
    assert genome.resolve("chrX") == "X"
    assert genome.is_cg("X", np.array([0, 1, 2])).tolist() == [True, False, True]
    assert decode(genome.windows("10", np.array([0]), 5)[0]) == "NNACG"
    with pytest.raises(GenomeError, match=r"'chr7': expected one of genome \(2, 10, HLA.1, X\)"):
        genome.resolve("chr7")


def _noting(monkeypatch, reader):
    """Return a list of the chromosomes that a reader of FASTA reads from now on."""
    names, original = [], reader.read

    def read(self, name):
        names.append(name)
        return original(self, name)

    monkeypatch.setattr(reader, "read", read)
    return names


def test_a_folder_is_read_when_needed_and_once(folder, monkeypatch):
    read = _noting(monkeypatch, FastaFolder)
    genome = Genome(folder)
    assert genome.resolve("chr2") == "2"
    assert (len(genome.lengths), "X" in genome.lengths, "Y" in genome.lengths) == (4, True, False)
    assert read == []
    assert (genome.lengths["X"], genome.lengths["10"], genome.lengths["X"]) == (4, 5, 4)
    assert Genome(folder).lengths["2"] == len(CHR1)
    assert read == ["2", "10", "HLA.1", "X"]
    with pytest.raises(KeyError):
        genome.lengths["Y"]


def test_the_folder_of_the_original_is_the_genome():
    one, many = _GENOME[0], Genome(DATA / "original-run" / "dna")
    assert list(one.lengths.items()) == list(many.lengths.items())
    for name in one.lengths:
        assert (one.codes(name) == many.codes(name)).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("g.chromosome.2.fa", b">2\nAC\n>3\nGT\n", "the one record of chromosome 2, .* 2 records"),
        ("g.chromosome.2.fa", b"ACGT\n", "chromosome.2.fa: expected FASTA .*, received none"),
        ("g.chromosome.2.fa", b"", "chromosome.2.fa: expected FASTA .*, received none"),
        (
            "g.chromosome.2.fa.gz",
            gzip.compress(b">2\n" + random.Random(0).randbytes(999), mtime=0)[:500],
            "chromosome.2.fa.gz: expected FASTA, plain or gzipped, but Compressed file ended",
        ),
        (
            "g.chromosome.2.fa",
            b">2\n" + b"A" * (1 << 20) + b"\nACE\n",
            "g.chromosome.2.fa: chromosome 2, position 1048579: .*received 'E'",
        ),
        ("g.chromosome.2.fa", b">2 dna\n\n", "expected letters of chromosome 2, received none"),
        ("g.chromosome.2.fa", b">2 dna", "expected letters of chromosome 2, received none"),
        ("g.chromosome.2.fa", b">2 dna\rACG\r>3\rA\r", "chromosome 2, received 2 records"),
    ],
)
def test_faults_of_a_file_in_a_folder(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GenomeError, match=message):
        Genome(tmp_path).codes("2")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_ends_in_a_folder(tmp_path, end):
    (tmp_path / "g.chromosome.2.fa").write_bytes(f">2 dna{end}ACGTAC{end}GT{end}".encode())
    assert decode(Genome(tmp_path).codes("2")) == "ACGTACGT"


def test_a_folder_without_chromosomes(tmp_path):
    (tmp_path / "genome.fa").write_text(">1\nAC\n")
    with pytest.raises(GenomeError, match=r"a file a chromosome, called \*.chromosome.N.fa"):
        Genome(tmp_path)


def test_a_folder_with_a_chromosome_twice(folder):
    (folder / "mm.dna_rm.chromosome.10.fa").write_text(">10\nNN\n")
    with pytest.raises(
        GenomeError,
        match="one file of chromosome 10, received mm.dna.chromosome.10.fa.gz and mm.dna_rm.chr",
    ):
        Genome(folder)


def test_chromosomes_are_read_in_any_order(fasta):
    genome = Genome(fasta)
    letters = {"chr1": CHR1.upper().replace("R", "N").replace("Y", "N"), "chrX": CHRX}
    for name in ("chrX", "chr1", "chrX", "chr1", "chr1"):
        assert decode(genome.codes(name)) == letters[name]
    assert decode(genome.windows("chrX", np.array([3]), 3)[0]) == "CGN"


def test_a_genome_is_encoded_when_needed_and_once(fasta, home, monkeypatch):
    genome = Genome(fasta)
    assert (genome.resolve("X"), genome.lengths["chrX"]) == ("chrX", 4)
    assert not (home / "codes").exists()
    assert decode(genome.codes("chrX")) == CHRX
    assert len(list((home / "codes").iterdir())) == 1
    monkeypatch.setattr(FastaReference, "read", lambda *_: pytest.fail("read again"))
    assert decode(genome.codes("chrM")) == "AACG"
    assert decode(Genome(fasta).codes("chrX")) == CHRX


def test_threads_encode_a_genome_once(fasta, monkeypatch):
    read = _noting(monkeypatch, FastaReference)
    genome = Genome(fasta)
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda i: decode(genome.codes("chrX")[i:]), [i % 4 for i in range(64)])
        )
    assert found == ["CGCG", "GCG", "CG", "G"] * 16
    assert read == ["chr1", "chrX", "chrM"]


def test_a_changed_genome_is_encoded_again(fasta):
    assert decode(Genome(fasta).codes("chrX")) == CHRX
    fasta.write_text(">chrX\nGGGGG\n")
    assert decode(Genome(fasta).codes("chrX")) == "GGGGG"


@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_genome_of_the_same_size_and_time_is_told_apart(
    fasta, tmp_path, monkeypatch, replaced, noted
):
    """One base in the middle, as in a genome with SNPs; cp -p and rsync -t keep the time."""
    if noted:  # its checksum is, as of a file that is no longer new
        monkeypatch.setattr("deepcpg_tf.cache._TICK", -(1 << 62))
    assert decode(Genome(fasta).codes("chrM")) == "AACG"
    before = fasta.stat()
    time.sleep(0.02)  # the times of change have ticks
    new = tmp_path / "new.fa" if replaced else fasta
    new.write_text(fasta.read_text().replace("AACG", "ATCG"))
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(fasta)
    after = fasta.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert decode(Genome(fasta).codes("chrM")) == "ATCG"


def test_a_genome_is_read_for_its_checksum_once(fasta, monkeypatch):
    monkeypatch.setattr("deepcpg_tf.cache._TICK", -(1 << 62))
    read, make = [], hashlib.blake2b

    def noted(*arguments, **how):
        read.append(arguments)
        return make(*arguments, **how)

    monkeypatch.setattr(hashlib, "blake2b", noted)
    for _ in range(3):
        Genome(fasta).codes("chrM")
    assert len(read) == 1
    fasta.chmod(0o400)
    Genome(fasta)
    assert len(read) == 2


def test_a_genome_is_read_for_its_checksum_once_where_that_cannot_be_kept(fasta, home, monkeypatch):
    monkeypatch.setattr("deepcpg_tf.cache._TICK", -(1 << 62))
    (home / "checksums").write_text("")
    read, make = [], hashlib.blake2b

    def noted(*arguments, **how):
        read.append(arguments)
        return make(*arguments, **how)

    monkeypatch.setattr(hashlib, "blake2b", noted)
    for _ in range(3):
        assert decode(Genome(fasta).codes("chrM")) == "AACG"
    assert len(read) == 1
    fasta.write_text(fasta.read_text().replace("AACG", "TTCG"))
    assert decode(Genome(fasta).codes("chrM")) == "TTCG"


@pytest.mark.parametrize("step", ["pysam.faidx", "deepcpg_tf.genome.fasta._indexed"])
def test_a_genome_that_is_replaced_amid_its_opening(fasta, tmp_path, monkeypatch, step):
    """Nothing of the one is kept for the other, which may come back."""
    module, _, name = step.rpartition(".")
    real = getattr(sys.modules[module], name)
    before, other = fasta.read_text(), tmp_path / "other.fa"
    other.write_text(">chr1\nGG\n>chrX\nCGAG\n")

    def replaced(*arguments):
        if name == "faidx":
            other.replace(fasta)
        done = real(*arguments)
        if name != "faidx":
            other.replace(fasta)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(step, replaced)
        with pytest.raises(GenomeError, match=r"genome.fa: expected .* found it changed since it"):
            Genome(fasta).codes("chrX")
    assert decode(Genome(fasta).codes("chrX")) == "CGAG"
    fasta.write_text(before)
    genome = Genome(fasta)
    assert genome.lengths == {"chr1": len(CHR1), "chrX": 4, "chrM": 4}
    assert decode(genome.codes("chrX")) == "CGCG"


def test_a_damaged_file_of_codes_is_made_anew(fasta, home):
    Genome(fasta).codes("chr1")
    (codes,) = (home / "codes").iterdir()
    whole = codes.read_bytes()
    deep = b"[" * 100_000 + (100_000).to_bytes(8, "little")
    for damaged in (b"", whole[:5], whole[1:], whole[:-3], bytes(len(whole)), deep):
        codes.write_bytes(damaged)
        assert decode(Genome(fasta).codes("chrM")) == "AACG"
        assert codes.read_bytes() == whole


def test_a_copy_of_a_genome_is_encoded_once(fasta, tmp_path, home):
    Genome(fasta).codes("chr1")
    (tmp_path / "other").mkdir()
    Genome(fasta.rename(tmp_path / "other" / "genome.fa")).codes("chr1")
    assert len(list((home / "codes").iterdir())) == 1


def test_a_genome_that_changes_before_it_is_read(fasta, home):
    genome = Genome(fasta)
    fasta.write_text(fasta.read_text().replace("AACG", "TTCG"))
    later = time.time() + 10
    os.utime(fasta, (later, later))
    with pytest.raises(GenomeError, match="genome.fa: expected a genome that stays as it is"):
        genome.codes("chrM")
    assert list((home / "codes").iterdir()) == []


def test_a_fault_leaves_no_file_of_codes(tmp_path, home):
    (tmp_path / "g.fa").write_text(">a\nACGT\n>p\nACEG\n")
    with pytest.raises(GenomeError, match="chromosome p, position 3"):
        Genome(tmp_path / "g.fa").codes("a")
    assert list((home / "codes").iterdir()) == []


def test_a_cache_that_cannot_be_written(fasta, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    pysam.faidx(str(fasta))
    monkeypatch.setenv("DEEPCPG_TF_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot write to the cache.*DEEPCPG_TF_HOME can name"):
        Genome(fasta).codes("chr1")


def test_a_digest_tells_sequences_apart_and_nothing_else(tmp_path):
    def digest(text, names):
        (tmp_path / "g.fa").write_text(text)
        return Genome(tmp_path / "g.fa").digest(names)

    # By hand: name, length and the checksum of the codes 0 3 2 1 (A C G T).
    codes = hashlib.sha256(bytes([0, 3, 2, 1])).hexdigest()
    expected = hashlib.sha256(f"1\t4\t{codes}\n".encode()).hexdigest()
    assert digest(">1\nACGT\n>2\nAA\n", ["1"]) == expected
    assert digest(">chr1\nac\ngt\n", ["1"]) == expected
    assert digest(">1\nACGA\n", ["1"]) != expected
    assert digest(">1\nACGTA\n", ["1"]) != expected
    assert digest(">1\nACGT\n>2\nAA\n", ["1", "2"]) != digest(">1\nACGTA\n>2\nA\n", ["1", "2"])


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5999))),
    st.sampled_from([1, 11, 7001]),
    st.booleans(),
)
def test_windows_of_sites_in_any_order(sites, length, hold):
    genome, chromosomes = _GENOME[hold], ["chrX", "2", "1"]
    if hold:
        genome.hold()
    ids, positions = np.array([i for i, _ in sites], int), np.array([p for _, p in sites], int)
    windows = genome.windows_of(chromosomes, ids, positions, length)
    assert windows.shape == (len(sites), length)
    assert windows.dtype == np.uint8
    for (i, position), window in zip(sites, windows, strict=True):
        codes = genome.codes(chromosomes[i])
        assert (window == stretch(codes, position - length // 2, length)).all()


def test_sites_off_their_chromosome(fasta):
    genome, at = Genome(fasta), np.array([4, 4])
    with pytest.raises(GenomeError, match="chromosome X: expected positions from 0 to 3, rec.* 4"):
        genome.windows_of(["1", "X"], np.array([0, 1]), at, 3)
    with pytest.raises(GenomeError, match="chromosome '7': expected one of genome.fa"):
        genome.windows_of(["1", "7"], np.array([0, 1]), at, 3)
    assert genome.windows_of(["1", "7"], np.array([0, 0]), at, 3).shape == (2, 3)


@given(st.integers(-20, 20), st.integers(0, 20))
def test_a_stretch_is_a_slice_of_the_padded_sequence(start, length):
    codes = encode("ACGTACGT")
    padded = "N" * 40 + "ACGTACGT" + "N" * 40
    assert decode(stretch(codes, start, length)) == padded[start + 40 : start + 40 + length]


def test_cutting_from_all_over_a_genome_takes_little_memory(tmp_path):
    """64 MB of codes, read at random in a process of their own: the growth of its memory."""
    line = b"ACGT" * 20 + b"\n"
    with (tmp_path / "g.fa").open("wb") as file:
        for name in (b">1\n", b">2\n"):
            file.write(name + line * (32_000_000 // 80))
    code = (
        "import resource, sys, numpy as np\n"
        "from deepcpg_tf.genome.reference import Genome\n"
        "genome = Genome(sys.argv[1])\n"
        "genome.codes('1')\n"
        "if len(sys.argv) > 2:\n"
        "    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000\n"
        "    before = peak()\n"
        "    rng = np.random.default_rng(0)\n"
        "    for _ in range(100):\n"
        "        ids, at = rng.integers(0, 2, 1000), rng.integers(0, 32_000_000, 1000)\n"
        "        genome.windows_of(['1', '2'], ids, at, 1001)\n"
        "    print(peak() - before)\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "g.fa")]
    subprocess.run(arguments, check=True)
    result = subprocess.run([*arguments, "measure"], check=True, capture_output=True, text=True)
    assert float(result.stdout) < 30
