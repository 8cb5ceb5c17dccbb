"""The CpG and Joint modules through all verbs, on the data of the original's run."""

from functools import partial

import h5py
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from deepcpg_tf import (
    SiteFile,
    TrainingSettings,
    build_table,
    chromosome_split,
    evaluate,
    impute,
    iterate_predictions,
    load_model,
    predict,
    predict_genome,
    train,
)
from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.data.neighbours import NeighbourReader
from deepcpg_tf.data.opening import open_data, reader_of
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.data.table_file import read_table, write_table
from deepcpg_tf.errors import ConfigError, InputError, OutputError, SiteError, TableError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.prediction.sources import OneSequence, Source
from deepcpg_tf.scan.engine import ScanEngine
from deepcpg_tf.training.finetune import take_over_part
from tests import tolerances
from tests.conftest import DATA
from tests.contract.test_models import random_weights
from tests.counting import Counting

RUN = DATA / "original-run"
LEGACY = sorted((RUN / "data").iterdir())
CELLS = ("c1", "c2", "c3")
SPLIT = partial(chromosome_split, train=["1"], validation=["2"], test=["X"])
SETTINGS = TrainingSettings(epochs=2, batch_size=64, learning_rate=1e-3)
DNA = DeepCpgDnaConfig(
    sequence_length=101,
    conv_channels=(8, 12),
    conv_kernel_sizes=(11, 3),
    conv_pool_sizes=(4, 2),
    bottleneck_size=16,
    cells=CELLS,
)
CPG = DeepCpgCpgConfig(
    neighbours=10, shared_size=8, recurrent_sizes=(6,), cells=CELLS, state_means=(0.3, 0.5, 0.8)
)
BOTH = {"dna_module": "m", "cpg_module": "m"}
JOINT = DeepCpgJointConfig(dna=DNA, cpg=CPG, joint_sizes=(9,), cells=CELLS)


@pytest.fixture(scope="module")
def genome():
    return Genome(RUN / "dna")


@pytest.fixture(scope="module")
def table(tmp_path_factory, genome):
    path = tmp_path_factory.mktemp("table") / "cells.h5ad"
    build_table([RUN / "cpg" / name for name in ("c1.tsv", "c2.tsv", "c3.tsv.gz")], genome, path)
    return path


@pytest.fixture(scope="module", params=[CPG, JOINT], ids=["cpg", "joint"])
def model(request):
    return random_weights(new_model(request.param))


def direct(model, table, genome):
    """All sites of the table, predicted from arrays made by hand."""
    held = read_table(table).on(genome)
    sites = SiteColumns(held.chromosomes, held.chromosome_ids, held.positions)
    return held, model.predict_arrays(reader_of(model.config, genome, held).arrays(sites))


def close(found, expected, model):
    np.testing.assert_allclose(found, expected, atol=tolerances.probabilities(model.config), rtol=0)


def test_sites(model, table, genome, tmp_path):
    held, expected = direct(model, table, genome)
    order = np.random.default_rng(0).permutation(len(held))[:300]
    names = np.array(held.chromosomes)[held.chromosome_ids]
    path = tmp_path / "sites.tsv"
    path.write_text("".join(f"{names[i]}\t{held.positions[i] + 1}\n" for i in order))
    source = SiteFile(path, genome, 101)
    found = predict(model, source, table=table).table.to_pandas()
    close(found[list(CELLS)].to_numpy(), expected[order], model)
    embedding = predict(model, source, table=table, values="embedding").table
    assert embedding.num_columns == 3 + model.config.embedding_size
    with pytest.raises(InputError, match="table: expected a methylation table, of which a"):
        predict(model, source)


def test_a_genome(model, table, genome, tmp_path):
    held, expected = direct(model, table, genome)
    done = predict_genome(model, genome, tmp_path / "all.h5", table=table)
    assert done.sites >= len(held)
    with h5py.File(tmp_path / "all.h5") as file:
        keys = {
            (name.decode(), position): i
            for i, (name, position) in enumerate(zip(file["chromo"], file["pos"], strict=True))
        }
        found = np.stack([file[f"preds/cpg/{cell}"][()] for cell in CELLS], axis=1)
    names = np.array(held.chromosomes)[held.chromosome_ids]
    rows = [keys[name, position + 1] for name, position in zip(names, held.positions, strict=True)]
    close(found[rows], expected, model)
    with pytest.raises(InputError, match="table: expected a methylation table"):
        predict_genome(model, genome, tmp_path / "none.h5")


def test_a_scan_without_what_reads_neighbours(model, table):
    name = model.config.module
    with pytest.raises(InputError, match=f"others: expected a reader of .* a {name} module reads"):
        ScanEngine(model)
    reader = NeighbourReader(read_table(table), CPG)
    with pytest.raises(InputError, match=f"sites: expected them as columns, of which a {name}"):
        ScanEngine(model, reader).logits(np.zeros(9, np.uint8), np.array([3]))


def test_chromosomes_without_an_observed_site_are_told(run, table, genome, tmp_path):
    held = read_table(table)
    kept = held.select(np.flatnonzero(held.chromosome_ids == held.chromosomes.index("2")))
    random_weights(new_model(CPG)).save_to_preset(tmp_path / "cpg")
    write_table(kept, tmp_path / "two.h5ad")
    told = "chromosomes have no observed site in the table, so that all neighbours there are mi"
    for few, lines in ((tmp_path / "two.h5ad", [f"2 of 3 {told}ssing: 1, X"]), (table, [])):
        given = ("--genome", genome.path, "--out", tmp_path / "all.tsv")
        for verb, *data in (("predict", "--data", few), ("impute", few)):
            result = run(verb, tmp_path / "cpg", *data, *given)
            assert result.code == 0
            assert [line for line in result.err.splitlines() if told in line] == lines
    (tmp_path / "sites.tsv").write_text(
        "".join(
            f"{held.chromosomes[i]}\t{position + 1}\n"
            for i, position in zip(held.chromosome_ids[::100], held.positions[::100], strict=True)
        )
    )
    sites = ("--sites", tmp_path / "sites.tsv", "--data", tmp_path / "two.h5ad", *given)
    assert f"2 of 3 {told}ssing: 1, X" in run("predict", tmp_path / "cpg", *sites).err


def test_arrays_out_of_range(model):
    """A table has -1 for unmethylated, a model reads 0."""
    near = np.full((2, 3, 10), 0.5, np.float32)
    arrays = {"tokens": np.full((2, 101), ord("A"), np.uint8), "state": near, "dist": near}
    assert np.isfinite(model.predict_arrays(arrays)).all()
    for name in ("state", "dist"):
        for wrong in (-1, 1.5, np.nan):
            values = near.copy()
            values[1, 2, 3] = wrong
            with pytest.raises(InputError, match=f"{name}: expected values from 0 to 1, received"):
                model.predict_arrays({**arrays, name: values})


def test_a_report_does_not_go_into_the_folder_of_a_model(model, table, tmp_path):
    model.save_to_preset(tmp_path / "model")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="expected a folder for a report, found one of a model"):
        evaluate(model, table, tmp_path / "model", genome=RUN / "dna")
    assert sorted(tmp_path.rglob("*")) == before


def test_imputation_hides_the_state_that_it_predicts(model, table, genome, tmp_path, monkeypatch):
    """Flipping what was observed at a site changes no prediction of that site."""
    # The shares of the table would change.
    kept = Calibration(cells=CELLS, shares=(0.3, 0.6, None))
    monkeypatch.setattr(model, "config", model.config.with_calibration(kept))
    held = read_table(table)
    site = 700
    calls = held.calls.toarray()
    calls[site] *= -1
    flipped = type(held)(
        **{**held.__dict__, "calls": type(held.calls)(calls)}  # all but the calls of a site
    )
    results = []
    for number, one in enumerate((held, flipped)):
        out = tmp_path / f"{number}.h5"
        impute(model, one, genome, out)
        with h5py.File(out) as file:
            at = np.flatnonzero(
                (file["chromo"][()].astype(str) == held.chromosomes[held.chromosome_ids[site]])
                & (file["pos"][()] == held.positions[site] + 1)
            )
            raw = np.stack([file[f"probability/cpg/{cell}"][()] for cell in CELLS], axis=1)
            results.append((raw[at], raw[at + 1], raw[at - 1]))
    before, after = results
    np.testing.assert_array_equal(after[0], before[0])
    assert any(np.abs(x - y).max() > 1e-4 for x, y in zip(after[1:], before[1:], strict=True))


def test_evaluation_of_a_table_and_of_the_originals_files(model, table, genome):
    """Each against arrays made by hand: windows with N are not the same, the original draws."""
    reads_dna = model.config is not CPG
    for files, own in (([table], genome if reads_dna else None), (LEGACY, None)):
        examples = open_data(files, own and own.path).examples(model.config)
        every = np.arange(len(examples.positions))
        labels, predicted = examples.labels(every), model.predict_arrays(examples.arrays(every))
        expected = [
            roc_auc_score(y[y >= 0], p[y >= 0]) for y, p in zip(labels.T, predicted.T, strict=True)
        ]
        found = evaluate(model, files, genome=own and own.path).scores.values
        np.testing.assert_allclose(found["auc"], expected, atol=1e-5)
        np.testing.assert_array_equal(found["n"], (labels >= 0).sum(axis=0))


def test_a_cell_that_is_not_in_the_table(table):
    other = new_model(DeepCpgCpgConfig(input_cells=("c1", "gone"), cells=("c1",), neighbours=4))
    with pytest.raises(TableError, match="neighbours the model reads, c1, gone, found none"):
        evaluate(other, table)


def trained_on(evaluate, **how):
    """Return on which of the chromosomes a model is told to have been trained."""
    progress = Counting()
    evaluate(progress=progress, **how)
    told = [line.split(",")[0] for line in progress.lines if "was trained on" in line]
    return [line.removeprefix("the model was trained on sites of ") for line in told]


def test_training_of_each_module(table, tmp_path):
    how = partial(train, table, split=SPLIT, settings=SETTINGS, genome=RUN / "dna")
    dna = how(tmp_path / "dna", architecture="CnnL1h128")
    cpg = train(
        table, tmp_path / "cpg", split=SPLIT, settings=SETTINGS, module="cpg",
        neighbours=6, max_distance=500, architecture="FcAvg", genome=RUN / "dna",
    )  # fmt: skip
    assert isinstance(cpg.model.config, DeepCpgCpgConfig)
    assert cpg.model.config.architecture == "FcAvg"
    assert (cpg.model.config.neighbours, cpg.model.config.max_distance) == (6, 500)
    trained = np.array(read_table(table).chromosomes)[read_table(table).chromosome_ids] == "1"
    calls = read_table(table).calls.toarray()[trained]
    means = [(one[one != 0] > 0).mean() for one in calls.T]
    np.testing.assert_allclose(cpg.model.config.state_means, means, rtol=1e-6)
    assert cpg.model.provenance["genome"] == dna.model.provenance["genome"]
    assert len(cpg.model.provenance["genome"]["digest"]) == 64
    assert cpg.history[-1]["loss"] < cpg.history[0]["loss"]
    reader = NeighbourReader(read_table(table), cpg.model.config)
    assert cpg.model.provenance["neighbours"] == reader.digest()
    assert dna.model.provenance["neighbours"] is None
    joint = how(
        tmp_path / "joint", architecture="JointL1h512",
        dna_module=tmp_path / "dna", cpg_module=tmp_path / "cpg",
    )  # fmt: skip
    assert joint.model.config.architecture == "CnnL1h128+FcAvg+JointL1h512"
    assert joint.history[-1]["loss"] < joint.history[0]["loss"]
    weights = {name: v.numpy() for name, v in joint.model.variables_by_name.items()}
    for part in (dna.model, cpg.model):
        for name, variable in part.variables_by_name.items():
            if name not in ("cpg/kernel", "cpg/bias"):
                np.testing.assert_array_equal(weights[name], variable.numpy(), err_msg=name)
    assert load_model(tmp_path / "joint").digest() == joint.model.digest()
    everything = how(
        tmp_path / "all", dna_module=dna.model, cpg_module=cpg.model,
        train_parts="all",
    )  # fmt: skip
    name = "dna/dense_1/kernel"
    assert (everything.model.variables_by_name[name].numpy() != weights[name]).any()
    of_joint = partial(evaluate, joint.model, table, genome=RUN / "dna")
    assert trained_on(of_joint, split=SPLIT) == []
    assert trained_on(of_joint, split=SPLIT, part="train") == ["1"]
    assert trained_on(of_joint) == ["1"]
    again = how(tmp_path / "more", start=tmp_path / "joint", freeze="parts")
    np.testing.assert_array_equal(again.model.variables_by_name[name].numpy(), weights[name])


def test_training_on_the_originals_files(tmp_path):
    trained = train(
        LEGACY, tmp_path / "out", split=SPLIT, settings=SETTINGS, module="joint",
        architecture="CnnL1h128+FcAvg+JointL0",
    )  # fmt: skip
    config = trained.model.config
    assert config.reads.named("state").shape == (3, 10)
    assert config.reads.named("windows").shape == (101,)
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]


def test_arrays_of_the_originals_files_are_those_of_the_table(table, genome):
    held = read_table(table).on(genome)
    data = open_data(LEGACY, None)
    examples = data.examples(JOINT)
    indices = np.random.default_rng(0).permutation(len(data.positions))[:200]
    ids = data.chromosome_ids[indices]
    sites = SiteColumns(data.chromosomes, ids, data.positions[indices])
    expected = reader_of(JOINT, genome, held).arrays(sites)
    for unpacked in (False, True):
        if unpacked:
            examples.prepare(hold=False)
        found = examples.arrays(indices)
        for name in ("state", "dist"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    fewer = DeepCpgCpgConfig(cells=CELLS, neighbours=4, state_means=CPG.state_means)
    near = data.examples(fewer).arrays(indices)
    np.testing.assert_array_equal(near["state"], found["state"][:, :, 3:7])


def test_sites_that_are_no_cg_would_be_their_own_neighbours(model, table, genome, tmp_path):
    held, path = read_table(table).on(genome), tmp_path / "sites.tsv"
    position = int(held.positions[held.chromosome_ids == held.chromosomes.index("2")][3])
    path.write_text(f"2\t{position}\n")  # one too small for 1-based ones
    source = SiteFile(path, genome, 101)
    expected = rf"sites.tsv, line 1: .* found .C at 2, 0-based position {position - 1} \(a CG is "
    with pytest.raises(SiteError, match=expected):
        predict(model, source, tmp_path / "out.tsv", table=table)
    with pytest.raises(SiteError, match=expected):
        next(iterate_predictions(model, source, table=table))
    assert [file.name for file in tmp_path.iterdir()] == ["sites.tsv"]
    assert predict(new_model(DNA), source).rows == 1


def test_a_table_that_would_be_passed_over(fails, table, genome, tmp_path):
    dna, path = new_model(DNA), tmp_path / "sites.tsv"
    path.write_text("1\t10\n")
    expected = "table: expected none with a dna module, which reads no neighbouring sites, received"
    sources: list[Source] = [SiteFile(path, genome, 101), OneSequence("A" * 101, 101)]
    for source in sources:
        for verb in (predict, lambda *given, **own: next(iterate_predictions(*given, **own))):
            with pytest.raises(InputError, match=expected):
                verb(dna, source, table="no table is opened")
    dna.save_to_preset(tmp_path / "dna")
    given = ("predict", tmp_path / "dna", "--genome", genome.path)
    for more in (("--sites", path, "--data", table), ("--data", table, "--out", "all.tsv")):
        assert f"--data{expected.removeprefix('table')}" in fails(*given, *more)
    random_weights(new_model(CPG)).save_to_preset(tmp_path / "cpg")
    error = fails("predict", tmp_path / "cpg", "--genome", genome.path, "--sites", path)
    assert "--data: expected a methylation table, of which a cpg module reads" in error


@pytest.mark.parametrize("config", [DNA, CPG], ids=["dna", "cpg"])
def test_a_part_without_heads_predicts_its_embedding_alone(fails, config, table, genome, tmp_path):
    part = random_weights(new_model(config.with_untrained_head()))
    own = {"table": table} if config is CPG else {}
    sites, out = tmp_path / "sites.tsv", tmp_path / "out.tsv"
    sites.write_text(f"1\t{read_table(table).positions[0] + 1}\n")
    source = SiteFile(sites, genome, 101)
    verbs = [
        lambda: predict(part, source, out, **own),
        lambda: next(iterate_predictions(part, source, "logits", **own)),
        lambda: predict_genome(part, genome, out, **own),
        lambda: impute(part, table, genome, out),
        lambda: evaluate(part, table, genome=genome.path),
    ]
    for verb in verbs:
        with pytest.raises(ConfigError, match="model: expected one with heads, received the"):
            verb()
    assert not out.exists()
    part.save_to_preset(tmp_path / "part")
    given = ("predict", tmp_path / "part", "--sites", sites, "--genome", genome.path)
    more = ("--data", table) if config is CPG else ()
    assert "which has none; train it, join it, or predict --values embedding" in fails(
        *given, *more
    )
    found = predict(part, source, values="embedding", **own).table
    assert found.num_columns == 3 + config.embedding_size


def test_values_that_there_are_not(model, table, genome, tmp_path):
    sites = tmp_path / "sites.tsv"
    sites.write_text(f"1\t{read_table(table).positions[0] + 1}\n")
    expected = "values: expected one of probabilities, logits, embedding, received 'mean'"
    with pytest.raises(ConfigError, match=expected):
        predict(model, SiteFile(sites, genome, 101), values="mean", table=table)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"module": "x"}, "module: expected one of dna, cpg, joint, local, received 'x'"),
        ({"architecture": "x"}, "architecture: expected one of CnnL1h128, .*received 'x'"),
        ({"architecture": "RnnL1+RnnL2"}, r"received 'RnnL1\+RnnL2'"),
        ({"module": "dna", "architecture": "RnnL1"}, "received 'RnnL1' of a cpg module"),
        ({"module": "cpg", **BOTH}, "with the module joint, received cpg"),
        ({"start": "m", "module": "cpg"}, "module: expected none with `start`, which says what"),
        ({"start": "m", "cpg_module": "m"}, "cpg_module: expected none with `start`, which"),
        ({"start": "m", "neighbours": 4}, "neighbours: expected none with `start`, .*received 4"),
        ({"start": "m", "max_distance": 4}, "max_distance: expected none with `start`"),
        ({"train_parts": "all"}, "train_parts: expected none with new modules, all of which"),
        ({"neighbours": 4}, "neighbours: expected none with a dna module, which reads no neigh"),
        ({"max_distance": 4}, "max_distance: expected none with a dna module"),
        ({"dna_module": "m"}, "dna_module: expected `cpg_module` with it, .* received none"),
        ({"cpg_module": "m"}, "cpg_module: expected `dna_module` with it, .* received none"),
        ({**BOTH, "neighbours": 4}, "neighbours: expected none with `cpg_module`, which says it"),
        ({**BOTH, "architecture": "RnnL1"}, "architecture: expected that of what joins .*RnnL1"),
        ({**BOTH, "train_parts": "x"}, "train_parts: expected one of joint, all"),
    ],
)
def test_arguments_that_do_not_go_together(table, tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        train(table, tmp_path / "out", split=SPLIT, **arguments)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_joined(table, tmp_path):
    cpg = random_weights(new_model(CPG))
    with pytest.raises(ConfigError, match="dna_module: expected a model with a dna module, rec"):
        train(table, tmp_path / "out", split=SPLIT, dna_module=cpg, cpg_module=cpg)
    for neighbours in (0, 5):
        with pytest.raises(ConfigError, match="neighbours: expected an even number of at least 2"):
            train(table, tmp_path / "out", split=SPLIT, module="cpg", neighbours=neighbours)
    with pytest.raises(InputError, match="genome: expected a reference, of which a joint module"):
        train(table, tmp_path / "out", split=SPLIT, module="joint")


def test_a_part_is_taken_over_whole():
    joint, cpg = random_weights(new_model(JOINT)), random_weights(new_model(CPG), seed=1)
    take_over_part(joint, cpg, "cpg")
    found = joint.variables_by_name
    for name in CPG.hidden_shapes:
        np.testing.assert_array_equal(found[name].numpy(), cpg.variables_by_name[name].numpy())
