"""TFLite for LiteRT: builtin operators only, in float32, float16 and int8.

An input of letters is gathered from a table of one-hot rows: comparing uint8
values, which a one-hot operation would need, aborts the interpreter.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.exporters.artefact import Artefact, Said
from deepcpg_tf.exporters.describe import outputs_of, shapes_of, summary, tensor, unit_of
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import (
    DEFAULT,
    ONE_HOT,
    TOKENS,
    Outputs,
    channels,
    input_specs,
    inputs_of,
    numeric_signatures,
    outputs,
    reads_windows,
    rows_of,
)
from deepcpg_tf.exporters.rounding import Fit, method, round_weights
from deepcpg_tf.exporters.runtimes import InProcess, Values
from deepcpg_tf.exporters.tflite_names import arrange, names_but_of
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from deepcpg_tf.inputs import Arrays, take
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

PACKAGES: tuple[str, ...] = ("ai_edge_litert",)

Samples = Callable[[], Iterator[tuple[str, dict[str, npt.NDArray[Any]]]]]

_CARD = """
### TFLite: LiteRT

{signatures} The `_batch1` files take one {unit} a call: the form
for mobile and browser. `unzip -p FILE labels.txt` prints the cells.
What asks for no signature gets the first graph, which is that of `{first}`; tensors are called as
in the signatures: input{s} {inputs}, outputs `logits`, then `probabilities`.{int8}

```python
from ai_edge_litert.interpreter import Interpreter
import numpy as np

run = Interpreter("{path}").get_signature_runner("{first}")
run({call})["probabilities"]
```
"""
_STATES = "`state` and `dist` (float32 [n, {cells}, {of_each}])"
_INT8 = """
In int8 is what reads windows; neighbours, and what joins the two, are computed in float32."""

_QUANTISED = (TOKENS, ONE_HOT)
"""Inputs that what is computed in int8 comes from alone."""

_LABELS, _DESCRIPTION = "labels.txt", "description.json"

# The time that every file in the appended archive has: the same model, the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(job: Job) -> list[Artefact]:
    """Write ``<precision>.tflite`` and ``<precision>_batch1.tflite`` of each precision.

    The signatures ``tokens`` (uint8 [n, length], ASCII codes) and ``one_hot`` share
    one set of weights. Names of cells (``labels.txt``) and the description
    (``description.json``) are in a zip archive at the end of each file, which
    ``unzip`` reads. The first graph is that of ``tokens``, for who asks for no signature.
    """
    model, kind = job.model, job.folder.name
    rounded = None
    if job.int8 and reads_windows(model):
        rounded = round_weights(model, job.drawn.rounding_arrays(), Fit.LARGEST).model
    first = next(iter(numeric_signatures(model)))
    artefacts = []
    for batch, ending in ((None, ""), (1, "_batch1")):
        for precision, data in _contents(job, batch, rounded).items():
            file = f"{precision}{ending}.tflite"
            said = summary(job.description)
            (job.folder / file).write_bytes(arrange(data, first, said))
            description = {**job.description, "precision": precision}
            _append(job.folder / file, model.cells, description)
            found = _interface(model, batch or -1)
            made = method(Fit.LARGEST) if precision == "int8" else {}
            path = f"{kind}/{file}"
            artefacts.append(Artefact(path, kind, precision, batch, found, job.number, made))
    return artefacts


def open(path: Path, artefact: Artefact) -> InProcess:  # noqa: A001
    """Load a file in LiteRT."""
    return _TFLite(path, artefact.batch or 1)


def card(paths: Sequence[str], description: Mapping[str, Any]) -> str:
    """Return how a file is called."""
    names = list(shapes_of(description))
    states, others, int8 = "", "", ""
    calls = {name: name for name in names}
    calls["tokens"] = "np.frombuffer(window.encode(), np.uint8)[None]"
    if "neighbours" in description:
        of = description["neighbours"]
        states = _STATES.format(cells=len(of["cells"]), of_each=of["of_each_cell"])
        others = f", both with {states}"
        int8 = _INT8 if any("int8" in path for path in paths) else ""
    if "features" in description:
        states = ", ".join(
            f"`{name}` (float32 [n, {size}])" for name, (size,) in shapes_of(description).items()
        )
    if "window" in description:
        length = description["window"]["length"]
        signatures = (
            f"Signatures `tokens` (uint8 [n, {length}], ASCII codes) and `one_hot`{others}."
        )
    else:
        signatures = f"Signature `{DEFAULT}`: {states}."
    return _CARD.format(
        signatures=signatures,
        unit=unit_of(description)[0] if "window" not in description else "window",
        first="tokens" if "window" in description else DEFAULT,
        s="s" if len(names) > 1 else "",
        inputs=", ".join(f"`{name}`" for name in names),
        int8=int8,
        path=paths[0],
        call=", ".join(f"{name}={calls[name]}" for name in names),
    )


class _TFLite(InProcess):
    def __init__(self, path: Path, batch: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.name = f"ai_edge_litert {version('ai-edge-litert')}"
        # The file as bytes: mapped into memory, it could be changed while it is in use.
        content = path.read_bytes()
        self._interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            self._cells = archive.read(_LABELS).decode().splitlines()
            self._description = json.loads(archive.read(_DESCRIPTION))
        names = self._interpreter.get_signature_list()
        self._runner = self._interpreter.get_signature_runner(
            TOKENS if TOKENS in names else DEFAULT
        )
        inputs = self._runner.get_input_details()
        # The first call prepares the weights, and tells of it on stderr.
        self.call(
            {
                name: np.zeros((batch, *found["shape"][1:]), found["dtype"])
                for name, found in inputs.items()
            }
        )

    def call(self, arrays: Arrays) -> Values:
        return dict(self._runner(**arrays))

    def said(self) -> Said:
        """By its signatures, and the archive at its end."""
        signatures = {}
        for name in self._interpreter.get_signature_list():
            runner = self._interpreter.get_signature_runner(name)
            signatures[name] = {
                "inputs": _tensors(runner.get_input_details()),
                "outputs": _tensors(runner.get_output_details()),
            }
        return Said({"signatures": signatures}, self._cells, self._description)


def _tensors(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of inputs or outputs."""
    return {
        name: tensor(np.dtype(found["dtype"]).name, *found["shape_signature"].tolist())
        for name, found in details.items()
    }


def _interface(model: MethylationModel, batch: int) -> dict[str, Any]:
    found = outputs_of(model, batch)
    return {
        "signatures": {
            name: {"inputs": inputs_of(model, form, batch), "outputs": found}
            for name, form in numeric_signatures(model).items()
        }
    }


def _contents(job: Job, batch: int | None, rounded: MethylationModel | None) -> dict[str, bytes]:
    """Return the model in each precision."""
    signatures = [*numeric_signatures(job.model)]
    with _scratch(job) as saved:
        _save(job.model, saved, batch)
        content = {
            "float32": _convert(_converter(saved, signatures)),
            "float16": _convert(_float16(_converter(saved, signatures))),
        }
    if rounded is not None:
        with _scratch(job) as saved:
            _save(rounded, saved, batch)
            samples = partial(_samples, rounded, job.drawn.calibration)
            in_float = names_but_of(_convert(_converter(saved, signatures)), _QUANTISED)
            content["int8"] = _convert_int8(_converter(saved, signatures), samples, in_float)
    return content


def _scratch(job: Job) -> tempfile.TemporaryDirectory[str]:
    """Return a folder for a while, on the disk that the export has to have room on anyway."""
    return tempfile.TemporaryDirectory(prefix=".", dir=job.folder)


def _save(model: MethylationModel, folder: str, batch: int | None) -> None:
    signatures = {
        name: _function(model, form, batch) for name, form in numeric_signatures(model).items()
    }
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with quiet_stderr():
        tf.saved_model.save(module, folder, signatures=signatures)


def _function(model: MethylationModel, form: str, batch: int | None) -> Any:
    @tf.function
    def run(**tensors: tf.Tensor) -> Outputs:
        return outputs(model, rows_of(model, tensors, checked=False))

    return run.get_concrete_function(
        **{spec.name: spec for spec in input_specs(model, form, batch)}
    )


def _converter(saved: str, signatures: list[str]) -> Any:
    return tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=signatures)


def _convert(converter: Any) -> bytes:
    with quiet_stderr():
        return bytes(converter.convert())


def _float16(converter: Any) -> Any:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return converter


def _convert_int8(converter: Any, samples: Samples, in_float: list[str]) -> bytes:
    """Quantise all but the head and the sigmoid, and what reads neighbours.

    The first two cost nothing, and in float32 they keep what int8 would round once more: with
    three convolutions that is most of the difference. Recurrent layers add up what is
    rounded, from one cell to the next.
    """
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = samples
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=in_float)
    with quiet_stderr(), warnings.catch_warnings():
        # It is the only way to leave operations out, and warns of its own interpreter.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter")
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_options=options
        )
        return bytes(debugger.get_nondebug_quantized_model())


def _samples(
    model: MethylationModel, calibration: Arrays
) -> Iterator[tuple[str, dict[str, npt.NDArray[Any]]]]:
    table = one_hot_of_bytes(channels(model))
    for row in range(len(calibration[TOKENS])):
        site = take(calibration, slice(row, row + 1))
        yield TOKENS, site
        letters = site.pop(TOKENS)
        yield ONE_HOT, {ONE_HOT: table[letters], **site}


def _append(path: Path, cells: tuple[str, ...], description: Mapping[str, Any]) -> None:
    files = {
        _LABELS: "".join(f"{cell}\n" for cell in cells),
        _DESCRIPTION: json.dumps(description, indent=2) + "\n",
    }
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), text)
