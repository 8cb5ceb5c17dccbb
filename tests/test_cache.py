import os
import time

import pytest

from deepcpg_tf import cache
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.genome.reference import Genome

DAY = 24 * 3600


@pytest.fixture
def genomes(tmp_path):
    """Three genomes of 1,000 bases in the cache, the first used last three days ago."""
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"{i}.fa")
        paths[-1].write_text(f">chr{i}\n{'ACGT' * 250}\n")
        Genome(paths[-1]).codes(f"chr{i}")
        used(paths[-1], 3 - i)
    return paths


def used(path, days):
    codes = cache.cache_folder() / "codes" / cache.file_key(path)
    os.utime(codes, (time.time() - days * DAY,) * 2)


def kept_genomes():
    return {one.of[0] for one in cache.kept_files() if one.kind == "genome"}


def encode_another(tmp_path):
    path = tmp_path / "another.fa"
    path.write_text(f">chr9\n{'ACGT' * 250}\n")
    Genome(path).codes("chr9")
    return path


def test_genomes_unused_for_longest_make_room(genomes, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPCPG_TF_CACHE_GB", "0.0000035")  # three of them
    used(genomes[1], 9)
    last = encode_another(tmp_path)
    assert kept_genomes() == {str(path) for path in (genomes[0], genomes[2], last)}


def test_a_genome_that_is_used_stays(genomes, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPCPG_TF_CACHE_GB", "0.0000025")
    held = Genome(genomes[0])
    held.codes("chr0")
    last = encode_another(tmp_path)
    assert kept_genomes() == {str(genomes[0]), str(last)}


def test_the_newest_stays_whatever_its_size(genomes, tmp_path, monkeypatch):
    held = Genome(genomes[0])
    held.codes("chr0")
    monkeypatch.setenv("DEEPCPG_TF_CACHE_GB", "0")
    last = encode_another(tmp_path)
    assert kept_genomes() == {str(last)}
    assert held.codes("chr0").tolist() == [0, 3, 2, 1] * 250  # who has it open keeps it
    assert Genome(genomes[1]).codes("chr1").tolist() == [0, 3, 2, 1] * 250


@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf"])
def test_a_bound_that_is_none(tmp_path, monkeypatch, text):
    monkeypatch.setenv("DEEPCPG_TF_CACHE_GB", text)
    message = f"^DEEPCPG_TF_CACHE_GB: expected a number of GB from 0, received '{text}'$"
    with pytest.raises(ConfigError, match=message):
        encode_another(tmp_path)


def test_what_is_half_written_is_left_to_who_writes_it(genomes, home):
    ours, stale = (home / "codes" / f".{name}.partial" for name in ("ours", "stale"))
    for path in (ours, stale):
        path.write_text("half")
    os.utime(stale, (time.time() - DAY,) * 2)
    cache.clear(cache.kept_files())
    assert [path for path in home.rglob("*") if path.is_file()] == [ours]


def test_the_cache_is_listed(run, genomes, home):
    (home / "presets" / "a").mkdir(parents=True)
    (home / "presets" / "a" / "weights.h5").write_bytes(bytes(2_000_000))
    result = run("cache", "list")
    assert result.code == 0
    header, *rows = [line.split("\t") for line in result.out.splitlines()]
    assert header == ["kind", "megabytes", "used", "of"]
    assert [row[0] for row in rows] == ["preset", *3 * ["genome"], *3 * ["index"]]
    assert rows[0][1] == "2.0"
    assert rows[0][3] == "presets/a/weights.h5"
    assert {row[3] for row in rows[1:4]} == set(map(str, genomes))
    assert result.err.startswith(f"{home}: 2.0 MB; genomes and windows at most 20,000.0 MB")


def test_the_cache_is_cleared_of_what_is_made_anew(run, genomes, home):
    for folder in ("presets", "training-data"):
        (home / folder).mkdir()
        (home / folder / "kept").write_bytes(bytes(1_000_000))
    assert run("cache", "clear").err == f"{home}: 0.0 MB removed\n"
    assert {one.kind for one in cache.kept_files()} == {"preset", "training data"}
    assert run("cache", "clear", "--all").err == f"{home}: 2.0 MB removed\n"
    assert cache.kept_files() == []
    assert run("cache", "list").code == 0


def test_a_cache_that_is_not_there(run):
    assert run("cache", "clear").code == 0
    assert run("cache", "list").out == "kind\tmegabytes\tused\tof\n"
