"""``deepcpg-tf motifs``, against what the original made of its own run."""

import sys

import numpy as np
import pytest

from deepcpg_tf import filter_motifs, load_model, read_table
from deepcpg_tf.data.legacy.hdf5 import LegacyData
from deepcpg_tf.errors import InputError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import decode, is_cg, letters_of_codes
from deepcpg_tf.workflows.inputs import ModelInputs
from tests import tolerances
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


def columns(path):
    """Read a table as columns by name."""
    header, *lines = (line.split("\t") for line in path.read_text().splitlines())
    return dict(zip(header, zip(*lines, strict=True), strict=True))


def test_of_data_files_it_is_the_originals(run, tmp_path):
    """With all that goes with it; the database has the original's own motifs, some reversed."""
    out, database = tmp_path / "motifs", tmp_path / "known.meme"
    database.write_text(reversed_meme((GOLDEN / "meme.txt").read_text()))
    result = run("motifs", MODEL, *FILES, "--database", database, "--out", out)
    assert result.code == 0, result.err
    names = [f"filter{i}" for i in range(8)]
    assert sorted(path.name for path in out.iterdir()) == [
        "activations",
        "components.png",
        "components.svg",
        "correlations.png",
        "correlations.svg",
        "correlations.tsv",
        "filters.tsv",
        "logos",
        "matches.tsv",
        "meme.txt",
        "motifs.html",
        "stats.tsv",
        "weights",
    ]
    for folder, endings in (("logos", ("png", "svg")), ("weights", ("svg",))):
        expected = sorted(f"{name}.{ending}" for name in names for ending in endings)
        assert sorted(path.name for path in (out / folder).iterdir()) == expected
    matches = columns(out / "matches.tsv")
    best = dict(reversed([*zip(matches["filter"], matches["motif"], strict=True)]))
    assert best == {name: f"known-{name}" for name in names}
    strands = dict(zip(matches["motif"], matches["strand"], strict=True))
    assert strands["known-filter0"] == "-"
    assert strands["known-filter1"] == "+"
    filters = columns(out / "filters.tsv")
    assert sorted(filters["filter"]) == names
    assert set(filters["measure"]) == {"log_loss"}
    importance = np.array(filters["importance"], float)
    assert (np.diff(importance) <= 0).all()
    assert "data:image/png" in (out / "motifs.html").read_text()
    for name in ("meme.txt", "stats.tsv"):
        assert (out / name).read_text() == (GOLDEN / name).read_text()


def reversed_meme(text):
    """Rename motifs, and reverse those of even filters."""
    head, *motifs = text.split("MOTIF ")
    result = [head]
    for i, motif in enumerate(motifs):
        name, matrix, *rows = motif.strip().split("\n")
        if i % 2 == 0:
            rows = [" ".join(reversed(row.split())) for row in reversed(rows)]
        result.append("\n".join([f"known-{name}", matrix, *rows, "", ""]))
    return "MOTIF ".join(result)


def test_arrays_and_files_give_the_same(sequences):
    found = [
        filter_motifs(MODEL, sequences=sequences),
        filter_motifs(MODEL, {"tokens": letters_of_codes(windows_of())}),
        filter_motifs(MODEL, data=FILES),
    ]
    assert found[0].windows == 2297
    for other in found[1:]:
        assert np.array_equal(found[0].values, other.values)
        assert np.array_equal(found[0].sites, other.sites)


def test_importance_is_what_predictions_lose(monkeypatch):
    """In labelled windows, by hand: with the weights of a filter gone."""
    monkeypatch.setattr("deepcpg_tf.workflows.motifs._SILENCED_LABELLED", 100)
    data = LegacyData(FILES[:1])
    windows, labels = windows_of(FILES[:1]), data.labels(np.arange(len(data)))
    model = load_model(MODEL)
    found = filter_motifs(model, {"windows": windows}, labels=labels).roles
    assert (found.windows, found.silenced, found.measure) == (500, 100, "log_loss")
    first = next(layer for layer in model.parts["dna"].layers if layer.weights)
    kernel, bias = first.kernel.numpy(), first.bias.numpy()
    own, known = slice(None, None, 5), labels[::5] >= 0
    losses = []
    for i in [None, *range(8)]:
        others = np.arange(8) != i
        first.kernel.assign(kernel * others)
        first.bias.assign(bias * others)
        p = model.predict_arrays({"windows": windows[own]}).astype(float)
        right = np.where(labels[own] == 1, p, 1 - p)
        losses.append(-np.log(np.maximum(right[known], 1e-7)).mean())
    first.kernel.assign(kernel)
    first.bias.assign(bias)
    # A loss is as steep in a logit as 1.
    bound = 2 * tolerances.logits(model.config, tolerances.RUN_SIZE) + tolerances.FUNCTION * 20
    assert found.importance == pytest.approx(np.array(losses[1:]) - losses[0], rel=0, abs=bound)
    moved = filter_motifs(model, {"windows": windows}).roles
    assert moved.measure == "probability"
    assert moved.labels is None
    assert (moved.importance > 0).all()
    predicted = model.predict_arrays({"windows": windows})
    activities = model.activations({"windows": windows}, ["dna/activation_1"])
    means = activities["dna/activation_1"].mean(axis=1)
    expected = np.corrcoef(means.T, predicted.T)[:8, 8:]
    assert moved.predictions == pytest.approx(expected, rel=0, abs=1e-4)


def test_labels_in_memory_are_checked():
    arrays = {"windows": windows_of()[:3]}
    cells = len(load_model(MODEL).cells)
    for value, received in ((7, "7"), (0.5, "0.5"), (np.nan, "nan")):
        labels = np.ones((3, cells), type(value))
        labels[1, 0] = value
        expected = f"labels: expected 1, 0, or -1 where one is missing, received {received}"
        with pytest.raises(InputError, match=expected):
            filter_motifs(MODEL, arrays, labels=labels)
    with pytest.raises(InputError, match="labels: expected shape"):
        filter_motifs(MODEL, arrays, labels=np.ones((1, 2), np.int8))


def test_sites_find_their_labels_in_a_table(module_exports, tmp_path):
    """A Joint module reads neighbours of the same table; a site that is not in it has no label."""
    table = read_table(module_exports / "cells.h5ad")
    names = np.array(table.chromosomes)[table.chromosome_ids]
    order = np.random.default_rng(0).permutation(len(table))[:150]
    lines = [f"{names[i]}\t{table.positions[i] + 1}\n" for i in order]
    path = tmp_path / "sites.tsv"
    genome = Genome(RUN / "dna")
    codes = genome.codes("1")
    cpgs = np.flatnonzero(is_cg(codes[:-1], codes[1:]))
    other = np.setdiff1d(cpgs, table.positions[names == "1"])[0]
    path.write_text("".join(lines) + f"1\t{other + 1}\n")
    for model in (MODEL, module_exports / "joint"):
        found = filter_motifs(
            model, sites=path, genome=RUN / "dna", table=module_exports / "cells.h5ad"
        )
        assert found.windows == 151
        assert found.roles.measure == "log_loss"
        arrays = [*ModelInputs(
            load_model(model),
            sites=path,
            genome=RUN / "dna",
            table=module_exports / "cells.h5ad" if model != MODEL else None,
        ).batches(1000)]  # fmt: skip
        labels = np.concatenate([table.labels(order), np.full((1, 3), -1, np.int8)])
        other = filter_motifs(model, arrays[0][1], labels=labels)
        np.testing.assert_array_equal(found.roles.labels, other.roles.labels)
        np.testing.assert_array_equal(found.roles.importance, other.roles.importance)


def test_without_what_draws_there_are_tables_and_a_line(run, tmp_path, sequences, monkeypatch):
    monkeypatch.setitem(sys.modules, "logomaker", None)
    out = tmp_path / "motifs"
    result = run("motifs", MODEL, "--sequences", sequences, "--out", out)
    assert result.code == 0
    assert result.err == (
        "logos and the page are left out: expected the package logomaker, found none: "
        "pip install 'deepcpg-tf[motifs]'\n"
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "correlations.tsv",
        "filters.tsv",
        "meme.txt",
        "stats.tsv",
    ]


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
    "no database": (("--sequences", "{w}", "--database", "{no}"), "found none there"),
    "no motifs": (
        ("--sequences", "{w}", "--database", "{short}"),
        "short.txt, line 1: expected 'MEME version 4', received 'ACGT",
    ),
    "no file": (("--sequences", "{no}"), "expected a file, found none there"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(fails, tmp_path, sequences, fault):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "short.txt").write_text("ACGT\n")
    paths = {"{w}": sequences}
    paths |= {f"{{{name}}}": tmp_path / f"{name}.txt" for name in ("empty", "short", "no")}
    arguments, expected = FAULTS[fault]
    given = [paths.get(str(argument), argument) for argument in arguments]
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
