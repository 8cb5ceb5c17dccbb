import os

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.data.build import table_of_profiles
from deepcpg_tf.data.summary import summarize
from deepcpg_tf.data.table_file import read_table, write_table
from deepcpg_tf.errors import OutputError, TableError
from deepcpg_tf.genome.reference import Genome
from tests.data.tables import (
    GENOME,
    LEGACY_FILES,
    RUN,
    SMALL_LABELS,
    SMALL_SITES,
    profile,
    profiles_of_the_run,
    small_table,
)


@pytest.fixture
def table(tmp_path):
    return small_table(tmp_path)


def sites(table):
    return [
        (table.chromosomes[i], int(position))
        for i, position in zip(table.chromosome_ids, table.positions, strict=True)
    ]


def labels(table):
    return table.labels(np.arange(len(table))).tolist()


def as_dict(table):
    return {site: tuple(row) for site, row in zip(sites(table), labels(table), strict=True)}


def test_sites_are_united_in_the_order_of_the_reference(table):
    assert table.cells == ("b", "a", "c")
    assert table.chromosomes == ("X", "1")
    assert sites(table) == SMALL_SITES
    assert labels(table) == SMALL_LABELS
    assert table.calls.toarray().tolist()[2] == [1, -1, 0]
    assert (table.positions.dtype, table.chromosome_ids.dtype) == (np.int64, np.int32)
    assert (table.calls.dtype, table.calls.nnz) == (np.int8, 9)
    assert table.labels(np.array([0])).dtype == np.int8


def test_labels_come_in_the_order_asked_for(table):
    assert table.labels(np.array([4, 0, 4])).tolist() == [SMALL_LABELS[i] for i in (4, 0, 4)]
    assert table.labels(np.array([], int)).shape == (0, 3)


@given(
    st.dictionaries(
        st.sampled_from("abcde"),
        st.dictionaries(st.integers(0, 30), st.integers(0, 1)),
        min_size=1,
    ),
    st.integers(1, 3),
)
def test_any_profiles(cells, min_cells):
    observed = [position for sites in cells.values() for position in sites]
    expected = sorted({position for position in observed if observed.count(position) >= min_cells})
    profiles = [profile(cell, **({"1": sites} if sites else {})) for cell, sites in cells.items()]
    with pytest.MonkeyPatch.context() as patch:
        # Its digest has tests of its own.
        patch.setattr("deepcpg_tf.data.build.reference_of", lambda *_: None)
        if not expected:
            with pytest.raises(TableError, match=f"at least {min_cells} of {len(cells)} cells"):
                table_of_profiles(profiles, _GENOME, min_cells=min_cells)
            return
        table = table_of_profiles(profiles, _GENOME, min_cells=min_cells)
    assert table.positions.tolist() == expected
    assert labels(table) == [
        [sites.get(position, -1) for sites in cells.values()] for position in expected
    ]


_GENOME = Genome(GENOME)


def test_min_cells_drops_sites_and_chromosomes(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(">1\nCGCGCG\n>2\nCGCG\n")
    cells = [profile("a", **{"1": {0: 1, 2: 1}, "2": {0: 1}}), profile("b", **{"1": {2: 0, 4: 0}})]
    table = table_of_profiles(cells, Genome(path), min_cells=2)
    assert table.chromosomes == ("1",)
    assert as_dict(table) == {("1", 2): (1, 0)}


def test_a_cell_twice_names_both_files():
    cells = [profile("a", "x/a.tsv", **{"1": {0: 1}}), profile("a", "y/a.cov", **{"1": {0: 1}})]
    with pytest.raises(TableError, match=r"y/a.cov: .*received 'a', the cell of x/a.tsv"):
        table_of_profiles(cells, _GENOME)


def test_profiles_are_taken_one_at_a_time_and_stop_at_a_cell_twice():
    def cells():
        yield profile("a", **{"1": {0: 1}})
        yield profile("a", **{"1": {0: 1}})
        pytest.fail("read on")

    with pytest.raises(TableError, match="cell that no other file has"):
        table_of_profiles(cells(), _GENOME)


def test_no_profile():
    with pytest.raises(TableError, match="at least one cell, received none"):
        table_of_profiles([], _GENOME)


def test_select_keeps_the_order_of_the_table(table):
    part = table.select(np.array([4, 1, 4]))
    assert sites(part) == [SMALL_SITES[1], SMALL_SITES[4]]
    assert labels(part) == [SMALL_LABELS[1], SMALL_LABELS[4]]
    assert (part.chromosomes, part.cells, part.reference) == (
        table.chromosomes,
        table.cells,
        table.reference,
    )


def original_sites():
    """Return the sites and labels of the original's data files, read without our code."""
    result = {}
    for path in LEGACY_FILES:
        with h5py.File(path) as file:
            outputs = [file[f"outputs/cpg/c{i}"][()].tolist() for i in (1, 2, 3)]
            names = file["chromo"].asstr()[()]
            for name, position, *row in zip(names, file["pos"][()], *outputs, strict=True):
                result[name, int(position) - 1] = tuple(row)
    return result


@pytest.mark.parametrize("genome", [GENOME, RUN / "dna"])
def test_the_table_of_the_original_run(genome):
    """The sites, labels and windows are those that dcpg_data.py of DeepCpG 1.0.7 wrote."""
    reference = Genome(genome)
    table = table_of_profiles(profiles_of_the_run(), reference)
    expected = original_sites()
    assert len(expected) == 2297
    assert as_dict(table) == expected
    assert table.cells == ("c1", "c2", "c3")

    compared, ambiguous = 0, 0
    row_of_site = {site: i for i, site in enumerate(sites(table))}
    for path in LEGACY_FILES:
        with h5py.File(path) as file:
            names, positions = file["chromo"].asstr()[()], file["pos"][()] - 1
            theirs = file["inputs/dna"][()]
        rows = [row_of_site[name, int(p)] for name, p in zip(names, positions, strict=True)]
        ours = reference.windows_of(
            table.chromosomes, table.chromosome_ids[rows], table.positions[rows], 101
        )
        # The original wrote random bases where the reference has N.
        known = ours != 4
        assert (ours[known] == theirs[known]).all()
        compared, ambiguous = compared + known.sum(), ambiguous + (~known).sum()
    assert compared > 200_000
    assert 0 < ambiguous < 0.1 * compared


def test_round_trip(table, tmp_path):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    loaded = read_table(path)
    assert (loaded.cells, loaded.chromosomes) == (table.cells, table.chromosomes)
    assert loaded.reference == table.reference
    assert loaded.reference.name == "small.fa"
    assert (sites(loaded), labels(loaded)) == (SMALL_SITES, SMALL_LABELS)
    assert (loaded.calls.dtype, loaded.calls.format) == (np.int8, "csr")
    assert loaded.positions.dtype == np.int64
    assert loaded.chromosome_ids.dtype == np.int32
    assert sorted(file.name for file in tmp_path.iterdir()) == ["small.fa", "table.h5ad"]


def test_it_opens_as_anndata(table, tmp_path):
    write_table(table, tmp_path / "table.h5ad")
    adata = anndata.read_h5ad(tmp_path / "table.h5ad")
    assert adata.shape == (3, 6)
    assert adata.obs_names.tolist() == ["b", "a", "c"]
    assert adata.var_names.tolist() == ["X:0", "X:2", "X:8", "1:1", "1:4", "1:7"]
    assert adata.var["chromosome"].cat.categories.tolist() == ["X", "1"]
    assert adata.var["chromosome"].tolist() == ["X", "X", "X", "1", "1", "1"]
    assert adata.var["position"].tolist() == [0, 2, 8, 1, 4, 7]
    assert adata.var["position"].dtype == np.int64
    assert scipy.sparse.issparse(adata.X)
    assert (adata.X.dtype, adata.X.nnz) == (np.int8, 9)
    assert adata["a"].X.toarray().tolist() == [[0, -1, -1, 0, 1, 0]]
    assert adata.uns["deepcpg_tf"]["format_version"] == 1
    assert adata.uns["deepcpg_tf"]["reference_name"] == "small.fa"
    assert adata.uns["deepcpg_tf"]["reference_digest"] == table.reference.digest


def test_a_part_chosen_and_written_in_anndata_is_read(table, tmp_path):
    write_table(table, tmp_path / "table.h5ad")
    adata = anndata.read_h5ad(tmp_path / "table.h5ad")
    part = adata[["c", "b"], adata.var["position"] > 2].copy()
    part.X = scipy.sparse.csr_matrix(part.X).astype(np.float32)
    part.write_h5ad(tmp_path / "part.h5ad")
    loaded = read_table(tmp_path / "part.h5ad")
    assert loaded.cells == ("c", "b")
    assert as_dict(loaded) == {("X", 8): (-1, 1), ("1", 4): (-1, 0), ("1", 7): (1, -1)}


def test_a_failed_write_leaves_the_old_table(table, tmp_path, monkeypatch):
    path = tmp_path / "table.h5ad"
    path.write_text("old")

    def fail(file, name, content, **options):
        file["half"] = 1
        raise OSError("disk full")

    monkeypatch.setattr(anndata.io, "write_elem", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(table, path)
    assert path.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["small.fa", "table.h5ad"]


def test_no_folder_to_write_to(table, tmp_path):
    with pytest.raises(OutputError, match="table.h5ad: cannot write there"):
        write_table(table, tmp_path / "no" / "table.h5ad")


def test_the_reference_is_checked(table, tmp_path):
    table.check_reference(Genome(tmp_path / "small.fa"))
    (tmp_path / "ucsc.fa").write_text(">chr1\nACGacgACGA\n>chr9\nA\n>chrX\nCGCGCGCGCG\n")
    table.check_reference(Genome(tmp_path / "ucsc.fa"))
    (tmp_path / "other.fa").write_text(">1\nACGACGACGT\n>X\nCGCGCGCGCG\n")
    with pytest.raises(TableError, match=r"other.fa: expected the reference .*small.fa \(digest "):
        table.check_reference(Genome(tmp_path / "other.fa"))


def test_chromosomes_are_named_as_in_the_genome(tmp_path):
    (tmp_path / "a.fa").write_text(">MT\nCGCG\n>1\nACGA\n>X\nCG\n")
    (tmp_path / "b.fa").write_text(">chrX\nCG\n>chrM\nCGCG\n>chr1\nACGA\n>chr2\nA\n")
    one, other = Genome(tmp_path / "a.fa"), Genome(tmp_path / "b.fa")
    table = table_of_profiles([profile("a", **{"1": {1: 1}, "MT": {2: 0}, "X": {0: 1}})], one)
    moved = table.on(other)
    assert moved.chromosomes == ("chrM", "chr1", "chrX")
    assert as_dict(moved) == {("chrM", 2): (0,), ("chr1", 1): (1,), ("chrX", 0): (1,)}
    moved.check_reference(other)
    assert table.on(one) is table


def test_two_chromosomes_that_the_genome_has_once(tmp_path):
    (tmp_path / "a.fa").write_text(">1\nACGA\n>chr1\nACGA\n")
    (tmp_path / "b.fa").write_text(">1\nACGA\n")
    sites = {"1": {1: 1}, "chr1": {1: 0}}
    table = table_of_profiles([profile("a", **sites)], Genome(tmp_path / "a.fa"))
    with pytest.raises(TableError, match="received 1 and chr1, both 1 of b.fa"):
        table.on(Genome(tmp_path / "b.fa"))


def change(path, **parts):
    """Write a table again with other parts."""
    adata = anndata.read_h5ad(path)
    for name, value in parts.items():
        if name in ("position", "chromosome"):
            adata.var[name] = value
        elif name == "cells":
            adata.obs_names = value
        else:
            setattr(adata, name, value)
    adata.write_h5ad(path)


def delete(name):
    def call(path):
        with h5py.File(path, "a") as file:
            del file[name]

    return call


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.unlink(), "expected a methylation table .* found no file there"),
        (lambda path: path.write_text("chr1\t1\t1\n"), "received something else or a damaged file"),
        (lambda path: os.truncate(path, 5000), "received something else or a damaged file"),
        (delete("var/position"), "received a file without var/position"),
        (delete("uns/deepcpg_tf"), "received a file without uns/deepcpg_tf"),
        (delete("X/indices"), "received something else or a damaged file"),
        (delete("var/chromosome/codes"), "received something else or a damaged file"),
        (delete("uns/deepcpg_tf/reference_name"), "received something else or a damaged file"),
        (
            lambda path: change(path, uns={"deepcpg_tf": {"format_version": 2}}),
            "expected version 1 of the table format, received 2",
        ),
        (
            lambda path: change(path, X=scipy.sparse.csr_matrix(np.full((3, 6), 2))),
            r"expected the calls 1, -1 and 0 \(missing\) in X, received 2",
        ),
        (lambda path: change(path, X=np.ones((3, 6))), "expected a sparse matrix as X"),
        (
            lambda path: change(path, position=[0, 2, 8, 1, 7, 4]),
            "expected different sites, sorted by chromosome and position, received 1:4 after 1:7",
        ),
        (lambda path: change(path, position=[0, 2, 2, 1, 4, 7]), "received X:2 after X:2"),
        (lambda path: change(path, position=[-1, 2, 3, 1, 4, 7]), "received site 1 without"),
        (lambda path: change(path, position=list("abcdef")), "else or a damaged file"),
        (lambda path: change(path, chromosome=[1, 1, 1, 2, 2, 2]), "else or a damaged file"),
        (
            lambda path: change(path, X=scipy.sparse.csr_matrix((3, 6)), cells=["a", "b", "a"]),
            "expected a name of its own for each cell, received 'a'",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Observation names are not unique", "ignore::FutureWarning")
def test_faults_of_a_file(table, tmp_path, harm, message):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    harm(path)
    with pytest.raises(TableError, match=f"table.h5ad: .*{message}") as error:
        read_table(path)
    assert "\n" not in str(error.value)


def test_sites_and_states_that_do_not_agree(table, tmp_path):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    with h5py.File(path, "a") as file:
        del file["var/position"]
        file["var/position"] = np.arange(5)
        file["var/position"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with pytest.raises(TableError, match="X of 3 cells and 6 sites, as obs and var have, rec"):
        read_table(path)


def test_a_data_file_of_the_original_is_no_table():
    with pytest.raises(TableError, match="make a table of it: deepcpg-tf data import-legacy"):
        read_table(LEGACY_FILES[0])


def test_summary(table):
    rows = summarize(table)
    assert [row[:2] for row in rows] == [
        *((cell, chromosome) for cell in "bac" for chromosome in ("X", "1")),
        *((cell, "all") for cell in "bac"),
    ]
    # sites, observed, methylated; by hand from SMALL_LABELS.
    assert [row[2:] for row in rows] == [
        (3, 1, 1),
        (3, 2, 1),
        (3, 2, 0),
        (3, 1, 1),
        (3, 2, 2),
        (3, 1, 1),
        (6, 3, 2),
        (6, 3, 1),
        (6, 3, 3),
    ]
    assert rows[1].coverage == pytest.approx(2 / 3)
    assert rows[1].methylation_rate == 0.5
    empty = summarize(table.select(np.array([0])))
    assert np.isnan(empty[0].methylation_rate)
    assert np.isnan(empty[1].coverage)
