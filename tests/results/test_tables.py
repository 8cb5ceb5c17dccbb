import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import deepcpg_tf
from deepcpg_tf.errors import OutputError
from deepcpg_tf.results.registry import check_table, open_table

VALUES = np.array([0.1, 1e-8, 1.0, 1 / 3, 0.99999994], np.float32)
BATCH = pa.RecordBatch.from_arrays(
    [pa.array([*"abcde"]), pa.array(range(5), pa.int64()), pa.array(VALUES)],
    names=["id", "position", "cell"],
)


def write(path):
    with open_table(path, BATCH.schema) as writer:
        writer(BATCH)
        writer(BATCH)


def check_tsv(text):
    header, *rows = [line.split("\t") for line in text.splitlines()]
    assert header == ["id", "position", "cell"]
    assert [row[0] for row in rows] == [*"abcde"] * 2
    assert [int(row[1]) for row in rows] == [0, 1, 2, 3, 4] * 2
    np.testing.assert_array_equal(
        np.array([row[2] for row in rows], np.float32), np.tile(VALUES, 2)
    )


def test_tsv_keeps_every_bit(tmp_path):
    write(tmp_path / "out.tsv")
    check_tsv((tmp_path / "out.tsv").read_text())


def test_gzipped_tsv(tmp_path):
    write(tmp_path / "out.tsv.gz")
    check_tsv(gzip.decompress((tmp_path / "out.tsv.gz").read_bytes()).decode())


def test_parquet(tmp_path):
    write(tmp_path / "out.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table == pa.Table.from_batches([BATCH, BATCH])


def test_stdout(capfd):
    write(None)
    check_tsv(capfd.readouterr().out)


@pytest.mark.parametrize("name", ["out.tsv", "out.tsv.gz", "out.parquet"])
def test_a_failure_leaves_nothing(tmp_path, name):
    with pytest.raises(ZeroDivisionError), open_table(tmp_path / name, BATCH.schema) as writer:
        writer(BATCH)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_an_earlier_file(tmp_path):
    (tmp_path / "out.tsv").write_text("earlier")
    with pytest.raises(ZeroDivisionError), open_table(tmp_path / "out.tsv", BATCH.schema):
        raise ZeroDivisionError
    assert (tmp_path / "out.tsv").read_text() == "earlier"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.csv", r"out.csv: expected a name ending in .parquet, .tsv, .tsv.gz$"),
        ("no/out.tsv", r"no/out.tsv: expected an existing folder, found no .*no"),
        ("folder.tsv", "folder.tsv: expected the name of a file to write, received a folder"),
    ],
)
def test_impossible_outputs(tmp_path, name, message):
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(OutputError, match=message):
        check_table(tmp_path / name)


@pytest.mark.parametrize("path", [None, "out.tsv", "out.parquet"])
def test_columns_of_one_name(tmp_path, capfd, path):
    """A cell called as what tells the rows; two columns of one name cannot be told apart."""
    path = path and tmp_path / path
    message = r"received 'position' both for what tells the rows and for the values$"
    with pytest.raises(OutputError, match=message):
        check_table(path, ("chromosome", "position"), ("a", "position"))
    twice = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    message = "expected a name of its own for each column"
    with pytest.raises(OutputError, match=message), open_table(path, twice.schema) as writer:
        writer(twice)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["out.tsv", "out.tsv.gz", None])
def test_a_name_that_would_break_a_line(tmp_path, name):
    path = name and tmp_path / name
    with pytest.raises(OutputError, match=r"without tabs and ends of lines, received 'a\\tb'$"):
        check_table(path, ("id",), ("a\tb",))
    check_table(tmp_path / "out.parquet", ("id",), ("a\tb",))


def test_results_need_no_tensorflow():
    code = (
        "import sys, deepcpg_tf.results.registry\n"
        "assert not {'tensorflow', 'keras'}.intersection(sys.modules)"
    )
    root = Path(deepcpg_tf.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
