"""The local module through all verbs, on a made-up genome of clustered sites."""

import dataclasses
from functools import partial
from typing import Any

import anndata
import h5py
import numpy as np
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
    predict_genome,
    train,
    write_table,
)
from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.data.table_reference import reference_of
from deepcpg_tf.errors import ConfigError, InputError, TableError
from deepcpg_tf.exporters.samples import draw_samples
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.local.entries import Entries
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.scan.local import LocalEngine
from tests.contract.test_models import random_weights
from tests.counting import Counting
from tests.local.made_up import made_up_table, with_calls

SPLIT = partial(chromosome_split, train=["1", "3"], validation=["2"], test=["4"])
SETTINGS = TrainingSettings.of_module("local", epochs=3, batch_size=64)
DNA = DeepCpgDnaConfig(
    sequence_length=101,
    conv_channels=(8,),
    conv_kernel_sizes=(11,),
    conv_pool_sizes=(4,),
    bottleneck_size=16,
    cells=("x",),
)


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """CGs where the table has its sites, and some more."""
    table = made_up_table(sites=(300, 150, 200, 150, 5))
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    with path.open("w") as file:
        for i, name in enumerate((*table.chromosomes, "chrM")):
            own = table.positions[table.chromosome_ids == i]
            length = int(own[-1]) + 300 if own.size else 2000
            bases = rng.choice(np.frombuffer(b"ACGT", np.uint8), length)
            bases[:-1][(bases[:-1] == ord("C")) & (bases[1:] == ord("G"))] = ord("T")
            for at in (*own, *(own[::9] + 40), *([700] if not own.size else [])):
                bases[at : at + 2] = np.frombuffer(b"CG", np.uint8)
            file.write(f">{name}\n{bases.tobytes().decode()}\n")
    return Genome(path)


@pytest.fixture(scope="module")
def held(genome):
    table = made_up_table(sites=(300, 150, 200, 150, 5))
    inside = np.concatenate(
        [
            genome.is_cg(name, table.positions[table.chromosome_ids == i])
            for i, name in enumerate(table.chromosomes)
        ]
    )
    table = table.select(np.flatnonzero(inside))
    return dataclasses.replace(table, reference=reference_of(genome, table.chromosomes))


@pytest.fixture(scope="module")
def table(held, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "cells.h5ad"
    write_table(held, path)
    return path


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "local"
    return train(table, out, split=SPLIT, module="local", settings=SETTINGS)


def dense(held):
    return held.calls.toarray()


def test_training_tells_what_it_drew_and_learns(trained):
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    provenance = load_model(trained.folder).provenance
    assert provenance["entries"]["train"] > 300
    assert provenance["settings"]["class_weights"] is False
    assert trained.model.config.architecture == "LocalL2h96"


def test_it_goes_on_with_the_same_bits(table, trained, tmp_path):
    class Cut(Counting):
        def begins(self, what, total, unit):
            if what == "epoch 2/3":
                raise KeyboardInterrupt
            super().begins(what, total, unit)

    given: dict[str, Any] = {"split": SPLIT, "module": "local", "settings": SETTINGS}
    with pytest.raises(KeyboardInterrupt):
        train(table, tmp_path / "again", progress=Cut(), **given)
    again = train(table, tmp_path / "again", **given)
    assert again.history == trained.history
    assert again.model.digest() == trained.model.digest()


def test_no_more_entries_than_asked_for(held):
    config = made_up_config()
    sites = np.flatnonzero(held.chromosome_ids != 1)
    others = np.flatnonzero(held.chromosome_ids == 1)
    drawn = Entries(held, config, sites, others, most=200, seed=1)
    drawn.prepare(hold=False)
    assert len(drawn.train) == 200
    assert len(drawn.validation) == 100
    everything = Entries(held, config, sites, others, most=10**6, seed=1)
    everything.prepare(hold=False)
    assert len(everything.train) == held.calls[sites].nnz
    places = {(s, c): i for i, (s, c) in enumerate(entry_keys(everything, held))}
    for i, key in enumerate(entry_keys(drawn, held)):
        j = places[key]
        np.testing.assert_array_equal(drawn.labels(np.array([i])), everything.labels(np.array([j])))
        if held.chromosome_ids[key[0]] == 0:
            one = drawn.arrays(np.array([i]))["features"]
            other = everything.arrays(np.array([j]))["features"]
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def made_up_config(**fields):

    return LocalConfig(hidden_sizes=(8, 4), **fields)


def entry_keys(entries, held):
    return list(zip(entries._sites, held.calls.indices[entries._places], strict=True))


def test_evaluation_is_of_entries_as_if_hidden(trained, table, held, tmp_path):
    kept = tmp_path / "kept.h5"
    evaluate(trained.model, table, split=SPLIT, predictions=kept)
    with h5py.File(kept) as file:
        before = np.stack([file[f"preds/cpg/{cell}"][()] for cell in held.cells], axis=1)
    sites = np.flatnonzero(held.chromosome_ids == 3)
    rng = np.random.default_rng(0)
    observed = np.argwhere(dense(held)[sites] != 0)
    for site, cell in rng.permutation(observed)[:10]:
        flipped = dense(held)
        flipped[sites[site], cell] *= -1
        engine = LocalEngine(trained.model, with_calls(held, flipped))
        own = SiteColumns(held.chromosomes, held.chromosome_ids[sites], held.positions[sites])
        after = engine.probabilities(None, None, own)
        assert after[site, cell] == before[site, cell]


def test_imputation(trained, table, held, genome, tmp_path):
    progress = Counting()
    done = impute(trained.model, table, genome, tmp_path / "all.h5ad", progress=progress)
    assert done.cells == done.observed_cells == len(held.cells)
    assert done.observed_values == held.calls.nnz
    assert any("1 of 6 chromosomes have no observed site" in line for line in progress.lines)
    found = anndata.read_h5ad(tmp_path / "all.h5ad")
    assert list(found.obs_names) == list(held.cells)
    where = {
        (name, at): i
        for i, (name, at) in enumerate(
            zip(found.var["chromosome"], found.var["position"], strict=True)
        )
    }
    names = np.array(held.chromosomes)[held.chromosome_ids]
    rows = [where[name, at] for name, at in zip(names, held.positions, strict=True)]
    values, calls = np.asarray(found.X)[:, rows].T, dense(held)
    np.testing.assert_array_equal(values[calls != 0], calls[calls != 0] > 0)
    sites = SiteColumns(held.chromosomes, held.chromosome_ids, held.positions)
    expected = LocalEngine(trained.model, held).probabilities(None, None, sites)
    predicted = np.asarray(found.layers["probability"])[:, rows].T
    np.testing.assert_allclose(predicted, expected, atol=2e-5)
    assert len(found.var) > len(held)


def test_predicted_sites(trained, table, held, genome, tmp_path):
    names = np.array(held.chromosomes)[held.chromosome_ids]
    order = np.random.default_rng(0).permutation(len(held))[:50]
    path = tmp_path / "sites.tsv"
    path.write_text("".join(f"{names[i]}\t{held.positions[i] + 1}\n" for i in [*order, order[0]]))
    source = SiteFile(path, genome, 101)
    found = predict(trained.model, source, table=table).table.to_pandas()
    sites = SiteColumns(held.chromosomes, held.chromosome_ids, held.positions)
    expected = LocalEngine(trained.model, held).probabilities(None, None, sites)
    np.testing.assert_allclose(found[list(held.cells)].to_numpy()[:-1], expected[order], atol=2e-5)
    with pytest.raises(InputError, match="table: expected a methylation table, the cells of"):
        predict(trained.model, source)
    with pytest.raises(InputError, match="table: expected a methylation table, the cells of"):
        predict_genome(trained.model, genome, tmp_path / "all.tsv")
    with pytest.raises(ConfigError, match="values: expected probabilities or logits"):
        predict(trained.model, source, table=table, values="embedding")


def test_it_is_calibrated_by_the_names_of_cells(trained, table, held, genome, tmp_path):
    done = calibrate(trained.model, table, tmp_path / "calibrated", split=SPLIT)
    assert [row.cell for row in done.cells] == list(held.cells)
    kept = load_model(tmp_path / "calibrated").config.calibration
    assert kept.cells == held.cells
    assert kept.temperature != 1
    assert not kept.has_shares
    progress = Counting()
    out = tmp_path / "all.h5ad"
    impute(done.model, table, genome, out, min_confidence=0.7, progress=progress)
    assert any("probabilities are calibrated" in line for line in progress.lines)
    found = anndata.read_h5ad(out)
    adjustment = kept.offsets_and_temperatures(held.cells)
    before = tmp_path / "before.h5ad"
    impute(trained.model, table, genome, before)
    logits = logit(np.asarray(anndata.read_h5ad(before).layers["probability"], np.float64).T)
    expected = expit(adjustment.of_logits(logits)).T
    np.testing.assert_allclose(found.layers["probability"], expected, atol=1e-4)
    values, observed = np.asarray(found.X), found.layers["observed"].toarray() != 0
    assert np.isnan(values[~observed & (np.abs(expected - 0.5) < 0.19)]).all()
    assert not np.isnan(values[observed]).any()


def test_balanced_classes_are_refused(table, tmp_path):
    settings = TrainingSettings(epochs=1)
    with pytest.raises(ConfigError, match="class_weights: expected none with a local module"):
        train(table, tmp_path / "m", split=SPLIT, module="local", settings=settings)


def test_cells_that_it_never_saw(trained, genome, tmp_path):
    other = made_up_table(sites=(300, 150, 200, 150, 5), cells=9, seed=8)
    sites = SiteColumns(other.chromosomes, other.chromosome_ids, other.positions)
    found = LocalEngine(trained.model, other).probabilities(None, None, sites)
    assert found.shape == (len(other), 9)
    one = other.calls[:, :1]
    with pytest.raises(TableError, match="expected at least 2 cells"):
        LocalEngine(trained.model, dataclasses.replace(other, calls=one, cells=("a",)))


@pytest.mark.parametrize("cells", [("x",), ("x", "y", "z")])
def test_with_a_dna_module(table, held, genome, tmp_path, cells):
    calibration = Calibration(cells=cells, shares=(0.7,) * len(cells))
    dna = random_weights(new_model(DNA.with_cells(cells, ()).with_calibration(calibration)))
    given: dict[str, Any] = {
        "split": SPLIT,
        "module": "local",
        "settings": SETTINGS,
        "dna_module": dna,
    }
    with pytest.raises(InputError, match="genome: expected a reference"):
        train(table, tmp_path / "m", **given)
    done = train(table, tmp_path / "m", genome=genome.path, **given)
    assert done.model.config.architecture.endswith("+LocalL2h96")
    weights, own = done.model.variables_by_name, dna.variables_by_name
    for name in DNA.hidden_shapes:
        np.testing.assert_array_equal(weights[name], own[name])
    loaded = load_model(tmp_path / "m")
    assert loaded.digest() == done.model.digest()
    kept = tmp_path / "kept.h5"
    evaluate(loaded, table, genome=genome.path, split=SPLIT, predictions=kept)
    # Through the network of Keras: the embedding of each site beside the features of its entries.
    sites = np.flatnonzero(held.chromosome_ids == 3)
    every = Entries(
        held,
        LocalConfig.from_dict(loaded.config.to_dict()),
        np.arange(len(held)),
        np.arange(0),
        most=10**6,
        seed=0,
        embed=lambda name, at: dna.predict_windows(
            genome.windows(name, at, length=101), values="embedding"
        ).astype(np.float16),
    )
    every.prepare(hold=False)
    expected = loaded.predict_arrays(every.arrays(every.train))[:, 0]
    with h5py.File(kept) as file:
        found = np.stack([file[f"preds/cpg/{cell}"][()] for cell in held.cells], axis=1)
    first = sites[0]
    checked = 0
    for i, (site, cell) in enumerate(entry_keys(every, held)):
        if site in sites:
            # Beyond rounding in float16, which may fall to either side.
            assert abs(found[site - first, cell] - expected[i]) < 2e-3
            checked += 1
    assert checked > 100


def test_what_does_not_go_together(table, tmp_path):
    given: dict[str, Any] = {"split": SPLIT, "module": "local"}
    for wrong, match in (
        ({"neighbours": 6}, "neighbours: expected none with a local module"),
        ({"cpg_module": "x"}, "cpg_module: expected none with a local module"),
        ({"architecture": "RnnL1"}, "architecture: expected that of a local module"),
        ({"entries": 0}, "entries: expected at least 1"),
        ({"outputs": ["cells", "mean"]}, "outputs: expected cells alone"),
    ):
        with pytest.raises(ConfigError, match=match):
            train(table, tmp_path / "m", **given, **wrong)
    for module in ("dna", "cpg", None):
        with pytest.raises(ConfigError, match="similar_cells: expected none with a"):
            train(table, tmp_path / "m", split=SPLIT, module=module, similar_cells=3)


def test_it_is_not_what_another_training_starts_from(trained, table, tmp_path):
    folder = tmp_path / "m"
    with pytest.raises(ConfigError, match="start: expected a dna, cpg or joint module, received a"):
        train(table, folder, split=SPLIT, start=trained.model)
    for more in ({"entries": 5}, {"similar_cells": 3}, {"groups": ["own"]}, {"module": "local"}):
        (name,) = more
        with pytest.raises(ConfigError, match=f"{name}: expected none with `start`"):
            train(table, folder, split=SPLIT, start=trained.model, **more)
    assert not folder.exists()


def test_an_export_is_compared_on_entries(trained, table, held, tmp_path):
    assert draw_samples(trained.model).source == "generated"  # it is not known where they are
    drawn = draw_samples(trained.model, table)
    assert drawn.source == f"cells.h5ad, {min(held.calls.nnz, 2048)} entries"
    own = train(table, tmp_path / "own", split=SPLIT, module="local", settings=SETTINGS)
    assert draw_samples(own.model).source.startswith("the training data, ")
    assert drawn.parity.keys() == {"features"}
    assert drawn.labels is not None
    assert set(drawn.labels.ravel().tolist()) >= {0, 1}
