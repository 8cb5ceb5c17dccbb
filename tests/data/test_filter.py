"""Accounts and coverage in tables, and tables of a higher minimum coverage."""

from dataclasses import replace

import anndata
import numpy as np
import pytest
import scipy.sparse

from deepcpg_tf import build_table, filter_table, read_table, write_table
from deepcpg_tf.errors import OutputError, ProfileError, TableError
from deepcpg_tf.genome.reference import Genome
from tests.conftest import DATA

GENOME = DATA / "genome" / "mini.fa"
CELLS = 4


@pytest.fixture(scope="module")
def genome():
    return Genome(GENOME)


@pytest.fixture(scope="module")
def profiles(tmp_path_factory, genome):
    """Coverage files of random cells: both strands, few reads, ties, and sites of no CpG."""
    folder = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(0)
    paths = []
    for cell in range(CELLS):
        lines = []
        for name in genome.lengths:
            codes = np.asarray(genome.codes(name))
            (cytosines,) = np.nonzero((codes == 2) | (codes == 3))
            for position in cytosines[rng.random(len(cytosines)) < 0.6].tolist():
                methylated, others = rng.integers(0, 4), rng.integers(0, 3)
                unmethylated = others + (methylated == 0)
                percent = 100 * methylated / (methylated + unmethylated)
                line = (name, position + 1, position + 1, percent, methylated, unmethylated)
                lines.append("\t".join(map(str, line)) + "\n")
        paths.append(folder / f"cell{cell}_bismark_bt2.bismark.cov")
        paths[-1].write_text("".join(lines))
    return paths


def obs_of(table):
    assert table.obs is not None
    return table.obs


def assert_same(one, other):
    assert (one.cells, one.chromosomes) == (other.cells, other.chromosomes)
    np.testing.assert_array_equal(one.chromosome_ids, other.chromosome_ids)
    np.testing.assert_array_equal(one.positions, other.positions)
    assert (one.calls.dtype, other.calls.dtype) == (np.int8, np.int8)
    assert one.calls.nnz == other.calls.nnz
    assert (one.calls != other.calls).nnz == 0
    assert one.reference == other.reference


def dropped(table):
    columns = [name for name in obs_of(table) if name.startswith("dropped_")]
    return obs_of(table)[columns].sum(axis=1).tolist()


@pytest.mark.parametrize("min_cells", [1, 2])
@pytest.mark.parametrize("min_coverage", [1, 2, 4])
def test_filtering_equals_building_anew(profiles, genome, tmp_path, min_coverage, min_cells):
    path, out = tmp_path / "all.h5ad", tmp_path / "some.h5ad"
    build_table(profiles, genome, path, keep_coverage=True)
    limits = {"min_coverage": min_coverage, "min_cells": min_cells}
    anew = build_table(profiles, genome, keep_coverage=True, **limits)
    filtered = filter_table(path, out, **limits)
    assert len(anew) > 20
    assert_same(filtered, anew)
    assert_same(read_table(out), anew)
    assert (filtered.coverage != anew.coverage).nnz == 0
    assert (read_table(out, coverage=True).coverage != anew.coverage).nnz == 0
    assert (anew.coverage.dtype, anew.coverage.nnz) == (np.int32, anew.calls.nnz)
    assert anew.coverage.data.min() >= min_coverage
    # What is on record, too; but a tie of few reads is one for the table without a minimum.
    assert filtered.settings == anew.settings
    assert obs_of(filtered)["sites"].tolist() == obs_of(anew)["sites"].tolist()
    assert obs_of(filtered)["kept"].tolist() == obs_of(anew)["kept"].tolist()
    assert dropped(filtered) == dropped(anew)
    for name in ("methylation_rate", "mean_coverage"):
        np.testing.assert_allclose(obs_of(filtered)[name], obs_of(anew)[name])


def test_a_filtered_table_may_be_filtered(profiles, genome):
    table = build_table(profiles, genome, keep_coverage=True)
    twice = filter_table(filter_table(table, min_coverage=2), min_coverage=4, min_cells=2)
    assert_same(twice, build_table(profiles, genome, min_coverage=4, min_cells=2))


def test_coverage_counts_both_strands_and_chromosomes_may_go(tmp_path):
    (tmp_path / "g.fa").write_text(">1\nACGACG\n>2\nCG\n")
    (tmp_path / "a.cov").write_text("1\t2\t2\t67\t2\t1\n1\t3\t3\t100\t2\t0\n2\t1\t1\t0\t0\t3\n")
    table = build_table(tmp_path / "a.cov", tmp_path / "g.fa", keep_coverage=True)
    assert table.coverage.toarray().tolist() == [[5], [3]]
    write_table(table, tmp_path / "t.h5ad")
    layer = anndata.read_h5ad(tmp_path / "t.h5ad").layers["coverage"]
    assert scipy.sparse.issparse(layer)
    assert (layer.dtype, layer.toarray().tolist()) == (np.int32, [[5, 3]])
    filtered = filter_table(table, tmp_path / "f.h5ad", min_coverage=4)
    assert (filtered.chromosomes, filtered.positions.tolist()) == (("1",), [1])
    assert read_table(tmp_path / "f.h5ad").on(Genome(tmp_path / "g.fa")).chromosomes == ("1",)


def test_what_is_asked_must_be_possible(profiles, genome, tmp_path):
    table = build_table(profiles, genome, min_coverage=2, min_cells=2, keep_coverage=True)
    with pytest.raises(TableError, match="^min_coverage: expected 2 or more, as .* received 1$"):
        filter_table(table, min_coverage=1)
    with pytest.raises(TableError, match="^min_cells: expected 2 or more, as .* received 1$"):
        filter_table(table, min_coverage=3, min_cells=1)
    assert filter_table(table, min_coverage=3).settings["min_cells"] == 2
    with pytest.raises(TableError, match="at least 2 of 4 cells observe with 999 reads or more"):
        filter_table(table, min_coverage=999)
    with pytest.raises(TableError, match="received 1 of .* calls without$"):
        coverage = table.coverage.copy()
        coverage.data[0] = 0
        filter_table(replace(table, coverage=coverage), min_coverage=2)
    write_table(table, tmp_path / "t.h5ad")
    with pytest.raises(OutputError, match="expected another file than the input"):
        filter_table(tmp_path / "t.h5ad", tmp_path / "t.h5ad", min_coverage=3)
    write_table(build_table(profiles, genome), tmp_path / "t.h5ad")
    with pytest.raises(TableError, match="t.h5ad: expected a table with the coverage of each"):
        filter_table(tmp_path / "t.h5ad", min_coverage=3)
    (tmp_path / "x.bedGraph").write_text("1\t7\t8\t1\n")
    with pytest.raises(ProfileError, match=r"x.bedGraph: .* as `keep_coverage` asks, .* bedgraph$"):
        build_table(tmp_path / "x.bedGraph", genome, keep_coverage=True)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda layer: layer.toarray(), "expected a sparse matrix as layers/coverage, received a"),
        (lambda layer: layer * 0.5, "whole numbers of reads in layers/coverage, received 0.5"),
        (lambda layer: -layer, "expected whole numbers of reads in layers/coverage, received -"),
    ],
)
def test_faults_of_the_layer(tmp_path, harm, message):
    (tmp_path / "g.fa").write_text(">1\nACGACG\n")
    (tmp_path / "a.cov").write_text("1\t2\t2\t100\t1\t0\n")
    path = tmp_path / "t.h5ad"
    build_table(tmp_path / "a.cov", tmp_path / "g.fa", path, keep_coverage=True)
    adata = anndata.read_h5ad(path)
    adata.layers["coverage"] = harm(adata.layers["coverage"])
    adata.write_h5ad(path)
    assert len(read_table(path)) == 1
    with pytest.raises(TableError, match=message):
        filter_table(path, min_coverage=1)


COV = (
    "1\t2\t2\t100\t3\t0\n1\t3\t3\t50\t1\t1\n"  # joined: 4 of 5
    "1\t5\t5\t50\t1\t1\n"  # a tie
    "1\t8\t8\t0\t0\t2\n1\t9\t9\t0\t0\t1\n"  # joined: 0 of 3
    "1\t10\t10\t0\t0\t1\nGL\t2\t2\t0\t0\t4\n"  # no CG, and a chromosome that is not there
    "2\t1\t1\t100\t1\t0\n2\t9\t9\t100\t4\t0\n"  # too few reads, and past the end
)


@pytest.fixture
def accounted(tmp_path):
    """A table of one cell."""
    (tmp_path / "g.fa").write_text(">1\nACGACGACGT\n>2\nCGT\n")
    (tmp_path / "a_bismark_bt2.cov").write_text(COV)
    path = tmp_path / "t.h5ad"
    build_table(tmp_path / "a_bismark_bt2.cov", tmp_path / "g.fa", path, min_coverage=2)
    return path


ACCOUNT = {
    "file": "a_bismark_bt2.cov",
    "format": "bismark-cov",
    "lines_read": 9,
    "kept": 2,
    "joined": 2,
    "duplicates": 0,
    "dropped_ties": 1,
    "dropped_not_on_a_cg_of_the_reference": 2,
    "dropped_on_chromosomes_that_the_reference_lacks": 1,
    "dropped_under_min_coverage": 1,
    "reference_match": 6 / 8,
    "past_the_end": 1,
    "methylation_rate": 0.5,
    "mean_coverage": 4.0,
    "sites": 2,
}


def test_the_account_of_a_cell(accounted, tmp_path):
    adata = anndata.read_h5ad(accounted)
    assert adata.obs_names.tolist() == ["a"]
    assert adata.obs.iloc[0].to_dict() == ACCOUNT
    dropped = sum(int(str(ACCOUNT[name])) for name in ACCOUNT if name.startswith("dropped_"))
    assert 2 + 2 + dropped == 9
    settings = adata.uns["deepcpg_tf"]["settings"]
    assert {*settings["versions"]} == {"deepcpg_tf", "anndata", "numpy", "polars", "scipy"}
    assert {name: settings[name] for name in settings if name != "versions"} == {
        "min_coverage": 2,
        "min_cells": 1,
        "min_reference_match": 0.95,
        "format": "told by content",
        "hydroxymethylation": "methylated",
        "cell_name": "told by the file",
    }
    assert str(tmp_path).encode() not in accounted.read_bytes()
    # It comes back as it was, and goes with the cell where anndata takes it.
    loaded = read_table(accounted)
    assert obs_of(loaded).iloc[0].to_dict() == ACCOUNT
    assert loaded.settings["min_coverage"] == 2
    write_table(loaded, accounted)
    assert anndata.read_h5ad(accounted).obs.iloc[0].to_dict() == ACCOUNT


def test_cells_of_several_formats(tmp_path):
    (tmp_path / "g.fa").write_text(">1\nACGACGACGT\n>2\nCGT\n")
    (tmp_path / "a.cov").write_text(COV)
    (tmp_path / "b.tsv").write_text("1\t2\t1\n1\t5\t0\n1\t8\t1\n")
    files = [tmp_path / "a.cov", tmp_path / "b.tsv"]
    table = build_table(files, tmp_path / "g.fa", tmp_path / "t.h5ad", min_cells=2)
    obs = obs_of(table)
    assert obs["format"].tolist() == ["bismark-cov", "deepcpg"]
    assert obs["dropped_ties"].tolist() == [1, 0]
    assert obs["kept"].tolist() == [3, 3]
    assert obs["sites"].tolist() == [2, 2]
    assert obs["mean_coverage"].tolist()[0] == pytest.approx(3)
    assert np.isnan(obs["mean_coverage"].tolist()[1])
    assert obs["methylation_rate"].tolist() == [pytest.approx(2 / 3), pytest.approx(2 / 3)]


def test_cells_chosen_and_columns_added_in_anndata(profiles, genome, tmp_path):
    path = tmp_path / "t.h5ad"
    table = build_table(profiles, genome, path, keep_coverage=True)
    adata = anndata.read_h5ad(path)
    adata.obs["kind"] = ["x", "y", "x", "z"]
    adata.var["island"] = True
    adata.layers["other"] = adata.X
    del adata.obs["kept"], adata.obs["mean_coverage"]
    adata[["cell3", "cell0"]].copy().write_h5ad(path)
    loaded = read_table(path)
    assert loaded.cells == ("cell3", "cell0")
    assert obs_of(loaded)["kind"].tolist() == ["z", "x"]
    assert obs_of(loaded)["file"].tolist() == [profiles[i].name for i in (3, 0)]
    assert (loaded.calls != table.calls[:, [3, 0]]).nnz == 0
    filtered = filter_table(path, tmp_path / "f.h5ad", min_coverage=4)
    assert_same(filtered, build_table([profiles[3], profiles[0]], genome, min_coverage=4))
    assert anndata.read_h5ad(tmp_path / "f.h5ad").obs["kind"].tolist() == ["z", "x"]
    assert "mean_coverage" not in obs_of(filtered)
