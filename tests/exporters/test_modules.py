"""Exports of models that read neighbours: what is in them, of built-in operations alone."""

import json

import jsonschema
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from deepcpg_tf import load_model
from deepcpg_tf.errors import ConfigError, ExportError, InputError, OutputError
from deepcpg_tf.exporters.artefact import BOUNDS
from deepcpg_tf.exporters.bundle import export, verify
from deepcpg_tf.exporters.formats.saved_model import WARM_UP_FILE
from deepcpg_tf.exporters.samples import draw_samples
from deepcpg_tf.exporters.session import ServingSession, SessionError
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.workflows.export import export as export_model
from tests import tolerances
from tests.shell import ROOT
from tests.workflows.test_modules import CPG, DNA, RUN

OF_WINDOWS = {
    "onnx/int8.onnx",
    *(f"tflite/int8{batch}.tflite" for batch in ("", "_batch1")),
}
OF_ALL = {
    *("saved_model/1", "onnx/float32.onnx"),
    *(f"tflite/{p}{batch}.tflite" for p in ("float32", "float16") for batch in ("", "_batch1")),
}
SIZE = {"state": (3, 10), "dist": (3, 10), "tokens": (101,), "one_hot": (101, 4)}


class Exported:
    def __init__(self, folder, name):
        self.name = name
        self.folder = folder / f"{name}-export"
        self.model = load_model(folder / name)
        self.content = json.loads((self.folder / "manifest.json").read_text())
        with np.load(self.folder / "parity" / "1.npz") as file:
            self.arrays = {
                key.removeprefix("inputs/"): file[key] for key in file if key.startswith("inputs/")
            }


@pytest.fixture(scope="module", params=["cpg", "joint"])
def exported(request, module_exports):
    return Exported(module_exports, request.param)


@pytest.fixture(scope="module")
def session(exported):
    with ServingSession(exported.folder / "saved_model" / "1") as session:
        yield session


def test_what_is_written(exported):
    artefacts = exported.content["artefacts"]
    of_windows = OF_WINDOWS if exported.name == "joint" else set()
    assert set(artefacts) == {f"keras/{exported.name}.keras", *OF_ALL, *of_windows}
    assert exported.content["left_out"] == {}
    for entry in artefacts.values():
        assert entry["maximum_difference"] <= BOUNDS[entry["precision"]]
    of = {"cells": ["c1", "c2", "c3"], "of_each_cell": 10, "max_distance": 25_000}
    assert exported.content["neighbours"] == of
    assert ("window" in exported.content) == (exported.name == "joint")


def test_inputs_are_what_the_model_reads(exported):
    artefacts = exported.content["artefacts"]

    def inputs(batch, *names):
        own = [name for name in names if name not in ("tokens", "one_hot") or is_joint(exported)]
        dtypes = {"tokens": "uint8"}
        return {
            name: {"dtype": dtypes.get(name, "float32"), "shape": [batch, *SIZE[name]]}
            for name in own
        }

    assert artefacts["onnx/float32.onnx"]["inputs"] == inputs(-1, "tokens", "state", "dist")
    keras = artefacts[f"keras/{exported.name}.keras"]
    assert keras["inputs"] == inputs(-1, "one_hot", "state", "dist")
    found = artefacts["tflite/float32_batch1.tflite"]["signatures"]
    if is_joint(exported):
        assert set(found) == {"tokens", "one_hot"}
        assert found["tokens"]["inputs"] == inputs(1, "tokens", "state", "dist")
        assert found["one_hot"]["inputs"] == inputs(1, "one_hot", "state", "dist")
    else:
        assert set(found) == {"serving_default"}
        assert found["serving_default"]["inputs"] == inputs(1, "state", "dist")


def is_joint(exported):
    return exported.name == "joint"


def test_what_all_were_compared_on(exported):
    """All kinds of sites: without neighbours, in some cells or all, and covered ones."""
    state, dist = exported.arrays["state"], exported.arrays["dist"]
    assert set(exported.arrays) == {"state", "dist", *(["tokens"] if is_joint(exported) else [])}
    assert state.dtype == dist.dtype == np.float32
    nothing = (dist == 1).all(axis=2)
    assert nothing.all(axis=1).any()
    assert (nothing.any(axis=1) & ~nothing.all(axis=1)).any()
    assert (~nothing).all(axis=1).any()
    assert ((state == 0) | (state == 1) | (dist == 1)).all()
    means = np.array(CPG.state_means, np.float32)[:, None]
    assert (((state == 0) | (state == 1)) | (state == means)).all()
    assert (state[nothing.all(axis=1)] == means).any(axis=(1, 2)).any()
    left, right = dist[..., :5], dist[..., 5:]
    assert (np.diff(left) <= 0).all()
    assert (np.diff(right) >= 0).all()


def test_operations_of_tflite_are_built_in(exported):
    for path in (exported.folder / "tflite").iterdir():
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
        assert schema.BuiltinOperator.CUSTOM not in codes
        assert not any(code.customCode for code in model.operatorCodes)


def test_operations_of_onnx_are_of_its_standard_set(exported):
    for path in (exported.folder / "onnx").iterdir():
        model = onnx.load(path)
        assert [one.domain for one in model.opset_import] == [""]
        assert {node.domain for node in model.graph.node} == {""}
        assert not model.functions


def test_the_saved_model_has_no_gradients(exported):
    path = exported.folder / "saved_model" / "1" / "saved_model.pb"
    content = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    library = content.meta_graphs[0].graph_def.library
    assert len(library.registered_gradients) == 0
    nodes = [*content.meta_graphs[0].graph_def.node]
    nodes += [node for function in library.function for node in function.node_def]
    assert "PreventGradient" not in {node.op for node in nodes}
    assert not any("_gradient_op_type" in node.attr for node in nodes)


def test_signatures(exported, session):
    neighbours = {name: exported.arrays[name][:20] for name in ("state", "dist")}
    expected = exported.model.predict_arrays({k: v[:20] for k, v in exported.arrays.items()})
    forms = {"serving_default": {}}
    if is_joint(exported):
        tokens = exported.arrays["tokens"][:20]
        forms = {
            "serving_default": {"sequences": np.array([row.tobytes() for row in tokens])},
            "tokens": {"tokens": tokens},
            "one_hot": {"one_hot": one_hot_of_bytes()[tokens]},
        }
    assert set(session.signatures) == {
        *(*forms, "embedding"),
        *("labels", "input_labels", "neighbours_key"),
    }
    for name, letters in forms.items():
        found = session.run(name, {**letters, **neighbours})
        np.testing.assert_allclose(
            found["probabilities"],
            expected,
            atol=tolerances.probabilities(exported.model.config),
        )
    found = session.run("embedding", {**forms["serving_default"], **neighbours})["embedding"]
    arrays = {k: v[:20] for k, v in exported.arrays.items()}
    embedding = exported.model.predict_arrays(arrays, "embedding")
    np.testing.assert_allclose(found, embedding, rtol=1e-5, atol=1e-5)
    index = {"index": np.array([2, 0])}
    assert session.run("input_labels", index)["cells"].tolist() == [b"c3", b"c1"]
    key = exported.model.config.parts["cpg"].neighbours_key.encode()
    assert session.run("neighbours_key", {"index": np.array([0])})["neighbours_key"] == [key]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {"dist": x["dist"] * 25_000}, "dist: expected values from 0 to 1, received"),
        (lambda x: {"state": x["state"] - 1}, "state: expected values from 0 to 1, received"),
        (lambda x: {"dist": x["dist"] * np.float32("nan")}, "dist: expected values from 0 to 1"),
        (lambda x: {"state": x["state"][:, :2]}, "expected shape [?,3,10]"),
        (lambda x: {"state": x["state"][:, :, :8]}, "expected shape [?,3,10]"),
        (lambda x: {"dist": x["dist"][0]}, "expected shape [?,3,10]"),
        (lambda x: {"dist": x["dist"][:3]}, "Dimension"),
        (lambda x: {name: array[:0] for name, array in x.items()}, "at least one"),
    ],
)
def test_what_is_wrong_is_refused_and_the_process_lives(exported, session, change, message):
    signature = "tokens" if is_joint(exported) else "serving_default"
    arrays = {name: array[-20:] for name, array in exported.arrays.items()}
    with pytest.raises(SessionError) as error:
        session.run(signature, {**arrays, **change(arrays)})
    assert str(error.value).startswith("INVALID_ARGUMENT: ")
    assert message in str(error.value)
    assert session.run(signature, arrays)["logits"].shape == (20, 3)


def test_every_warm_up_record_runs(exported, session):
    path = exported.folder / "saved_model" / "1" / "assets.extra" / WARM_UP_FILE
    signatures = set()
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
        inputs = {name: tf.make_ndarray(value) for name, value in log.request.inputs.items()}
        inputs = {k: v.astype("S") if v.dtype == object else v for k, v in inputs.items()}
        assert session.run(log.request.model_spec.signature_name, inputs)
        signatures.add(log.request.model_spec.signature_name)
    assert signatures == set(session.signatures) - {"labels", "input_labels", "neighbours_key"}


def test_the_card_says_what_a_user_needs(exported):
    card = (exported.folder / "README.md").read_text()
    name = "Joint" if is_joint(exported) else "CpG"
    for text in (
        f"DeepCpG's {name} module: from ",
        "the states and distances of the 10 nearest observed CpG sites in each of 3 cells",
        "first the 5 nearest observed CpG sites to the left of the site, from far to near",
        "`dist` the distance in bases divided by 25000, at most 1",
        "compute it without a word",
        "deepcpg-tf data neighbours",
        "`input_labels`",
        "cells whose neighbours are read, in order | c1, c2, c3 |",
        "state=state, dist=dist)",
        '"state": state, "dist": dist}',
    ):
        assert text in card
    assert ("A window is 101 letters" in card) == is_joint(exported)
    assert ("There is no int8" in card) != is_joint(exported)
    assert ("Int8 was calibrated on 256 sites" in card) == is_joint(exported)


def test_int8_is_of_windows_alone(module_exports):
    """The weights of all else are as they were, and the recurrent layers computed in float32."""
    exported = Exported(module_exports, "joint")
    kinds = {}
    for name in ("float32", "int8"):
        graph = onnx.load(exported.folder / "onnx" / f"{name}.onnx").graph
        kinds[name] = [node.op_type for node in graph.node]
    assert kinds["int8"].count("DequantizeLinear") > 5
    assert kinds["int8"].count("MatMul") == kinds["float32"].count("MatMul") > 10
    assert kinds["int8"].count("Tanh") == kinds["float32"].count("Tanh") == 6
    path = exported.folder / "tflite" / "int8.tflite"
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    for graph in model.subgraphs:
        types = {}
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            code = max(code.builtinCode, code.deprecatedBuiltinCode)
            types.setdefault(code, set()).update(graph.tensors[i].type for i in operator.outputs)
        builtin = schema.BuiltinOperator
        assert types[builtin.CONV_2D] == {schema.TensorType.INT8}
        assert types[builtin.TANH] == {schema.TensorType.FLOAT32}


def test_verify(exported):
    told = []
    verify(exported.folder, lambda path, measured: told.append(path))
    assert set(told) == set(exported.content["artefacts"])


def test_onnx_and_tflite_are_the_same_bytes_again(module_exports, tmp_path):
    exported = Exported(module_exports, "cpg")
    again = tmp_path / "again"
    export(exported.model, "cpg", again, draw_samples(exported.model), formats=["onnx", "tflite"])
    for kind in ("onnx", "tflite", "parity"):
        for path in sorted((exported.folder / kind).iterdir()):
            assert path.read_bytes() == (again / kind / path.name).read_bytes(), path.name


def test_another_model_is_refused(module_exports, tmp_path):
    """Of other cells that are read, though those that are predicted are the same."""
    exported = Exported(module_exports, "cpg")
    out = tmp_path / "out"
    drawn = draw_samples(exported.model)
    content = export(exported.model, "cpg", out, drawn, formats=["onnx"], int8=False)
    assert content["exports"]["1"]["parity"]["windows"] >= 512
    other = new_model(type(CPG).from_dict({**CPG.to_dict(), "input_cells": ["c2", "c1", "c3"]}))
    with pytest.raises(OutputError, match="expected a model with the neighbours of cpg, whose"):
        export(other, "other", out, draw_samples(other), formats=["onnx"], int8=False)
    means = type(CPG).from_dict({**CPG.to_dict(), "state_means": [0.5, 0.6, 0.7]})
    trained = new_model(means)
    export(trained, "cpg", out, draw_samples(trained), formats=["onnx"], int8=False)


def test_inputs_that_are_not_those_of_the_model(module_exports, tmp_path):
    exported = Exported(module_exports, "cpg")
    drawn = draw_samples(exported.model)
    narrow = {name: array[:, :2] for name, array in drawn.parity.items()}
    with pytest.raises(InputError, match="state: expected float32 of shape"):
        export(exported.model, "x", tmp_path / "x", drawn._replace(parity=narrow), formats=["onnx"])
    assert not (tmp_path / "x").exists()


def test_calibration_is_what_has_neighbours(module_exports, fails, tmp_path):
    folder, out = module_exports, tmp_path / "out"
    windows = tmp_path / "windows.fa"
    windows.write_text(f">a\n{'A' * 101}\n")
    expected = "--calibration: expected a methylation table (.h5ad) or a data file of the original"
    found = fails("export", folder / "joint", "--out", out, "--calibration", windows)
    assert expected in found
    table = ("--calibration", folder / "cells.h5ad")
    expected = "--genome: expected a reference, of which a joint module reads windows, received"
    assert expected in fails("export", folder / "joint", "--out", out, *table)
    assert not out.exists()


def test_calibration_on_a_table(module_exports, tmp_path):
    model = load_model(module_exports / "joint")
    table, genome = module_exports / "cells.h5ad", RUN / "dna"
    drawn = draw_samples(model, table, genome)
    assert drawn.source.startswith("cells.h5ad, ")
    assert drawn.labels is not None
    assert (drawn.labels >= 0).any()
    assert set(drawn.parity) == {"tokens", "state", "dist"}
    assert len(drawn.calibration["state"]) == 256
    cpg = draw_samples(load_model(module_exports / "cpg"), table)
    assert set(cpg.parity) == {"state", "dist"}
    legacy = sorted((RUN / "data").iterdir())
    assert set(draw_samples(load_model(module_exports / "cpg"), legacy[0]).parity) == set(
        cpg.parity
    )


def test_a_part_without_heads_is_refused(tmp_path):
    part = DNA.with_untrained_head()
    assert not part.head.trained
    with pytest.raises(ConfigError, match="model: expected one with heads, received the dna modul"):
        export_model(new_model(part), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind(exported, tmp_path):
    (tmp_path / "onnx").mkdir()
    with pytest.raises(ExportError):
        verify(tmp_path)


def test_the_manifest_is_as_its_schema_says(exported):
    schema = json.loads((ROOT / "docs" / "manifest.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(exported.content)
