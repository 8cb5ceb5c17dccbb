import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.data.build import table_of_profiles
from deepcpg_tf.data.legacy import rows as legacy_rows
from deepcpg_tf.data.legacy.hdf5 import LegacyData
from deepcpg_tf.data.legacy.tables import table_of_legacy_data
from deepcpg_tf.errors import GenomeError, LegacyDataError
from deepcpg_tf.genome.reference import Genome
from tests.data.tables import GENOME, LEGACY_FILES, RUN, profiles_of_the_run


def read_all(name):
    parts = []
    for path in LEGACY_FILES:
        with h5py.File(path) as file:
            parts.append(file[name][()])
    return np.concatenate(parts)


WINDOWS = read_all("inputs/dna")
LABELS = np.stack([read_all(f"outputs/cpg/c{i}") for i in (1, 2, 3)], axis=1)


@pytest.fixture(scope="module")
def data():
    return LegacyData(LEGACY_FILES)


@pytest.fixture
def write(tmp_path):
    """Write a data file; parts are given as path=array, None leaves one out."""

    def call(name="data.h5", **parts):
        default = {
            "chromo": np.array([b"1", b"1"]),
            "pos": np.array([10, 20], np.int32),
            "inputs/dna": np.array([[0, 3, 2], [1, 3, 2]], np.int8),
            "outputs/cpg/b": np.array([1, -1], np.int8),
            "outputs/cpg/a10": np.array([0, 1], np.int8),
            "outputs/cpg/a9": np.array([-1, -1], np.int8),
        }
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for part, value in {**default, **parts}.items():
                if value is not None:
                    file[part] = value
        return path

    return call


NO_OUTPUTS = {"outputs/cpg/b": None, "outputs/cpg/a10": None, "outputs/cpg/a9": None}


def test_the_files_of_the_original_run(data):
    assert len(data) == len(WINDOWS) == 2297
    assert (data.cells, data.window_length) == (("c1", "c2", "c3"), 101)
    assert data.chromosomes == ("1", "2", "X")
    assert np.bincount(data.chromosome_ids).tolist() == [1480, 525, 292]
    assert (data.positions == read_all("pos") - 1).all()
    everything = np.arange(len(data))
    windows, labels = data.windows_on_disk().windows(everything), data.labels(everything)
    assert (windows.dtype, labels.dtype) == (np.uint8, np.int8)
    assert (windows == WINDOWS).all()
    assert (labels == LABELS).all()
    # The site is in the middle: C 3, G 2.
    assert (windows[:, 50:52] == (3, 2)).all()


@given(st.lists(st.integers(0, len(WINDOWS) - 1)), st.sampled_from([1, 200, 4096]))
def test_any_order(indices, rows_at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(legacy_rows, "_ROWS_AT_ONCE", rows_at_once)
        data = _DATA[0]
        assert (data.windows_on_disk().windows(np.array(indices, int)) == WINDOWS[indices]).all()
        assert (data.labels(np.array(indices, int)) == LABELS[indices]).all()


_DATA = [LegacyData(LEGACY_FILES)]


def test_few_files_are_open_at_a_time(monkeypatch):
    monkeypatch.setattr(legacy_rows, "_OPEN_FILES", 2)
    data = LegacyData(LEGACY_FILES)
    for index in (0, 2296, 600, 0, 1200, 2000, 0):
        assert (data.windows_on_disk().windows(np.array([index])) == WINDOWS[[index]]).all()
        assert len(data._windows._open) <= 2


def test_reading_in_threads(data, monkeypatch):
    monkeypatch.setattr(legacy_rows, "_OPEN_FILES", 1)
    orders = [np.random.default_rng(seed).integers(0, len(WINDOWS), 500) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for order, windows in zip(
            orders, pool.map(data.windows_on_disk().windows, orders), strict=True
        ):
            assert (windows == WINDOWS[order]).all()


def test_unpacked_windows_are_the_same(home, monkeypatch):
    monkeypatch.setattr(legacy_rows, "_ROWS_AT_ONCE", 300)
    LegacyData(LEGACY_FILES).windows_on_disk().unpack(hold=False)
    assert [file.stat().st_size for file in (home / "windows").iterdir()] == [WINDOWS.size]
    monkeypatch.setattr(legacy_rows, "_read_rows", lambda *_: pytest.fail("read again"))
    data = LegacyData(LEGACY_FILES)
    data.windows_on_disk().unpack(hold=False)
    order = np.random.default_rng(0).permutation(len(WINDOWS))
    assert (data.windows_on_disk().windows(order) == WINDOWS[order]).all()
    assert data.windows_on_disk().windows(order[:0]).shape == (0, 101)


def test_windows_are_held_in_memory(home):
    data = LegacyData(LEGACY_FILES)
    data.windows_on_disk().unpack(hold=True)
    (file,) = (home / "windows").iterdir()
    os.truncate(file, 0)
    order = np.random.default_rng(0).permutation(len(WINDOWS))
    assert (data.windows_on_disk().windows(order) == WINDOWS[order]).all()


def test_other_files_are_unpacked_for_themselves(home):
    LegacyData(LEGACY_FILES).windows_on_disk().unpack(hold=False)
    data = LegacyData(LEGACY_FILES[::-1])
    data.windows_on_disk().unpack(hold=False)
    assert (data.windows_on_disk().windows(np.array([0, 2296])) == WINDOWS[[2005, 499]]).all()


def test_cells_are_in_the_order_of_hdf5(write):
    data = LegacyData([write()])
    assert data.cells == ("a10", "a9", "b")
    assert data.labels(np.array([1, 0])).tolist() == [[1, -1, -1], [0, -1, 1]]
    assert data.windows_on_disk().windows(np.array([1, 0])).tolist() == [[1, 3, 2], [0, 3, 2]]
    assert data.positions.tolist() == [9, 19]


def test_chromosomes_of_several_files(write):
    first = write("1.h5", chromo=np.array([b"X", b"10"]))
    second = write("2.h5", chromo=np.array(["2", "X"], h5py.string_dtype()))
    data = LegacyData([first, second])
    names = [data.chromosomes[i] for i in data.chromosome_ids]
    assert names == ["X", "10", "2", "X"]


def test_without_windows(write):
    data = LegacyData([write(**{"inputs/dna": None})])
    assert data.labels(np.array([0])).tolist() == [[0, -1, 1]]
    for read in (
        lambda: data.windows_on_disk().unpack(hold=False),
        lambda: data.windows_on_disk().windows(np.array([0])),
    ):
        with pytest.raises(LegacyDataError, match=r"data.h5: expected windows \(inputs/dna\)"):
            read()


def test_without_outputs(write, tmp_path):
    data = LegacyData([write(**NO_OUTPUTS)])
    assert (data.cells, data.window_length) == ((), 3)
    assert data.windows_on_disk().windows(np.array([1])).tolist() == [[1, 3, 2]]
    assert data.labels(np.array([0, 1])).shape == (2, 0)
    with pytest.raises(LegacyDataError, match=r"data.h5: expected cells \(outputs/cpg\), found n"):
        table_of_legacy_data(data, Genome(GENOME))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"pos": None}, "received a file without pos"),
        ({"chromo": None, "pos": None}, "received a file without chromo and pos"),
        ({"chromo": np.array([b"1"])}, "expected 2 sites, as pos has, received 1 in chromo"),
        ({"outputs/cpg/b": np.zeros(3)}, "expected 2 sites, .* received 3 in outputs/cpg/b"),
        ({"inputs/dna": np.zeros((1, 3))}, "expected 2 sites, .* received 1 in inputs/dna"),
        ({"inputs/dna": np.zeros((2, 4))}, r"an odd number of codes in inputs/dna.*\(2, 4\)"),
        ({"inputs/dna": np.zeros(2)}, r"an odd number of codes in inputs/dna.*\(2,\)"),
        ({"pos": np.array([1, 0])}, "expected positions from 1 in pos, received 0 in row 1"),
        ({"pos": np.array([1, -7])}, "expected positions from 1 in pos, received -7 in row 1"),
        ({"pos": np.array([10, 20.5])}, "whole numbers in pos, received 20.5 in row 1"),
        ({"pos": np.array([np.nan, 20])}, "whole numbers in pos, received nan in row 0"),
        ({"pos": np.array([10, 1e30])}, r"whole numbers in pos, received 1e\+30 in row 1"),
        ({"pos": np.array([10, 2**63], np.uint64)}, "numbers in pos, received 92.* in row 1"),
        ({"pos": np.array([b"10", b"20"])}, r"numbers in pos, received values of type \|S2"),
        ({"pos": np.array([[10], [20]])}, r"a value a site in pos, received shape \(2, 1\)"),
        ({"pos": 10}, r"a value a site in pos, received shape \(\)"),
        ({"chromo": np.array([[b"1"], [b"1"]])}, r"a value a site in chromo, .* \(2, 1\)"),
        ({"chromo": np.array([1.5, 1])}, "whole numbers in chromo, received 1.5 in row 0"),
        ({"chromo": np.array([True, True])}, "expected text in chromo, received values of type bo"),
        ({"chromo": np.array([b"\xff", b"1"])}, r"text in UTF-8 in chromo, received b'\\xff'"),
        ({"outputs/cpg/b": np.zeros((2, 2))}, r"a value a site in outputs/cpg/b, .*\(2, 2\)"),
        ({"outputs/cpg/b": np.array([1, np.nan])}, "in outputs/cpg/b, received nan in row 1"),
        ({"outputs/cpg/b": np.array([b"1", b"0"])}, r"numbers in outputs/cpg/b, .* \|S1"),
        ({"outputs/cpg/b": np.array([1, 0], np.complex64)}, "numbers in outputs/cpg/b, .* complex"),
        ({"outputs/cpg/b": None, "outputs/cpg/b/x": 1}, "a dataset as outputs/cpg/b, .* a group"),
        (
            {**NO_OUTPUTS, "outputs/cpg": np.zeros(2)},
            "a group with a dataset a cell as outputs/cpg",
        ),
        ({"inputs/dna": None, "inputs/dna/x": 1}, "a dataset as inputs/dna, received a group"),
        ({"inputs/dna": np.zeros((2, 3, 4))}, r"an odd number of codes in inputs/dna.*\(2, 3, 4\)"),
        ({"inputs/dna": np.array([b"ACG", b"TCG"])}, r"an odd number of codes in .*\(2,\)"),
        ({"inputs/dna": np.array([[b"A"], [b"C"]])}, r"numbers in inputs/dna, .* type \|S1"),
        ({"outputs/cpg/b": np.array([1, 2])}, r"1, 0 or -1 \(missing\) in outputs/cpg/b.*ved 2 in"),
        ({"outputs/cpg/b": np.array([0.5, 1])}, "in outputs/cpg/b, received 0.5 in row 0"),
        ({"pos": None, "pos/x": np.array([1])}, "expected a dataset as pos, received a group"),
        ({"outputs/cpg/b": 1}, r"a value a site in outputs/cpg/b, received shape \(\)"),
    ],
)
def test_faults_of_a_file(write, parts, message):
    with pytest.raises(LegacyDataError, match=f"data.h5: .*{message}") as error:
        LegacyData([write(**parts)])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["pos", "chromo", "outputs/cpg/b", "inputs/dna"])
def test_sizes_that_the_file_does_not_hold(write, name):
    path = write()
    with h5py.File(path, "a") as file:
        data = file[name]
        del file[name]
        file.create_dataset(
            name, (2**40, *data.shape[1:]), data.dtype, chunks=(16, *data.shape[1:])
        )
    with pytest.raises(LegacyDataError, match=rf"received {name} of .* bytes, .* holds 0$"):
        LegacyData([path])


def test_labels_as_truth_values(write):
    data = LegacyData([write(**{"outputs/cpg/b": np.array([True, False])})])
    assert data.labels(np.array([0, 1]))[:, 2].tolist() == [1, 0]


def test_no_file(tmp_path):
    with pytest.raises(LegacyDataError, match="no.h5: expected a data file .*found no file there"):
        LegacyData([tmp_path / "no.h5"])
    with pytest.raises(LegacyDataError, match="expected at least one, received none"):
        LegacyData([])


def test_something_else(tmp_path):
    (tmp_path / "x.h5").write_text("chr1\t1\t1\n")
    with pytest.raises(LegacyDataError, match="x.h5: .*something else or a damaged file"):
        LegacyData([tmp_path / "x.h5"])


def test_a_damaged_file(tmp_path):
    path = tmp_path / "x.h5"
    shutil.copy(LEGACY_FILES[0], path)
    os.truncate(path, 40_000)
    with pytest.raises(LegacyDataError, match="x.h5: .*something else or a damaged file"):
        LegacyData([path])


def test_damaged_windows(tmp_path):
    path = tmp_path / "x.h5"
    shutil.copy(LEGACY_FILES[0], path)
    with h5py.File(path) as file:
        chunk = file["inputs/dna"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\xff" * chunk.size)
    data = LegacyData([path])
    with pytest.raises(LegacyDataError, match="x.h5: cannot read inputs/dna: "):
        data.windows_on_disk().windows(np.array([0]))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (np.int8(-1), "codes from 0 to 4 in inputs/dna, received -1"),
        (np.int8(5), "codes from 0 to 4 in inputs/dna, received 5"),
        (np.uint8(255), "codes from 0 to 4 in inputs/dna, received 255"),
        (np.float32(7), "codes from 0 to 4 in inputs/dna, received 7"),
        (np.float64(2.7), "whole numbers in inputs/dna, received 2.7"),
        (np.float32(np.nan), "whole numbers in inputs/dna, received nan"),
    ],
)
def test_foreign_codes(write, code, message):
    windows = np.array([[0, 3, 2], [1, 3, 2], [0, code, 2]], code.dtype)
    two = {"chromo": np.array([b"1"] * 3), "pos": np.array([10, 20, 30]), **NO_OUTPUTS}
    data = LegacyData([write(**{"inputs/dna": windows}, **two)])
    assert data.windows_on_disk().windows(np.array([0])).tolist() == [[0, 3, 2]]
    for rows in ([2], [2, 0], [0, 2]):
        with pytest.raises(LegacyDataError, match=rf"data.h5: expected {message} in row 2 \(0-b"):
            data.windows_on_disk().windows(np.array(rows))


@pytest.mark.parametrize("number", [np.float32, np.float64, np.uint64, np.int64, np.uint8])
@pytest.mark.parametrize(
    "chromo",
    [
        np.array([b"1", b"1"]),
        np.array([1, 1]),
        np.array([1.0, 1.0]),
        np.array(["1", "1"], h5py.string_dtype()),
        np.array(["1", "1"], h5py.string_dtype("ascii", 30)),
    ],
    ids=["bytes", "int", "float", "text", "text of one length"],
)
def test_other_types_of_the_same_are_the_same(write, genome, number, chromo):
    labels = {} if np.dtype(number).kind == "u" else {"outputs/cpg/b": np.array([1, -1], number)}
    windows = np.array([[0, 3, 2], [1, 3, 2]], number)
    parts = {"chromo": chromo, "pos": np.array([10, 20], number), "inputs/dna": windows, **labels}
    data, expected = LegacyData([write(**parts)]), LegacyData([write("other.h5")])
    for own in ("cells", "chromosomes", "window_length"):
        assert getattr(data, own) == getattr(expected, own)
    for own in ("positions", "chromosome_ids"):
        one, two = getattr(data, own), getattr(expected, own)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    rows = np.array([1, 0])
    np.testing.assert_array_equal(
        data.windows_on_disk().windows(rows), expected.windows_on_disk().windows(rows)
    )
    np.testing.assert_array_equal(data.labels(rows), expected.labels(rows))
    one, two = (table_of_legacy_data(one, genome) for one in (data, expected))
    assert (one.calls != two.calls).nnz == 0
    np.testing.assert_array_equal(one.positions, two.positions)


def test_no_sites(write):
    """Of one file among several, it does no harm."""
    nothing = {
        "chromo": np.array([], "S2"),
        "pos": np.array([], np.int32),
        "inputs/dna": np.empty((0, 3), np.int8),
        **{f"outputs/cpg/{cell}": np.array([], np.int8) for cell in ("a10", "a9", "b")},
    }
    with pytest.raises(LegacyDataError, match=r"empty.h5: expected sites in pos, found none$"):
        LegacyData([write("empty.h5", **nothing)])
    paths = [write("1.h5"), write("2.h5", **nothing), write("3.h5")]
    data = LegacyData(paths)
    assert data.windows_on_disk().windows(np.array([3, 1])).tolist() == [[1, 3, 2], [1, 3, 2]]
    data.windows_on_disk().unpack(hold=False)
    assert data.windows_on_disk().windows(np.array([2, 1])).tolist() == [[0, 3, 2], [1, 3, 2]]


def test_predictions_are_not_data(write):
    path = write(**{"inputs/dna": None, "preds/cpg/b": np.array([0.1, 0.2], np.float32)})
    message = r"data.h5: expected windows \(inputs/dna\), found predictions \(preds\)$"
    data = LegacyData([path])
    with pytest.raises(LegacyDataError, match=message):
        data.windows_on_disk().windows(np.array([0]))


def test_files_that_disagree(write):
    first = write("1.h5")
    with pytest.raises(
        LegacyDataError, match=r"2.h5: expected the 3 cells of .*1.h5, received 4, .* differ in z$"
    ):
        LegacyData([first, write("2.h5", **{"outputs/cpg/z": np.array([1, 1])})])
    with pytest.raises(
        LegacyDataError, match=r"3.h5: expected windows of 3 bases as in .*1.h5, received 5"
    ):
        LegacyData([first, write("3.h5", **{"inputs/dna": np.zeros((2, 5), np.int8)})])
    with pytest.raises(LegacyDataError, match=r"1.h5: expected each file once"):
        LegacyData([first, first.parent / "." / "1.h5"])


@pytest.mark.parametrize("genome", [GENOME, RUN / "dna"])
def test_the_imported_table_is_the_one_built_from_profiles(genome):
    reference = Genome(genome)
    # Files in another order: sites are sorted by the reference.
    imported = table_of_legacy_data(LegacyData(LEGACY_FILES[::-1]), reference)
    built = table_of_profiles(profiles_of_the_run(), reference)
    assert (imported.cells, imported.chromosomes) == (built.cells, built.chromosomes)
    assert (imported.chromosome_ids == built.chromosome_ids).all()
    assert (imported.positions == built.positions).all()
    assert (imported.calls.toarray() == built.calls.toarray()).all()
    assert imported.reference == built.reference


@pytest.fixture
def genome(tmp_path):
    (tmp_path / "g.fa").write_text(">chr1\n" + "A" * 9 + "CG" + "T" * 8 + "CGA\n")
    return Genome(tmp_path / "g.fa")


def test_names_follow_the_genome(write, genome):
    table = table_of_legacy_data(LegacyData([write()]), genome)
    assert table.chromosomes == ("chr1",)
    assert table.positions.tolist() == [9, 19]


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        (
            {"pos": np.array([10, 10])},
            LegacyDataError,
            r"each site once, received chromosome chr1, position 10 \(1-based\) twice",
        ),
        (
            {"pos": np.array([11, 21])},
            LegacyDataError,
            r"data.h5: expected sites that are CG in g.fa, received 0 of 2",
        ),
        ({"pos": np.array([10, 23])}, GenomeError, "chromosome chr1: .* from 0 to 21, received 22"),
        ({"chromo": np.array([b"1", b"7"])}, GenomeError, "chromosome '7': expected one of g.fa"),
    ],
)
def test_imports_that_cannot_be(write, genome, parts, error, message):
    with pytest.raises(error, match=message):
        table_of_legacy_data(LegacyData([write(**parts)]), genome)


@pytest.mark.parametrize(
    ("predictions", "found"),
    [({}, "none"), ({"preds/cpg/b": np.zeros(2, np.float32)}, r"predictions \(preds\)")],
)
def test_nothing_was_observed(write, genome, predictions, found):
    """As in the files that `predict` writes."""
    nothing = {name: np.array([-1, -1], np.int8) for name in NO_OUTPUTS}
    message = rf"data.h5: expected observations \(1 or 0 in outputs/cpg\), found {found}$"
    with pytest.raises(LegacyDataError, match=message):
        table_of_legacy_data(LegacyData([write(**nothing, **predictions)]), genome)


def test_a_site_that_is_no_cg_is_left_out(write, tmp_path):
    (tmp_path / "g.fa").write_text(">chr1\n" + "A" * 9 + "CG" + "T" * 8 + "CAA\n>chr2\nCGA\n")
    genome = Genome(tmp_path / "g.fa")
    with pytest.warns(UserWarning, match=r"data.h5: .* received 1 of 2 that are none, which were"):
        table = table_of_legacy_data(LegacyData([write()]), genome)
    assert table.positions.tolist() == [9]
    assert table.calls.shape == (1, len(table.cells))
    assert table.on(genome) is table


def test_files_of_another_assembly(tmp_path):
    """A base more in the middle of a chromosome: half of its sites are still right."""
    records = [record.partition("\n") for record in GENOME.read_text().split(">")[1:]]
    letters = {name: text.replace("\n", "") for name, _, text in records}
    half = len(letters["1"]) // 2
    letters["1"] = letters["1"][:half] + "A" + letters["1"][half:]
    fasta = "".join(f">{name}\n{text}\n" for name, text in letters.items())
    (tmp_path / "g.fa").write_text(fasta)
    with pytest.raises(LegacyDataError, match=r"on a C of g.fa, received 1: \d\d\.\d% of 1480: is"):
        table_of_legacy_data(LegacyData(LEGACY_FILES), Genome(tmp_path / "g.fa"))


def near(state, dist):
    """What a file has of the neighbours of its two sites in one cell."""
    return {
        "inputs/cpg/b/state": np.array(state, np.int8),
        "inputs/cpg/b/dist": np.array(dist, np.float32),
    }


def test_neighbours_are_those_of_each_file(write):
    config = DeepCpgCpgConfig(
        cells=("b",), neighbours=2, max_distance=100, state_means=(0.25,)
    )  # the nearest two of four
    first = write(
        "1.h5", **near([[0, 1, 0, 1], [1, -1, 0, 0]], [[9, 5, 50, 60], [9, -1, 200, 300]])
    )
    other = write("2.h5", **near([[1, 1, -1, -1], [-1] * 4], [[9, 8, -1, -1], [-1] * 4]))
    found = LegacyData([first, other]).examples(config).arrays(np.array([3, 0, 2, 1]))
    np.testing.assert_allclose(found["state"][:, 0], np.array([[1, 1], [4, 0], [4, 1], [1, 0]]) / 4)
    np.testing.assert_allclose(found["dist"][:, 0] * 100, [[100] * 2, [5, 50], [8, 100], [100] * 2])


@pytest.mark.parametrize(
    ("state", "dist", "message"),
    [
        ([[1, 0], [1, 0]], [[3, 4], [3, -1]], "the distance of each state in inputs/cpg/b, receiv"),
        ([[1, 0], [1, 0]], [[3, 4], [-2, 1]], r"base pairs or -1 \(none\) in .*/dist, .* -2.0"),
        ([[1, 0], [2, 0]], [[3, 4], [3, 4]], r"1, 0 or -1 \(none\) in inputs/cpg/b/state, rec.* 2"),
    ],
)
def test_neighbours_that_cannot_be(write, state, dist, message):
    paths = [write("1.h5", **near([[1, 0]] * 2, [[3, 4]] * 2)), write("2.h5", **near(state, dist))]
    config = DeepCpgCpgConfig(cells=("b",), neighbours=2)
    examples = LegacyData(paths).examples(config)
    with pytest.raises(LegacyDataError, match=rf"2\.h5: expected {message}.* in row 1 "):
        examples.arrays(np.arange(4))
