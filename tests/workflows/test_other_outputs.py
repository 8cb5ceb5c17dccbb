"""Outputs other than cells through all verbs, on the data of the original's run."""

import csv
import shutil
import subprocess
import sys
from functools import partial

import h5py
import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr
from sklearn.metrics import roc_auc_score

from deepcpg_tf import (
    SiteFile,
    TrainingSettings,
    chromosome_split,
    evaluate,
    impute,
    load_model,
    predict,
    predict_genome,
    train,
)
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.data.legacy.hdf5 import LegacyData
from deepcpg_tf.data.opening import open_data
from deepcpg_tf.data.table_file import read_table
from deepcpg_tf.errors import ConfigError, LegacyDataError, OutputError
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.workflows.beginning import Beginning, chosen_outputs
from deepcpg_tf.workflows.export import export
from tests.contract.test_models import random_weights
from tests.counting import Counting
from tests.workflows.test_modules import CPG, DNA, JOINT, LEGACY, genome, table, trained_on

__all__ = ["genome", "table"]  # fixtures

OUTPUTS = ("cells", "mean", "cat_var", "win_stats/1001/var")
FULL = ("cpg_stats/mean", "cpg_stats/cat_var", "win_stats/1001/var")
SPLIT = partial(chromosome_split, train=["1"], validation=["2"], test=["X"])
SITES = np.arange(5)
SETTINGS = TrainingSettings(epochs=4, batch_size=64, learning_rate=3e-3)
ALL = CPG.with_cells(CPG.cells, FULL)


@pytest.fixture(scope="module")
def model():
    return random_weights(new_model(ALL))


def metrics_of(folder):
    with (folder / "metrics.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    keys = [(row["metric"], row["output"]) for row in rows]
    assert keys == sorted(set(keys))
    return {key: float(row["value"] or "nan") for key, row in zip(keys, rows, strict=True)}


def test_train_and_evaluate(table, tmp_path):
    trained = train(
        table,
        tmp_path / "model",
        split=SPLIT,
        module="cpg",
        architecture="FcAvg",
        outputs=OUTPUTS,
        neighbours=10,
        settings=SETTINGS,
    )
    assert trained.model.config.outputs == FULL
    assert trained.model.cells == CPG.cells
    losses = [row["validation_loss"] for row in trained.history]
    assert losses[-1] < losses[0]
    model = load_model(tmp_path / "model")
    evaluate(model, table, tmp_path / "evaluation", split=SPLIT)
    assert trained_on(partial(evaluate, model, table)) == ["1"]
    found = metrics_of(tmp_path / "evaluation")
    assert {output for _, output in found} == {*(f"cpg/{cell}" for cell in CPG.cells), *FULL}
    # The same by hand, from the model's predictions of the same sites.
    data = open_data([table], None)
    test = SPLIT(data).test
    targets = data.targets(FULL)[test].astype(float)
    values = model.predict_arrays(data.examples(model.config).arrays(test)).astype(float)
    mean, var = (
        (targets[targets[:, i] >= 0, i], values[targets[:, i] >= 0, 3 + column])
        for i, column in ((0, 0), (2, 4))
    )
    for output, (y, z) in zip((FULL[0], FULL[2]), (mean, var), strict=True):
        expected = {
            "mse": ((y - z) ** 2).mean(),
            "mad": abs(y - z).mean(),
            "cor": pearsonr(y, z).statistic,
            "kendall": kendalltau(y, z).statistic,
            "n": len(y),
        }
        for metric, value in expected.items():
            assert found[metric, output] == pytest.approx(value), (metric, output)
    y, z = mean
    assert found["auc", FULL[0]] == pytest.approx(roc_auc_score(y.round(), z))
    assert found["acc", FULL[0]] == pytest.approx(((z > 0.5) == (y.round() > 0.5)).mean())
    known = targets[:, 1] >= 0
    classes, shares = targets[known, 1], values[known, 4:7]
    assert found["cat_acc", FULL[1]] == pytest.approx((shares.argmax(axis=1) == classes).mean())
    assert found["auc_0", FULL[1]] == pytest.approx(roc_auc_score(classes == 0, shares[:, 0]))
    report = (tmp_path / "evaluation" / "report.html").read_text()
    assert "Other outputs" in report
    assert "cpg_stats/cat_var" in report


def test_fine_tuning_keeps_what_it_predicts(table, tmp_path, model):
    settings = TrainingSettings(epochs=1, batch_size=64, learning_rate=1e-9, l1=0, l2=0)
    kept = train(table, tmp_path / "same", split=SPLIT, start=model, settings=settings).model
    assert kept.config.outputs == FULL
    chosen = ("win_stats/1001/var", "entropy", "mean")
    other = train(
        table, tmp_path / "other", split=SPLIT, start=model, settings=settings, outputs=chosen
    ).model
    assert isinstance(other.config, DeepCpgCpgConfig)
    assert (other.cells, other.config.input_cells) == ((), CPG.cells)
    assert other.config.outputs == ("win_stats/1001/var", "cpg_stats/entropy", "cpg_stats/mean")
    assert "validation_auc" not in (tmp_path / "other" / "history.csv").read_text()
    before = model.variables_by_name["cpg/kernel"].numpy()
    np.testing.assert_allclose(kept.variables_by_name["cpg/kernel"].numpy(), before, atol=1e-5)
    after = other.variables_by_name["cpg/kernel"].numpy()
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [7, 3]], atol=1e-5)
    evaluate(other, table, tmp_path / "evaluation")
    found = metrics_of(tmp_path / "evaluation")
    assert found["mse", "cpg_stats/entropy"] > 0
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == {
        "metrics.tsv",
        "report.html",
    }


def test_data_files_of_the_original(table, genome, tmp_path):
    """They hold the statistics themselves; these are those of a table of the same cells."""
    names = ("cpg_stats/mean", "cpg_stats/entropy", "bulk/serum")
    paths = []
    for source in LEGACY:
        paths.append(tmp_path / source.name)
        shutil.copy(source, paths[-1])
    with pytest.raises(LegacyDataError, match=r"expected a dataset outputs/cpg_stats/mean, which"):
        open_data(paths, None).targets(names)
    plain = LegacyData(paths)
    labels = plain.labels(np.arange(len(plain.positions)))
    start = 0
    for path in paths:
        with h5py.File(path, "a") as file:
            n = len(file["pos"])
            own = np.ma.masked_equal(labels[start : start + n], -1)
            few = (~np.ma.getmaskarray(own)).sum(axis=1) < 3
            mean = own.mean(axis=1).filled(-1)
            mean[few] = -1
            file["outputs/cpg_stats/mean"] = mean.astype(np.float32)
            file["outputs/cpg_stats/entropy"] = np.full(n, 0.25, np.float32)
            file["outputs/bulk/serum"] = np.linspace(0, 1, n, dtype=np.float32)
            start += n
    data = open_data(paths, None)
    targets = data.targets(names)
    held = read_table(table).on(genome)
    keys = {
        (held.chromosomes[i], int(position)): row
        for row, (i, position) in enumerate(zip(held.chromosome_ids, held.positions, strict=True))
    }
    rows = [
        keys[data.chromosomes[i], int(position)]
        for i, position in zip(data.chromosome_ids, data.positions, strict=True)
    ]
    expected = open_data([table], None).targets(names[:1])[rows, 0]
    np.testing.assert_allclose(targets[:, 0], expected, atol=1e-6)
    assert (expected >= 0).sum() > 50
    trained = train(
        paths,
        tmp_path / "model",
        split=SPLIT,
        module="cpg",
        architecture="FcAvg",
        outputs=names,
        settings=TrainingSettings(epochs=1, batch_size=64),
    )
    evaluate(trained.model, paths, tmp_path / "evaluation")
    found = metrics_of(tmp_path / "evaluation")
    assert found["n", "bulk/serum"] == len(data.positions)
    assert 0 <= found["mse", "bulk/serum"] <= 1
    assert ("kendall", "bulk/serum") not in found
    wrong = shutil.copy(paths[0], tmp_path / "wrong.h5")
    with h5py.File(wrong, "a") as file:
        file["outputs/bulk/serum"][3] = 1.5
    with pytest.raises(LegacyDataError, match=r"from 0 to 1 or -1 .* received 1.5 in row 3"):
        open_data([wrong], None).targets(names)


def test_predictions_have_their_columns(model, table, genome, tmp_path):
    held = read_table(table).on(genome)
    names = np.array(held.chromosomes)[held.chromosome_ids]
    path = tmp_path / "sites.tsv"
    path.write_text("".join(f"{names[i]}\t{held.positions[i] + 1}\n" for i in range(40)))
    found = predict(model, SiteFile(path, genome, 101), table=table).table.to_pandas()
    classes = [f"cpg_stats/cat_var_{i}" for i in range(3)]
    columns = [*CPG.cells, "cpg_stats/mean", *classes, "win_stats/1001/var"]
    assert list(found)[3:] == columns
    arrays = open_data([table], genome.path).examples(model.config).arrays(np.arange(40))
    expected = model.predict_arrays(arrays)
    np.testing.assert_allclose(found[columns].to_numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(found[classes].sum(axis=1), 1, atol=1e-5)
    done = predict_genome(model, genome, tmp_path / "all.tsv", table=table)
    header, first = (tmp_path / "all.tsv").read_text().splitlines()[:2]
    assert header.split("\t") == ["chromosome", "position", *columns]
    assert len(first.split("\t")) == 2 + len(columns)
    assert done.sites >= len(held)
    with pytest.raises(OutputError, match=r"all.h5: expected a table .* also hold outputs"):
        predict_genome(model, genome, tmp_path / "all.h5", table=table)


@pytest.mark.parametrize("config", [ALL, JOINT], ids=["cpg-outputs", "joint"])
def test_a_process_says_nothing_that_is_not_ours(config, table, genome, tmp_path):
    """Where the libraries write past Python's own standard error."""
    random_weights(new_model(config)).save_to_preset(tmp_path / "model")
    sites = tmp_path / "sites.tsv"
    held = read_table(table)
    sites.write_text(f"{held.chromosomes[0]}\t{held.positions[5] + 1}\n")

    def said(*arguments):
        command = [sys.executable, "-m", "deepcpg_tf", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stderr

    if config is ALL:
        assert said("evaluate", tmp_path / "model", table, "--out", tmp_path / "out") == ""
    else:
        own = ("--sites", sites, "--genome", genome.path, "--data", table)
        found = said("predict", tmp_path / "model", *own)
        assert found == f"{sites}: 1 of 1 sites are CG in the reference\n"


def test_imputation_is_of_cells(model, table, genome, tmp_path):
    progress = Counting()
    impute(model, table, genome, tmp_path / "imputed.tsv", progress=progress)
    assert f"not imputed: {', '.join(FULL)}, which are no cells" in progress.lines
    header = (tmp_path / "imputed.tsv").read_text().partition("\n")[0].split("\t")
    assert header[2:] == [*CPG.cells, *(f"{cell}_observed" for cell in CPG.cells)]
    alone = new_model(CPG.with_cells((), FULL))
    with pytest.raises(ConfigError, match="model: expected a model of cells to impute"):
        impute(alone, table, genome, tmp_path / "none.tsv")


def test_what_is_refused(model, table, tmp_path):
    with pytest.raises(ConfigError, match="model: expected a model of cells alone, .*cpg_stats"):
        export(random_weights(new_model(DNA.with_cells(DNA.cells, FULL))), tmp_path / "export")
    with pytest.raises(ConfigError, match="predictions: expected a model of cells alone"):
        evaluate(model, table, predictions=tmp_path / "p.h5")
    for outputs, match in (
        (["cells", "cov"], "outputs: expected cells, mean, var, .* received 'cov'"),
        (["mean", "cpg_stats/mean"], "outputs: expected each once, received 'cpg_stats/mean' twic"),
        ([], "outputs: expected cells or names of other outputs, received none"),
        (["cells", "bulk/serum"], "bulk: expected a profile for the output bulk/serum, a fil"),
    ):
        with pytest.raises(ConfigError, match=match):
            train(table, tmp_path / "m", split=SPLIT, module="cpg", outputs=outputs)
    assert not (tmp_path / "m").exists()


def test_targets_are_read_before_anything_is_predicted(table):
    model = random_weights(new_model(CPG.with_cells(CPG.cells, ("bulk/serum",))))
    progress = Counting()
    with pytest.raises(ConfigError, match="bulk: expected a profile for the output bulk/serum"):
        evaluate(model, table, progress=progress)
    assert progress.begun == []


def test_command_line(run, fails, table, tmp_path):
    data = ["train", table, "--module", "cpg", "--architecture", "FcAvg", "--epochs", "1"]
    data += ["--train", "1", "--validation", "2"]
    result = run(*data, "--outputs", "cells,var", "--out", tmp_path / "model")
    assert result.code == 0, result.err
    assert "3 cells, cpg_stats/var" in result.err
    assert load_model(tmp_path / "model").config.outputs == ("cpg_stats/var",)
    result = run(*data, "--outputs", "diff", "--out", tmp_path / "alone")
    assert result.code == 0, result.err
    assert "AUC" not in result.out
    message = fails(*data, "--outputs", "cells,sum", "--out", tmp_path / "none")
    assert "--outputs: expected cells, mean, var" in str(message)


def test_bulk_profiles(run, fails, table, genome, tmp_path):
    """Levels of both strands, 0.5 among them, at the table's sites and nowhere else."""
    held = read_table(table).on(genome)
    bulk = tmp_path / "serum.cov"
    names = np.array(held.chromosomes)[held.chromosome_ids]
    rows = range(0, len(held), 2)
    lines = []
    for i in rows:
        position, methylated = held.positions[i] + 1, i % 5
        lines.append(f"{names[i]}\t{position}\t{position}\t50\t{methylated}\t{4 - methylated}\n")
    lines = [
        line.replace("\t50\t", f"\t{25 * (i % 5)}\t") for i, line in zip(rows, lines, strict=True)
    ]
    bulk.write_text("".join(lines))
    targets = open_data([table], genome.path, [bulk]).targets(["bulk/serum", "cpg_stats/mean"])
    expected = np.full(len(held), -1.0)
    expected[::2] = np.arange(0, len(held), 2) % 5 / 4
    np.testing.assert_array_equal(targets[:, 0], expected)
    statistic = open_data([table], None).targets(["cpg_stats/mean"])
    np.testing.assert_array_equal(targets[:, 1:], statistic)
    train_args = ["train", table, "--genome", genome.path, "--module", "cpg", "--epochs", "1"]
    train_args += ["--architecture", "FcAvg", "--train", "1", "--validation", "2"]
    train_args += ["--outputs", "cells,bulk/serum", "--out", tmp_path / "model"]
    assert "--bulk: expected a profile for the output bulk/serum" in fails(*train_args)
    other = bulk.rename(tmp_path / "2i.cov")
    unused = f"), received {other}, and there is no bulk/2i\n"
    message = fails(*train_args, "--bulk", other)
    assert (
        f"--bulk: expected profiles of outputs of the model (bulk/serum beside cells{unused}"
        in message
    )
    cells = train_args[:-4] + train_args[-2:]
    assert "(none beside cells" + unused in fails(*cells, "--bulk", other)
    plain = tmp_path / "plain"
    random_weights(new_model(CPG)).save_to_preset(plain)
    given = ("--genome", genome.path, "--bulk", other, "--out", tmp_path / "e")
    assert "(none beside cells" + unused in fails("evaluate", plain, table, *given)
    other.rename(bulk)
    result = run(*train_args, "--bulk", bulk)
    assert result.code == 0, result.err
    more = ("--genome", genome.path, "--bulk", bulk, "--out", tmp_path / "evaluation")
    result = run("evaluate", tmp_path / "model", table, *more)
    assert result.code == 0, result.err
    found = metrics_of(tmp_path / "evaluation")
    assert found["n", "bulk/serum"] == len(rows)
    assert 0 < found["mad", "bulk/serum"] < 1
    message = fails("evaluate", tmp_path / "model", table, "--bulk", bulk, "--out", tmp_path / "e")
    assert "--genome: expected the reference of the bulk profiles" in message


def test_a_joint_module_begins_with_them():
    """Of the data's cells it reads the neighbours, whatever it predicts."""
    data = open_data(LEGACY, None)
    outputs = chosen_outputs(["mean", "bulk/x"])
    own = Beginning(module="joint", outputs=outputs).config(data, SITES)
    assert (own.cells, own.outputs, own.units) == ((), ("cpg_stats/mean", "bulk/x"), 2)
    read = own.parts["cpg"]
    assert isinstance(read, DeepCpgCpgConfig)
    assert read.input_cells == data.cells
    joined = Beginning(
        module="joint",
        cpg=random_weights(new_model(CPG.with_cells((), FULL))),
        outputs=chosen_outputs(["cells", "var"]),
    ).config(data, SITES)
    assert (joined.cells, joined.outputs) == (CPG.cells, ("cpg_stats/var",))
    assert joined.parts["cpg"].outputs == ("cpg_stats/var",)
