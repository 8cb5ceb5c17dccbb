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
from deepcpg_tf.exporters.describe import one_hot_of, outputs_of, summary, tensor, tokens_of
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import Outputs, outputs
from deepcpg_tf.exporters.rounding import Fit, method, round_weights
from deepcpg_tf.exporters.runtimes import InProcess, Values
from deepcpg_tf.exporters.tflite_names import arrange
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

PACKAGES: tuple[str, ...] = ("ai_edge_litert",)

Samples = Callable[[], Iterator[tuple[str, dict[str, npt.NDArray[Any]]]]]

_CARD = """
### TFLite: LiteRT

Signatures `tokens` (uint8 [n, {length}], ASCII codes) and `one_hot`. The `_batch1` files take one
window a call: the form for mobile and browser. `unzip -p FILE labels.txt` prints the cells.
What asks for no signature gets the first graph, which is that of `tokens`; tensors are called as in
the signatures: input `tokens`, outputs `logits`, then `probabilities`.

```python
from ai_edge_litert.interpreter import Interpreter
import numpy as np

run = Interpreter("{path}").get_signature_runner("tokens")
run(tokens=np.frombuffer(window.encode(), np.uint8)[None])["probabilities"]
```
"""

_LABELS, _DESCRIPTION = "labels.txt", "description.json"

_SIGNATURES = ("tokens", "one_hot")

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
    if job.int8:
        rounded = round_weights(model, job.drawn.rounding_windows(), Fit.LARGEST).model
    artefacts = []
    for batch, ending in ((None, ""), (1, "_batch1")):
        for precision, data in _contents(job, batch, rounded).items():
            file = f"{precision}{ending}.tflite"
            said = summary(job.description)
            (job.folder / file).write_bytes(arrange(data, _SIGNATURES[0], said))
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


def card(paths: Sequence[str], length: int) -> str:
    """Return how a file is called."""
    return _CARD.format(path=paths[0], length=length)


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
        self._runner = self._interpreter.get_signature_runner("tokens")
        length = self._runner.get_input_details()["tokens"]["shape"][1]
        # The first call prepares the weights, and tells of it on stderr.
        self.call({"tokens": np.full((batch, length), ord("N"), np.uint8)})

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


def _interface(model: DeepCpgDnaForSequencePrediction, batch: int) -> dict[str, Any]:
    found = outputs_of(model, batch)
    return {
        "signatures": {
            "tokens": {"inputs": tokens_of(model, batch), "outputs": found},
            "one_hot": {"inputs": one_hot_of(model, batch), "outputs": found},
        }
    }


def _contents(
    job: Job, batch: int | None, rounded: DeepCpgDnaForSequencePrediction | None
) -> dict[str, bytes]:
    """Return the model in each precision."""
    with _scratch(job) as saved:
        _save(job.model, saved, batch)
        content = {
            "float32": _convert(_converter(saved)),
            "float16": _convert(_float16(_converter(saved))),
        }
    if rounded is not None:
        with _scratch(job) as saved:
            _save(rounded, saved, batch)
            samples = partial(_samples, job.drawn.calibration, rounded.config.vocab_size)
            outputs = _names_of_outputs(_convert(_converter(saved)))
            content["int8"] = _convert_int8(_converter(saved), samples, outputs)
    return content


def _scratch(job: Job) -> tempfile.TemporaryDirectory[str]:
    """Return a folder for a while, on the disk that the export has to have room on anyway."""
    return tempfile.TemporaryDirectory(prefix=".", dir=job.folder)


def _save(model: DeepCpgDnaForSequencePrediction, folder: str, batch: int | None) -> None:
    length, channels = model.config.sequence_length, model.config.vocab_size

    @tf.function(input_signature=[tf.TensorSpec((batch, length), tf.uint8, name="tokens")])
    def tokens(tokens: tf.Tensor) -> Outputs:
        table = tf.constant(one_hot_of_bytes(channels))
        return outputs(model, tf.gather(table, tf.cast(tokens, tf.int32)))

    rows = tf.TensorSpec((batch, length, channels), tf.float32, name="one_hot")

    @tf.function(input_signature=[rows])
    def one_hot(one_hot: tf.Tensor) -> Outputs:
        return outputs(model, one_hot)

    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with quiet_stderr():
        tf.saved_model.save(module, folder, signatures={"tokens": tokens, "one_hot": one_hot})


def _converter(saved: str) -> Any:
    return tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=list(_SIGNATURES))


def _convert(converter: Any) -> bytes:
    with quiet_stderr():
        return bytes(converter.convert())


def _float16(converter: Any) -> Any:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return converter


def _convert_int8(converter: Any, samples: Samples, outputs: list[str]) -> bytes:
    """Quantise all but the head and the sigmoid.

    These cost nothing, and in float32 they keep what int8 would round once more: with
    three convolutions that is most of the difference.
    """
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = samples
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=outputs)
    with quiet_stderr(), warnings.catch_warnings():
        # It is the only way to leave operations out, and warns of its own interpreter.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter")
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_options=options
        )
        return bytes(debugger.get_nondebug_quantized_model())


def _names_of_outputs(content: bytes) -> list[str]:
    from ai_edge_litert.interpreter import Interpreter

    with quiet_stderr():
        interpreter = Interpreter(model_content=content)
        runners = [interpreter.get_signature_runner(name) for name in _SIGNATURES]
    details = (runner.get_output_details().values() for runner in runners)
    return [tensor["name"] for outputs in details for tensor in outputs]


def _samples(
    calibration: npt.NDArray[np.uint8], channels: int
) -> Iterator[tuple[str, dict[str, npt.NDArray[Any]]]]:
    table = one_hot_of_bytes(channels)
    for window in calibration:
        yield "tokens", {"tokens": window[None]}
        yield "one_hot", {"one_hot": table[window][None]}


def _append(path: Path, cells: tuple[str, ...], description: Mapping[str, Any]) -> None:
    files = {
        _LABELS: "".join(f"{cell}\n" for cell in cells),
        _DESCRIPTION: json.dumps(description, indent=2) + "\n",
    }
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), text)
