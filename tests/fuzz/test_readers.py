"""A few examples of each target, always the same; ``python -m tests.fuzz`` tries more."""

import json

import pytest

from tests.fuzz import targets
from tests.fuzz.engine import NonsenseError, Target, example, try_example
from tests.fuzz.targets import TARGETS

EXAMPLES = 50


@pytest.fixture(autouse=True)
def fresh_genome():
    """The codes of a genome are in the cache, which each test has for itself."""
    targets.genome.cache_clear()


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files(name, tmp_path):
    target = TARGETS[name]
    seeds = target.seeds()
    found = {}
    for index in range(len(seeds) + EXAMPLES):
        files = example(name, target, seeds, 0, index, raw_hdf5=False)
        fault = try_example(target, files, tmp_path / "example")
        if fault:
            found.setdefault(fault.key, f"example {index}: {fault.text}")
    assert not found, "\n".join(found.values())


def test_good_files_are_read(tmp_path):
    for name, target in TARGETS.items():
        for files in target.seeds():
            for file, content in files.items():
                (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name / file).write_bytes(content)
            target.read(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{", "JSONDecodeError-tests.fuzz.test_readers-read"),
        ("[1]", "NonsenseError-tests.fuzz.test_readers-read-"),
        ("[]", None),
    ],
)
def test_faults_are_told_apart(tmp_path, text, key):
    def read(folder):
        if json.loads((folder / "file").read_text()):
            raise NonsenseError("accepted a list that is not empty")

    fault = try_example(Target(list, read), {"file": text.encode()}, tmp_path / "example")
    assert fault is None if key is None else fault.key.startswith(key)
    assert fault is None or "tests/fuzz/test_readers.py" in fault.text
