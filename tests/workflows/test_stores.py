import json
import zlib

import h5py
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcpg_tf import MethylationTable, build_table, export_table
from deepcpg_tf.data.table_reference import reference_of
from deepcpg_tf.errors import DeepCpgError, InputError, OutputError, TableError
from deepcpg_tf.genome.reference import Genome
from tests.data.tables import SMALL_LABELS, small_table

LETTERS = {"chr10": "TTACGCGTTNCGAACGT" * 40, "2": "CGCGACGTCGNNCG" * 50, "scaffold_1": "ACGT" * 9}
SITES = [
    (name, place)
    for name, letters in LETTERS.items()
    for place in range(len(letters))
    if letters[place : place + 2] == "CG"
]
ROUND = {"methscan": "folder", "amethyst": "cells.h5", "cpg-transformer": "folder"}


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "made.fa"
    path.write_text("".join(f">{name}\n{letters}\n" for name, letters in LETTERS.items()))
    return Genome(path)


def table_of(calls, cells, genome):
    """Make a table of {(site, cell): call}; sites are indices into SITES."""
    sites = sorted({site for site, _ in calls})
    names = list(dict.fromkeys(SITES[site][0] for site in sites))
    matrix = scipy.sparse.dok_array((len(sites), len(cells)), dtype=np.int8)
    for (site, cell), call in calls.items():
        matrix[sites.index(site), cell] = call
    return MethylationTable(
        tuple(cells),
        tuple(names),
        np.array([names.index(SITES[site][0]) for site in sites], np.int32),
        np.array([SITES[site][1] for site in sites]),
        scipy.sparse.csr_array(matrix.tocsr()),
        reference_of(genome, names),
    )


def export(table, folder, format_, genome):
    out = folder / ROUND[format_]
    export_table(
        table, out, format=format_, genome=genome if format_ == "cpg-transformer" else None
    )
    return out


def assert_same(found, table):
    assert (found.cells, found.chromosomes) == (table.cells, table.chromosomes)
    assert (found.chromosome_ids == table.chromosome_ids).all()
    assert (found.positions == table.positions).all()
    assert (found.calls.toarray() == table.calls.toarray()).all()
    assert found.reference == table.reference


CELLS = st.lists(
    st.text(st.characters(categories=["L", "N"], include_characters="-_ ."), min_size=1).filter(
        lambda name: name == name.strip() and not name.startswith(".")
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@pytest.mark.parametrize("format_", ROUND)
@settings(max_examples=15)
@given(data=st.data())
def test_round_trips(tmp_path_factory, genome, format_, data):
    cells = data.draw(CELLS)
    keys = st.tuples(st.integers(0, len(SITES) - 1), st.integers(0, len(cells) - 1))
    calls = data.draw(st.dictionaries(keys, st.sampled_from([1, -1]), min_size=1, max_size=60))
    table = table_of(calls, cells, genome)
    folder = tmp_path_factory.mktemp("round")
    out = export(table, folder, format_, genome)
    assert_same(build_table(out, genome), table)


@pytest.mark.parametrize("format_", ROUND)
def test_a_table_is_built_again(format_, tmp_path):
    table = small_table(tmp_path)
    out = export(table, tmp_path, format_, Genome(tmp_path / "small.fa"))
    found = build_table([out], tmp_path / "small.fa", tmp_path / "again.h5ad")
    assert_same(found, table)
    assert found.labels(np.arange(6)).tolist() == SMALL_LABELS
    assert found.obs is not None
    assert found.obs["format"].tolist() == [format_] * 3
    assert found.obs["lines_read"].tolist() == [3, 3, 3]
    assert [*tmp_path.glob(".*")] == []


def test_what_methscan_reads(tmp_path):
    export_table(small_table(tmp_path), tmp_path / "out", format="methscan")
    matrix = scipy.sparse.load_npz(tmp_path / "out" / "X.npz")
    assert matrix.format == "csr"
    assert (matrix.dtype, matrix.indices.dtype) == (np.int8, np.int32)
    expected = np.zeros((10, 3), int)  # to the last position, counted from 1
    expected[1, 2], expected[3, 1], expected[3, 2] = 1, -1, 1
    expected[9, 0], expected[9, 1] = 1, -1
    assert (matrix.toarray() == expected).all()
    assert (tmp_path / "out" / "column_header.txt").read_text() == "b\na\nc\n"
    assert (tmp_path / "out" / "cell_stats.csv").read_text() == (
        f"cell_name,n_obs,n_meth,global_meth_frac\nb,3,2,{2 / 3}\na,3,1,{1 / 3}\nc,3,3,1.0\n"
    )


def test_what_amethyst_reads(tmp_path):
    export_table(small_table(tmp_path), tmp_path / "out.h5", format="amethyst")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["metadata/version"][()] == b"amethyst2.0.0"
        assert list(file["CG"]) == ["b", "a", "c"]
        rows = np.array(file["CG/a/1"])
    assert rows.dtype == [("chr", "S10"), ("pos", "<i8"), ("c", "<i8"), ("t", "<i8")]
    assert rows.tolist() == [(b"X", 3, 0, 1), (b"X", 9, 0, 1), (b"1", 5, 1, 0)]


def test_what_cpg_transformer_reads(tmp_path):
    table = small_table(tmp_path)
    genome = Genome(tmp_path / "small.fa")
    export_table(table, tmp_path / "out", format="cpg-transformer", genome=genome)
    y, pos, bases = (np.load(tmp_path / "out" / f"{name}.npz") for name in ("y", "pos", "X"))
    assert y.files == pos.files == bases.files == ["X", "1"]
    assert (y["X"].dtype, pos["X"].dtype, bases["X"].dtype) == (np.int8, np.int32, np.int8)
    assert y["X"].tolist() == SMALL_LABELS[:3]
    assert pos["1"].tolist() == [1, 4, 7]
    assert bases["1"].tolist() == [0, 2, 3, 0, 2, 3, 0, 2, 3, 0]  # A 0, T 1, C 2, G 3
    assert (bases["1"][pos["1"]] == 2).all()


def chunk(path, array, index):
    about = json.loads((path / array / ".zarray").read_text())
    assert about["fill_value"] is None  # which xarray would take for missing values
    data = zlib.decompress((path / array / index).read_bytes())
    return np.frombuffer(data, about["dtype"]).reshape(about["chunks"])


def test_counts_of_bins(tmp_path):
    export_table(small_table(tmp_path), tmp_path / "out.mcds", format="mcds", bins="4")
    group = tmp_path / "out.mcds" / "chrom4"
    assert chunk(group, "cell", "0").tolist() == ["b", "a", "c"]
    assert chunk(group, "chrom4", "0").tolist() == ["X_0", "X_1", "X_2", "1_0", "1_1", "1_2"]
    assert chunk(group, "chrom4_chrom", "0").tolist() == ["X"] * 3 + ["1"] * 3
    assert chunk(group, "chrom4_start", "0").tolist() == [0, 4, 8] * 2
    assert chunk(group, "chrom4_end", "0").tolist() == [4, 8, 10] * 2
    counts = chunk(group, "chrom4_da", "0.0.0.0")[:, :, 0]
    labels = np.array(SMALL_LABELS).T
    sites = [[0, 1], [], [2], [3], [4, 5], []]  # X: 0, 2, 8; 1: 1, 4, 7
    assert counts[..., 1].tolist() == [[(c[s] >= 0).sum() for s in sites] for c in labels]
    assert counts[..., 0].tolist() == [[(c[s] == 1).sum() for s in sites] for c in labels]
    assert (tmp_path / "out.mcds" / "chrom_sizes.txt").read_text() == "X\t10\n1\t10\n"
    everything = json.loads((group / ".zmetadata").read_text())["metadata"]
    assert everything["chrom4_da/.zattrs"] == {
        "_ARRAY_DIMENSIONS": ["cell", "chrom4", "mc_type", "count_type"]
    }


def test_the_zarr_library_reads_it(tmp_path):
    zarr = pytest.importorskip("zarr")  # which some releases of anndata bring
    export_table(small_table(tmp_path), tmp_path / "out.mcds", format="mcds", bins="1k")
    group = zarr.open_group(tmp_path / "out.mcds" / "chrom1k", mode="r")
    assert group.attrs["coordinates"] == "chrom1k_chrom chrom1k_end chrom1k_start"
    assert group["chrom1k"][:].tolist() == ["X_0", "1_0"]
    assert group["mc_type"][:].tolist() == ["CGN"]
    assert group["count_type"][:].tolist() == ["mc", "cov"]
    assert group["chrom1k_da"].shape == (3, 2, 1, 2)
    assert group["chrom1k_da"][:, :, 0].tolist() == [
        [[1, 1], [1, 2]],
        [[0, 2], [1, 1]],
        [[2, 2], [1, 1]],
    ]


def test_counts_of_regions_that_overlap(tmp_path):
    bed = tmp_path / "my genes.bed"
    bed.write_text("# chrom\nchr1\t0\t10\tall\n1\t4\t7\tone\n7\t0\t9\tother\nX\t9\t9\tempty\n")
    export_table(small_table(tmp_path), tmp_path / "out", format="mcds", regions=bed)
    group = tmp_path / "out" / "my_genes"
    assert chunk(group, "my_genes", "0").tolist() == ["all", "one", "empty"]
    counts = chunk(group, "my_genes_da", "0.0.0.0")[:, :, 0]
    assert counts.tolist() == [
        [[1, 2], [0, 1], [0, 0]],
        [[1, 1], [1, 1], [0, 0]],
        [[1, 1], [0, 0], [0, 0]],
    ]
    bed.write_text("X\t0\t10\n1\t0\t10\n")
    export_table(small_table(tmp_path), tmp_path / "other", format="mcds", regions=bed)
    names = chunk(tmp_path / "other" / "my_genes", "my_genes", "0")
    assert names.tolist() == ["my_genes_0", "my_genes_1"]


def test_chunks_of_cells(tmp_path, genome):
    calls = {(site, cell): 1 - 2 * (cell % 2) for cell in range(120) for site in range(cell + 1)}
    table = table_of(calls, [f"cell {i}" for i in range(120)], genome)
    export_table(table, tmp_path / "out", format="mcds", bins="1kb")
    parts = [chunk(tmp_path / "out" / "chrom1k", "chrom1k_da", f"{i}.0.0.0") for i in range(3)]
    counts = np.concatenate(parts)[:, :, 0].sum(axis=1)
    assert counts[:120, 1].tolist() == [cell + 1 for cell in range(120)]
    assert counts[:120, 0].tolist() == [(cell + 1) * (cell % 2 == 0) for cell in range(120)]
    assert not counts[120:].any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"format": "loom"}, "format: expected one of methscan, amethyst, mcds, cpg-transformer, "),
        ({"format": "methscan", "genome": "small.fa"}, "genome: expected the reference with cpg-"),
        ({"format": "cpg-transformer"}, "received none with cpg-transformer"),
        ({"format": "mcds"}, "regions, bins: expected one of the two with mcds"),
        ({"format": "mcds", "regions": "a.bed", "bins": "1k"}, "received 2 with mcds"),
        ({"format": "amethyst", "bins": "1k"}, "and none with other formats"),
        ({"format": "mcds", "bins": "0kb"}, "bins: expected a number of bases, such as 100kb"),
        ({"format": "mcds", "bins": "many"}, "received 'many'"),
    ],
)
def test_what_does_not_go_together(tmp_path, given, message):
    with pytest.raises(InputError) as error:
        export_table(small_table(tmp_path), tmp_path / "out", **given)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("format_", "cells", "chromosome", "received"),
    [
        ("methscan", ("a", "b\nc", "d"), "X", "'b\\nc'"),
        ("methscan", ("a", " b", "d"), "X", "' b'"),
        ("methscan", ("a", "b", "d"), "HLA/X", "'HLA/X'"),
        ("amethyst", ("a", "b/c", "d"), "X", "'b/c'"),
        ("cpg-transformer", ("a", "", "d"), "X", "''"),
    ],
)
def test_names_that_a_format_cannot_hold(tmp_path, format_, cells, chromosome, received):
    path = tmp_path / "named.fa"
    path.write_text(f">{chromosome}\nCG\n")
    genome = Genome(path)
    table = MethylationTable(
        cells,
        (chromosome,),
        np.zeros(1, np.int32),
        np.zeros(1, np.int64),
        scipy.sparse.csr_array(np.array([[1, -1, 1]], np.int8)),
        reference_of(genome, [chromosome]),
    )
    with pytest.raises(TableError) as error:
        export(table, tmp_path, format_, genome)
    assert str(error.value).endswith(f"received {received}")
    assert [file.name for file in tmp_path.iterdir()] == ["named.fa"]


def test_a_folder_of_somebody_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("all of it")
    with pytest.raises(OutputError, match="expected a new or an empty folder"):
        export_table(small_table(tmp_path), tmp_path / "out", format="methscan")
    with pytest.raises(OutputError, match="expected the name of a file to write"):
        export_table(small_table(tmp_path), tmp_path / "out", format="amethyst")
    with pytest.raises(OutputError, match="expected the name of a folder to write"):
        export_table(small_table(tmp_path), tmp_path / "small.fa", format="methscan")
    assert (tmp_path / "out" / "thesis.txt").read_text() == "all of it"


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    from deepcpg_tf.data.stores import methscan

    monkeypatch.setattr(methscan, "_statistics", lambda table: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_table(small_table(tmp_path), tmp_path / "out", format="methscan")
    assert [file.name for file in tmp_path.iterdir()] == ["small.fa"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X\t5\t2\n", "line 1: expected the BED columns"),
        ("X\t5\n", "line 1: expected the BED columns"),
        ("7\t5\t6\n", "expected intervals on the chromosomes of the table (X, 1), found 7"),
        ("", "found none"),
        ("X\t5\t6\ta\nX\t7\t8\n", "expected a name in all lines or in none"),
        ("X\t5\t6\ta\nX\t7\t8\ta\n", "received 'a' several times"),
    ],
)
def test_regions_that_are_none(tmp_path, text, message):
    bed = tmp_path / "regions.bed"
    bed.write_text(text)
    with pytest.raises(DeepCpgError) as error:
        export_table(small_table(tmp_path), tmp_path / "out", format="mcds", regions=bed)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()
