"""What only some work needs is not needed by the rest, and is told before work begins."""

import ast
import sys
from pathlib import Path

import pytest

import deepcpg_tf
from deepcpg_tf.extras import require
from tests.conftest import DATA

PACKAGE = Path(deepcpg_tf.__file__).parent
TINY = DATA / "legacy" / "keras1-distributed"
RUN = DATA / "original-run"
LEGACY = sorted((RUN / "data").glob("*.h5"))
EXTRAS = {
    "ai_edge_litert": "export",
    "onnx": "export",
    "onnxruntime": "export",
    "tensorflow_serving": "export",
    "tf2onnx": "export",
    "logomaker": "motifs",
    "pyjaspar": "jaspar",
    "safetensors": "multimolecule",
    "matplotlib": "plots",
    "tensorboard": "tensorboard",
    "pybigtools": "tracks",
}


@pytest.fixture
def without(monkeypatch):
    """Hide a package, and forget the modules of ours that have it."""

    def hide(package):
        monkeypatch.setitem(sys.modules, package, None)
        for name in [*sys.modules]:
            if name.startswith("deepcpg_tf.exporters.") or name == "deepcpg_tf.exporters":
                monkeypatch.delitem(sys.modules, name)

    return hide


TRAIN = ("train", *LEGACY, "--train", "1", "--epochs", "1")


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("onnx", ("export", TINY)),
        ("onnxruntime", ("export", TINY, "--formats", "onnx")),
        ("tf2onnx", ("export", TINY)),
        ("ai_edge_litert", ("export", TINY, "--formats", "saved_model,tflite")),
        ("tensorflow_serving", ("export", TINY, "--formats", "saved_model")),
        ("pybigtools", ("predict", RUN / "model", "--genome", RUN / "dna")),
        ("matplotlib", TRAIN),
        ("matplotlib", ("evaluate", RUN / "model", *LEGACY)),
        ("tensorboard", (*TRAIN, "--tensorboard", "logs")),
        ("logomaker", ("mutagenesis", TINY, "--sequences", RUN / "eval.tsv", "--plot", "pictures")),
        ("safetensors", ("convert", "--multimolecule", DATA / "multimolecule-tiny")),
        ("pyjaspar", ("motifs", RUN / "model", *LEGACY, "--database", "jaspar")),
    ],
)
def test_what_to_install_is_told_and_nothing_written(without, fails, tmp_path, package, arguments):
    without(package)
    endings = {"pybigtools": ".bigwig", "logomaker": ".npz"}
    out = tmp_path / f"out{endings.get(package, '')}"
    extra = EXTRAS[package]
    assert fails(*arguments, "--out", out) == (
        f"deepcpg-tf: error: expected the package {package}, found none: "
        f"pip install 'deepcpg-tf[{extra}]'\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_verify_needs_the_runtimes(without, fails, tiny_export):
    without("onnxruntime")
    assert "expected the package onnxruntime, found none" in fails("verify", tiny_export / "tiny")


def test_an_evaluation_without_a_report_needs_no_figures(without):
    without("matplotlib")
    evaluation = deepcpg_tf.evaluate(RUN / "model", LEGACY)
    assert evaluation.scores.cells == ("c1", "c2", "c3")


def test_what_is_there():
    require("tensorflow", "onnx", extra="export")
    with pytest.raises(ImportError, match=r"expected the package x, found none: .*\[export\]"):
        require("tensorflow", "x", extra="export")


def imports(tree):
    """Yield the packages that a module imports when it is imported itself."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]


def test_what_stands_at_the_top_of_modules():
    """Only of those behind a door that asks first."""
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in imports(ast.parse(path.read_text()))
        if name in EXTRAS
    }
    assert found == {
        ("evaluation/plots.py", "matplotlib"),
        ("exporters/formats/onnx.py", "onnx"),
        ("exporters/onnx_passes.py", "onnx"),
        ("exporters/tflite_names.py", "ai_edge_litert"),
        ("variants/motif_pictures.py", "logomaker"),
        ("variants/motif_pictures.py", "matplotlib"),
        ("variants/pictures.py", "logomaker"),
        ("variants/pictures.py", "matplotlib"),
    }
