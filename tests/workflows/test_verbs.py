"""The verbs, called as in a notebook: from profiles to an export."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from deepcpg_tf import (
    Genome,
    SiteFile,
    TrainingSettings,
    build_table,
    chromosome_split,
    evaluate,
    impute,
    load_model,
    predict,
    predict_genome,
    read_table,
    train,
)
from deepcpg_tf.errors import ConfigError, InputError, OutputError
from tests.conftest import DATA
from tests.counting import Counting

RUN = DATA / "original-run"
PROFILES = sorted((RUN / "cpg").iterdir())
SPLIT = partial(chromosome_split, train=["1"], validation=["2"], test=["X"])


@pytest.fixture(scope="module")
def genome():
    return Genome(RUN / "dna")


@pytest.fixture
def table(genome, tmp_path):
    build_table(PROFILES, genome, tmp_path / "table.h5ad")
    return tmp_path / "table.h5ad"


def test_build_table(genome, tmp_path):
    progress = Counting()
    table = build_table(PROFILES, genome, tmp_path / "table.h5ad", progress=progress)
    assert table.cells == ("c1", "c2", "c3")
    assert progress.begun == [("reading profiles", 3, "files")]
    assert [line.split(":")[0] for line in progress.lines] == [path.name for path in PROFILES]
    assert (read_table(tmp_path / "table.h5ad").calls != table.calls).nnz == 0
    assert (build_table(list(map(str, PROFILES)), str(RUN / "dna")).calls != table.calls).nnz == 0
    with pytest.raises(InputError, match=r"no\.tsv: expected a file, found none there"):
        build_table("no.tsv", genome)
    with pytest.raises(OutputError, match=r"x\.tsv: expected a name that ends in \.h5ad"):
        build_table(PROFILES, genome, "x.tsv")


def test_train_evaluate_impute(table, tmp_path, genome):
    settings = TrainingSettings(epochs=2, batch_size=512, learning_rate=1e-3)
    progress = Counting()
    trained = train(
        table,
        tmp_path / "model",
        genome=RUN / "dna",
        split=SPLIT,
        architecture="CnnL1h128",
        settings=settings,
        progress=progress,
    )
    assert [what for what, _, _ in progress.begun] == ["epoch 1/2", "epoch 2/2"]
    assert progress.done == [1] * sum(total for _, total, _ in progress.begun)
    assert trained.kept in trained.history
    assert len(trained.history) == 2
    assert trained.model.digest() == load_model(tmp_path / "model").digest()

    progress = Counting()
    result = evaluate(trained.model, table, genome=RUN / "dna", split=SPLIT, progress=progress)
    assert result.scores.cells == ("c1", "c2", "c3")
    assert result.sites == sum(progress.done) == progress.begun[0][1]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["model"]

    progress = Counting()
    out = tmp_path / "imputed.parquet"
    done = impute(trained.folder, table, genome, out, chromosomes=["X"], progress=progress)
    assert (done.cells, done.observed_cells) == (3, 3)
    assert done.sites == sum(progress.done) == len(pl.read_parquet(out))
    on_x = read_table(table)
    on_x = on_x.select(np.flatnonzero(on_x.chromosome_ids == on_x.chromosomes.index("X")))
    assert done.observed_values == on_x.calls.nnz > 0
    all_of_it = predict_genome(trained.model, genome, tmp_path / "all.tsv", chromosomes=["chrX"])
    assert all_of_it[1:] == (done.sites, 3, 0, 0)

    with pytest.raises(OutputError, match="model: expected a new folder"):
        train(table, tmp_path / "model", genome=RUN / "dna", split=SPLIT)
    with pytest.raises(ConfigError, match="^freeze: expected `start` with it"):
        train(table, tmp_path / "other", split=SPLIT, freeze="backbone")
    with pytest.raises(InputError, match="genome: expected a reference, .* received none"):
        evaluate(trained.model, table)
    with pytest.raises(ConfigError, match="^part: expected one of train"):
        evaluate(trained.model, table, genome=RUN / "dna", split=SPLIT, part="x")


def test_predict_into_memory_or_a_file(genome, tmp_path):
    model = load_model(RUN / "model")
    source = SiteFile(RUN / "cpg" / "c1.tsv", genome, length=101)
    progress = Counting()
    found = predict(model, source, progress=progress)
    assert found.table is not None
    assert found.rows == found.table.num_rows == sum(progress.done)
    assert found.table.column_names == ["chromosome", "position", "strand", "c1", "c2", "c3"]
    written = predict(str(RUN / "model"), source, tmp_path / "out.parquet")
    assert written == (found.rows, None)
    kept = pl.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_array_equal(kept["c2"], found.table["c2"].to_numpy())
    with pytest.raises(OutputError, match=r"out\.x: expected a name ending in"):
        predict(model, source, Path("out.x"))
