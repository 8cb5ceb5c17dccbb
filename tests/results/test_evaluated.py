"""Predictions beside the labels that they are compared with."""

import h5py
import numpy as np
import pyarrow.parquet
import pytest

from deepcpg_tf.errors import OutputError
from deepcpg_tf.results import blocks
from deepcpg_tf.results.blocks import shards_of
from deepcpg_tf.results.contents import Contents, Kind
from deepcpg_tf.results.registry import check_result, write_results
from deepcpg_tf.scan.shards import Shard
from tests.evaluation.examples import RUN, original


def sites():
    """Return the original's chromosomes, and the chromosome and position of each site."""
    with h5py.File(RUN / "eval.h5") as file:
        names, ids = np.unique(file["chromo"][:].astype(str), return_inverse=True)
        return tuple(names.tolist()), ids, file["pos"][:].astype(np.int64) - 1


def contents(cells, chromosomes):
    return Contents(tuple(cells), tuple(chromosomes), kind=Kind.EVALUATED)


def write(path):
    labels, probabilities, cells = original()
    chromosomes, ids, positions = sites()
    shards = shards_of(chromosomes, ids, positions, probabilities, labels)
    write_results(path, contents(cells, chromosomes), shards)


@pytest.mark.parametrize("rows", [50, 700, 1 << 16])
def test_legacy_file_equals_that_of_the_original(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(blocks, "ROWS", rows)
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
    shards = shards_of(
        ["chr1", "chr10"],
        np.array([1, 0, 1]),
        np.array([9, 0, 4]),
        np.array([[0.5], [1], [0]], np.float32),
        np.array([[1], [0], [-1]], np.int8),
    )
    write_results(tmp_path / "a.h5", contents(["c"], ["chr1", "chr10"]), shards)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["chromo"][:].tolist() == [b"10", b"1", b"10"]
        assert file["pos"][:].tolist() == [10, 1, 5]
        assert file["outputs/cpg/c"][:].tolist() == [1, 0, -1]


def test_parquet(tmp_path):
    write(tmp_path / "a.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    labels, probabilities, cells = original()
    chromosomes, ids, positions = sites()
    assert table.column_names == [
        "chromosome", "position", "c1", "c1_label", "c2", "c2_label", "c3", "c3_label",
    ]  # fmt: skip
    assert str(table.schema.field("chromosome").type).startswith("dictionary<values=string")
    assert table["chromosome"].to_pylist() == [chromosomes[i] for i in ids]
    assert table["position"].to_pylist() == positions.tolist()
    for i, cell in enumerate(cells):
        np.testing.assert_array_equal(table[cell].to_numpy(), probabilities[:, i])
        expected = [None if label < 0 else label for label in labels[:, i].tolist()]
        assert table[f"{cell}_label"].to_pylist() == expected
    assert table.schema.field("c1").type == "float"
    assert pyarrow.parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 1


@pytest.mark.parametrize("name", ["a.h5", "a.parquet"])
def test_no_site_at_all(tmp_path, name):
    none = np.empty(0, np.int64)
    shards = shards_of(["1"], none, none, np.empty((0, 1), np.float32), np.empty((0, 1), np.int8))
    write_results(tmp_path / name, contents(["c"], ["1"]), shards)
    if name == "a.h5":
        with h5py.File(tmp_path / name) as file:
            assert file["preds/cpg/c"].shape == (0,)
    else:
        assert pyarrow.parquet.read_table(tmp_path / name).shape == (0, 4)


def test_sites_in_any_order_become_shards():
    ids, positions = np.array([2, 2, 0, 2]), np.array([5, 3, 3, 9])
    found = list(shards_of("abc", ids, positions, np.array([[0], [1], [2], [3]], np.float32)))
    assert [shard.chromosome for shard in found] == ["c", "a", "c"]
    assert [shard.positions.tolist() for shard in found] == [[5, 3], [3], [9]]
    assert [shard.probabilities.ravel().tolist() for shard in found] == [[0, 1], [2], [3]]


def test_blocks_have_one_size_across_chromosomes(monkeypatch):
    monkeypatch.setattr(blocks, "ROWS", 4)
    numbers = iter(range(100))
    shards = [
        Shard(name, np.array(own, np.int64), np.array([[i] for i in own], np.float32))
        for name, n in (("x", 3), ("x", 0), ("y", 2), ("x", 6))
        for own in [[next(numbers) for _ in range(n)]]
    ]
    found = list(blocks.blocks(shards, ["y", "x"]))
    assert [block.positions.tolist() for block in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert [block.chromosome_ids.tolist() for block in found] == [
        [1, 1, 1, 0],
        [0, 1, 1, 1],
        [1] * 3,
    ]


def test_outputs_that_cannot_be(tmp_path):
    with pytest.raises(OutputError, match=r"a.tsv: expected a name ending in .parquet, .h5$"):
        write(tmp_path / "a.tsv")
    with pytest.raises(OutputError, match=r"no/a.h5: expected an existing folder, found no .*no$"):
        write(tmp_path / "no" / "a.h5")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a", "a_label"], "received 'a_label' both for cell 'a' and for cell 'a_label'"),
        (["position"], "received 'position' both for the sites and for cell 'position'"),
    ],
)
def test_columns_of_one_name(tmp_path, cells, message):
    hint = "; a file ending in .h5 has no such limit$"
    with pytest.raises(OutputError, match=message + hint):
        check_result(tmp_path / "a.parquet", contents(cells, ["1"]))
    check_result(tmp_path / "a.h5", contents(cells, ["1"]))
