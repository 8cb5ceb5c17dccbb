"""Exports of a model that keeps what calibrates it: one more output, of the formula."""

import json
import zipfile

import numpy as np
import pytest
from scipy.special import expit

from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.exporters.artefact import BOUNDS
from deepcpg_tf.exporters.bundle import export
from deepcpg_tf.exporters.formats import open_artefact
from deepcpg_tf.exporters.manifest import artefacts_of, read_manifest
from deepcpg_tf.exporters.parity import Reference
from deepcpg_tf.exporters.runtimes import run
from deepcpg_tf.exporters.samples import draw_samples
from deepcpg_tf.models.registry import load_model
from deepcpg_tf.workflows.export import verify
from tests.conftest import DATA

CELLS = ("BS27_1_SER", "BS27_10_SER", "BS27_3_SER")
KEPT = Calibration(cells=CELLS, shares=(0.2, None, 0.9), temperatures=(0.7, 3.0, None))


@pytest.fixture(scope="module", params=["biases", "no biases"])
def folder(request, tmp_path_factory):
    model = load_model(DATA / "legacy" / "keras1-distributed")
    model.config = model.config.with_calibration(KEPT)
    if request.param == "no biases":  # which the converter to ONNX leaves out
        model.head.bias.assign(np.zeros(3))
    folder = tmp_path_factory.mktemp("calibrated") / "export"
    content = export(model, "calibrated", folder, draw_samples(model))
    assert content["left_out"] == {}
    return folder


def test_every_artefact_yields_calibrated_probabilities(folder):
    reference = Reference.load(folder / "parity" / "1.npz")
    adjustment = KEPT.offsets_and_temperatures(CELLS)
    expected = expit(adjustment.of_logits(reference.logits))
    assert np.abs(expected - reference.probabilities).max() > 0.3
    content = read_manifest(folder)
    artefacts = artefacts_of(content)
    assert {one.precision for one in artefacts} == {"float32", "float16", "int8"}
    for artefact in artefacts:
        runtime = open_artefact(folder, artefact)
        try:
            found = run(runtime, reference.arrays, artefact.batch)
        finally:
            runtime.close()
        # The smallest temperature is 0.7.
        atol = 1.5 * BOUNDS[artefact.precision]
        np.testing.assert_allclose(found["probabilities_calibrated"], expected, atol=atol, rtol=0)
        np.testing.assert_allclose(
            found["probabilities"], reference.probabilities, atol=BOUNDS[artefact.precision]
        )
    verify(folder)


def test_it_comes_last(folder):
    """Whoever takes outputs by their number gets what there was before."""
    import onnx
    from ai_edge_litert.interpreter import Interpreter

    names = ["logits", "probabilities", "probabilities_calibrated"]
    graph = onnx.load(folder / "onnx" / "int8.onnx").graph
    assert [value.name for value in graph.output] == names
    loaded = Interpreter(str(folder / "tflite" / "int8.tflite"))
    assert [one["name"] for one in loaded.get_output_details()] == names
    assert all(one["dtype"] == np.float32 for one in loaded.get_output_details())


def test_they_say_so(folder):
    card = (folder / "README.md").read_text()
    assert "A third one, `probabilities_calibrated`, has them calibrated" in card
    with zipfile.ZipFile(folder / "tflite" / "float32.tflite") as archive:
        said = json.loads(archive.read("description.json"))
    assert Calibration(**said["config"]["calibration"]) == KEPT
