"""What calibrates a model through all verbs: kept at training, fitted, and undone."""

import json
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import expit, logit

from deepcpg_tf import (
    SiteFile,
    TrainingSettings,
    calibrate,
    chromosome_split,
    evaluate,
    impute,
    load_model,
    predict,
    read_table,
    train,
)
from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.data.training_data import TrainingData, recall, remember
from deepcpg_tf.errors import ConfigError, OutputError, SplitError
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.workflows.calibration import calibration_of, needs_shares, shares_of
from tests import tolerances
from tests.contract.test_models import random_weights
from tests.counting import Counting
from tests.workflows.test_modules import CELLS, CPG, LEGACY, RUN, genome, table

__all__ = ["genome", "table"]  # fixtures

SPLIT = partial(chromosome_split, train=["1"], validation=["2"], test=["X"])
FAST = TrainingSettings(epochs=1, batch_size=512)
SMALL: Any = {"split": SPLIT, "module": "cpg", "architecture": "FcAvg", "neighbours": 2}


def labels_on(table, chromosome):
    held = read_table(table)
    rows = np.flatnonzero(held.chromosome_ids == held.chromosomes.index(chromosome))
    return held.labels(rows)


def shares_on(table, *chromosomes):
    labels = np.concatenate([labels_on(table, one) for one in chromosomes])
    return ((labels == 1).sum(axis=0) / (labels >= 0).sum(axis=0)).tolist()


def test_training_keeps_the_shares_that_it_balanced(table, tmp_path):
    """Of the sites to train on; a training that goes on from there keeps its own, or none."""
    model = train(table, tmp_path / "balanced", settings=FAST, **SMALL).model
    expected = Calibration(cells=CELLS, shares=tuple(shares_on(table, "1")))
    assert model.config.calibration == expected
    assert load_model(tmp_path / "balanced").config == model.config
    assert load_model(tmp_path / "balanced").digest() == model.digest()
    assert not needs_shares(model)
    plain = TrainingSettings(epochs=1, batch_size=512, class_weights=False)
    for name, start, settings, kept in (
        ("plain", {"start": tmp_path / "balanced"}, plain, None),
        ("again", {"start": tmp_path / "plain"}, FAST, expected),
        ("new", {}, plain, None),
    ):
        how: Any = {"split": SPLIT} if start else SMALL
        other = train(table, tmp_path / name, settings=settings, **how, **start).model
        assert other.config.calibration == kept
        assert not needs_shares(other)
        told = calibration_of(other, None).told
        assert ("no classes were balanced" in told) == (kept is None)


def test_models_of_others_were_balanced(table):
    model = load_model(RUN / "model")
    assert needs_shares(model)
    assert model.config.calibration is None
    held = read_table(table)
    found = calibration_of(model, held)
    assert found.calibration.shares == tuple(shares_on(table, *held.chromosomes))
    own = np.flatnonzero(held.chromosome_ids == 0)
    assert shares_of(held, ("x", "c3"), own).cells == ("c3",)
    assert shares_of(held, ("c3",), own).shares[0] == shares_on(table, held.chromosomes[0])[2]


def test_cells_without_both_states_are_told(table):
    model = load_model(RUN / "model")
    held = read_table(table)
    calls = held.calls.toarray()
    calls[:, 1] = np.abs(calls[:, 1])
    one_state = type(held)(**{**held.__dict__, "calls": type(held.calls)(calls)})
    found = calibration_of(model, one_state)
    assert found.calibration.shares[1] is None
    assert "as predicted are 1 of 3 cells, of which the data have not both states: c2" in found.told


def test_a_digest_is_that_of_before():
    """Of a model without calibration, though there is a field for it."""
    fields = json.loads(CPG.to_json())
    assert "calibration" not in fields
    model = random_weights(new_model(CPG))
    before = model.digest()
    model.config = CPG.with_calibration(Calibration(temperature=2.0))
    assert model.digest() != before


def test_calibrate(table, genome, tmp_path):
    """On the sites to validate on alone, which are then better calibrated, and so are others."""
    model = load_model(RUN / "model")
    progress = Counting()
    out = tmp_path / "calibrated"
    done = calibrate(
        model,
        table,
        out,
        split=SPLIT,
        genome=RUN / "dna",
        report=tmp_path / "report",
        progress=progress,
    )
    own = done.model.config.calibration
    assert own.shares == tuple(shares_on(table, "1", "2"))
    assert model.config.calibration is None
    assert [one.cell for one in done.cells] == list(CELLS)
    assert [one.labels for one in done.cells] == (labels_on(table, "2") >= 0).sum(axis=0).tolist()
    assert any("it is that of the data, but for the sites to test on" in x for x in progress.lines)
    for one, temperature in zip(done.cells, own.temperatures, strict=True):
        assert one.temperature == pytest.approx(temperature)
        assert one.brier < one.brier_predicted
        assert one.ece < one.ece_predicted
    loaded = load_model(out)
    assert loaded.config == done.model.config
    assert loaded.provenance["calibrated"]["chromosomes"] == ["2"]
    report = (tmp_path / "report" / "calibration.tsv").read_text()
    assert f"ece_predicted\tcpg/c1\t{done.cells[0].ece_predicted}\n" in report
    assert {path.name for path in out.iterdir()} == {"config.json", "weights.h5"}

    # Elsewhere, and the same whichever way.
    how: Any = {"genome": RUN / "dna", "split": SPLIT, "part": "test"}
    found = evaluate(out, table, calibrated=True, **how)
    assert (found.calibration.brier < found.predicted.brier).all()
    plain = evaluate(RUN / "model", table, **how)
    assert plain.predicted is None
    np.testing.assert_allclose(found.predicted.brier, plain.calibration.brier, rtol=1e-5)
    # Ranks are the same, but that two sites may be alike by rounding in one and not in the other.
    labels = labels_on(table, "X")
    pairs = (labels == 1).sum(axis=0) * (labels == 0).sum(axis=0)
    difference = np.abs(found.scores.values["auc"] - plain.scores.values["auc"])
    assert (difference <= 2 / pairs).all()
    np.testing.assert_array_equal(
        evaluate(out, table, **how).calibration.brier, plain.calibration.brier
    )

    # Fitting once more changes nothing.
    again = calibrate(out, table, tmp_path / "again", split=SPLIT, genome=RUN / "dna")
    assert again.model.config.calibration == own


def test_predicted_and_imputed_as_the_formula_says(table, genome, tmp_path):
    model = load_model(RUN / "model")
    kept = Calibration(cells=CELLS, shares=(0.2, None, 0.9), temperatures=(2.0, 0.5, None))
    path = tmp_path / "sites.tsv"
    lines = (RUN / "cpg" / "c1.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line.startswith(("1\t", "chr1\t"))]
    path.write_text("".join(f"1\t{row[1]}\n" for row in rows))
    source = SiteFile(path, genome, 101)
    before = predict(model, source).table.to_pandas()[list(CELLS)].to_numpy()
    model.config = model.config.with_calibration(kept)
    expected = expit((logit(before.astype(float)) + logit([0.2, 0.5, 0.9])) / [2, 0.5, 1])
    progress = Counting()
    after = predict(model, source, calibrated=True, progress=progress).table.to_pandas()
    close = partial(np.testing.assert_allclose, rtol=0, atol=tolerances.RUN_PROBABILITIES)
    close(after[list(CELLS)].to_numpy(), expected)
    assert "as the model keeps it; logits are divided by the temperatures" in progress.lines[-1]
    np.testing.assert_array_equal(
        predict(model, source).table.to_pandas()[list(CELLS)].to_numpy(), before
    )
    done = impute(model, table, genome, tmp_path / "imputed.parquet", chromosomes=["1"])
    imputed = pl.read_parquet(done.out)
    at = dict(zip(imputed["position"], range(len(imputed)), strict=True))
    places = [at[position] for position in after["position"]]
    for i, cell in enumerate(CELLS):
        hidden = ~imputed[f"{cell}_observed"].to_numpy()[places]
        close(imputed[cell].to_numpy()[places][hidden], expected[hidden, i])


def test_an_export_finds_the_training_data_of_a_calibrated_model(table, tmp_path):
    model = load_model(RUN / "model")
    data = TrainingData((table,), RUN / "dna", "x")
    remember(model.digest(), data)
    done = calibrate(model, table, tmp_path / "m", split=SPLIT, genome=RUN / "dna")
    found = recall(done.model.digest())
    assert found is not None
    assert found.digest == "x"


def test_chromosomes_that_were_trained_on(table, tmp_path):
    """Of these data they are refused, of others told."""
    train(table, tmp_path / "m", settings=FAST, **SMALL)
    fit = partial(chromosome_split, validation=["1"])
    message = r"^validation: expected chromosomes that the model was not trained on, received 1"
    with pytest.raises(SplitError, match=message):
        calibrate(tmp_path / "m", table, tmp_path / "out", split=fit)
    assert not (tmp_path / "out").exists()
    held = read_table(table)
    from deepcpg_tf import write_table

    write_table(held.select(np.arange(1, len(held))), tmp_path / "other.h5ad")
    progress = Counting()
    calibrate(
        tmp_path / "m", tmp_path / "other.h5ad", tmp_path / "out", split=fit, progress=progress
    )
    assert "chromosomes called 1 were trained on, of other data" in progress.lines[0]


@pytest.mark.parametrize("report", [False, True])
def test_places_that_cannot_be(table, tmp_path, report):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").write_text("")
    out = tmp_path / ("new" if report else "there")
    more = {"report": out / "report"} if report else {}
    message = (
        "outside of that of the model" if report else "expected a new folder, found that it is"
    )
    with pytest.raises(OutputError, match=message):
        calibrate(RUN / "model", table, out, split=SPLIT, genome=RUN / "dna", **more)


def test_from_the_command_line(run, fails, tmp_path):
    """With the original's files, to a report of the same sites."""
    out = tmp_path / "m"
    split = ("--train", "1", "--validation", "2")
    result = run("calibrate", RUN / "model", *LEGACY, *split, "--out", out)
    assert result.code == 0, result.err
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert rows[0] == [
        "cell", "labels", "temperature", "ECE before", "ECE", "Brier before", "Brier",
    ]  # fmt: skip
    assert [row[0] for row in rows[1:]] == list(CELLS)
    assert all(float(row[4]) < float(row[3]) for row in rows[1:])
    report = tmp_path / "report"
    how = ("evaluate", out, *LEGACY, *split, "--part", "validation", "--out", report)
    result = run(*how, "--calibrated")
    assert result.code == 0, result.err
    lines = [line.split("\t") for line in (report / "calibration.tsv").read_text().splitlines()]
    found = {(metric, output): value for metric, output, value in lines}
    assert f"{float(found['ece', 'cpg/c2']):.4f}" == rows[2][4]
    assert f"{float(found['ece_predicted', 'cpg/c2']):.4f}" == rows[2][3]
    assert (
        "undone by the methylated share of each cell, as the model keeps it; logits are"
        in (report / "report.html").read_text()
    )
    error = fails("calibrate", RUN / "model", *LEGACY, *split, "--out", out)
    assert "expected a new folder, found that it is there already" in error
    error = fails("calibrate", RUN / "model", *LEGACY, "--train", "1", "--out", tmp_path / "x")
    assert "--validation: expected chromosomes to fit temperatures on, received none" in error
    error = fails("calibrate", RUN / "model", *LEGACY, "--out", tmp_path / "x")
    assert "split: expected --split published, or chromosomes as" in error
    assert not (tmp_path / "x").exists()


def test_a_model_without_cells(tmp_path, table):
    model = random_weights(new_model(CPG.with_cells((), ("cpg_stats/mean",))))
    with pytest.raises(
        ConfigError, match="^calibrated: expected a model of cells, received one of"
    ):
        calibrate(model, table, tmp_path / "m", split=SPLIT)
    assert not needs_shares(model)
