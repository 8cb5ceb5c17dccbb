import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

import deepcpg_tf
from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from deepcpg_tf.exporters.artefact import BOUNDS
from deepcpg_tf.exporters.describe import describe
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.formats import onnx as format_onnx
from deepcpg_tf.exporters.samples import Drawn
from deepcpg_tf.genome.sequence import letters_of_codes
from deepcpg_tf.models.registry import build_model
from deepcpg_tf.weights.checkpoint import Checkpoint
from tests import tolerances
from tests.reference import forward, random_tensors, random_windows

FILES = ["float32", "int8"]
# What a quantised graph may have besides.
BETWEEN = {"QuantizeLinear", "DequantizeLinear"}


def load(exported, name):
    return onnx.load(exported.folder / "onnx" / f"{name}.onnx")


def write(model, folder, tokens):
    drawn = Drawn("", {"tokens": tokens}, {"tokens": tokens}, None)
    format_onnx.write(Job(model, "x", folder, drawn, True, 1, describe(model, "x")))


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", FILES)
def test_predicts_as_the_original(exported, name):
    loaded = session(exported.folder / "onnx" / f"{name}.onnx")
    logits, probabilities = loaded.run(["logits", "probabilities"], {"tokens": exported.tokens})
    np.testing.assert_allclose(probabilities, exported.probabilities, atol=BOUNDS[name])
    np.testing.assert_allclose(
        1 / (1 + np.exp(-logits)), probabilities, atol=tolerances.TINY_PROBABILITIES
    )


@pytest.mark.parametrize("name", FILES)
def test_the_graph_is_one_dimensional_and_has_one_transpose(exported, name):
    graph = load(exported, name).graph
    kinds = [node.op_type for node in graph.node if node.op_type not in BETWEEN]
    if name == "int8":  # where a rectifier is but the lower end of the range
        block, dense = ["Conv", "MaxPool"], ["Gemm", "Max", "Gemm"]
    else:
        block, dense = ["Conv", "Relu", "MaxPool"], ["Gemm", "Relu", "Gemm"]
    before = ["Cast", "Gather", "Transpose"]
    assert kinds == [*before, *block, *block, "Reshape", *dense, "Sigmoid"]
    for node in graph.node:
        if node.op_type in ("Conv", "MaxPool"):
            (width,) = (a.ints for a in node.attribute if a.name == "kernel_shape")
            assert len(width) == 1


def test_int8_is_computed_in_int8(exported, tmp_path):
    """What ONNX Runtime makes of the graph: nothing but the head in float32."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "x.onnx")
    options.log_severity_level = 3  # it warns that the file is for this machine only
    path = exported.folder / "onnx" / "int8.onnx"
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "x.onnx").graph.node]
    assert kinds.count("QLinearConv") == 2
    assert kinds.count("QGemm") == 1
    assert not {"Conv", "FusedConv", "FusedGemm", "DequantizeLinear"} & {*kinds}


@pytest.mark.parametrize("name", FILES)
def test_inputs_outputs_and_metadata(exported, name):
    """A constant from outside the converted function would be an input."""
    model = load(exported, name)
    onnx.checker.check_model(model, full_check=True)
    assert [version.version for version in model.opset_import if version.domain == ""] == [18]
    assert [value.name for value in model.graph.input] == ["tokens"]
    assert {value.name for value in model.graph.output} == {"logits", "probabilities"}
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert tuple(json.loads(metadata["cells"])) == exported.model.cells
    description = json.loads(metadata["description"])
    assert description["provenance"] == exported.model.provenance
    assert description["weights"] == exported.model.digest()


@pytest.mark.parametrize("name", FILES)
def test_a_foreign_letter_counts_as_n_and_case_does_not_count(exported, name):
    loaded = session(exported.folder / "onnx" / f"{name}.onnx")
    window = exported.tokens[:1].copy()
    window[0, 40] = ord("N")
    expected = loaded.run(["logits"], {"tokens": window})[0]
    for letter in (b"!", b"\xff", b"n", b"R"):
        window[0, 40] = letter[0]
        np.testing.assert_array_equal(loaded.run(["logits"], {"tokens": window})[0], expected)
    window[0, 40] = ord("N")
    lower = np.frombuffer(window.tobytes().lower(), np.uint8)[None]
    np.testing.assert_array_equal(loaded.run(["logits"], {"tokens": lower})[0], expected)


@pytest.mark.parametrize(
    ("channels", "widths", "pools"),
    [((6,), (5,), (3,)), ((6, 8), (5, 3), (4, 2)), ((6, 8, 10), (4, 3, 2), (2, 2, 2))],
)
def test_any_number_of_convolutions(tmp_path, channels, widths, pools):
    config = DeepCpgDnaConfig(
        sequence_length=61,
        num_labels=2,
        conv_channels=channels,
        conv_kernel_sizes=widths,
        conv_pool_sizes=pools,
        bottleneck_size=7,
    )
    tensors = random_tensors(config)
    model = build_model(Checkpoint(config, tensors, {}, tmp_path))
    windows = random_windows(40, 61)
    tokens = letters_of_codes(windows)
    write(model, tmp_path, tokens)
    _, expected = forward(config, tensors, windows)
    (found,) = session(tmp_path / "float32.onnx").run(["probabilities"], {"tokens": tokens})
    np.testing.assert_allclose(found, expected, atol=tolerances.probabilities(config))


def test_the_five_channels_of_multimolecule(tmp_path):
    tf.random.set_seed(0)
    model = DeepCpgDnaForSequencePrediction(
        DeepCpgDnaConfig(sequence_length=101, vocab_size=5, num_labels=2)
    )
    windows = random_windows(8, 101)
    write(model, tmp_path, letters_of_codes(windows))
    (found,) = session(tmp_path / "float32.onnx").run(
        ["probabilities"], {"tokens": letters_of_codes(windows)}
    )
    expected = model.predict_windows(windows)
    np.testing.assert_allclose(found, expected, atol=tolerances.probabilities(model.config))


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_what_it_is(exported, name):
    """To who opens it in Netron, say; and nothing of the converter's counting is left."""
    model = load(exported, name)
    assert (model.producer_name, model.producer_version) == ("deepcpg_tf", deepcpg_tf.__version__)
    assert (model.model_version, model.graph.name) == (1, "tiny")
    for text in (model.doc_string, model.graph.doc_string):
        assert text.startswith(
            "tiny: DeepCpG's DNA module, architecture custom. From a window of 1"
        )
    docs = {value.name: value.doc_string for value in (*model.graph.input, *model.graph.output)}
    assert "ASCII codes of 101 letters" in docs["tokens"]
    assert "at index 50, counted from 0" in docs["tokens"]
    assert all("in the order of the metadata's `cells`" in docs[x] for x in docs if x != "tokens")
    names = {name for node in model.graph.node for name in (node.name, *node.input, *node.output)}
    others = {name for name in names if not re.fullmatch(r"[A-Za-z]+_\d+(_\d|_out)?", name)}
    assert others == {"tokens", "logits", "probabilities"}
