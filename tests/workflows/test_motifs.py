"""``deepcpg-tf motifs``, against what the original made of its own run."""

import numpy as np
import pytest

from deepcpg_tf import filter_motifs
from deepcpg_tf.data.legacy.hdf5 import LegacyData
from deepcpg_tf.genome.sequence import decode
from tests.conftest import DATA

RUN = DATA / "original-run"
MODEL = RUN / "model"
FILES = sorted((RUN / "data").glob("*.h5"))
GOLDEN = RUN / "motifs"


def windows_of(files=FILES, number=None):
    data = LegacyData(files)
    return data.windows_on_disk().windows(np.arange(len(data))[:number])


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """The windows of the original's run as letters."""
    path = tmp_path_factory.mktemp("windows") / "windows.txt"
    path.write_text("".join(decode(window) + "\n" for window in windows_of()))
    return path


def test_of_windows_as_letters_it_is_the_originals(run, tmp_path, sequences):
    out = tmp_path / "motifs"
    result = run("motifs", MODEL, "--sequences", sequences, "--out", out)
    assert result.code == 0, result.err
    assert result.out == f"8 of 8 filters have a motif: {out}\n"
    for name in ("meme.txt", "stats.tsv"):
        assert (out / name).read_text() == (GOLDEN / name).read_text()


def test_of_data_files_it_is_the_originals(run, tmp_path):
    out = tmp_path / "motifs"
    result = run("motifs", MODEL, *FILES, "--out", out)
    assert result.code == 0, result.err
    for name in ("meme.txt", "stats.tsv"):
        assert (out / name).read_text() == (GOLDEN / name).read_text()


def test_arrays_and_files_give_the_same(sequences):
    found = [
        filter_motifs(MODEL, sequences=sequences),
        filter_motifs(MODEL, {"windows": windows_of()}),
        filter_motifs(MODEL, data=FILES),
    ]
    assert found[0].windows == 2297
    for other in found[1:]:
        assert np.array_equal(found[0].values, other.values)
        assert np.array_equal(found[0].sites, other.sites)


FAULTS = {
    "nothing": (
        (),
        "input: expected labelled data, --sequences or --sites, received none",
    ),
    "two": (("--sequences", "{w}", "--sites", "{w}"), "received --sequences and --sites"),
    "no genome": (("--sites", "{w}"), "--genome: expected the reference of --sites"),
    "a genome for windows": (
        ("--sequences", "{w}", "--genome", RUN / "dna"),
        "--genome: expected the reference of --sites, received one with --sequences",
    ),
    "a table for windows": (
        ("--sequences", "{w}", "--data", "{w}"),
        "--data: expected with --sites alone",
    ),
    "no windows": (("--sequences", "{empty}"), "empty.txt: expected a window a line, found none"),
    "another length": (("--sequences", "{short}"), "line 1: expected a window of 101 letters"),
    "no file": (("--sequences", "{no}"), "expected a file, found none there"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(fails, tmp_path, sequences, fault):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "short.txt").write_text("ACGT\n")
    paths = {"{w}": sequences}
    paths |= {f"{{{name}}}": tmp_path / f"{name}.txt" for name in ("empty", "short", "no")}
    arguments, expected = FAULTS[fault]
    given = [paths.get(argument, argument) for argument in arguments]
    out = tmp_path / "motifs"
    assert expected in fails("motifs", MODEL, *given, "--out", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "short.txt"]


def test_a_folder_that_holds_something_stays(fails, tmp_path, sequences):
    (tmp_path / "kept").touch()
    message = fails("motifs", MODEL, "--sequences", sequences, "--out", tmp_path)
    assert "expected a new folder, found that it is there already" in message
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_modules_without_windows_are_refused(module_exports, tmp_path, fails, sequences):
    message = fails("motifs", module_exports / "cpg", "--sequences", sequences, "--out", tmp_path)
    assert "model: expected one that reads windows of DNA, received a cpg module" in message
