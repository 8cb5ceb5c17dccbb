"""The kits of LiteRT and ONNX Runtime: what they import, how soon they start, their models."""

from __future__ import annotations

import shutil
import subprocess
import zipfile

import numpy as np
import pytest

from deepcpg_tf.exporters.artefact import BOUNDS
from tests.kits.conftest import LETTERS, TFLITE, parse


@pytest.fixture
def windows(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_text("\n".join(LETTERS))
    return path


@pytest.mark.parametrize("name", TFLITE)
def test_every_tflite_file(edge, exported, windows, name, probabilities):
    _, _, found = edge.run(exported / "tflite" / f"{name}.tflite", windows).table()
    bound = max(BOUNDS[name.removesuffix("_batch1")], 1e-5)
    np.testing.assert_allclose(found, probabilities, atol=bound)


def test_onnx_int8(onnx, exported, windows, probabilities):
    _, _, found = onnx.run(exported / "onnx" / "int8.onnx", windows, "--threads", 1).table()
    np.testing.assert_allclose(found, probabilities, atol=BOUNDS["int8"])


MODULES = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    pass
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
print(*{name.split(".")[0] for name, file in files.items() if "site-packages" in file})
"""


@pytest.mark.parametrize(
    ("kit", "path", "expected"),
    [
        ("edge", "tflite/float32.tflite", {"numpy", "ai_edge_litert"}),
        ("onnx", "onnx/float32.onnx", {"numpy", "onnxruntime"}),
    ],
)
def test_what_is_imported(request, exported, windows, kit, path, expected):
    python, isolated, script = request.getfixturevalue(kit).command
    for absent in ("tensorflow", "keras", "deepcpg_tf"):
        code = [python, isolated, "-c", f"import {absent}"]
        assert b"ModuleNotFoundError" in subprocess.run(code, capture_output=True).stderr
    command = [python, isolated, "-c", MODULES, script, str(exported / path), str(windows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) == expected


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("name", ["float32", "int8_batch1"])
def test_the_edge_kit_stays_small(edge, exported, tmp_path, name):
    """In kilobytes; a larger model takes as much more as it is.

    Measured from a small process: what a process forks counts with the memory of the
    process itself.
    """
    path = tmp_path / "window.txt"
    path.write_text(LETTERS[0])
    command = [*edge.command, str(exported / "tflite" / f"{name}.tflite"), str(path)]
    done = subprocess.run(
        [edge.command[0], "-c", MEASURE, *command], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 120_000


def test_memory_does_not_grow_with_the_input(edge, exported, tmp_path):
    path = tmp_path / "windows.txt"
    path.write_text("\n".join(LETTERS * 5000))
    model = exported / "tflite" / "float32.tflite"
    command = [*edge.command, str(model), str(path), "--out", str(tmp_path / "table.tsv")]
    done = subprocess.run(
        [edge.command[0], "-c", MEASURE, *command], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 80_000
    _, ids, _ = parse((tmp_path / "table.tsv").read_text())
    assert len(ids) == 5000 * len(LETTERS)


def test_faults_of_a_tflite_file(edge, exported, windows, tmp_path):
    good, path = exported / "tflite" / "float32.tflite", tmp_path / "model.tflite"
    assert f"{path}: cannot be read: No such file" in edge.fails(path, windows)
    expected = "expected a .tflite file that deepcpg-tf exported, with names of cells at its end"
    for content in (b"", good.read_bytes()[:-30]):
        path.write_bytes(content)
        assert f"{path}: {expected}" in edge.fails(path, windows)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("labels.txt", "a\nb\n")
    assert f"{path}: expected a model that loads, but" in edge.fails(path, windows)
    shutil.copy(good, path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("labels.txt", "a\nb\n")
    assert "expected as many cells as outputs, 3, received 2" in edge.fails(path, windows)
    assert "--threads: expected at least 1, received 0" in edge.fails(good, windows, "--threads", 0)


def test_faults_of_an_onnx_file(onnx, exported, windows, tmp_path):
    import onnx as library

    good, path = exported / "onnx" / "float32.onnx", tmp_path / "model.onnx"
    assert f"{path}: cannot be read: No such file" in onnx.fails(path, windows)
    path.write_bytes(good.read_bytes()[:1000])
    assert f"{path}: expected a model that loads, but" in onnx.fails(path, windows)
    model = library.load(good)
    del model.metadata_props[:]
    library.save(model, path)
    expected = "expected an .onnx file that deepcpg-tf exported, with names of cells in its metad"
    assert f"{path}: {expected}" in onnx.fails(path, windows)
    assert "--threads: expected at least 1, received 0" in onnx.fails(good, windows, "--threads", 0)


def test_a_package_that_is_missing(edge, onnx, exported, windows):
    """With the names of what to install."""
    models = {edge: "tflite/float32.tflite", onnx: "onnx/float32.onnx"}
    for kit, path in models.items():
        bare = kit._replace(command=(kit.command[0], "-I", "-S", kit.command[2]))
        assert "No module named 'numpy': pip install numpy " in bare.fails(exported / path, windows)
