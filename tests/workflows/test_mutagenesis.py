"""The command and verb: what is in the files, and what is refused."""

import anndata
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from deepcpg_tf import build_table, load_model, saturation_mutagenesis, write_mutagenesis
from deepcpg_tf.errors import OutputError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import letters_of_codes
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.results.substitutions import Layout, write_substitutions
from deepcpg_tf.variants import mutagenesis
from deepcpg_tf.variants.pictures import STRETCH, importance, substitutions_figure
from deepcpg_tf.workflows import mutagenesis as verb
from deepcpg_tf.workflows.inputs import ModelInputs
from tests import tolerances
from tests.contract.test_models import random_weights
from tests.counting import Counting
from tests.workflows.test_modules import CELLS, JOINT, RUN

MODEL = RUN / "model"


@pytest.fixture
def genome():
    return Genome(RUN / "dna")


@pytest.fixture
def table(tmp_path, genome):
    path = tmp_path / "cells.h5ad"
    build_table([RUN / "cpg" / name for name in ("c1.tsv", "c2.tsv", "c3.tsv.gz")], genome, path)
    return path


@pytest.fixture
def sequences(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "windows.txt"
    number = mutagenesis.WINDOWS + 3
    path.write_text("".join("".join(rng.choice([*"ACGTN"], 101)) + "\n" for _ in range(number)))
    return path


@pytest.fixture
def tokens(sequences):
    lines = sequences.read_bytes().split()
    return np.frombuffer(b"".join(lines), np.uint8).reshape(len(lines), -1)


@pytest.fixture
def expected(tokens):
    return saturation_mutagenesis(load_model(MODEL), {"tokens": tokens}).values


def same(found, expected):
    """Twice the tolerance of a logit: each is a difference of two."""
    np.testing.assert_allclose(found, expected, atol=2 * tolerances.RUN_LOGITS, rtol=0)


def test_npz(run, sequences, tokens, expected, tmp_path):
    out = tmp_path / "ism.npz"
    result = run("mutagenesis", MODEL, "--sequences", sequences, "--out", out)
    assert (result.code, result.out) == (0, "")
    assert result.err == f"{out}: 19 windows, 3 cells\n"
    with np.load(out) as file:
        assert set(file) == {"values", "tokens", "letters", "cells", "id"}
        assert file["values"].dtype == np.float32
        same(file["values"], expected)
        np.testing.assert_array_equal(file["tokens"], tokens)
        assert file["letters"].tolist() == [*"ACGT"]
        assert file["cells"].tolist() == [*CELLS]
        assert file["id"].tolist() == [str(i) for i in range(1, 20)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ism.npz", "windows.txt"]


def test_h5ad(run, sequences, tokens, expected, tmp_path):
    out = tmp_path / "ism.h5ad"
    assert run("mutagenesis", MODEL, "--sequences", sequences, "--out", out).code == 0
    found = anndata.read_h5ad(out)
    assert found.shape == (19 * 3, 101 * 4)
    assert found.X.dtype == np.float32
    same(found.X.reshape(19, 3, 101, 4), np.moveaxis(expected, -1, 1))
    for cell, window, place, letter in (("c2", 3, 7, "T"), ("c1", 18, 60, "A")):
        row = found.obs.query("window == @window and cell == @cell").index
        column = found.var.query("position == @place and letter == @letter").index
        (value,) = found[row, column].X.ravel()
        same(value, expected[window, place, "ACGT".index(letter), CELLS.index(cell)])
        assert (row[0], column[0]) == (f"{window}:{cell}", f"{place}:{letter}")
    assert found.obs["id"].astype(str).tolist() == [str(i // 3 + 1) for i in range(57)]
    np.testing.assert_array_equal(found.uns["tokens"], tokens)
    assert found.uns["letters"] == "ACGT"
    assert found.uns["cells"].tolist() == [*CELLS]


def test_summaries_of_some_cells(run, sequences, expected, tmp_path):
    given = ("mutagenesis", MODEL, "--sequences", sequences, "--cells", "c3,c1")
    wanted = expected[..., [2, 0]]
    numbers = {"l2": (wanted**2).sum(-1) ** 0.5, "mean": wanted.mean(-1), "var": wanted.var(-1)}
    for names in (["mean"], ["l2", "mean", "var"]):
        listed = ",".join(names)
        result = run(*given, "--summary", listed, "--out", tmp_path / "x.npz")
        assert result.err.endswith(f"x.npz: 19 windows, 2 cells, summarised ({listed})\n")
        with np.load(tmp_path / "x.npz") as file:
            assert set(file) == {*names, "tokens", "letters", "cells", "id"}
            assert file["cells"].tolist() == ["c3", "c1"]
            for name in names:
                assert file[name].shape == (19, 101, 4)
                np.testing.assert_allclose(file[name], numbers[name], rtol=1e-3, atol=1e-4)
        assert run(*given, "--summary", listed, "--out", tmp_path / "x.h5ad").code == 0
        found = anndata.read_h5ad(tmp_path / "x.h5ad")
        assert found.obs["summary"].tolist() == names * 19
        for i, name in enumerate(names):
            own = found.X.reshape(19, len(names), 101, 4)[:, i]
            np.testing.assert_allclose(own, numbers[name], rtol=1e-3, atol=1e-4)


def test_sites_of_a_joint_module(run, table, genome, tmp_path):
    random_weights(new_model(JOINT)).save_to_preset(tmp_path / "joint")
    given = [
        (name, int(np.flatnonzero((codes[:-1] == 3) & (codes[1:] == 2))[5]))
        for name in ("2", "1", "X")
        for codes in (genome.windows(name, np.array([400]), 801)[0],)
    ]
    path = tmp_path / "sites.tsv"
    path.write_text("".join(f"{name}\t{position + 1}\n" for name, position in given))
    out = tmp_path / "ism.npz"
    options = ("--sites", path, "--genome", genome.path, "--data", table, "--out", out)
    result = run("mutagenesis", tmp_path / "joint", *options)
    assert result.code == 0, result.err
    model = load_model(tmp_path / "joint")
    ((_, arrays),) = ModelInputs(model, sites=path, genome=genome, table=table).batches(9)
    expected = saturation_mutagenesis(model, arrays).values
    with np.load(out) as file:
        assert file["chromosome"].tolist() == ["2", "1", "X"]
        assert file["position"].tolist() == [position for _, position in given]
        assert set(file) >= {"strand"}
        np.testing.assert_array_equal(file["tokens"], letters_of_codes(arrays["windows"]))
        np.testing.assert_allclose(
            file["values"], expected, atol=2 * tolerances.logits(JOINT), rtol=0
        )
    frame = write_mutagenesis(
        model, tmp_path / "ism.h5ad", sites=path, genome=genome, table=table, summary=["mean"]
    )
    assert frame.windows == 3
    found = anndata.read_h5ad(tmp_path / "ism.h5ad")
    assert found.obs["position"].tolist() == [position for _, position in given]
    assert found.obs["chromosome"].tolist() == ["2", "1", "X"]


def test_pictures(run, sequences, tmp_path, monkeypatch):
    monkeypatch.setattr(verb, "PICTURES", 2)
    options = ("--sequences", sequences, "--out", tmp_path / "x.npz", "--plot", tmp_path / "p")
    result = run("mutagenesis", MODEL, *options)
    assert result.err == (
        f"{tmp_path / 'p'}: pictures of the first 2 windows of 19\n"
        f"{tmp_path / 'x.npz'}: 19 windows, 3 cells, 2 pictures in {tmp_path / 'p'}\n"
    )
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["1.png", "2.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "p").iterdir())
    assert plt.get_fignums() == []  # no window is opened


def test_a_picture_shows_the_letters_that_matter_where_they_are():
    codes = np.random.default_rng(0).integers(0, 4, 301).astype(np.uint8)
    codes[210] = 4
    values = np.zeros((301, 4), np.float32)
    values[200] = [-4, -4, -4, -4]
    values[200, "ATGC".index("ATGC"[codes[200]])] = -4
    values[200, "ACGT".index("ATGC"[codes[200]])] = 0
    values[210] = [1, 2, 3, 4]
    heights = importance(codes, values)
    assert heights[200] == 3  # the letter there, less the mean over letters
    assert heights[210] == 0  # N is no letter
    assert np.flatnonzero(heights).tolist() == [200]
    figure = substitutions_figure(codes, values, "one, $2")
    assert isinstance(figure, Figure)
    above, logo, below, _ = figure.axes
    np.testing.assert_array_equal(above.lines[0].get_ydata(), heights)
    low, high = logo.get_xlim()
    assert (high - low, low < 200 - 150 < high) == (STRETCH, True)
    assert below.get_xlim() == (low, high)
    shown = np.asarray(below.images[0].get_array())
    np.testing.assert_array_equal(shown[:, 200 - 150 - round(low + 0.5)], values[200])
    assert [label.get_text() for label in below.get_yticklabels()] == [*"ACGT"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "x.tsv"), "x.tsv: expected a name ending in .h5ad, .npz\n"),
        (("--out", "no/x.npz"), "no/x.npz: expected an existing folder, found no no\n"),
        (("--summary", "mean,x"), "--summary: expected one of mean, var, l2, received 'x'\n"),
        (("--summary", "var,var"), "--summary: expected different ones, received var, var\n"),
        (("--cells", "c1,c9"), "--cells: expected some of c1, c2, c3, received 'c9'\n"),
        (("--sites", "s.bed"), "s.bed: expected a file, found none there\n"),
        (("--genome", "g.fa"), "--genome: expected the reference of --sites, received one with "),
        (("--plot", MODEL), "expected a folder for pictures, found one of a model\n"),
        (("--plot", __file__), "expected the name of a folder to write, received a file\n"),
    ],
)
def test_options_that_are_refused(fails, sequences, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    if options[0] == "--plot" and options[1] == MODEL:
        load_model(MODEL).save_to_preset(tmp_path / "m")
        options = ("--plot", "m")
    given = {"--sequences": sequences, "--out": "out.npz"} | {options[0]: options[1]}
    flat = [x for pair in given.items() for x in pair]
    before = sorted(tmp_path.rglob("*"))
    assert message in fails("mutagenesis", MODEL, *flat)
    assert sorted(tmp_path.rglob("*")) == before


def test_inputs_that_are_refused(fails, sequences, tmp_path):
    out = ("--out", tmp_path / "x.npz")
    assert "expected --sequences or --sites, received none" in fails("mutagenesis", MODEL, *out)
    copy = tmp_path / "w.npz"
    copy.write_bytes(sequences.read_bytes())
    assert "expected another file than the input" in fails(
        "mutagenesis", MODEL, "--sequences", copy, "--out", copy
    )
    copy.write_text("ACG\n")
    assert "w.npz, line 1: expected a window of 101 letters, received 3" in fails(
        "mutagenesis", MODEL, "--sequences", copy, *out
    )
    assert not (tmp_path / "x.npz").exists()


def test_nothing_half_written(sequences, tmp_path, monkeypatch):
    monkeypatch.setattr(mutagenesis, "WINDOWS", 4)
    monkeypatch.setattr(verb, "PICTURES", 1)
    (tmp_path / "out").mkdir()
    given = {"sequences": sequences, "plot": tmp_path / "out" / "p"}

    class Stops(Counting):
        def advances(self, units):
            super().advances(units)
            if len(self.done) == 3:
                raise KeyboardInterrupt

    for name in ("x.npz", "x.h5ad"):
        with pytest.raises(KeyboardInterrupt):
            write_mutagenesis(MODEL, tmp_path / "out" / name, **given, progress=Stops())
        assert list((tmp_path / "out").iterdir()) == []
    progress = Counting()
    write_mutagenesis(MODEL, tmp_path / "out" / "x.npz", sequences=sequences, progress=progress)
    assert progress.begun == [("substituting", 19, "windows")]
    assert progress.done == [4, 4, 4, 4, 3]


def test_names_that_are_no_text_in_hdf5(tmp_path):
    layout = Layout(1, 1, "cell", ("a\0b",), ("a\0b",))
    with pytest.raises(OutputError, match="expected cells that can be text in HDF5"):
        write_substitutions(tmp_path / "x.h5ad", layout, [])


def test_a_genome_is_given_opened_too(tmp_path):
    path = tmp_path / "sites.bed"
    path.write_text("1\t500\t502\n")
    done = write_mutagenesis(MODEL, tmp_path / "x.npz", sites=path, genome=Genome(RUN / "dna"))
    assert (done.windows, done.cells, done.pictures) == (1, 3, 0)
