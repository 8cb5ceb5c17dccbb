"""Files that are no text, or compressed, wherever text is read."""

import bz2
import gzip
import io
import lzma
import os
import zipfile

import h5py
import numpy as np
import polars as pl
import pysam
import pytest

from deepcpg_tf.errors import AnnotationError, GenomeError, ProfileError, SequenceError, SiteError
from deepcpg_tf.files import open_text
from deepcpg_tf.genome.intervals import read_annotation
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sites import count_cpgs
from deepcpg_tf.kinds import kind_of_no_text
from deepcpg_tf.prediction.sources import FastaFile, SequenceFile
from deepcpg_tf.profiles.read import read_profile

TEXT = "".join(f"1\t{position}\t{position % 2}\n" for position in range(2, 3000, 3))


def archive(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


def made(write):
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


KINDS = {
    "zip archive": archive("cell.tsv", TEXT),
    "Excel workbook (.xlsx)": archive("[Content_Types].xml", "<?xml"),
    "NumPy archive (.npz)": made(lambda file: np.savez(file, a=np.arange(3))),
    "NumPy array": made(lambda file: np.save(file, np.arange(3))),
    "HDF5 file": made(lambda file: h5py.File(file, "w").close()),
    "Parquet file": made(pl.DataFrame({"a": [1]}).write_parquet),
    "BigWig file": b"\x26\xfc\x8f\x88" + bytes(60),
    "BigBed file": b"\xeb\xf2\x89\x87" + bytes(60),
    "BAM file": gzip.compress(b"BAM\1" + bytes(60)),
    "index of a file (.tbi)": gzip.compress(b"TBI\1" + bytes(60)),
    "R's saveRDS()": gzip.compress(b"X\n\0\0\0\3" + bytes(60)),
    "tar archive": gzip.compress(b"cell".ljust(257, b"\0") + b"ustar\x0000"),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(60),
    "web page": b"\n<!DOCTYPE html>\n<html>Not Found</html>",
    "UTF-16: make it UTF-8": TEXT.encode("utf-16"),
    "UTF-16: make": TEXT.encode("utf-16-be"),
    "twice": gzip.compress(gzip.compress(TEXT.encode())),
    "binary file": b"\1\2\3\0\0" * 20,
}


@pytest.fixture
def genome(tmp_path):
    (tmp_path / "genome.fa").write_text(f">1\n{'ACG' * 1000}\n")
    return Genome(tmp_path / "genome.fa")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_text_is_named(tmp_path, genome, kind):
    path = tmp_path / "cell.tsv"
    path.write_bytes(KINDS[kind])
    for fault, read in (
        (ProfileError, lambda: read_profile(path, genome)),
        (SiteError, lambda: count_cpgs(path, genome)),
        (SequenceError, SequenceFile(path, 5).check),
        (SequenceError, FastaFile(path, 5).check),
    ):
        with pytest.raises(fault) as caught:
            read()
        message = str(caught.value)
        assert message.startswith(f"{path}: expected text, plain or compressed (gzip, bgzip, ")
        assert kind in message.partition("received ")[2]
        assert message.isprintable()


def test_a_pipe_is_refused_and_not_read(tmp_path, genome):
    """It would have to be read twice."""
    path = tmp_path / "cell.tsv"
    os.mkfifo(path)
    for fault, read in (
        (ProfileError, lambda: read_profile(path, genome)),
        (SiteError, lambda: count_cpgs(path, genome)),
        (AnnotationError, lambda: read_annotation(path, ["1"])),
        (SequenceError, FastaFile(path, 5).check),
    ):
        message = f"^{path}: expected a file, found a pipe or device, which cannot be read twice$"
        with pytest.raises(fault, match=message):
            read()


def test_text_is_text():
    for text in (TEXT, "", "\ufeff1\t2\t1\n", "BZh9 no\n", "PAR1\t3\t1\n", "Zellen: äöü\n"):
        assert kind_of_no_text(text.encode()) is None


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_text_is_read(tmp_path, genome, compress):
    path = tmp_path / "cell.tsv.x"
    path.write_bytes(compress(TEXT.encode()))
    with open_text(path) as file:
        assert file.read() == TEXT
    assert read_profile(path, genome).account.kept == 1000
    assert count_cpgs(path, genome).here == 1000


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_bzip2_and_xz(tmp_path, genome, compress, damage):
    path = tmp_path / "cell.tsv.x"
    whole = bytearray(compress(TEXT.encode()))
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(compress(TEXT.encode())[:-20] if damage == "cut" else whole)
    with pytest.raises(ProfileError, match="line 1 or later: expected a whole compressed file"):
        read_profile(path, genome)
    if damage == "changed":
        return  # its end may be reached only after a line that is wrong for it
    with pytest.raises(SiteError, match=f"^{path}: expected text, plain or compressed, but"):
        count_cpgs(path, genome)


def bgzip(path, content):
    """Write a bgzip file of several blocks; returns where each of them ends."""
    plain = path.with_suffix(".plain")
    plain.write_text(content)
    pysam.tabix_compress(str(plain), str(path))
    data, ends = path.read_bytes(), [0]
    while ends[-1] < len(data):
        ends.append(ends[-1] + int.from_bytes(data[ends[-1] + 16 : ends[-1] + 18], "little") + 1)
    return ends[1:]


FASTA = "".join(f">{name}\n{'ACGTT' * 10_000}\n" for name in "abcd")


@pytest.mark.parametrize("blocks", [1, 2, -2])
def test_bgzip_cut_between_blocks(tmp_path, blocks):
    text = "".join(f"{name}\t{p}\t1\n" for name in "abcd" for p in range(2, 50_000, 5))
    readers = {
        "cell.tsv.gz": (text, ProfileError, lambda path, genome: read_profile(path, genome)),
        "sites.tsv.gz": (text, SiteError, lambda path, genome: count_cpgs(path, genome)),
        "windows.fa.gz": (FASTA, SequenceError, lambda path, _: FastaFile(path, 50_000).check()),
        "genome.fa.gz": (FASTA, GenomeError, lambda path, _: Genome(path)),
    }
    (tmp_path / "whole.fa").write_text(FASTA)
    genome = Genome(tmp_path / "whole.fa")
    for name, (content, fault, read) in readers.items():
        path = tmp_path / name
        ends = bgzip(path, content)
        assert len(ends) > 3
        read(path, genome)
        path.write_bytes(path.read_bytes()[: ends[blocks]])
        with pytest.raises(fault, match="it is cut off: bgzip ends a file with an empty block"):
            read(path, genome)


def test_bgzip_cut_within_a_folder(tmp_path):
    path = tmp_path / "x.chromosome.1.fa.gz"
    ends = bgzip(path, ">1\n" + "ACGTT" * 40_000)
    path.write_bytes(path.read_bytes()[: ends[1]])
    with pytest.raises(GenomeError, match="expected FASTA, plain or gzipped, but it is cut off"):
        Genome(tmp_path).is_cg("1", np.array([1]))


def test_what_goes_on_after_bgzip_is_not_cut(tmp_path, genome):
    path = tmp_path / "cell.tsv.gz"
    ends = bgzip(path, TEXT)
    rest = gzip.compress(b"2\t3\t1\n")
    path.write_bytes(path.read_bytes()[: ends[-2]] + rest)
    assert read_profile(path, genome).account.read == 1001
