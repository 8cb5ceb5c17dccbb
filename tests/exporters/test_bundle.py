import json
import sys

import keras
import numpy as np
import onnx
import pytest

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from deepcpg_tf.errors import ConfigError, ExportError, OutputError
from deepcpg_tf.exporters import bundle, formats, parity
from deepcpg_tf.exporters.artefact import BOUNDS
from deepcpg_tf.exporters.bundle import export, verify
from deepcpg_tf.exporters.manifest import artefacts_of, description_of, fingerprint
from deepcpg_tf.exporters.samples import draw_samples
from deepcpg_tf.files import sha256
from deepcpg_tf.presets import PRESETS
from tests import tolerances
from tests.exporters.conftest import LEGACY, edit

ARTEFACTS = {
    "keras/tiny.keras",
    "saved_model/1",
    *(f"tflite/{p}{b}.tflite" for p in ("float32", "float16", "int8") for b in ("", "_batch1")),
    *("onnx/float32.onnx", "onnx/int8.onnx"),
}


def test_what_is_written(exported):
    names = {path.name for path in exported.folder.iterdir()}
    assert names == {
        *("keras", "saved_model", "tflite", "onnx", "manifest.json", "README.md", "parity"),
    }
    assert (
        json.loads((exported.folder / "manifest.json").read_text())["artefacts"]
        == (exported.content["artefacts"])
    )
    assert set(exported.content["artefacts"]) == ARTEFACTS


@pytest.mark.parametrize("name", sorted(ARTEFACTS))
def test_the_manifest_of_each_artefact(exported, name):
    entry, path = exported.content["artefacts"][name], exported.folder / name
    if path.is_file():
        assert (entry["bytes"], entry["sha256"]) == (path.stat().st_size, sha256(path))
    assert entry["windows"] >= 512
    assert entry["maximum_difference"] <= BOUNDS[entry["precision"]]
    assert entry["mean_difference"] <= entry["maximum_difference"]
    assert 0 <= entry["calls_changed"] < 0.05
    assert entry["auc_change"] is None
    assert entry["runtime"].split()[-1][0].isdigit()
    assert min(entry["latency_ms"], entry["windows_per_second"], entry["load_ms"]) > 0
    if name == "onnx/int8.onnx":
        assert entry["inputs"] == {"tokens": {"dtype": "uint8", "shape": [-1, 101]}}
        assert entry["outputs"]["logits"] == {"dtype": "float32", "shape": [-1, 3]}


def test_the_windows_have_n_lower_case_and_both_ends(exported):
    tokens = exported.drawn.parity["tokens"]
    assert (tokens == ord("N")).all(axis=1).any()
    assert (tokens[1::4] >= ord("a")).all()
    letters = [row.tobytes().decode() for row in exported.drawn.calibration["tokens"]]
    typical = exported.model.predict_sequences(letters).mean(axis=1)[128:]
    reference = parity.Reference.load(exported.folder / "parity" / "1.npz")
    found = reference.probabilities.mean(axis=1)
    assert (found < np.quantile(typical, 0.05)).mean() > 0.1
    assert (found > np.quantile(typical, 0.95)).mean() > 0.1


def test_the_card_says_what_a_user_needs(exported):
    card = (exported.folder / "README.md").read_text()
    for cell in exported.model.cells:
        assert cell in card
    for text in (
        "than 1e-05 (float32), 0.001 (float16) or 0.02 (int8) is not in this folder",
        "0.002 at most; it is blank where no label of the windows is known",
        "`parity/1.npz` (NumPy) has the windows",
        "The file needs the package deepcpg_tf",
        "`pip install PATH` installs it",
        "under Apache-2.0",
        "the licence of the weights is up to who trained them, and not known here",
        "input `tokens`, outputs `logits`, then `probabilities`",
        "NaN, fractions, or",
        exported.model.digest(),
        "A, T, G, C",
        "any other letter for N",
        "int8.tflite",
        "manifest.json",
        "Genome Bio",
    ):
        assert text in card


def test_verify(exported):
    told = []
    verify(exported.folder, lambda path, measured: told.append(path))
    assert set(told) == ARTEFACTS


def change(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("tflite/int8.tflite", change, "expected sha256 "),
        ("onnx/float32.onnx", truncate, "expected "),
        ("onnx/int8.onnx", lambda path: path.unlink(), "missing"),
        ("saved_model/1/variables/variables.index", change, "changed"),
        ("saved_model/1/saved_model.pb", lambda path: path.unlink(), "missing"),
        ("saved_model/1/assets.extra/more", lambda path: path.write_text("x"), "new"),
        ("keras/tiny.keras", change, "expected sha256 "),
        ("parity/1.npz", change, "expected sha256 "),
        ("README.md", change, "expected sha256 "),
    ],
)
def test_verify_notices(copy, name, damage, message):
    damage(copy / name)
    with pytest.raises(ExportError) as error:
        verify(copy)
    assert str(error.value).startswith(f"{copy}/{name}: {message}")


def test_verify_notices_swapped_files(copy):
    one, other = copy / "tflite" / "float32.tflite", copy / "tflite" / "int8.tflite"
    one.rename(copy / "x")
    other.rename(one)
    (copy / "x").rename(other)
    with pytest.raises(ExportError, match=r"tflite/float32.tflite: expected .* \(and 1 more\)"):
        verify(copy)


def test_verify_measures_and_does_not_only_compare_checksums(copy):
    """A manifest that was changed as well does not help."""
    path = copy / "onnx" / "float32.onnx"
    model = onnx.load(path)
    (bias,) = [one for one in model.graph.initializer if one.name == "Gemm_12_2"]
    moved = onnx.numpy_helper.to_array(bias) + np.float32(0.1)
    bias.CopyFrom(onnx.numpy_helper.from_array(moved, bias.name))
    onnx.save(model, path)
    edit(copy, lambda content: content["artefacts"]["onnx/float32.onnx"].update(fingerprint(path)))
    with pytest.raises(ExportError, match=r"float32.onnx: expected probabilities within 1e-05"):
        verify(copy)


def test_verify_of_what_is_no_export(tmp_path):
    with pytest.raises(ExportError, match=r"expected an export with its manifest.json, found none"):
        verify(tmp_path)
    for text in ("{", "[]", "{}", '{"format": "deepcpg_tf export", "format_version": 3}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(ExportError, match="expected the manifest of an export, but"):
            verify(tmp_path)


@pytest.mark.parametrize("version", [1, 2])
def test_verify_refuses_a_manifest_of_an_earlier_version(exported, copy, version):
    """No release wrote them. An export there has to be told to replace them."""
    edit(copy, lambda content: content.update(format_version=version))
    expected = f"expected version 3, received version {version} of an earlier deepcpg_tf: export"
    with pytest.raises(ExportError, match=expected):
        verify(copy)
    with pytest.raises(ExportError, match=rf"{expected}.*; `replace` removes what is there"):
        export(exported.model, "tiny", copy, exported.drawn)


def test_verify_refuses_another_format(copy):
    edit(copy, lambda content: content.update(format="x"))
    with pytest.raises(ExportError, match="expected 'deepcpg_tf export' version 3, received 'x'"):
        verify(copy)


@pytest.mark.parametrize(
    ("fact", "value"),
    [("kind", None), ("precision", "int4"), ("batch", 0), ("batch", True), ("batch", "1")],
)
def test_verify_refuses_a_manifest_that_does_not_say_what_an_artefact_is(copy, fact, value):
    edit(copy, lambda content: content["artefacts"]["onnx/int8.onnx"].update({fact: value}))
    with pytest.raises(ExportError, match=r"onnx/int8.onnx: expected its kind, precision and batc"):
        verify(copy)


def test_verify_refuses_an_unknown_format(copy):
    edit(copy, lambda content: content["artefacts"]["onnx/int8.onnx"].update(kind="coreml"))
    with pytest.raises(ExportError, match=r"format: expected one of keras, onnx, .*'coreml'"):
        verify(copy)


def reverse_cells(content):
    content["cells"].reverse()


def another_window(content):
    content["window"] |= {"length": 501, "cytosine_at": 250}


def other_channels(content):
    content["window"]["one_hot_channels"] = ["A", "C", "G", "T"]


def loose_bound(content):
    content["bounds"]["float32"] = 0.5


def other_precision(content):
    content["artefacts"]["onnx/float32.onnx"]["precision"] = "int8"


def another_shape(content):
    tokens = content["artefacts"]["onnx/float32.onnx"]["inputs"]["tokens"]
    tokens["shape"] = [-1, 100]


def no_artefacts(content):
    content["artefacts"] = {}


def one_less(content):
    del content["artefacts"]["onnx/int8.onnx"]


def other_weights(content):
    run = content["exports"]["1"]
    run["weights"] = "0" * 64
    for entry in content["artefacts"].values():
        entry["weights"] = run["weights"]


def outside(content):
    content["other_files"]["../x"] = {"bytes": 0, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (reverse_cells, r"keras/tiny.keras: expected the cells \w+, .*, it has \w+, "),
        (another_window, r"tiny.keras: expected windows of 501 letters, those to compare on have"),
        (other_channels, r"manifest.json: expected the manifest of .* expected the window .*'T'"),
        (loose_bound, r"manifest.json: .* expected the bounds {'float32': 1e-05, .*'float32': 0.5"),
        (other_precision, r'float32.onnx: expected a model of the precision "int8", it says "fl'),
        (
            another_shape,
            r"onnx/float32.onnx: expected the inputs and outputs .*100.*, it has .*101",
        ),
        (no_artefacts, r"manifest.json: .* it lists no artefacts"),
        (one_less, r"onnx/int8.onnx: not in manifest.json"),
        (other_weights, r'tiny.keras: expected a model of the weights "000.*, it says "\w+"'),
        (outside, r"manifest.json: .*\.\./x: expected a path within the export"),
    ],
)
def test_verify_does_not_believe_a_manifest_that_was_changed(copy, change, message):
    """Nor if its own checksum was changed as well: artefacts say what they are."""
    path = copy / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ExportError, match=r"its digest is \w+…, and it says \w+…: it was changed"):
        verify(copy)
    edit(copy, lambda content: None)
    with pytest.raises(ExportError, match=message):
        verify(copy)


def test_every_artefact_says_its_cells_itself(copy):
    """Each alone: with one of them as it was, the others are not looked at."""
    content = json.loads((copy / "manifest.json").read_text())
    for artefact in artefacts_of(content):
        description = description_of(content, artefact)
        runtime = formats.open_artefact(copy, artefact)
        said = runtime.said()
        runtime.close()
        assert tuple(said.cells) == tuple(content["cells"])
        assert said.interface == artefact.interface
        assert said.description == {**description, "precision": artefact.precision}


@pytest.mark.parametrize("name", ["onnx/x.onnx", "saved_model/2/saved_model.pb", "notes.txt"])
def test_verify_notices_what_is_not_listed(copy, name):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("x")
    listed = "saved_model/2" if "2" in name else name
    with pytest.raises(ExportError, match=rf"/{listed}: not in manifest.json"):
        verify(copy)


@pytest.mark.parametrize("name", ["int8-trial", "x_batch1", "float16"])
def test_the_name_of_a_model_says_nothing_of_its_artefacts(exported, tmp_path, name):
    content = export(exported.model, name, tmp_path / name, exported.drawn, formats=["onnx"])
    entry = content["artefacts"][f"keras/{name}.keras"]
    assert (entry["precision"], entry["batch"]) == ("float32", None)
    assert entry["inputs"]["one_hot"]["shape"] == [-1, 101, 4]
    int8 = content["artefacts"]["onnx/int8.onnx"]
    assert int8["precision"] == "int8"
    assert int8["calibration"].startswith("channels scaled to one range, weights rounded with")


def test_a_model_named_int8_is_held_to_the_bound_of_float32(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(BOUNDS, "float32", 1e-12)
    with pytest.raises(ExportError, match=r"^keras/int8-trial.keras: expected .* within 1e-12"):
        export(exported.model, "int8-trial", tmp_path / "x", exported.drawn, formats=["onnx"])


FORMAT = '''
"""The model's logits as Keras computes them, in a file of its own kind."""
import numpy as np
from deepcpg_tf.exporters.artefact import Artefact
from deepcpg_tf.exporters.formats import keras
from deepcpg_tf.exporters.runtimes import InProcess

PACKAGES = ()

def write(job):
    job.model.save(job.folder / "model.keras")
    (job.folder / "model.keras").rename(job.folder / "model.mine")
    return [Artefact("mine/model.mine", "mine", batch=1, interface={"inputs": {}, "outputs": {}})]

def open(path, artefact):
    copy = path.with_name("tiny.keras")
    copy.write_bytes(path.read_bytes())
    runtime = keras.open(copy, artefact)
    copy.unlink()
    said = runtime.said()._replace(interface={"inputs": {}, "outputs": {}})
    runtime.said = lambda: said
    return runtime

def card(paths, description):
    return f"Call {paths[0]} with {description['window']['length']} letters."
'''


def test_a_format_is_one_module(exported, tmp_path, monkeypatch):
    """Written, run, listed, and told of on the card, by a file in the folder of formats."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "mine.py").write_text(FORMAT)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path / "more")])
    assert "mine" in bundle.choices()
    out = tmp_path / "out"
    content = export(exported.model, "tiny", out, exported.drawn, formats=["mine"])
    entry = content["artefacts"]["mine/model.mine"]
    assert (entry["kind"], entry["batch"]) == ("mine", 1)
    assert entry["maximum_difference"] <= 1e-5
    assert "Call mine/model.mine with 101 letters." in (out / "README.md").read_text()
    verify(out)
    sys.modules.pop(f"{formats.__name__}.mine")


def test_every_format_has_what_a_format_has():
    assert formats.names() == ("keras", "onnx", "saved_model", "tflite")
    for name in formats.names():
        found = formats.load(name)
        assert all(callable(getattr(found, function)) for function in ("write", "open", "card"))


def test_nothing_is_there_until_everything_was_measured(exported, tmp_path, monkeypatch):
    out = tmp_path / "out"
    real = parity.measure

    def measure(*given):
        assert all(path.name.startswith(".export") for path in out.iterdir())
        return real(*given)

    monkeypatch.setattr(parity, "measure", measure)
    export(exported.model, "tiny", out, exported.drawn, formats=["onnx"])
    assert (out / "manifest.json").is_file()


def test_an_artefact_out_of_bounds_is_left_out(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(BOUNDS, "int8", 1e-6)
    out = tmp_path / "out"
    with pytest.warns(UserWarning, match="left out") as warned:
        content = export(exported.model, "tiny", out, exported.drawn, formats=["onnx", "tflite"])
    ints = ["onnx/int8.onnx", "tflite/int8.tflite", "tflite/int8_batch1.tflite"]
    assert list(content["left_out"]) == ints
    assert set(content["artefacts"]) == ARTEFACTS - {*ints, "saved_model/1"}
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert not files & {*ints}
    entry = content["left_out"]["onnx/int8.onnx"]
    assert (entry["bound"], entry["precision"]) == (1e-6, "int8")
    assert 1e-6 < entry["maximum_difference"] < 0.02
    assert json.loads((out / "manifest.json").read_text())["left_out"] == content["left_out"]
    reasons = [content["left_out"][path]["reason"] for path in ints]
    way_out = "; calibrated on windows like those to come (`calibration`) it may be within, and "
    lines = [
        f"{path}: left out: {reason}{way_out}`int8=False` writes none"
        for path, reason in zip(ints, reasons, strict=True)
    ]
    assert [str(one.message) for one in warned if one.category is UserWarning] == lines
    assert not any("`" in reason for reason in reasons)
    assert "expected probabilities within 1e-06 of the model's, received a diff" in lines[0]
    card = (out / "README.md").read_text()
    assert all(f"- `{path}`: expected probabilities within 1e-06" in card for path in ints)
    told = []
    verify(out, lambda path, measured: told.append(path))
    assert set(told) == set(content["artefacts"])
    monkeypatch.undo()
    with pytest.raises(ExportError, match=r"expected the bounds .*'int8': 0.02.*'int8': 1e-06"):
        verify(out)


def test_an_artefact_of_float32_too(exported, tmp_path, monkeypatch):
    """And the folder of a format that has nothing left goes."""
    real = parity.measure

    def measure(folder, artefact, *given):
        found = real(folder, artefact, *given)
        worse = artefact.kind == "saved_model"
        return found._replace(maximum_difference=float("nan")) if worse else found

    monkeypatch.setattr(parity, "measure", measure)
    out, formats = tmp_path / "out", ["onnx", "saved_model"]
    with pytest.warns(UserWarning, match="saved_model/1: left out: .* difference of nan"):
        content = export(exported.model, "tiny", out, exported.drawn, formats=formats)
    assert content["left_out"]["saved_model/1"]["maximum_difference"] is None
    assert not (out / "saved_model").exists()


def test_what_does_not_run_is_left_out(exported, tmp_path, monkeypatch):
    from deepcpg_tf.exporters.formats import onnx

    def broken(path, artefact):
        if artefact.precision == "int8":
            raise RuntimeError("no such kernel")
        return real(path, artefact)

    real = onnx.open
    monkeypatch.setattr(onnx, "open", broken)
    with pytest.warns(UserWarning, match="int8.onnx: left out: .* loads, but no such kernel"):
        content = export(exported.model, "tiny", tmp_path / "out", exported.drawn, formats=["onnx"])
    assert content["left_out"]["onnx/int8.onnx"]["maximum_difference"] is None


def test_strict(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(BOUNDS, "int8", 1e-6)
    with pytest.raises(ExportError, match=r"^onnx/int8.onnx: expected probabilities within 1e-06"):
        export(
            exported.model, "tiny", tmp_path / "out", exported.drawn, formats=["onnx"], strict=True
        )
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_has_nothing_left(exported, tmp_path, monkeypatch):
    """Nothing but the Keras file, or not even that."""
    real = parity.fault
    for kept, first in (("keras", "onnx/float32.onnx"), ("onnx", "keras/tiny.keras")):
        monkeypatch.setattr(
            parity,
            "fault",
            lambda artefact, measured: real(artefact, measured) if artefact.kind == kept else "bad",  # noqa: B023
        )
        with pytest.raises(ExportError, match=rf"^{first}: bad"):
            export(exported.model, "tiny", tmp_path / "out", exported.drawn, formats=["onnx"])
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_replaced(exported, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"a new folder or an earlier export, it holds notes.txt"):
        export(exported.model, "tiny", tmp_path, exported.drawn)
    with pytest.raises(OutputError, match="name of a folder to write, received a file"):
        export(exported.model, "tiny", tmp_path / "notes.txt", exported.drawn)


def test_an_unknown_format(exported, tmp_path):
    with pytest.raises(ConfigError, match="expected some of onnx, saved_model, tflite, received"):
        export(exported.model, "tiny", tmp_path / "out", exported.drawn, formats=["coreml"])


def test_the_keras_file_is_the_model(exported):
    loaded = keras.saving.load_model(exported.folder / "keras" / "tiny.keras")
    found = loaded.predict_sequences(exported.letters)
    np.testing.assert_allclose(found, exported.probabilities, atol=tolerances.TINY_PROBABILITIES)


@pytest.mark.full
@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_published_architecture(tmp_path, preset):
    """Full size, with weights as Keras starts them: the export compares all artefacts itself."""
    keras.utils.set_random_seed(0)
    config = DeepCpgDnaConfig.from_architecture(preset.architecture, cells=list(preset.cells))
    model = DeepCpgDnaForSequencePrediction(config)
    content = export(model, preset.name, tmp_path / "out", draw_samples(model))
    artefacts = content["artefacts"]
    assert len(artefacts) == 10
    assert content["cells_of"] == preset.name
    assert content["exports"]["1"]["genome"] == preset.genome
    assert artefacts["saved_model/1"]["bytes"] <= 1.05 * 4 * config.num_parameters
    for path in ("tflite/float32.tflite", "onnx/float32.onnx"):
        assert artefacts[path]["bytes"] <= 1.01 * 4 * config.num_parameters
    for kind in ("tflite/int8.tflite", "onnx/int8.onnx"):
        assert artefacts[kind]["bytes"] <= 1.05 * config.num_parameters
    # Quantised around the detours of tf2onnx, int8 would be several times slower.
    speed = {
        kind: artefacts[f"onnx/{kind}.onnx"]["windows_per_second"] for kind in ("float32", "int8")
    }
    assert speed["int8"] > 1.5 * speed["float32"]
    if preset.name.startswith("smallwood2014"):  # one of each architecture, for time
        assert bundle.verify(tmp_path / "out")


def test_an_export_can_be_repeated_byte_for_byte(exported, tmp_path):
    """Though names that TensorFlow counts are others by now; not SavedModel, nor Keras's dates."""
    model = DeepCpgDnaForSequencePrediction.from_preset(LEGACY)
    model(np.zeros((1, 101, 4), np.float32))
    out = tmp_path / "out"
    export(model, "tiny", out, draw_samples(model), formats=["onnx", "tflite"])
    names = [
        path.relative_to(out) for path in out.rglob("*") if path.suffix in (".onnx", ".tflite")
    ]
    assert len(names) == 8
    for name in (*names, "parity/1.npz"):
        assert (out / name).read_bytes() == (exported.folder / name).read_bytes(), name
