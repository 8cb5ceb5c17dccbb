import json
import re
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from deepcpg_tf.exporters.artefact import BOUNDS
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from tests import tolerances

FILES = [
    f"{precision}{batch}"
    for precision in ("float32", "float16", "int8")
    for batch in ("", "_batch1")
]
BUILTIN = {
    *("CAST", "GATHER", "EXPAND_DIMS", "RESHAPE", "CONV_2D", "MAX_POOL_2D", "FULLY_CONNECTED"),
    *("LOGISTIC", "QUANTIZE", "DEQUANTIZE", "SHAPE", "STRIDED_SLICE", "PACK"),
}


def interpreter(exported, name):
    return Interpreter(str(exported.folder / "tflite" / f"{name}.tflite"), num_threads=1)


def run(runner, name, values, name_of_file):
    size = 1 if name_of_file.endswith("batch1") else len(values)
    parts = [runner(**{name: values[i : i + size]}) for i in range(0, len(values), size)]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@pytest.mark.parametrize("name", FILES)
def test_both_signatures_predict_as_the_original(exported, name):
    loaded = interpreter(exported, name)
    assert set(loaded.get_signature_list()) == {"tokens", "one_hot"}
    inputs = {"tokens": exported.tokens, "one_hot": one_hot_of_bytes()[exported.tokens]}
    for signature, value in inputs.items():
        found = run(loaded.get_signature_runner(signature), signature, value, name)
        bound = BOUNDS[name.removesuffix("_batch1")]
        np.testing.assert_allclose(found["probabilities"], exported.probabilities, atol=bound)
        assert found["logits"].dtype == np.float32


@pytest.mark.parametrize("name", FILES)
def test_operators_are_builtin(exported, name):
    loaded = interpreter(exported, name)
    found = {operator["op_name"] for operator in loaded._get_ops_details()} - {"DELEGATE"}
    assert found <= BUILTIN
    if name.endswith("batch1"):
        # Working out a shape at run time would cut what XNNPACK computes in two.
        assert not found & {"SHAPE", "STRIDED_SLICE", "PACK"}


@pytest.mark.parametrize("name", FILES)
def test_shapes(exported, name):
    (tokens,) = (
        interpreter(exported, name).get_signature_runner("tokens").get_input_details().values()
    )
    assert tokens["dtype"] == np.uint8
    assert tokens["shape_signature"].tolist() == [1 if name.endswith("batch1") else -1, 101]


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_any_batch_size(exported, name):
    runner = interpreter(exported, name).get_signature_runner("tokens")
    whole = runner(tokens=exported.tokens)["logits"]
    for size in (1, 5, 12, 2):
        np.testing.assert_allclose(
            runner(tokens=exported.tokens[:size])["logits"],
            whole[:size],
            atol=tolerances.TINY_LOGITS,
        )


@pytest.mark.parametrize("name", FILES)
def test_a_foreign_letter_counts_as_n_and_case_does_not_count(exported, name):
    runner = interpreter(exported, name).get_signature_runner("tokens")
    window = exported.tokens[:1].copy()
    window[0, 40] = ord("N")
    expected = runner(tokens=window)["logits"].copy()
    for letter in (b"!", b"\xff", b"n", b"R"):
        window[0, 40] = letter[0]
        np.testing.assert_array_equal(runner(tokens=window)["logits"], expected)
    lower = np.frombuffer(window.tobytes().lower(), np.uint8)[None]
    lower = np.where(lower == ord("r"), ord("N"), lower).astype(np.uint8)
    np.testing.assert_array_equal(runner(tokens=lower)["logits"], expected)


@pytest.mark.parametrize("name", FILES)
def test_cells_and_provenance_can_be_read_with_unzip(exported, name):
    with zipfile.ZipFile(exported.folder / "tflite" / f"{name}.tflite") as archive:
        assert tuple(archive.read("labels.txt").decode().split()) == exported.model.cells
        description = json.loads(archive.read("description.json"))
    assert description["provenance"] == exported.model.provenance


@pytest.mark.parametrize("name", FILES)
def test_the_first_graph_is_that_of_tokens(exported, name):
    """For what runs a file without its signatures."""
    loaded = interpreter(exported, name)
    (given,), (logits, probabilities) = loaded.get_input_details(), loaded.get_output_details()
    names = [tensor["name"] for tensor in (given, logits, probabilities)]
    assert names == ["tokens", "logits", "probabilities"]
    loaded.resize_tensor_input(given["index"], [1, 101])
    loaded.allocate_tensors()
    loaded.set_tensor(given["index"], exported.tokens[:1])
    loaded.invoke()
    found = loaded.get_tensor(probabilities["index"])
    bound = BOUNDS[name.removesuffix("_batch1")]
    np.testing.assert_allclose(found, exported.probabilities[:1], atol=bound)


@pytest.mark.parametrize("name", FILES)
def test_names_and_alignment(exported, name):
    content = (exported.folder / "tflite" / f"{name}.tflite").read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    assert schema.Model.ModelBufferHasIdentifier(content, 0)
    assert model.Description().startswith(b"tiny: DeepCpG's DNA module, architecture custom.")
    assert [model.SignatureDefs(i).SignatureKey() for i in range(2)] == [b"tokens", b"one_hot"]
    for i, given in enumerate(("tokens", "one_hot")):
        graph = model.Subgraphs(i)
        assert (graph.Name().decode(), model.SignatureDefs(i).SubgraphIndex()) == (given, i)
        names = [graph.Tensors(j).Name().decode() for j in range(graph.TensorsLength())]
        assert len(set(names)) == len(names)
        others = {name for name in names if not re.fullmatch(r"[a-z0-9_]+_\d+", name)}
        assert others == {given, "logits", "probabilities"}
    for i in range(model.BuffersLength()):
        if model.Buffers(i).DataLength():
            start = model.Buffers(i)._tab
            assert start.Vector(start.Offset(4)) % 16 == 0
