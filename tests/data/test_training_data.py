import pytest

from deepcpg_tf.data.training_data import TrainingData, recall, remember
from deepcpg_tf.errors import OutputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPCPG_TF_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_kept_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.h5", "b.h5", "g.fa"):
        (tmp_path / name).touch()
    table = TrainingData((tmp_path / "a.h5",), None, "1")
    remember("m", table)
    assert recall("m") == table
    here = TrainingData((table.files[0].relative_to(tmp_path),), None, "1")
    remember("m", here._replace(genome=here.files[0].with_name("g.fa"), digest="2"))
    monkeypatch.chdir("/")
    assert recall("m") == TrainingData((tmp_path / "a.h5",), tmp_path / "g.fa", "2")
    assert recall("n") is None
    (tmp_path / "g.fa").unlink()
    assert recall("m") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": [1], "genome": null}'])
def test_a_damaged_file_is_none(cache, text):
    (cache / "training-data").mkdir(parents=True)
    (cache / "training-data" / "m.json").write_text(text)
    assert recall("m") is None


def test_a_cache_that_cannot_be_written_to(cache, tmp_path):
    cache.write_text("a file")
    with pytest.raises(OutputError, match="cannot write to the cache"):
        remember("m", TrainingData((tmp_path,), None, ""))
