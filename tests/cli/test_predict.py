import gzip
import subprocess
import sys

import h5py
import numpy as np
import pyarrow.parquet
import pysam
import pytest

from deepcpg_tf import DeepCpgDnaForSequencePrediction, Genome
from tests import tolerances
from tests.conftest import DATA

TINY = DATA / "legacy" / "keras1-distributed"
WINDOWS = TINY / "sequences.txt"
RUN = DATA / "original-run"
GENOME = DATA / "genome" / "mini.fa"


@pytest.fixture(scope="module")
def expected():
    return np.load(TINY / "expected.npz")


def table(text):
    rows = [line.split("\t") for line in text.splitlines()]
    return rows[0], rows[1:]


def floats(rows, first=1):
    return np.array([row[first:] for row in rows], np.float32)


@pytest.mark.parametrize("how", ["sequences", "gzip", "fasta", "fasta-gzip", "fasta-bgzip"])
def test_windows(run, tmp_path, expected, how):
    letters = WINDOWS.read_text().split()
    fasta = tmp_path / "windows.fa"
    fasta.write_text("".join(f">w{i} x\n{s[:60]}\n{s[60:]}\n" for i, s in enumerate(letters)))
    (tmp_path / "windows.txt.gz").write_bytes(gzip.compress(WINDOWS.read_bytes()))
    (tmp_path / "gzip.fa").write_bytes(gzip.compress(fasta.read_bytes()))
    pysam.tabix_compress(str(fasta), str(tmp_path / "windows.fa.gz"))
    arguments = {
        "sequences": ["--sequences", WINDOWS],
        "gzip": ["--sequences", tmp_path / "windows.txt.gz"],
        "fasta": ["--fasta", fasta],
        "fasta-gzip": ["--fasta", tmp_path / "gzip.fa"],
        "fasta-bgzip": ["--fasta", tmp_path / "windows.fa.gz"],
    }
    result = run("predict", TINY, *arguments[how])
    assert (result.code, result.err) == (0, "")
    header, rows = table(result.out)
    assert header == ["id", *expected["cells"]]
    first = "w{}" if how.startswith("fasta") else "{}"
    start = 0 if how.startswith("fasta") else 1
    assert [row[0] for row in rows] == [first.format(i + start) for i in range(12)]
    np.testing.assert_allclose(
        floats(rows), expected["prob"], atol=tolerances.TINY_PROBABILITIES, rtol=0
    )


def test_one_sequence(run, expected):
    result = run("predict", TINY, "--sequence", WINDOWS.read_text().split()[3].lower())
    _, rows = table(result.out)
    np.testing.assert_allclose(
        floats(rows), expected["prob"][3:4], atol=tolerances.TINY_PROBABILITIES, rtol=0
    )


def test_embedding(run, expected):
    result = run("predict", TINY, "--sequences", WINDOWS, "--values", "embedding")
    header, rows = table(result.out)
    assert header == ["id", *(f"embedding_{i}" for i in range(16))]
    np.testing.assert_allclose(
        floats(rows), expected["act/dna/dropout_1"], atol=tolerances.TINY_LOGITS, rtol=0
    )


def test_logits(run, expected):
    result = run("predict", TINY, "--sequences", WINDOWS, "--values", "logits")
    found = 1 / (1 + np.exp(-floats(table(result.out)[1])))
    np.testing.assert_allclose(found, expected["prob"], atol=tolerances.TINY_PROBABILITIES, rtol=0)


@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz", ".parquet"])
def test_out(run, tmp_path, expected, ending):
    out = tmp_path / f"out{ending}"
    result = run("predict", TINY, "--sequences", WINDOWS, "--out", out)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert list(tmp_path.iterdir()) == [out]
    if ending == ".parquet":
        columns = pyarrow.parquet.read_table(out)
        assert columns.column_names == ["id", *expected["cells"]]
        found = np.stack([columns[cell].to_numpy() for cell in expected["cells"]], axis=1)
        assert found.dtype == np.float32
    else:
        content = out.read_bytes()
        content = gzip.decompress(content) if ending == ".tsv.gz" else content
        found = floats(table(content.decode())[1])
    np.testing.assert_allclose(found, expected["prob"], atol=tolerances.TINY_PROBABILITIES, rtol=0)


@pytest.mark.parametrize("form", ["tsv", "bed"])
def test_sites_equal_the_original_program(run, tmp_path, form):
    """Genome and sites to probabilities, against what dcpg_eval.py wrote.

    The original replaces N by random bases, so windows with N are left out.
    """
    with h5py.File(RUN / "eval.h5") as file:
        names = [name.decode() for name in file["chromo"]]
        positions = file["pos"][:]
        cells = [*file["preds/cpg"]]
        original = np.stack([file[f"preds/cpg/{cell}"][:] for cell in cells], axis=1)
    sites = tmp_path / "sites"
    with sites.open("w") as file:
        for name, position in zip(names, positions, strict=True):
            bed = f"chr{name}\t{position - 1}\t{position + 1}\n"
            file.write(bed if form == "bed" else f"{name}\t{position}\n")
    out = tmp_path / "out.tsv"
    result = run("predict", RUN / "model", "--sites", sites, "--genome", GENOME, "--out", out)
    assert result.code == 0, result.err
    assert f"{len(names)} of {len(names)} sites are CG in the reference" in result.err
    header, rows = table(out.read_text())
    assert header == ["chromosome", "position", "strand", *cells]
    assert [int(row[1]) for row in rows] == list(positions - 1)
    assert {row[2] for row in rows} == {"+"}
    genome = Genome(GENOME)
    windows = np.concatenate(
        [genome.windows(n, np.array([p - 1]), 101) for n, p in zip(names, positions, strict=True)]
    )
    known = (windows != 4).all(axis=1)
    assert known.sum() > 1000
    np.testing.assert_allclose(
        floats(rows, 3)[known], original[known], atol=tolerances.RUN_PROBABILITIES, rtol=0
    )


def test_sites_that_are_no_cg_are_counted(run, tmp_path):
    with h5py.File(RUN / "eval.h5") as file:
        chosen = file["chromo"][:] == b"1"
        positions = file["pos"][chosen][:50]
    sites = tmp_path / "sites.tsv"
    sites.write_text("".join(f"chr1\t{position + 1}\n" for position in positions))
    arguments = ("predict", RUN / "model", "--sites", sites, "--genome", GENOME)
    result = run(*arguments)
    assert result.code == 0
    assert len(table(result.out)[1]) == 50
    assert "of 50 sites are CG in the reference (50 are at offset -1," in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "input: expected one of --sequence, --sequences, --fasta, --sites, or --genome"),
        (["--sequence", "A", "--fasta", WINDOWS], "received --sequence and --fasta"),
        (
            ["--sequence", "A" * 101, "--values", "p"],
            "--values: expected one of .*received 'p'",
        ),
        (["--sites", WINDOWS], "--sites: expected --genome FASTA with it, received none"),
        (["--sequence", "A", "--genome", GENOME], "--genome and --require-cpg go with --sites"),
        (["--sequence", "ACGT"], "sequence: expected a window of 101 letters, received 4"),
        (["--sequence", "A" * 100 + "!"], "sequence, position 101: .* received '!'"),
        (["--sequences", "no.txt"], "no.txt: expected a file, found none there"),
        (["--fasta", WINDOWS], "sequences.txt, line 1: expected FASTA, whose first record begins"),
        (["--sites", GENOME, "--genome", GENOME], "mini.fa, line 1: chrom.*expected one of mini"),
        (["--sites", WINDOWS, "--genome", "no.fa"], "no.fa: expected a FASTA file, found none"),
    ],
)
def test_faults(fails, tmp_path, arguments, message):
    import re

    error = fails("predict", TINY, *arguments, "--out", tmp_path / "out.tsv")
    assert re.search(message, error), error
    assert list(tmp_path.iterdir()) == []


def test_require_cpg(fails, tmp_path):
    (tmp_path / "sites.tsv").write_text("1\t11\n")
    arguments = ("--sites", tmp_path / "sites.tsv", "--genome", GENOME, "--require-cpg")
    error = fails("predict", TINY, *arguments, "--out", tmp_path / "out.tsv")
    assert "sites.tsv, line 1: expected a CG, as --require-cpg asks, found" in error
    assert [file.name for file in tmp_path.iterdir()] == ["sites.tsv"]


def test_a_fault_in_the_last_line_shows_before_any_output(fails, tmp_path):
    windows = tmp_path / "windows.txt"
    windows.write_text(WINDOWS.read_text() * 500 + "ACGT\n")
    error = fails("predict", TINY, "--sequences", windows, "--out", tmp_path / "out.tsv")
    assert [file.name for file in tmp_path.iterdir()] == ["windows.txt"]
    assert f"{windows}, line 6001: expected a window of 101 letters, received 4" in error


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("no-such-model", "no-such-model: expected a folder with a model, or one of smallwood2014"),
        (DATA, "expected a preset"),
    ],
)
def test_no_model(fails, model, message):
    assert message in fails("predict", model, "--sequence", "A" * 101)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.csv", "out.csv: expected a name ending in .parquet, .tsv, .tsv.gz"),
        ("no/out.tsv", "expected an existing folder"),
    ],
)
def test_impossible_outputs(fails, tmp_path, name, message):
    arguments = ("--sequence", "A" * 101, "--out", tmp_path / name)
    assert message in fails("predict", TINY, *arguments)


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize(
    ("option", "out"),
    [("--sequences", "out.tsv"), ("--fasta", "out.parquet"), ("--sites", "out.tsv")],
)
def test_memory_does_not_grow_with_the_number_of_windows(tmp_path, option, out):
    """The peak of a process that predicts four times as many windows is the same.

    For each window more, its codes take 101 bytes and its embedding 64.
    """
    # Not getrusage: what it says of a new process begins with the memory of its parent.
    code = (
        "import sys; from deepcpg_tf.cli.app import main\n"
        "try: main()\n"
        "finally:\n"
        "    with open('/proc/self/status') as file:\n"
        "        print(*(s.split()[1] for s in file if s.startswith('VmHWM')), file=sys.stderr)\n"
    )
    letters = WINDOWS.read_text()
    texts = {
        "--sequences": letters,
        "--fasta": "".join(f">w\n{window}\n" for window in letters.split()),
        "--sites": "".join(f"1\t{position}\n" for position in range(1, 13)),
    }
    extra = ["--genome", GENOME] if option == "--sites" else []
    peaks = []
    for repeats in (12_000, 48_000):
        source = tmp_path / "source"
        with source.open("w") as file:
            file.writelines(texts[option] for _ in range(repeats))
        arguments = ["predict", TINY, option, source, *extra, "--values", "embedding"]
        result = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments), "--out", tmp_path / out],
            check=True,
            capture_output=True,
            text=True,
        )
        peaks.append(int(result.stderr.splitlines()[-1]) / 1024)
    assert peaks[1] - peaks[0] < 20, peaks


def test_its_own_output_names_the_same_sites(run, tmp_path):
    (tmp_path / "sites.bed").write_text("1\t9\t11\nX\t30\t31\tx\t0\t-\n1\t22\t23\n")
    first, second = tmp_path / "first.tsv", tmp_path / "second.tsv"
    for sites, out in ((tmp_path / "sites.bed", first), (first, second)):
        result = run("predict", TINY, "--sites", sites, "--genome", GENOME, "--out", out)
        assert result.code == 0, result.err
    assert first.read_text() == second.read_text()


def test_the_same_from_python(run, expected):
    model = DeepCpgDnaForSequencePrediction.from_preset(TINY)
    _, rows = table(run("predict", TINY, "--sequences", WINDOWS).out)
    letters = WINDOWS.read_text().split()
    np.testing.assert_allclose(
        floats(rows), model.predict_sequences(letters), atol=tolerances.TINY_PROBABILITIES
    )


@pytest.mark.parametrize("option", ["--sequences", "--genome"])
def test_an_input_is_not_written_over(fails, tmp_path, option):
    path = tmp_path / "input.tsv"
    path.write_bytes((WINDOWS if option == "--sequences" else GENOME).read_bytes())
    sites = tmp_path / "sites.bed"
    sites.write_text("1\t9\t10\n")
    before = path.read_bytes()
    more = ["--sites", sites] if option == "--genome" else []
    error = fails("predict", TINY, option, path, *more, "--out", path)
    assert "expected another file than the input, received the same" in error
    assert path.read_bytes() == before
