import h5py
import numpy as np
import pyarrow.parquet
import pytest

from deepcpg_tf.errors import OutputError
from deepcpg_tf.results import predictions
from deepcpg_tf.results.predictions import Batch, open_predictions
from tests.evaluation.examples import RUN, original


def batches(size):
    """Return the original's evaluation in pieces, and its cells and chromosomes."""
    labels, probabilities, cells = original()
    with h5py.File(RUN / "eval.h5") as file:
        names, ids = np.unique(file["chromo"][:].astype(str), return_inverse=True)
        positions = file["pos"][:].astype(np.int64) - 1
    whole = Batch(ids, positions, labels, probabilities)
    pieces = [
        Batch(*(array[start : start + size] for array in whole))
        for start in range(0, len(positions), size)
    ]
    return pieces, cells, names.tolist()


def write(path, size=500):
    pieces, cells, chromosomes = batches(size)
    with open_predictions(path, cells, chromosomes) as writer:
        for piece in pieces:
            writer(piece)


@pytest.mark.parametrize("rows", [1, 700, 1 << 16])
def test_legacy_file_equals_that_of_the_original(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(predictions, "_ROWS", rows)
    write(tmp_path / "eval.h5")
    with h5py.File(RUN / "eval.h5") as expected, h5py.File(tmp_path / "eval.h5") as found:
        names, others = [], []
        expected.visit(names.append)
        found.visit(others.append)
        assert names == others
        for name in names:
            if isinstance(expected[name], h5py.Dataset):
                assert found[name].dtype == expected[name].dtype, name
                np.testing.assert_array_equal(found[name][:], expected[name][:], name)


def test_legacy_chromosomes_have_no_prefix(tmp_path):
    batch = Batch(np.array([1, 0]), np.array([9, 0]), np.int8([[1], [0]]), np.float32([[0.5], [1]]))
    with open_predictions(tmp_path / "a.h5", ["c"], ["chr1", "chr10"]) as writer:
        writer(batch)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["chromo"][:].tolist() == [b"10", b"1"]
        assert file["pos"][:].tolist() == [10, 1]


def test_parquet(tmp_path):
    write(tmp_path / "a.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    pieces, cells, chromosomes = batches(10_000)
    (whole,) = pieces
    assert table.column_names == [
        "chromosome", "position", "c1", "c1_label", "c2", "c2_label", "c3", "c3_label",
    ]  # fmt: skip
    assert table["chromosome"].to_pylist() == [chromosomes[i] for i in whole.chromosome_ids]
    assert table["position"].to_pylist() == whole.positions.tolist()
    for i, cell in enumerate(cells):
        np.testing.assert_array_equal(table[cell].to_numpy(), whole.probabilities[:, i])
        labels = [None if label < 0 else label for label in whole.labels[:, i].tolist()]
        assert table[f"{cell}_label"].to_pylist() == labels
    assert table.schema.field("c1").type == "float"
    assert pyarrow.parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 1


@pytest.mark.parametrize("name", ["a.h5", "a.parquet"])
def test_no_site_at_all(tmp_path, name):
    with open_predictions(tmp_path / name, ["c"], ["1"]):
        pass
    if name == "a.h5":
        with h5py.File(tmp_path / name) as file:
            assert file["preds/cpg/c"].shape == (0,)
    else:
        assert pyarrow.parquet.read_table(tmp_path / name).shape == (0, 4)


@pytest.mark.parametrize("name", ["a.h5", "a.parquet"])
def test_a_failure_leaves_nothing(tmp_path, name):
    pieces, cells, chromosomes = batches(500)
    with (
        pytest.raises(ZeroDivisionError),
        open_predictions(tmp_path / name, cells, chromosomes) as w,
    ):
        w(pieces[0])
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(OutputError, match=r"a.tsv: expected a name ending in .h5 or .parquet"):
        write(tmp_path / "a.tsv")
    with pytest.raises(OutputError, match=r"no/a.h5: expected an existing folder, found no .*no$"):
        write(tmp_path / "no" / "a.h5")


@pytest.mark.parametrize(
    ("cells", "twice"), [(["a", "a_label"], "a_label"), (["position"], "position")]
)
def test_columns_of_one_name(tmp_path, cells, twice):
    message = rf"a.parquet: expected cells that give each column .* received '{twice}' twice"
    with (
        pytest.raises(OutputError, match=message),
        open_predictions(tmp_path / "a.parquet", cells, []),
    ):
        pass
    with open_predictions(tmp_path / "a.h5", cells, ["1"]):
        pass
    assert (tmp_path / "a.h5").exists()
    assert not (tmp_path / "a.parquet").exists()
