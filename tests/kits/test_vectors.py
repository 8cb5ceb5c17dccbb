"""The lines that all kits have: windows, faults and tables, in this process."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import io

import numpy as np
import pysam
import pytest

from tests.kits.conftest import KITS
from tests.vectors import NEIGHBOURS, TABLES, WINDOWS, named


@pytest.fixture(
    scope="module", params=["edge/deepcpg_edge.py", "onnx/deepcpg_onnx.py", "serving/client.py"]
)
def program(request):
    path = KITS / request.param
    spec = importlib.util.spec_from_file_location(f"kit_{path.stem}", path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(program, text):
    return [*program.Windows(io.BytesIO(text.encode()), "FILE", WINDOWS["length"])]


@pytest.mark.parametrize("case", WINDOWS["read"], ids=named(WINDOWS["read"]))
def test_windows(program, case):
    found = [(name, given.letters.decode()) for name, given in read(program, case["text"])]
    assert found == [*zip(case["ids"], case["letters"], strict=True)]


@pytest.mark.parametrize("case", WINDOWS["compressed"], ids=named(WINDOWS["compressed"]))
def test_compressed(program, case):
    file = io.BytesIO(base64.b64decode(case["base64"]))
    windows = program.Windows(file, "FILE", WINDOWS["length"])
    for _ in range(2):  # to check, and to compute
        found = [(name, given.letters.decode()) for name, given in windows]
        assert found == [*zip(case["ids"], case["letters"], strict=True)]
    assert not file.closed


def test_fasta_with_lines_of_old_macs(program):
    found = read(program, ">a of here\rACGTN\rCGTACA\r>b\rttttttttttt")
    assert [(name, given.letters) for name, given in found] == [
        ("a", b"ACGTNCGTACA"),
        ("b", b"ttttttttttt"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("; of here\nACGT\n>a\n", "FILE, line 2: expected FASTA, whose first record begins with"),
        ("; of here\n", "FILE: expected FASTA with a window a record, found none"),
    ],
)
def test_fasta_without_a_record(program, text, message):
    with pytest.raises(program.Fault) as error:
        read(program, text)
    assert str(error.value).startswith(message)


def bgzip(tmp_path, text):
    """Return two blocks, and the empty one that ends a file."""
    parts = []
    for half in (text[: len(text) // 2], text[len(text) // 2 :]):
        with pysam.BGZFile(str(tmp_path / "x.gz"), "wb") as file:
            file.write(half.encode())
        parts.append((tmp_path / "x.gz").read_bytes())
    last = parts[0][-28:]
    return [*(part.removesuffix(last) for part in parts), last]


def test_bgzip_that_is_cut_off(program, tmp_path):
    """Between two blocks it looks whole, and would be a table of fewer windows."""
    blocks = bgzip(tmp_path, "ACGTNCGTACA\n" * 4)
    windows = program.Windows(io.BytesIO(b"".join(blocks)), "FILE", 11)
    assert len([*windows]) == 4
    for cut in (blocks[:1], blocks[:2]):
        windows = program.Windows(io.BytesIO(b"".join(cut)), "FILE", 11)
        with pytest.raises(program.Fault, match="FILE: cannot be read: it is cut off, as bgzip en"):
            list(windows)
    mixed = blocks[0] + gzip.compress(b"ACGTNCGTACA\n")
    assert len([*program.Windows(io.BytesIO(mixed), "FILE", 11)]) == 3


def test_what_is_no_text(program):
    with pytest.raises(
        program.Fault, match="FILE: expected text, plain or compressed, but 'utf-8'"
    ):
        [*program.Windows(io.BytesIO(b"\xff\xfeA\0C\0"), "FILE", 11)]


@pytest.mark.parametrize("case", WINDOWS["faults"], ids=named(WINDOWS["faults"]))
def test_faults(program, case):
    with pytest.raises(program.Fault) as error:
        read(program, case["text"])
    assert str(error.value) == case["message"]


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("case", TABLES, ids=named(TABLES))
def test_tables(program, case, batch, tmp_path):
    rows = iter(case["probabilities"])

    def run(sites):
        assert len(sites) <= batch
        return [next(rows) for _ in sites]

    out = tmp_path / "table.tsv"
    windows = [(name, program.Given(b"A")) for name in case["ids"]]
    program.write_table(out, case["cells"], windows, run, batch)
    assert out.read_text() == case["text"]


def sites(program, case):
    reads = program.Reads(case["length"], case["cells"], case["of_each_cell"], case["key"])
    return [*program.Sites(io.BytesIO(case["text"].encode()), "FILE", reads)]


@pytest.mark.parametrize("case", NEIGHBOURS["read"], ids=named(NEIGHBOURS["read"]))
def test_sites_and_neighbours(program, case):
    found = sites(program, case)
    assert [name for name, _ in found] == case["ids"]
    if case["length"] is not None:
        assert [given.letters.decode() for _, given in found] == case["letters"]
    for kind in ("state", "dist"):
        expected = np.array(case[kind], np.float32).reshape(len(found), -1)
        np.testing.assert_array_equal([getattr(given, kind) for _, given in found], expected)


@pytest.mark.parametrize("case", NEIGHBOURS["faults"], ids=named(NEIGHBOURS["faults"]))
def test_faults_of_sites(program, case):
    with pytest.raises(program.Fault) as error:
        sites(program, {**NEIGHBOURS["read"][0], **case})
    assert str(error.value) == case["message"]
