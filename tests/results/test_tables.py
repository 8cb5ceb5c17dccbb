import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from deepcpg_tf.errors import OutputError
from deepcpg_tf.results.tables import check_output, open_writer

VALUES = np.array([0.1, 1e-8, 1.0, 1 / 3, 0.99999994], np.float32)
BATCH = pa.RecordBatch.from_arrays(
    [pa.array([*"abcde"]), pa.array(range(5), pa.int64()), pa.array(VALUES)],
    names=["id", "position", "cell"],
)


def write(path):
    with open_writer(path, BATCH.schema) as writer:
        writer(BATCH)
        writer(BATCH)


def check_tsv(text):
    header, *rows = [line.split("\t") for line in text.splitlines()]
    assert header == ["id", "position", "cell"]
    assert [row[0] for row in rows] == [*"abcde"] * 2
    assert [int(row[1]) for row in rows] == [0, 1, 2, 3, 4] * 2
    np.testing.assert_array_equal(np.float32([row[2] for row in rows]), np.tile(VALUES, 2))


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
    with pytest.raises(ZeroDivisionError), open_writer(tmp_path / name, BATCH.schema) as writer:
        writer(BATCH)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_an_earlier_file(tmp_path):
    (tmp_path / "out.tsv").write_text("earlier")
    with pytest.raises(ZeroDivisionError), open_writer(tmp_path / "out.tsv", BATCH.schema):
        raise ZeroDivisionError
    assert (tmp_path / "out.tsv").read_text() == "earlier"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.csv", r"out.csv: expected a name ending in .tsv, .tsv.gz, .parquet"),
        ("no/out.tsv", r"no/out.tsv: expected an existing folder, found no .*no"),
        ("folder.tsv", "folder.tsv: expected the name of a file to write, received a folder"),
    ],
)
def test_impossible_outputs(tmp_path, name, message):
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(OutputError, match=message):
        check_output(tmp_path / name)
