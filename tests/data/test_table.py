import os
from dataclasses import replace
from itertools import pairwise

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse
from anndata.io import write_elem
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.data.build import table_of_profiles
from deepcpg_tf.data.opening import open_examples
from deepcpg_tf.data.summary import summarize
from deepcpg_tf.data.table_file import read_table, write_table
from deepcpg_tf.data.table_reference import reference_of
from deepcpg_tf.errors import OutputError, TableError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.scan.observed import Observations
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
    table.on(Genome(tmp_path / "small.fa"))
    (tmp_path / "ucsc.fa").write_text(">chr1\nACGacgACGA\n>chr9\nA\n>chrX\nCGCGCGCGCG\n")
    table.on(Genome(tmp_path / "ucsc.fa"))
    (tmp_path / "other.fa").write_text(">1\nACGACGACGT\n>X\nCGCGCGCGCG\n")
    with pytest.raises(
        TableError, match=r"other.fa: expected the reference .*small.fa, received another seq"
    ):
        table.on(Genome(tmp_path / "other.fa"))


def test_chromosomes_are_named_as_in_the_genome(tmp_path):
    (tmp_path / "a.fa").write_text(">MT\nCGCG\n>1\nACGA\n>X\nCG\n")
    (tmp_path / "b.fa").write_text(">chrX\nCG\n>chrM\nCGCG\n>chr1\nACGA\n>chr2\nA\n")
    one, other = Genome(tmp_path / "a.fa"), Genome(tmp_path / "b.fa")
    table = table_of_profiles([profile("a", **{"1": {1: 1}, "MT": {2: 0}, "X": {0: 1}})], one)
    renamed = table.on(other)
    assert renamed.chromosomes == ("chrM", "chr1", "chrX")
    assert as_dict(renamed) == {("chrM", 2): (0,), ("chr1", 1): (1,), ("chrX", 0): (1,)}
    assert renamed.on(other) is renamed
    assert table.on(one) is table


def test_two_chromosomes_that_the_genome_has_once(tmp_path):
    (tmp_path / "a.fa").write_text(">1\nACGA\n>chr1\nACGA\n")
    (tmp_path / "b.fa").write_text(">1\nACGA\n")
    sites = {"1": {1: 1}, "chr1": {1: 0}}
    table = table_of_profiles([profile("a", **sites)], Genome(tmp_path / "a.fa"))
    with pytest.raises(TableError, match="received 1 and chr1, both 1 of b.fa"):
        table.on(Genome(tmp_path / "b.fa"))


def moved(table, by):
    return replace(table, positions=table.positions + by)


def test_sites_that_are_no_cg(table, tmp_path):
    genome = Genome(tmp_path / "small.fa")
    with pytest.raises(TableError) as caught:
        moved(table, 1).on(genome)
    assert str(caught.value) == (
        "table: expected sites that are a CG of small.fa, by the 0-based position of the C, "
        "received 6 of 6 that are none, the first of them X:1"
    )
    with pytest.raises(TableError, match=r"received 1 of 6 that are none, the first of them 1:9$"):
        replace(table, positions=np.array([0, 2, 8, 1, 4, 9])).on(genome)


def test_a_table_that_was_moved_is_not_trained_on(table, tmp_path):
    write_table(moved(table, 1), tmp_path / "table.h5ad")
    with pytest.raises(TableError, match="received 6 of 6 that are none"):
        open_examples([tmp_path / "table.h5ad"], tmp_path / "small.fa", DeepCpgDnaConfig())
    with pytest.raises(TableError, match="received 6 of 6 that are none"):
        Observations(read_table(tmp_path / "table.h5ad"), Genome(tmp_path / "small.fa"), ("a",))


def cut(path, chosen):
    """Cut a table to some sites with anndata."""
    adata = anndata.read_h5ad(path)
    adata[:, chosen(adata.var)].copy().write_h5ad(path)


CUTS = {
    "one chromosome": (lambda var: var.chromosome == "1", ("1",)),
    "the other": (lambda var: var.chromosome == "X", ("X",)),
    "a site": (lambda var: var.index == "1:4", ("1",)),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_table_cut_to_a_chromosome(table, tmp_path, name):
    chosen, chromosomes = CUTS[name]
    path, genome = tmp_path / "table.h5ad", Genome(tmp_path / "small.fa")
    write_table(table, path)
    cut(path, chosen)
    part = read_table(path)
    assert part.chromosomes == chromosomes
    assert part.on(genome) is part
    # The digest is that of what is there, as if the table had been made of it.
    assert part.reference == reference_of(genome, chromosomes)
    # A base of the other chromosome does not matter; one of its own does.
    text = (tmp_path / "small.fa").read_text()
    other = {"1": "CGCGCGCGCG", "X": "ACGACGACGA"}[chromosomes[0]]
    (tmp_path / "b.fa").write_text(text.replace(other, other.replace("A", "T")[:-1] + "N"))
    part.on(Genome(tmp_path / "b.fa"))
    (tmp_path / "c.fa").write_text(text.replace(">1\nA", ">1\nT").replace(">X\nCGCG", ">X\nCGCGCG"))
    with pytest.raises(TableError, match=rf"received another sequence of {chromosomes[0]} \(1"):
        part.on(Genome(tmp_path / "c.fa"))


def test_categories_in_another_order_and_without_sites(table, tmp_path):
    path, genome = tmp_path / "table.h5ad", Genome(tmp_path / "small.fa")
    write_table(table, path)
    adata = anndata.read_h5ad(path)
    adata.var["chromosome"] = adata.var["chromosome"].cat.set_categories(["no", "1", "2", "X"])
    adata.write_h5ad(path)
    loaded = read_table(path)
    assert loaded.chromosomes == ("X", "1")
    assert as_dict(loaded) == as_dict(table)
    assert loaded.on(genome).reference == table.reference


def test_chromosomes_as_plain_text(table, tmp_path):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    with h5py.File(path, "a") as file:
        del file["var/chromosome"]
        write_elem(file["var"], "chromosome", np.array([*"XXX111"], object))
    loaded = read_table(path)
    assert as_dict(loaded) == as_dict(table)
    assert loaded.on(Genome(tmp_path / "small.fa")).reference == table.reference


def as_before(path):
    """Leave of a table what earlier releases wrote."""
    with h5py.File(path, "a") as file:
        for name in file["uns/deepcpg_tf"]:
            if name not in ("format_version", "reference_name", "reference_digest"):
                del file[f"uns/deepcpg_tf/{name}"]


def test_tables_of_earlier_releases(table, tmp_path):
    path, genome = tmp_path / "table.h5ad", Genome(tmp_path / "small.fa")
    write_table(table, path)
    as_before(path)
    loaded = read_table(path)
    assert as_dict(loaded.on(genome)) == as_dict(table)
    (tmp_path / "other.fa").write_text(">1\nACGACGACGT\n>X\nCGCGCGCGCG\n")
    with pytest.raises(TableError, match="expected the reference .* received another sequence"):
        loaded.on(Genome(tmp_path / "other.fa"))
    adata = anndata.read_h5ad(path)
    adata.var["chromosome"] = adata.var["chromosome"].cat.reorder_categories(["1", "X"])
    adata.write_h5ad(path)
    assert as_dict(read_table(path).on(genome)) == as_dict(table)
    # Its one digest is of both chromosomes.
    cut(path, lambda var: var.chromosome == "1")
    with pytest.raises(TableError, match="of an earlier release that was cut to fewer chromosom"):
        read_table(path).on(genome)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0.5, 2, 8, 1, 4, 7], "received 0.5 as that of site 1 on X"),
        ([0, 2, 8, 1, 4.25, 7.5], "received 4.25 as that of site 5 on 1"),
        ([0, 2, 8, 1, 4, float("nan")], "received nan as that of site 6 on 1"),
        ([0, 2, 8, 1, 4, 1e300], r"received 1e\+300 as that of site 6 on 1"),
    ],
)
def test_positions_that_are_no_whole_numbers(table, tmp_path, positions, message):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    change(path, position=positions)
    with pytest.raises(TableError, match=f"expected whole numbers as var/position, {message}$"):
        read_table(path)


def test_whole_positions_in_another_type(table, tmp_path):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    for type_ in (np.float64, np.uint16, np.int32):
        change(path, position=table.positions.astype(type_))
        loaded = read_table(path)
        assert loaded.positions.dtype == np.int64
        assert as_dict(loaded) == as_dict(table)


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
        (
            lambda path: change(path, chromosome=[1, 1, 1, 2, 2, 2]),
            "expected names as var/chromosome, categorical or text, received int64",
        ),
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
    with pytest.raises(TableError, match=r"var/position of 6 sites, .* received .* shape \(5,\)"):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("X/indices", [7] * 9, "X: ind"),
        ("X/indices", [-(2**31)] * 9, "X: ind"),
        ("X/indices", [0.5] * 9, "arrays of numbers in X, received float64"),
        ("X/indices", [0] * 9, "a value a cell and site in X, received several of one"),
        ("X/indices", [0], "X: ind"),
        ("X/indptr", [0, 9, 3, 4, 5, 6, 9], "X: ind"),
        ("X/indptr", [0, 9], "X: ind"),
        ("X/data", [1j] * 9, "arrays of numbers in X, received complex128"),
        ("var/position", [[0], [2], [8], [1], [4], [7]], r"received values of shape \(6, 1\)"),
        ("var/chromosome/codes", [[0, 0, 0, 1, 1, 1]], "in var/chromosome, received"),
        ("uns/deepcpg_tf/format_version", 1.9, "expected version 1 .* received 1.9"),
        ("var/position", [b"0"] * 6, r"whole numbers as var/position, received \|S1"),
        ("uns/deepcpg_tf/format_version", [1], "expected version 1 .* received ndarray"),
        ("uns/deepcpg_tf/format_version", "1", "expected version 1 .* received 1"),
        ("uns/deepcpg_tf/reference_lengths", [10.5, 10], "reference_lengths, received float64"),
        ("uns/deepcpg_tf/reference_name", 3, "text as uns/deepcpg_tf/reference_name, received 3"),
        ("uns/deepcpg_tf/reference_name", {}, "text as uns/deepcpg_tf/reference_name, .* {}"),
        ("uns/deepcpg_tf/settings", 3, "entries in uns/deepcpg_tf/settings, received 3"),
        ("uns/deepcpg_tf", 3, "expected entries in uns/deepcpg_tf, received int"),
    ],
)
def test_elements_that_are_damaged(table, tmp_path, name, value, message):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    with h5py.File(path, "a") as file:
        del file[name]
        write_elem(file, name, np.array(value) if isinstance(value, list) else value)
    with pytest.raises(TableError, match=f"table.h5ad: .*{message}") as error:
        read_table(path)
    assert "\n" not in str(error.value)


def test_the_layer_of_coverage_is_looked_through_too(tmp_path):
    path = tmp_path / "table.h5ad"
    table = small_table(tmp_path)
    write_table(replace(table, coverage=abs(table.calls).astype(np.int32)), path)
    assert read_table(path, coverage=True).coverage.nnz == 9
    with h5py.File(path, "a") as file:
        file["layers/coverage/indices"][...] = 7
    with pytest.raises(TableError, match="layers/coverage: ind"):
        read_table(path, coverage=True)


@pytest.mark.parametrize("encoding", ["", "another", None])
def test_elements_in_a_format_that_is_not_known(table, tmp_path, encoding):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    with h5py.File(path, "a") as file:
        attributes = file["uns/deepcpg_tf/reference_name"].attrs
        del attributes["encoding-type"]
        if encoding is not None:
            attributes["encoding-type"] = encoding
    with pytest.raises(TableError, match="table.h5ad: .*uns/deepcpg_tf") as error:
        read_table(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["X/data", "X/indices", "var/chromosome/codes", "var/position", "obs/_index"],
)
def test_sizes_that_the_file_does_not_hold(table, tmp_path, name):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    with h5py.File(path, "a") as file:
        dtype, attributes = file[name].dtype, dict(file[name].attrs)
        del file[name]
        file.create_dataset(name, 2**40, dtype, chunks=(16,)).attrs.update(attributes)
    with pytest.raises(TableError, match=rf"received {name} of .* bytes, of which it holds 0$"):
        read_table(path)


@pytest.mark.parametrize("target", ["/", "/obs"])
def test_a_group_that_is_in_itself(table, tmp_path, target):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    with h5py.File(path, "a") as file:
        del file["obs/file"]
        file["obs/file"] = h5py.SoftLink(target)
    with pytest.raises(TableError, match="expected a tree, received /.* that is in itself"):
        read_table(path)


def test_rows_of_a_matrix_in_any_order_are_read(table, tmp_path):
    path = tmp_path / "table.h5ad"
    write_table(table, path)
    with h5py.File(path, "a") as file:
        for start, end in pairwise(file["X/indptr"][()].tolist()):
            for part in ("indices", "data"):
                file[f"X/{part}"][start:end] = file[f"X/{part}"][start:end][::-1]
    assert as_dict(read_table(path)) == as_dict(table)


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
