"""TFLite for LiteRT: builtin operators only, in float32, float16 and int8.

An input of letters is gathered from a table of one-hot rows: comparing uint8
values, which a one-hot operation would need, aborts the interpreter.
"""

from __future__ import annotations

import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.exporters.saved_model import Outputs, outputs
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

Samples = Callable[[], Iterator[tuple[str, dict[str, npt.NDArray[Any]]]]]

_SIGNATURES = ("tokens", "one_hot")

# The time that every file in the appended archive has: the same model, the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def write_tflite(
    model: DeepCpgDnaForSequencePrediction,
    folder: Path,
    calibration: npt.NDArray[np.uint8] | None,
    description: Mapping[str, Any],
) -> None:
    """Write ``<precision>.tflite`` and ``<precision>_batch1.tflite`` of each precision.

    The signatures ``tokens`` (uint8 [n, length], ASCII codes) and ``one_hot`` share
    one set of weights. Names of cells (``labels.txt``) and the description
    (``description.json``) are in a zip archive at the end of each file, which
    ``unzip`` reads.

    Parameters
    ----------
    model
        The model, in float32.
    folder
        Where.
    calibration : ndarray of uint8, shape (n, length), optional
        ASCII codes of the windows whose activations set the scales of int8; without
        them there is none.
    description
        What is written into each file, as JSON.
    """
    for batch, ending in ((None, ""), (1, "_batch1")):
        with tempfile.TemporaryDirectory() as saved:
            _save(model, saved, batch)
            float32 = _convert(_converter(saved))
            content = {"float32": float32, "float16": _convert(_float16(_converter(saved)))}
            if calibration is not None:
                samples = partial(_samples, calibration, model.config.vocab_size)
                content["int8"] = _convert_int8(
                    _converter(saved), samples, _names_of_outputs(float32)
                )
            for precision, data in content.items():
                path = folder / f"{precision}{ending}.tflite"
                path.write_bytes(data)
                _append(path, model.cells, description)


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
        "labels.txt": "".join(f"{cell}\n" for cell in cells),
        "description.json": json.dumps(description, indent=2) + "\n",
    }
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), text)
