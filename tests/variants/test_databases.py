"""Motifs of others: MEME's files, as programs write them and as hands break them."""

import gzip

import numpy as np
import pytest

from deepcpg_tf.errors import InputError
from deepcpg_tf.variants.databases import jaspar_motifs, read_meme
from tests.conftest import DATA

FILE = """MEME version 4.4

ALPHABET= ACGT

strands: + -

Background letter frequencies (from uniform background):
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF M1_1.02 (Tfap2a)_(of mouse)

letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0
  0.500000\t  0.500000\t  0.000000\t  0.000000
  0.100000\t  0.200000\t  0.300000\t  0.400000

URL http://example.org/M1
MOTIF second
letter-probability matrix: alength= 4
1 0 0 0

MOTIF third
letter-probability matrix:
0 0 0 1
0 0 .995 0"""


@pytest.fixture
def read(tmp_path):
    def call(text):
        path = tmp_path / "motifs.meme"
        path.write_text(text)
        return read_meme(path)

    return call


def test_a_file(read):
    first, second, third = read(FILE)
    assert first.name == "M1_1.02"
    assert first.other_name == "(Tfap2a)_(of mouse)"
    assert first.values == pytest.approx(np.array([[0.5, 0.5, 0, 0], [0.1, 0.2, 0.3, 0.4]]))
    assert (second.values == [[1, 0, 0, 0]]).all()
    assert second.other_name == ""
    assert (third.values == [[0, 0, 0, 1], [0, 0, 1, 0]]).all()  # rounded ones are 1 together


def test_other_matrices_are_passed_over(read):
    scores = "log-odds matrix: alength= 4 w= 2\n1 2 -3 4\n-1 0 0 1\n"
    header = "letter-probability matrix: alength= 4 w= 2"
    found = read(FILE.replace(header, scores + header))
    assert [len(one.values) for one in found] == [2, 1, 2]


def test_the_originals_and_compressed_ones(tmp_path):
    golden = DATA / "original-run" / "motifs" / "meme.txt"
    path = tmp_path / "meme.txt.gz"
    path.write_bytes(gzip.compress(golden.read_bytes()))
    for found in (read_meme(golden), read_meme(path)):
        assert [one.name for one in found] == [f"filter{i}" for i in range(8)]
        assert all(one.values.shape == (11, 4) for one in found)


FAULTS = {
    "": "expected motifs in MEME's format",
    "MEME version 4\n": "expected motifs in MEME's format",
    ">x\n0 0 0 1\n": "line 1: expected 'MEME version 4', received '>x",
    "MEME version 4\nALPHABET= ACDEF\n": "line 2: expected the alphabet ACGT",
    "MEME version 4\nMOTIF a\nMOTIF b\n": "line 2: expected a letter-probability matrix",
    "MEME version 4\nMOTIF a\n": "line 2: expected a letter-probability matrix of this motif",
    "MEME version 4\nMOTIF\n": "line 2: expected a name after MOTIF",
    "MEME version 4\nletter-probability matrix:\n": "line 2: expected a MOTIF before",
    FILE.replace("0.400000", "0.4x"): "line 14: expected the frequencies of A, C, G and T",
    FILE.replace("0.400000", "0.6"): "line 14: expected the frequencies of A, C, G and T",
    FILE.replace("0.400000", "nan"): "line 14: expected the frequencies of A, C, G and T",
    FILE.replace("\t  0.400000", ""): "line 14: expected the frequencies of A, C, G and T",
    FILE.replace("w= 2", "w= 3"): "line 15: expected the frequencies of A, C, G and T",
    FILE.replace("w= 2", "w= 1"): "line 14: expected frequencies in a matrix alone",
    FILE.replace("w= 2", "w= x"): "line 12: expected w= a width, received 'x'",
    FILE.split("0.100000")[0].rstrip(): "expected 2 rows of a matrix, found 1",
    "MEME version 4\nMOTIF a\nletter-probability matrix:\n": "expected some rows of a matrix",
}


@pytest.mark.parametrize("text", FAULTS)
def test_faults(read, text):
    with pytest.raises(InputError) as error:
        read(text)
    assert FAULTS[text] in str(error.value)
    assert "motifs.meme" in str(error.value)


def test_jaspar():
    """The package brings its motifs along."""
    pytest.importorskip("pyjaspar")
    motifs = {one.other_name: one.values for one in jaspar_motifs()}
    assert len(motifs) > 500
    ctcf = motifs["CTCF"]
    assert ctcf.shape[1] == 4
    assert np.allclose(ctcf.sum(axis=1), 1)
    consensus = "".join("ACGT"[i] for i in ctcf.argmax(axis=1))
    assert "AGGGGGC" in consensus or "GCCCCCT" in consensus
