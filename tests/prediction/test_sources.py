import gzip

import numpy as np
import pysam
import pytest

from deepcpg_tf.errors import SequenceError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import decode
from deepcpg_tf.prediction import sources
from deepcpg_tf.prediction.sources import FastaFile, OneSequence, SequenceFile, SiteFile
from tests.vectors import WINDOWS, named


def read(source):
    """Return ids and letters, and hold the check against what is read."""
    batches = list(source.batches())
    ids = [name for batch in batches for name in batch.keys["id"]]
    letters = [decode(window) for batch in batches for window in batch.windows]
    assert source.check() == len(letters) == len(ids)
    return list(zip(ids, letters, strict=True))


def source_of(path, text):
    path.write_bytes(text.encode())
    kind = FastaFile if text.lstrip("\ufeff\n").startswith((">", ";")) else SequenceFile
    return kind(path, WINDOWS["length"])


@pytest.mark.parametrize("case", WINDOWS["read"], ids=named(WINDOWS["read"]))
def test_windows_that_are_read_everywhere(tmp_path, case):
    (batch,) = source_of(tmp_path / "FILE", case["text"]).batches()
    assert batch.keys["id"] == case["ids"]
    assert batch.windows.tolist() == case["codes"]


@pytest.mark.parametrize("case", WINDOWS["faults"], ids=named(WINDOWS["faults"]))
def test_faults_that_are_told_everywhere(tmp_path, case):
    path = tmp_path / "FILE"
    with pytest.raises(SequenceError) as error:
        source_of(path, case["text"]).check()
    expected = case.get("library", case["message"])
    assert str(error.value) == expected.replace("FILE", str(path))


def test_one_sequence():
    assert read(OneSequence("acgun", 5)) == [("1", "ACGTN")]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("compress", [False, True])
def test_sequence_file(tmp_path, ending, compress):
    content = ending.join(["acg", "TTT ", "NNN", "", ""]).encode()
    path = tmp_path / "windows.txt"
    path.write_bytes(gzip.compress(content) if compress else content)
    assert read(SequenceFile(path, 3)) == [("1", "ACG"), ("2", "TTT"), ("3", "NNN")]


def test_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_BATCH_SIZE", 4)
    (tmp_path / "windows.txt").write_text("ACG\n" * 10)
    source = SequenceFile(tmp_path / "windows.txt", 3)
    assert [len(batch.windows) for batch in source.batches()] == [4, 4, 2]
    assert [name for name, _ in read(source)] == [str(i) for i in range(1, 11)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "windows.txt: expected a window a line, found none"),
        ("\n\n", "windows.txt: expected a window a line, found none"),
        ("ACG\nAC\n", "windows.txt, line 2: expected a window of 3 letters, received 2"),
        ("ACG\n\nACG\n", "windows.txt, line 2: expected a window of 3.*received an empty line"),
        ("ACG\nAC-\n", "windows.txt, line 2, position 3: .* received '-'"),
        (">a\nACG\n", "windows.txt, line 1: expected a window of 3 letters, received 2"),
    ],
)
def test_faulty_sequence_file(tmp_path, text, message):
    (tmp_path / "windows.txt").write_text(text)
    with pytest.raises(SequenceError, match=message):
        SequenceFile(tmp_path / "windows.txt", 3).check()


@pytest.mark.parametrize("form", ["plain", "gzip", "bgzip"])
def test_fasta(tmp_path, form):
    path = tmp_path / "windows.fa"
    path.write_text(">a first\nac\nG\n>b\nTTTT\n".replace("TTTT", "TTT"))
    if form == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    if form == "bgzip":
        pysam.tabix_compress(str(path), f"{path}.gz")
        path = tmp_path / "windows.fa.gz"
    assert read(FastaFile(path, 3)) == [("a", "ACG"), ("b", "TTT")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "windows.fa: expected FASTA with a window a record, found none"),
        ("\n\n", "windows.fa: expected FASTA with a window a record, found none"),
        ("\nACG\n>a\nACG\n", "line 2: expected FASTA, whose first record .*, received 'ACG'"),
        (">a\nACG\n>b\nAC\n", r"record 2 \(b\): expected a window of 3 letters, received 2"),
        (">a\n>b\nACG\n", r"record 1 \(a\): expected a window of 3 letters, received 0"),
        ('>w"1\nACG\n', r"record 1 .*: expected a name without quotation marks"),
        ("@a\nACG\n+\nIII\n", "line 1: expected FASTA, whose first record .*, received FASTQ"),
        (">a\nACG\n@b\nACG\n+\nIII\n", r"record 1 \(a\): expected a window of 3 letters"),
        (">a\nACG\n >b\nACG\n", r"record 1 \(a\): expected a window of 3 letters"),
        (">a\nAC\0\n", "windows.fa: expected text, .*, received a binary file"),
        (">a\nA*G\n", r"record 1 \(a\), position 2: .* received '\*'"),
    ],
)
def test_faulty_fasta(tmp_path, text, message):
    (tmp_path / "windows.fa").write_text(text)
    with pytest.raises(SequenceError, match=message):
        FastaFile(tmp_path / "windows.fa", 3).check()


@pytest.mark.parametrize("name", ["gzip", "binary"])
def test_damaged_fasta(tmp_path, name, capfd):
    letters = "".join(np.random.default_rng(0).choice([*"ACGT"], 200_000))
    content = gzip.compress(f">a\n{letters}\n".encode())
    path = tmp_path / "windows.fa.gz"
    path.write_bytes(content[: len(content) // 2] if name == "gzip" else bytes(range(256)))
    with pytest.raises(SequenceError, match="windows.fa.gz: expected"):
        FastaFile(path, 200_000).check()
    assert capfd.readouterr().err == ""


def test_text_damaged_in_the_middle(tmp_path):
    letters = "".join(np.random.default_rng(0).choice([*"ACGT"], 3000))
    content = bytearray(
        gzip.compress("\n".join(letters[i : i + 3] for i in range(0, 3000, 3)).encode())
    )
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "windows.gz").write_bytes(content)
    with pytest.raises(SequenceError, match="expected text, plain or compressed, but"):
        SequenceFile(tmp_path / "windows.gz", 3).check()


def test_sites_keep_their_order(tmp_path):
    chromosomes = {"chr1": "AACGTT" * 5, "chr2": "GCGCAA" * 5}
    fasta = tmp_path / "genome.fa"
    fasta.write_text("".join(f">{name}\n{letters}\n" for name, letters in chromosomes.items()))
    rows = [("2", 7), ("chr1", 2), ("2", 1), ("chr1", 26), ("chr1", 8)]
    sites = tmp_path / "sites.tsv"
    sites.write_text("".join(f"{name}\t{position + 1}\n" for name, position in rows))
    source = SiteFile(sites, Genome(fasta), 5)
    assert source.check() == 5
    assert source.cpgs.here == 5
    (batch,) = source.batches()
    assert batch.keys["chromosome"] == [name for name, _ in rows]
    assert batch.keys["position"].tolist() == [position for _, position in rows]
    assert batch.keys["strand"] == ["+"] * 5
    for (name, position), window in zip(rows, batch.windows, strict=True):
        padded = "NN" + chromosomes["chr" + name.removeprefix("chr")] + "NN"
        assert decode(window) == padded[position : position + 5]
