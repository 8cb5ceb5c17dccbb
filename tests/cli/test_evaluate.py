import math

import h5py
import numpy as np
import pytest

from deepcpg_tf.results.contents import Contents, Kind
from deepcpg_tf.results.registry import write_results
from deepcpg_tf.scan.shards import Shard
from tests import tolerances
from tests.conftest import DATA

RUN = DATA / "original-run"
LEGACY = sorted((RUN / "data").glob("*.h5"))


def metrics(path):
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    assert rows[0] == ["metric", "output", "value"]
    return {(metric, output): float(value) for metric, output, value in rows[1:]}


def test_equals_the_original_program(run, tmp_path):
    """Model and data to metrics, against what dcpg_eval.py reported."""
    out = tmp_path / "evaluation"
    result = run("evaluate", RUN / "model", *LEGACY, "--out", out)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{out / 'report.html'}\n"
    found, expected = metrics(out / "metrics.tsv"), metrics(RUN / "eval.tsv")
    assert len(expected) == 21
    with h5py.File(RUN / "eval.h5") as file:
        labels, original = (
            {k: v[:] for k, v in file[f"{n}/cpg"].items()} for n in ("outputs", "preds")
        )
    for (metric, output), value in expected.items():
        cell = output.removeprefix("cpg/")
        # Other metrics count the sites on each side of 0.5, to which none is that close.
        atol = tolerances.FLOAT64
        assert np.abs(original[cell] - 0.5).min() > tolerances.RUN_PROBABILITIES
        if metric == "auc":
            atol = tolerances.auc(labels[cell], original[cell], tolerances.RUN_LOGITS)
        assert math.isclose(found[metric, output], value, abs_tol=atol), (metric, output)
    assert {key[0] for key in found} == {key[0] for key in expected} | {"ap"}
    assert "<img" in (out / "report.html").read_text()


def test_part_and_annotations(run, tmp_path):
    out = tmp_path / "evaluation"
    (tmp_path / "half.bed").write_text("chr2\t0\t3000\n")
    split = ("--train", "1", "--test", "2", "--part", "test")
    annotations = ("--annotations", tmp_path / "half.bed")
    result = run("evaluate", RUN / "model", *LEGACY, *split, *annotations, "--out", out)
    assert result.code == 0, result.err
    with h5py.File(RUN / "data" / "c2_000000-000500.h5") as one, h5py.File(LEGACY[4]) as two:
        labels = np.concatenate([file["outputs/cpg/c1"][:] for file in (one, two)])
        positions = np.concatenate([file["pos"][:] for file in (one, two)])
    assert metrics(out / "metrics.tsv")["n", "cpg/c1"] == (labels >= 0).sum()
    rows = (out / "metrics_by_annotation.tsv").read_text().splitlines()
    within = {tuple(row.split("\t")[:3]): row.split("\t")[3] for row in rows}
    assert float(within["half", "n", "cpg/c1"]) == (labels[positions <= 3000] >= 0).sum()


def test_an_annotation_without_sites(run, fails, tmp_path):
    """X is of the genome of the table, which has sites on 1 and 2 only."""
    table, out = tmp_path / "table.h5ad", tmp_path / "evaluation"
    genome = ("--genome", RUN / "dna")
    profiles = []
    for path in sorted((RUN / "cpg").glob("*.tsv")):
        profiles.append(tmp_path / path.name)
        lines = path.read_text().splitlines(keepends=True)
        profiles[-1].write_text("".join(x for x in lines if not x.startswith(("X", "chrX"))))
    (tmp_path / "c3.tsv").write_bytes(profiles[0].read_bytes())
    profiles.append(tmp_path / "c3.tsv")
    assert run("data", "build", "--profiles", *profiles, *genome, "--out", table).code == 0
    evaluate = ("evaluate", RUN / "model", table, *genome, "--out", out, "--annotations")
    (tmp_path / "x.bed").write_text("chrX\t0\t3000\n")
    result = run(*evaluate, tmp_path / "x.bed")
    assert result.code == 0, result.err
    assert "annotation x: none of the " in result.err
    rows = (out / "metrics_by_annotation.tsv").read_text().splitlines()
    within = {tuple(row.split("\t")[:3]): row.split("\t")[3] for row in rows}
    assert within["x", "n", "cpg/c1"] == "0.0"
    assert within["x", "auc", "cpg/c1"] == ""
    (tmp_path / "y.bed").write_text("chrY\t0\t3000\n")
    assert "asked for (1, 2, X), found chrY" in fails(*evaluate, tmp_path / "y.bed")


@pytest.mark.parametrize("ending", [".h5", ".parquet"])
def test_predictions(run, tmp_path, ending):
    path = tmp_path / f"predictions{ending}"
    arguments = ("--out", tmp_path / "evaluation", "--predictions", path)
    assert run("evaluate", RUN / "model", *LEGACY, *arguments).code == 0
    with h5py.File(RUN / "eval.h5") as file:
        expected = file["preds/cpg/c1"][:]
        if ending == ".h5":
            with h5py.File(path) as own:
                assert set(own) == set(file)
                for name in ("chromo", "pos", "outputs/cpg/c2"):
                    np.testing.assert_array_equal(own[name][:], file[name][:])
                found = own["preds/cpg/c1"][:]
        else:
            import pyarrow.parquet

            found = pyarrow.parquet.read_table(path)["c1"].to_numpy()
    np.testing.assert_allclose(found, expected, atol=tolerances.RUN_PROBABILITIES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--part", "all"), "--part: expected one of train, validation, test, received 'all'"),
        (("--train", "1"), "--part: expected sites in test, found none"),
        (("--part", "train"), "--part: expected a split with it, received 'train' alone"),
        (("--train", "9"), "--train: expected chromosomes of the data (1, 2, X), received '9'"),
        (("--genome", "g.fa"), "--genome: expected none with data files of the original, which"),
        (("--annotations", "no.bed"), "no.bed: expected a file, found none there"),
        (("--predictions", "x.txt"), "x.txt: expected a name ending in .parquet, .h5"),
    ],
)
def test_faults(fails, tmp_path, arguments, message):
    assert message in fails("evaluate", RUN / "model", *LEGACY, *arguments, "--out", tmp_path / "o")
    assert list(tmp_path.iterdir()) == []


def test_other_cells(fails, tmp_path):
    model = DATA / "legacy" / "keras1-distributed"
    error = fails("evaluate", model, *LEGACY, "--out", tmp_path / "o")
    assert "found no BS27_1_SER, BS27_10_SER, BS27_3_SER among c1, c2, c3" in error


def test_an_input_is_not_written_over(fails, tmp_path):
    data = tmp_path / "data.h5"
    data.write_bytes(LEGACY[0].read_bytes())
    more = ("--predictions", data, "--out", tmp_path / "o")
    error = fails("evaluate", RUN / "model", data, *more)
    assert "expected another file than the input, received the same" in error
    assert data.read_bytes() == LEGACY[0].read_bytes()


def test_the_report_has_no_path_of_this_machine(run, tmp_path):
    out = tmp_path / "evaluation"
    assert run("evaluate", RUN / "model", *LEGACY, "--out", out).code == 0
    for path in out.iterdir():
        assert str(RUN).encode() not in path.read_bytes(), path
    assert LEGACY[0].name in (out / "report.html").read_text()


@pytest.mark.parametrize("kind", [Kind.PREDICTED, Kind.IMPUTED])
@pytest.mark.parametrize(
    ("ending", "message"),
    [
        (".h5", "expected windows (inputs/dna), found predictions (preds)"),
        (".h5ad", "expected a methylation table as deepcpg-tf data build writes it, received a r"),
        (".parquet", "(.h5ad, as deepcpg-tf data build makes it of profiles) or a data file of"),
        (".tsv.gz", "data file of the original DeepCpG (HDF5), received neither"),
        (".bedgraph", "expected a file, found a folder"),
    ],
)
def test_a_result_is_no_data(fails, tmp_path, kind, ending, message):
    labels = np.array([[1, 0, -1]], np.int8) if kind is Kind.IMPUTED else None
    shard = Shard("1", np.array([9]), np.array([[0.1, 0.2, 0.3]], np.float32), labels)
    path = tmp_path / f"result{ending}"
    write_results(path, Contents(("c1", "c2", "c3"), ("1",), (99,), kind), [shard])
    genome = ("--genome", RUN / "dna") if ending == ".h5ad" else ()
    error = fails("evaluate", RUN / "model", path, *genome, "--out", tmp_path / "o")
    assert message in error
    assert f"{path}: " in error


def test_a_table_with_data_files(fails, tmp_path):
    table = tmp_path / "t.h5ad"
    table.touch()
    error = fails("evaluate", RUN / "model", *LEGACY, table, "--out", tmp_path / "o")
    assert "data: expected one table (.h5ad), or data files of the orig" in error
    assert f"received 7 files with {table} among them" in error


def test_a_file_for_a_model(fails, tmp_path):
    error = fails("evaluate", LEGACY[0], *LEGACY, "--out", tmp_path / "o")
    assert "expected a folder with a model, or one of smallwood2014-serum" in error
    assert error.endswith("; found a file\n")
