"""What the README says to run on the targets, on an export of a small model.

Two kinds of lines are not run but read: `pip install`, which needs a registry (the kit's
environment has exactly what its own page names), and `docker run`, which needs Docker.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from deepcpg_tf.exporters.artefact import BOUNDS
from tests.kits.conftest import KITS, LETTERS, parse
from tests.shell import ROOT, blocks, run_shell


@pytest.fixture
def folder(exported, tmp_path):
    (tmp_path / "exported").symlink_to(exported)
    (tmp_path / "export").symlink_to(ROOT / "export")
    windows = "".join(f">w{i}\n{window}\n" for i, window in enumerate(LETTERS))
    (tmp_path / "windows.fa").write_text(windows)
    return tmp_path


def without(pattern, text):
    """Return a block without the command that begins so, and that command."""
    (command,) = re.findall(rf"^{pattern}(?:.*\\\n)*.*\n", text, re.MULTILINE)
    return text.replace(command, ""), command


def check(folder, cells, probabilities, bound):
    header, ids, found = parse((folder / "methylation.tsv").read_text())
    assert header == ["id", *cells]
    assert ids == [f"w{i}" for i in range(len(LETTERS))]
    np.testing.assert_allclose(found, probabilities, atol=BOUNDS[bound])


@pytest.mark.parametrize("kit", ["edge", "onnx"])
def test_a_kit(folder, environment, kit, cells, probabilities):
    (text,) = [text for text in blocks("sh") if f"python export/{kit}/" in text]
    script, install = without("pip install", text)
    assert install in (KITS / kit / "README.md").read_text()
    run_shell(script, folder, environment(kit).parent)
    check(folder, cells, probabilities, "int8")


def test_serving(folder, addresses, rest, cells, probabilities):
    (text,) = [text for text in blocks("sh") if "docker run" in text]
    script, docker = without("docker run", text)
    (service,) = yaml.safe_load((KITS / "serving" / "compose.yaml").read_text())[
        "services"
    ].values()
    words = docker.replace("\\\n", " ").split()
    assert words[-1] == service["image"].partition(":")[0]
    assert f"127.0.0.1:{words[words.index('-p') + 1]}" in service["ports"]
    source, _, target = words[words.index("-v") + 1].strip('"').partition(":")
    assert [path.name for path in (folder / source.removeprefix("$PWD/")).iterdir()] == ["1"]
    assert target == f"/models/{words[words.index('-e') + 1].removeprefix('MODEL_NAME=')}"
    assert any(mount.endswith(f":{target}:ro") for mount in service["volumes"])
    assert "localhost:8501" in script
    script = script.replace("http://localhost:8501", addresses.rest)
    run_shell(script, folder, (folder / rest.command[0]).parent)
    check(folder, cells, probabilities, "float32")
