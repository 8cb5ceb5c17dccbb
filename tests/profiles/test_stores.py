"""Files of several cells as other programs write them, and damaged ones."""

import io

import h5py
import numpy as np
import pytest
import scipy.sparse

from deepcpg_tf.errors import DeepCpgError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.npz import write_npz
from deepcpg_tf.profiles.cells import open_cells
from deepcpg_tf.profiles.stores import methscan
from tests.profiles.texts import CHR1, CHR2

# CG at 2, 6, 9, 11, 16 of chr1 and 0, 8 of chr2.
CALLS = {"a": {"1": {3: 1, 7: -1, 10: 1}, "2": {1: 1}}, "b": {"1": {7: 1, 17: -1}}, "c": {}}
LABELS = {"a": {"chr1": {2: 1, 6: 0, 9: 1}, "chr2": {0: 1}}, "b": {"chr1": {6: 1, 16: 0}}, "c": {}}


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{CHR1}\n>chr2\n{CHR2}\n")
    return Genome(path)


@pytest.fixture
def read(genome):
    def call(path, format_=None, pattern=None, **options):
        how = {
            "min_coverage": 1,
            "hydroxymethylation": "methylated",
            "min_reference_match": 0.95,
            "keep_coverage": False,
        }
        file = open_cells(path, format_, pattern)
        return list(file.profiles(genome, format=format_, **{**how, **options}))

    return call


@pytest.fixture
def refused(read):
    def call(path, *args, **options):
        with pytest.raises(DeepCpgError) as caught:
            read(path, *args, **options)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(str(path))
        return message.removeprefix(str(path))

    return call


def labels(profiles):
    return {
        profile.cell: {
            name: dict(zip(sites.positions.tolist(), sites.labels.tolist(), strict=True))
            for name, sites in profile.sites.items()
        }
        for profile in profiles
    }


def matrices(calls, shift=0):
    cells, found = list(calls), {}
    for column, by_chromosome in enumerate(calls.values()):
        for chromosome, sites in by_chromosome.items():
            found.setdefault(chromosome, []).extend(
                (position + shift, column, call) for position, call in sites.items()
            )
    return {
        chromosome: scipy.sparse.csr_matrix(
            (
                np.array([call for *_, call in entries], np.int8),
                np.array([entry[:2] for entry in entries]).T,
            ),
            shape=(max(entries)[0] + 1, len(cells)),
        )
        for chromosome, entries in found.items()
    }


@pytest.fixture
def methscan_of(tmp_path):
    def call(calls=CALLS, shift=0, header=None):
        folder = tmp_path / "store"
        folder.mkdir(exist_ok=True)
        for chromosome, matrix in matrices(calls, shift).items():
            scipy.sparse.save_npz(folder / f"{chromosome}.npz", matrix)
        names = "".join(f"{cell}\n" for cell in calls) if header is None else header
        (folder / "column_header.txt").write_text(names)
        return folder

    return call


@pytest.fixture
def amethyst_of(tmp_path):
    def call(cells, dataset="{}/1", context="CG"):
        with h5py.File(tmp_path / "cells.h5", "w") as file:
            file["metadata/version"] = "amethyst2.0.0"
            for cell, rows in cells.items():
                file[f"{context}/{dataset.format(cell)}"] = rows
            file.require_group("CH")
        return tmp_path / "cells.h5"

    return call


def rows(*values, names=("chr", "pos", "t", "c"), types=("S10", int, int, int)):
    return np.array(list(values), [*zip(names, types, strict=True)])


PCT = {"names": ("chr", "pos", "pct"), "types": ("S10", int, float)}


@pytest.fixture
def transformer_of(tmp_path):
    def call(y, pos, cells=None):
        folder = tmp_path / "store"
        folder.mkdir(exist_ok=True)
        np.savez_compressed(folder / "y.npz", **y)
        np.savez_compressed(folder / "pos.npz", **pos)
        if cells is not None:
            (folder / "cells.txt").write_text(cells)
        return folder

    return call


def test_methscan(methscan_of, read):
    profiles = read(methscan_of())
    assert labels(profiles) == LABELS
    accounts = [profile.account for profile in profiles]
    assert [account.read for account in accounts] == [4, 2, 0]
    assert [account.kept for account in accounts] == [4, 2, 0]
    assert str(accounts[0]).startswith("store, a: methscan, 4 sites read, 4 kept; 0 dropped")
    assert accounts[0].match == (4, 4, 0)


def test_methscan_of_both_strands(methscan_of, read):
    calls = {"a": {"1": {3: 1, 7: 1, 8: 1, 10: 1, 11: -1, 13: -1}}, "b": {"1": {3: -1}}}
    profiles = read(methscan_of(calls))
    # 9 is methylated on one strand alone, 11 has a call on its G.
    assert labels(profiles) == {"a": {"chr1": {2: 1, 6: 1, 11: 0}}, "b": {"chr1": {2: 0}}}
    assert profiles[0].account.joined == 2
    assert profiles[0].account.dropped == {"ties": 1}


def test_rows_of_methscan_in_several_pieces(methscan_of, read, monkeypatch):
    from deepcpg_tf import npz

    folder = methscan_of()
    for size in (1, 2, 5):
        monkeypatch.setattr(npz, "_PIECE", size)
        assert labels(read(folder)) == LABELS


def test_methscan_from_zero(methscan_of, read, refused):
    folder = methscan_of(shift=-1)
    # One on chr2 would be before its first base.
    (folder / "2.npz").unlink()
    assert refused(folder) == (
        ": expected sites on a CG of the reference, received 5 as methscan with 0 at offset 0, 0 "
        "at -1, 5 at +1: read it with the format methscan-zero"
    )
    zero = labels(read(folder, "methscan-zero"))
    assert zero["a"] == {"chr1": LABELS["a"]["chr1"]}


def test_methscan_from_one_read_as_from_zero(methscan_of, refused):
    assert refused(methscan_of(), "methscan-zero").endswith("read it with the format methscan")


def test_a_row_before_the_first(methscan_of, refused):
    assert refused(methscan_of(shift=-1)) == "/2.npz: expected positions from 1, received 0"


def test_a_store_of_another_assembly(methscan_of, refused):
    calls = {f"c{i}": {"1": {5: 1, 6: 1, 14: -1, 16: 1, 1: 1, 2: 1}} for i in range(2)}
    assert "is it of another assembly?" in refused(methscan_of(calls))


def test_chromosomes_that_the_reference_lacks(methscan_of, read, refused):
    calls = {"a": {"1": {3: 1}, "7": {5: 1}}}
    (profile,) = read(methscan_of(calls))
    assert profile.account.dropped == {"on chromosomes that the reference lacks": 1}
    assert "(7)" in str(profile.account)
    (methscan_of(calls) / "1.npz").unlink()
    assert refused(methscan_of({"a": {"7": {5: 1}}})) == (
        ": expected chromosomes of genome.fa (chr1, chr2), received 7"
    )


def test_names_of_one_chromosome(methscan_of, refused):
    assert refused(methscan_of({"a": {"1": {3: 1}, "chr1": {3: 1}}})) == (
        ": expected one name a chromosome, received chr1 after 1, both chr1 of the reference"
    )


def test_without_names_of_cells(methscan_of, refused):
    folder = methscan_of()
    (folder / "column_header.txt").unlink()
    assert refused(folder) == (
        ": expected column_header.txt, the names of the cells, beside the chromosomes of MethSCAn "
        "(.npz), found none"
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a\nb\n", "/1.npz: expected a column for each of the 2 names in column_header.txt, "),
        ("a\nb\na\n", ": expected a name of its own for each cell, received 'a' twice"),
        ("\n", ": expected at least one cell, received none"),
    ],
)
def test_names_that_are_none(methscan_of, refused, header, message):
    assert refused(methscan_of(header=header)).startswith(message)


def test_a_store_without_chromosomes(methscan_of, refused):
    folder = methscan_of()
    for file in folder.glob("*.npz"):
        file.unlink()
    assert refused(folder).startswith(": expected a file of each chromosome (.npz)")
    assert (
        refused(methscan_of({"a": {"1": {3: 0}}})) == ": expected sites in 1 cells, received none"
    )


def csr(**changed):
    matrix = matrices(CALLS)["1"]
    arrays = {
        "indices": matrix.indices,
        "indptr": matrix.indptr,
        "format": np.array(b"csr"),
        "shape": np.array(matrix.shape),
        "data": matrix.data,
    }
    return {**arrays, **changed}


def without(name):
    return {key: array for key, array in csr().items() if key != name}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            csr(data=np.array([1, 2, 1, 1, -1], np.int8)),
            "expected calls that are 1 or -1, received '2'",
        ),
        (csr(data=np.array([0.5, 1, 1, 1, 1])), "expected calls that are 1 or -1, received '0.5'"),
        (
            without("data"),
            "expected a sparse matrix, as scipy.sparse.save_npz writes it, received a ",
        ),
        (csr(format=np.array(b"csc")), "expected a matrix by rows (csr), received csc"),
        (csr(indices=np.array([0, 0, 9, 0, 1])), "expected a whole file, received a damaged one"),
        (csr(indices=np.array([0, 1, 1, 0, 1])), "expected a call a cell and position, received "),
        (csr(indptr=np.arange(19)[::-1]), "expected a whole file, received a damaged one"),
        (csr(indptr=np.arange(1, 20)), "expected a whole file, received a damaged one"),
        (csr(indptr=np.linspace(0, 5, 19)), "expected a whole file, received a damaged one"),
        (csr(shape=np.array([5, 3])), "expected a whole file, received a damaged one"),
        (csr(shape=np.array(18)), "expected a column for each of the 3 names"),
        (csr(data=np.array(["x"] * 5)), "expected a whole file, received a damaged one"),
    ],
)
def test_matrices_that_are_none(methscan_of, refused, arrays, message):
    folder = methscan_of()
    write_npz(folder / "1.npz", arrays.items())
    assert refused(folder).startswith(f"/1.npz: {message}")


def test_a_chromosome_that_was_cut_off(methscan_of, refused):
    folder = methscan_of()
    content = (folder / "1.npz").read_bytes()
    (folder / "1.npz").write_bytes(content[: len(content) // 2])
    assert refused(folder).startswith("/1.npz: expected a whole file, received a damaged one: ")


def test_pointers_ascend():
    with pytest.raises(ValueError, match="do not ascend"):
        methscan._rows(iter([np.array([0, 2]), np.array([1, 3])]))
    found = methscan._rows(iter([np.array([0, 2]), np.array([2, 3])]))
    assert [array.tolist() for array in found] == [[0, 2], [2, 1]]


def test_amethyst(amethyst_of, read):
    path = amethyst_of(
        {
            "AAC": rows((b"1", 3, 1, 3), (b"1", 10, 0, 2), (b"1", 11, 3, 0), (b"2", 2, 0, 1)),
            "AAG": rows((b"1", 7, 1, 1), (b"1", 12, 4, 0)),
        }
    )
    with h5py.File(path, "a") as file:  # levels of windows, and another context
        file["CG/AAC/500"] = np.zeros(3, [("chr", "S10"), ("start", int), ("c", int)])
        file["CH/AAC/1"] = rows((b"1", 5, 1, 3))
    profiles = read(path, keep_coverage=True)
    assert labels(profiles) == {
        "AAC": {"chr1": {2: 1, 9: 0}, "chr2": {0: 1}},
        "AAG": {"chr1": {11: 0}},
    }
    assert profiles[0].sites["chr1"].coverage.tolist() == [4, 5]
    assert profiles[0].account.joined == 1
    assert profiles[1].account.dropped == {"ties": 1}
    assert labels(read(path, min_coverage=5))["AAC"] == {"chr1": {9: 0}}


def test_amethyst_of_version_1(amethyst_of, read):
    names, types = ("chr", "pos", "pct", "t", "c"), ("S10", int, float, int, int)
    path = amethyst_of(
        {"AAC": rows((b"1", 3, 75.0, 1, 3), (b"1", 7, 0.0, 2, 0), names=names, types=types)}, "{}"
    )
    assert labels(read(path)) == {"AAC": {"chr1": {2: 1, 6: 0}}}
    assert read(path)[0].account.reads == 6


def test_amethyst_without_counts(amethyst_of, read, refused):
    path = amethyst_of(
        {"A": rows((b"1", 3, 60.0), (b"1", 7, 50.0), (b"1", 10, 100.0), (b"1", 11, 10.0), **PCT)}
    )
    (profile,) = read(path)
    assert labels([profile]) == {"A": {"chr1": {2: 1, 9: 1}}}  # the mean of 100 and 10 above 50
    assert profile.account.reads is None
    assert refused(path, min_coverage=2) == (
        ": expected a format that tells the coverage of sites, as a minimum coverage of 2 asks, "
        "received amethyst"
    )
    assert "as `keep_coverage` asks" in refused(path, keep_coverage=True)
    assert "as `hydroxymethylation` asks" in refused(path, hydroxymethylation="ignore")


def test_amethyst_in_any_order(amethyst_of, read):
    values = [(b"2", 1, 0, 1), (b"1", 10, 0, 2), (b"2", 9, 1, 0), (b"1", 3, 1, 3)]
    assert labels(read(amethyst_of({"A": rows(*values)}))) == {
        "A": {"chr1": {2: 1, 9: 1}, "chr2": {0: 1, 8: 0}}
    }


def test_amethyst_from_zero(amethyst_of, read, refused):
    places = (2, 6, 9, 11, 16)
    path = amethyst_of({"A": rows(*((b"1", at, 0, 1) for at in places), (b"2", 8, 1, 0))})
    assert refused(path).endswith("read it with the format amethyst-zero")
    assert labels(read(path, "amethyst-zero")) == {
        "A": {"chr1": dict.fromkeys(places, 1), "chr2": {8: 0}}
    }


def test_amethyst_with_names_as_text(amethyst_of, read):
    values = rows(("1", 3, 0, 1), types=(h5py.string_dtype(), int, int, int))
    assert labels(read(amethyst_of({"A": values}))) == {"A": {"chr1": {2: 1}}}


def test_sites_of_amethyst_that_are_there_again(amethyst_of, read, refused):
    path = amethyst_of({"A": rows((b"1", 3, 0, 1), (b"1", 7, 0, 1), (b"1", 3, 0, 2))})
    with pytest.warns(UserWarning, match=r"cells.h5, A, row 3: expected each site once"):
        (profile,) = read(path)
    assert labels([profile]) == {"A": {"chr1": {2: 1, 6: 1}}}
    path = amethyst_of({"A": rows((b"1", 3, 0, 1), (b"1", 3, 2, 0))})
    assert refused(path) == (
        ", A, row 2: expected each site once, received 3 again, with another label"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            rows((b"1", 3.5, 0, 1), types=("S10", float, int, int)),
            ", A, row 1: expected a whole number from 1 to 1000000000000 as pos, received 3.5",
        ),
        (rows((b"1", 3, 0, 1), (b"1", 0, 0, 1)), ", A, row 2: expected a whole number from 1 to "),
        (rows((b"1", 3, -1, 1)), ", A, row 1: expected a whole number from 0 to "),
        (rows((b"1", 3, 101.0), **PCT), ", A, row 1: expected pct from 0 to 100, received 101"),
        (rows((b"1", 3, np.nan), **PCT), ", A, row 1: expected pct from 0 to 100, received nan"),
        (
            rows((b"1", 3, 1), names=("chr", "pos", "c"), types=("S10", int, int)),
            ", A: expected rows with the fields chr, pos, c and t, or chr, pos and pct, received "
            "chr, pos, c",
        ),
        (
            rows((b"1", b"3", 0, 1), types=("S10", "S2", int, int)),
            ", A: expected numbers as pos, received |S2",
        ),
        (np.arange(3), ", A: expected rows with the fields chr, pos, c and t, or chr, pos and pct"),
        (
            rows((b"", 3, 0, 1)),
            ": expected names of chromosomes, received ''",
        ),
        (rows(), ": expected sites in 1 cells, received none"),
    ],
)
def test_rows_that_are_none(amethyst_of, refused, values, message):
    assert refused(amethyst_of({"A": values})).startswith(message)


def test_cells_of_amethyst_that_differ(amethyst_of, refused):
    path = amethyst_of({"A": rows((b"1", 3, 0, 1)), "B": rows((b"1", 3, 50.0), **PCT)})
    assert refused(path) == (
        ", B: expected the fields chr, pos, c and t in all cells, or chr, pos and pct, received "
        "chr, pos, pct"
    )


def test_amethyst_without_cg(amethyst_of, refused, tmp_path):
    path = amethyst_of({"A": rows((b"1", 5, 0, 1))}, context="CH")
    assert refused(path) == (
        ": expected calls in the context CG, as amethyst's files have them (/CG/BARCODE/1), "
        "received CH alone"
    )
    path = amethyst_of({"A": rows((b"1", 5, 0, 1))}, "{}/500")
    assert refused(path) == ", A: expected the calls of bases, /CG/A/1, received 500 alone"


def test_other_hdf5(tmp_path, refused):
    path = tmp_path / "cells.h5"
    for names, message in ((("X", "obs"), "an AnnData file"), (("chromo", "pos"), "import-legacy")):
        with h5py.File(path, "w") as file:
            for name in names:
                file[name] = np.zeros(2)
        assert message in refused(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refused(path).startswith(": expected a whole file, received a damaged one: ")


Y = {"chr1": np.array([[1, -1], [0, 1], [-1, 0]], np.int8), "chr2": np.array([[-1, 1]], np.int8)}
POS = {"chr1": np.array([2, 6, 16], np.int32), "chr2": np.array([8], np.int32)}


def test_cpg_transformer(transformer_of, read):
    profiles = read(transformer_of(Y, POS))
    expected = [{"chr1": {2: 1, 6: 0}}, {"chr1": {6: 1, 16: 0}, "chr2": {8: 1}}]
    assert labels(profiles) == {"cell_1": expected[0], "cell_2": expected[1]}
    named = read(transformer_of(Y, POS, "x y\nz\n"))
    assert [profile.cell for profile in named] == ["x y", "z"]


def test_cpg_transformer_by_columns_and_in_pieces(transformer_of, read, monkeypatch):
    from deepcpg_tf import npz

    monkeypatch.setattr(npz, "_PIECE", 4)
    expected = labels(read(transformer_of(Y, POS)))
    by_columns = {name: np.asfortranarray(states) for name, states in Y.items()}
    assert labels(read(transformer_of(by_columns, POS))) == expected


def test_levels_of_cpg_transformer(transformer_of, read, refused):
    y = {"chr1": np.array([[0.8, -1], [0.5, 1], [0.2, -1]], np.float32)}
    profiles = read(transformer_of(y, {"chr1": POS["chr1"]}))
    assert labels(profiles) == {"cell_1": {"chr1": {2: 1, 16: 0}}, "cell_2": {"chr1": {6: 1}}}
    y["chr1"][0, 0] = 1.5
    assert refused(transformer_of(y, {"chr1": POS["chr1"]})) == (
        "/y.npz, chr1: expected levels from 0 to 1, or -1, received 1.5"
    )


@pytest.mark.parametrize(
    ("y", "pos", "cells", "message"),
    [
        (
            Y,
            {"chr1": POS["chr1"] + 1, "chr2": POS["chr2"] + 1},
            None,
            ": expected sites on a CG of the reference, received 5 as cpg-transformer with 0 at "
            "offset 0, 5 at -1, 0 at +1: subtract 1 from its positions",
        ),
        (Y, POS, "one\n", "/y.npz, chr1: expected 1 cells, as there are names or as chr1 has, "),
        (Y, {"chr1": POS["chr1"]}, None, ": expected the same chromosomes in y.npz and pos.npz, "),
        (
            Y,
            {**POS, "chr1": POS["chr1"][::-1]},
            None,
            "/pos.npz, chr1: expected ascending positions, each once, received 6 after 16",
        ),
        (
            Y,
            {**POS, "chr1": np.array([2, 2, 6])},
            None,
            "/pos.npz, chr1: expected ascending positions, each once, received 2 after 2",
        ),
        (Y, {**POS, "chr1": POS["chr1"] + 0.5}, None, "/pos.npz, chr1: expected whole numbers, "),
        (Y, {**POS, "chr1": POS["chr1"] - 9}, None, "/pos.npz, chr1: expected positions from 0, "),
        (Y, {**POS, "chr1": POS["chr1"][1:]}, None, "/y.npz, chr1: expected 2 sites, as pos.npz "),
        (
            {**Y, "chr1": Y["chr1"] + 1},
            POS,
            None,
            "/y.npz, chr1: expected calls that are 0, 1 or -1, received '2'",
        ),
        ({**Y, "chr1": Y["chr1"][None]}, POS, None, "/y.npz, chr1: expected states of sites in "),
        (
            {**Y, "chr1": Y["chr1"] > 0},
            POS,
            "a\nb\n",
            "/y.npz, chr1: expected numbers, received bool",
        ),
        (
            {**Y, "chr\n3": Y["chr2"]},
            {**POS, "chr\n3": POS["chr2"]},
            None,
            ": expected names of chromosomes, received 'chr\\n3'",
        ),
        ({}, {}, None, ": expected the same chromosomes in y.npz and pos.npz, received none"),
    ],
)
def test_arrays_that_are_none(transformer_of, refused, y, pos, cells, message):
    assert refused(transformer_of(y, pos, cells)).startswith(message)


def test_half_of_cpg_transformer(transformer_of, refused):
    folder = transformer_of(Y, POS)
    (folder / "pos.npz").write_bytes(b"PK text")
    assert refused(folder).startswith("/pos.npz: expected a whole file, received a damaged one: ")
    (folder / "pos.npz").unlink()
    assert refused(folder) == ": expected y.npz and pos.npz of CpG Transformer, found no pos.npz"
    assert refused(folder / "y.npz") == (
        ": expected the folder of CpG Transformer's y.npz and pos.npz, received one of the files"
    )


def test_other_folders(tmp_path, refused):
    folder = tmp_path / "other"
    folder.mkdir()
    assert refused(folder).endswith("received another folder")
    (folder / ".ALLCools").write_text("")
    assert refused(folder) == (
        ": expected calls of single sites, received a Zarr store, such as ALLCools' MCDS, which "
        "counts whole regions: build the table from the allc files it was made of"
    )


def test_formats_by_name(tmp_path, refused, methscan_of, read):
    text = tmp_path / "a.tsv"
    text.write_text("1\t3\t1\n")
    assert refused(text, "methscan") == ": expected a folder, as of methscan, found a file"
    assert refused(methscan_of(), "amethyst") == ": expected a file, as of amethyst, found a folder"
    assert refused(methscan_of(), "deepcpg") == ": expected a file, found a folder"
    assert labels(read(text)) == {"a": {"chr1": {2: 1}}}
    with pytest.raises(DeepCpgError, match=r"one of deepcpg, .*, methscan, .*, received 'loom'"):
        read(text, "loom")


def test_names_by_a_pattern(methscan_of, read, refused):
    calls = {f"run7_{cell}.cov": CALLS[cell] for cell in "ab"}
    folder = methscan_of(calls)
    assert [profile.cell for profile in read(folder, pattern="_(.)")] == ["a", "b"]
    assert refused(folder, None, "_(a)") == (
        ": expected the name of a cell where `cell_name` has it, '_(a)', received 'run7_b.cov'"
    )


def test_pieces_of_arrays(tmp_path):
    from deepcpg_tf.npz import npz_pieces, read_npz

    path = tmp_path / "x.npz"
    write_npz(path, [("a", np.arange(6).reshape(3, 2)), ("b", np.array(b"text"))])
    first = path.read_bytes()
    assert read_npz(path)["a"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert np.concatenate([*npz_pieces(path, "a")]).tolist() == [[0, 1], [2, 3], [4, 5]]
    for name in ("b", "c"):
        with pytest.raises(ValueError, match="no whole file of arrays"):
            list(npz_pieces(path, name))
    write_npz(path, [("a", np.arange(6).reshape(3, 2)), ("b", np.array(b"text"))])
    assert path.read_bytes() == first
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(1000))
    whole = buffer.getvalue()
    for cut in range(10, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"\S"):
            list(npz_pieces(path, "a"))
