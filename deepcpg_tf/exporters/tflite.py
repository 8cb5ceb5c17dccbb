"""TFLite for LiteRT: builtin operators only, in float32, float16 and int8.

An input of letters is gathered from a table of one-hot rows: comparing uint8
values, which a one-hot operation would need, aborts the interpreter.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.exporters.saved_model import Outputs, outputs
from deepcpg_tf.quiet import quiet_stderr
from deepcpg_tf.sequence import one_hot_of_bytes

if TYPE_CHECKING:
    from deepcpg_tf.model import DeepCpgDnaForSequencePrediction

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")

# The time that every file in the appended archive has: the same model, the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def write_tflite(
    model: DeepCpgDnaForSequencePrediction,
    folder: Path,
    calibration: npt.NDArray[np.uint8],
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
    calibration : ndarray of uint8, shape (n, length)
        ASCII codes of the windows whose activations set the scales of int8.
    description
        What is written into each file, as JSON.
    """
    for batch, ending in ((None, ""), (1, "_batch1")):
        with tempfile.TemporaryDirectory() as saved:
            _save(model, saved, batch)
            for precision in PRECISIONS:
                path = folder / f"{precision}{ending}.tflite"
                path.write_bytes(_convert(saved, precision, calibration, model.config.vocab_size))
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


def _convert(
    saved: str, precision: Precision, calibration: npt.NDArray[np.uint8], channels: int
) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved, signature_keys=["tokens", "one_hot"]
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: _samples(calibration, channels)
    with quiet_stderr():
        return bytes(converter.convert())


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
