"""The kits of ``export/``, each in an environment of its own, on one export of a small model."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from packaging.requirements import Requirement

from tests.conftest import DATA

if TYPE_CHECKING:
    from tests.kits.serving_stand_in import Addresses

KITS = Path(__file__).parents[2] / "export"
LEGACY = DATA / "legacy" / "keras1-distributed"
LETTERS = (LEGACY / "sequences.txt").read_text().split()
LENGTH = 101
TFLITE = [f"{kind}{batch}" for kind in ("float32", "float16", "int8") for batch in ("", "_batch1")]


class Result(NamedTuple):
    """How a program ended, and what it said."""

    code: int
    out: str
    err: str

    def table(self) -> tuple[list[str], list[str], np.ndarray]:
        """Return the header, the ids and the probabilities of what was printed."""
        assert self.code == 0, self.err
        assert self.err == ""
        return parse(self.out)


def parse(text: str) -> tuple[list[str], list[str], np.ndarray]:
    header, *rows = (line.split("\t") for line in text.splitlines())
    return header, [row[0] for row in rows], np.array([row[1:] for row in rows], np.float32)


class Kit(NamedTuple):
    """A program of a kit, what starts it, and what its errors begin with."""

    program: str
    command: tuple[str, ...]

    def run(self, *arguments: object, stdin: bytes = b"") -> Result:
        command = [*self.command, *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def fails(self, *arguments: object, stdin: bytes = b"") -> str:
        """Run what must fail with one clear line; returns that line."""
        result = self.run(*arguments, stdin=stdin)
        assert result.code == 2, result
        assert result.out == ""
        assert result.err.count("\n") == 1, result.err
        assert result.err.startswith(f"{self.program}: error: ")
        return result.err


@pytest.fixture(scope="session")
def exported(tiny_export) -> Path:
    """An export of a checkpoint of Keras 1."""
    return tiny_export / "tiny"


@pytest.fixture(scope="session")
def cells() -> list[str]:
    with np.load(LEGACY / "expected.npz") as expected:
        return list(expected["cells"])


@pytest.fixture(scope="session")
def probabilities() -> np.ndarray:
    """What the original program predicts."""
    with np.load(LEGACY / "expected.npz") as expected:
        return expected["prob"]


@pytest.fixture(scope="session")
def environment(once) -> Callable[[str], Path]:
    """Make an environment with what the README of a kit says to install, and nothing else.

    It is a new virtual environment without the packages of the system. In place of a
    download, which would need the network and ten seconds, the packages that the README
    names, and what their metadata says they need, are links to those that are installed
    here. Whatever else a kit would import is not there.
    """

    def make(kit: str) -> Path:
        def fill(folder: Path) -> None:
            venv.create(folder, symlinks=True)
            (packages,) = folder.glob("lib/python*/site-packages")
            for name in _needed(_named_in_readme(kit)):
                _link(name, packages)

        return once(f"environment-of-{kit}", fill) / "bin" / "python"

    return make


def _named_in_readme(kit: str) -> list[str]:
    (names,) = re.findall(r"^pip install (.+)$", (KITS / kit / "README.md").read_text(), re.M)
    return names.split()


def _needed(names: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def _link(name: str, packages: Path) -> None:
    distribution = metadata.distribution(name)
    for entry in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        target = packages / entry
        if not target.exists():
            target.symlink_to(Path(str(distribution.locate_file(entry))))


@pytest.fixture(scope="session")
def edge(environment) -> Kit:
    script = KITS / "edge" / "deepcpg_edge.py"
    return Kit("deepcpg_edge", (str(environment("edge")), "-I", str(script)))


@pytest.fixture(scope="session")
def onnx(environment) -> Kit:
    script = KITS / "onnx" / "deepcpg_onnx.py"
    return Kit("deepcpg_onnx", (str(environment("onnx")), "-I", str(script)))


@pytest.fixture(scope="session")
def addresses(exported) -> Iterator[Addresses]:
    """A stand-in of TensorFlow Serving, with the model as ``deepcpg``."""
    from tests.kits.serving_stand_in import serving

    with serving("deepcpg", exported / "saved_model") as addresses:
        yield addresses


@pytest.fixture(scope="session")
def rest(addresses, once) -> Kit:
    """The client over REST, in an environment with no package at all."""
    python = once("environment-of-rest", venv.create) / "bin" / "python"
    script = KITS / "serving" / "client.py"
    command = (str(python), "-I", str(script), "--rest", addresses.rest)
    return Kit("deepcpg_client", command)


@pytest.fixture(scope="session")
def grpc(addresses) -> Kit:
    """The client over gRPC, whose package brings all of TensorFlow."""
    script = KITS / "serving" / "client.py"
    return Kit("deepcpg_client", (sys.executable, str(script), "--grpc", addresses.grpc))


@pytest.fixture(params=["edge", "onnx", "rest"])
def kit(request, exported) -> Kit:
    """Each program with its model, so that an input is all it lacks."""
    kit = request.getfixturevalue(request.param)
    model = {
        "edge": exported / "tflite" / "float32.tflite",
        "onnx": exported / "onnx" / "float32.onnx",
    }
    found = [str(model[request.param])] if request.param in model else []
    return kit._replace(command=(*kit.command, *found))
