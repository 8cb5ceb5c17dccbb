import anndata
import numpy as np
import polars as pl
import pytest

import deepcpg_tf
from deepcpg_tf import DeepCpgError
from deepcpg_tf.genome.sequence import encode_tokens
from deepcpg_tf.models.registry import load_model, new_model
from deepcpg_tf.variants.attributions import Explainer
from tests.conftest import DATA
from tests.contract.test_models import random_weights
from tests.workflows.test_modules import JOINT

RUN = DATA / "original-run"
TINY = DATA / "legacy" / "keras1-distributed"
SEQUENCES = TINY / "sequences.txt"


@pytest.fixture(scope="module")
def tokens():
    lines = SEQUENCES.read_text().split()
    return np.array([[*line.upper().encode()] for line in lines], np.uint8)


def test_a_folder_is_what_modisco_reads(run, tmp_path, tokens):
    out = tmp_path / "modisco"
    how = ("--method", "deeplift", "--shuffles", 2, "--seed", 4)
    result = run("attributions", TINY, "--sequences", SEQUENCES, "--out", out, *how)
    assert result.code == 0, result.err
    assert result.out == ""
    assert f"{out}: 12 windows, 3 cells; scores add up to differences of up to" in result.err
    found = deepcpg_tf.attributions(
        load_model(TINY), {"tokens": tokens}, method="deeplift", shuffles=2, seed=4
    )
    ohe, shap = (np.load(out / name)["arr_0"] for name in ("ohe.npz", "shap.npz"))
    assert ohe.shape == shap.shape == (12, 4, 101)
    assert ohe.dtype == shap.dtype == np.float32
    for column, letter in enumerate(b"ACGT"):
        np.testing.assert_array_equal(ohe[:, column], tokens == letter)
        np.testing.assert_array_equal(shap[:, column], found.hypothetical[..., column])
    windows = pl.read_csv(out / "windows.tsv", separator="\t")
    assert windows.columns == ["id", "output", "reference"]
    assert windows["id"].to_list() == [*range(1, 13)]
    np.testing.assert_allclose(windows["output"], found.outputs, rtol=1e-6)
    np.testing.assert_allclose(windows["reference"], found.references, rtol=1e-6)
    assert {path.name for path in out.iterdir()} == {"ohe.npz", "shap.npz", "windows.tsv"}


@pytest.mark.parametrize("ending", [".npz", ".h5ad"])
@pytest.mark.parametrize("method", ["gradient", "integrated-gradients", "deeplift", "mutagenesis"])
def test_files(run, tmp_path, tokens, ending, method):
    out = tmp_path / f"out{ending}"
    how = ("--method", method, "--shuffles", 2, "--steps", 2)
    result = run("attributions", TINY, "--sequences", SEQUENCES, "--out", out, *how)
    assert result.code == 0, result.err
    model = load_model(TINY)
    found = deepcpg_tf.attributions(model, {"tokens": tokens}, method=method, shuffles=2, steps=2)
    if ending == ".npz":
        content = dict(np.load(out))
        assert str(content["method"]) == method
        assert content["cells"].tolist() == [*model.cells]
        np.testing.assert_array_equal(content["tokens"], found.tokens)
        got = [content[name] for name in ("values", "hypothetical", "scores", "output")]
        assert content["letters"].tolist() == [*"ACGT"]
    else:
        held = anndata.read_h5ad(out)
        about = held.uns["attributions"]
        assert (about["method"], [*about["cells"]]) == (method, [*model.cells])
        assert about.get("shuffles") == (2 if "reference" in held.obs else None)
        assert held.var_names[:5].tolist() == ["0:A", "0:C", "0:G", "0:T", "1:A"]
        assert held.var["letter"].tolist()[4:8] == [*"ACGT"]
        np.testing.assert_array_equal(held.obsm["tokens"], found.tokens)
        got = [
            held.X.reshape(12, 101, 4),
            held.layers["hypothetical"].reshape(12, 101, 4),
            held.obsm["scores"],
            held.obs["output"],
        ]
        assert ("reference" in held.obs) == (method in ("deeplift", "integrated-gradients"))
    expected = [found.values, found.hypothetical, found.scores, found.outputs]
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_sites_of_a_joint_module(run, tmp_path):
    random_weights(new_model(JOINT)).save_to_preset(tmp_path / "joint")
    profiles = [RUN / "cpg" / name for name in ("c1.tsv", "c2.tsv", "c3.tsv.gz")]
    deepcpg_tf.build_table(profiles, RUN / "dna", tmp_path / "cells.h5ad")
    table = deepcpg_tf.read_table(tmp_path / "cells.h5ad")
    known, places = table.chromosomes[0], table.positions[:4] + 1
    sites, out = tmp_path / "sites.tsv", tmp_path / "out.npz"
    sites.write_text("".join(f"{known}\t{place}\n" for place in places))
    given = ("--sites", sites, "--genome", RUN / "dna", "--data", tmp_path / "cells.h5ad")
    how = ("--summary", "var", "--cells", "c3,c1")
    result = run("attributions", tmp_path / "joint", *given, *how, "--out", out)
    assert result.code == 0, result.err
    content = dict(np.load(out))
    assert content["cells"].tolist() == ["c3", "c1"]
    assert (content["position"] == places - 1).all()
    assert set(content["chromosome"]) == {known}
    windows = deepcpg_tf.Genome(RUN / "dna").windows(known, places - 1, 101)
    np.testing.assert_array_equal(encode_tokens(content["tokens"]), windows)
    assert np.abs(content["values"]).max() > 0

    result = run("attributions", tmp_path / "joint", *given, *how, "--out", tmp_path / "out.h5ad")
    assert result.code == 0, result.err
    held = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert held.obs["chromosome"].tolist() == content["chromosome"].tolist()
    assert held.obs["position"].tolist() == content["position"].tolist()
    np.testing.assert_array_equal(held.X.reshape(4, 101, 4), content["values"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--method", "saliency"), "--method: expected one of gradient, integrated-gradients, dee"),
        (("--summary", "l2"), "--summary: expected one of mean, var, received 'l2'"),
        (("--cells", "Nobody"), "--cells: expected some of "),
        (("--shuffles", 0), "--shuffles: expected at least 1, received 0"),
        (("--seed", -1), "--seed: expected at least 0, received -1"),
        (("--genome", RUN / "dna"), "--genome: expected the reference of --sites, received one wi"),
        (("--out", "x.tsv"), "x.tsv: expected a name ending in .h5ad, .npz, or that of a folder,"),
        (
            ("--out", SEQUENCES.parent / "nowhere" / "x.npz"),
            "expected an existing folder, found no",
        ),
        (("--data", "no.h5ad"), "no.h5ad: expected a file, found none there"),
    ],
)
def test_what_is_refused(fails, tmp_path, arguments, told):
    out = () if "--out" in arguments else ("--out", tmp_path / "out")
    assert told in fails("attributions", TINY, "--sequences", SEQUENCES, *out, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_kept(fails, tmp_path):
    (tmp_path / "kept").write_text("this")
    told = fails("attributions", TINY, "--sequences", SEQUENCES, "--out", tmp_path)
    assert "expected a new folder, found that it is there already" in told
    assert (tmp_path / "kept").read_text() == "this"


def test_a_window_of_another_length_in_the_last_line(fails, tmp_path):
    """All is read before anything is computed."""
    short = tmp_path / "windows.txt"
    short.write_text(SEQUENCES.read_text() + "ACG\n")
    told = fails("attributions", TINY, "--sequences", short, "--out", tmp_path / "out.npz")
    assert f"{short}, line 13: expected a window of 101 letters, received 3" in told
    assert [path.name for path in tmp_path.iterdir()] == ["windows.txt"]


@pytest.mark.parametrize("name", ["out.npz", "out.h5ad", "out"])
def test_nothing_half_written_stays(run, monkeypatch, tmp_path, name):
    explain = Explainer.explain

    def interrupted(self, arrays, progress):
        if len(list(tmp_path.rglob("*"))) > 1:  # once more than the input is there
            raise DeepCpgError("something: expected all to go well")
        return explain(self, arrays, progress)

    windows = tmp_path / "windows.txt"
    windows.write_text(SEQUENCES.read_text() * 30)
    monkeypatch.setattr(Explainer, "explain", interrupted)
    result = run("attributions", TINY, "--sequences", windows, "--out", tmp_path / name)
    assert "expected all to go well" in result.err
    assert result.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["windows.txt"]
