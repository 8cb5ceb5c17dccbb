"""SavedModel for TF Serving: letters in, logits and probabilities out.

The weights are plain variables of one `tf.Module` and the signatures closures over
them: a Keras model as attribute of the module fails in the loader that TF Serving
uses, and `keras.Model.export` stores the weights twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.cpg import cpg_part
from deepcpg_tf.exporters.artefact import Artefact, Said
from deepcpg_tf.exporters.describe import NEIGHBOURS_KEY, outputs_of, shapes_of, tensor
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import (
    DEFAULT,
    ONE_HOT,
    SEQUENCES,
    TOKENS,
    Outputs,
    Tensors,
    channels,
    embedding,
    input_specs,
    inputs_of,
    numeric_signatures,
    outputs,
    rows_of,
)
from deepcpg_tf.exporters.runtimes import Runtime, Values
from deepcpg_tf.exporters.session import ServingSession
from deepcpg_tf.genome.sequence import one_hot_of_bytes
from deepcpg_tf.inputs import Arrays, take
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

PACKAGES: tuple[str, ...] = ("tensorflow_serving",)

WARM_UP_FILE = "tf_serving_warmup_requests"
"""What TF Serving runs before it says that a model is ready, in ``assets.extra``."""

_WARM_UP_WINDOWS = 8
_DESCRIPTION = "description.json"
_SHARES = ("state", "dist")
_NUMBERS = ("features", "embedding")
_UNITS = dict.fromkeys(_SHARES, "site") | dict.fromkeys(_NUMBERS, "entry")

_CARD = """
### SavedModel: TF Serving

`saved_model` is a base path of TF Serving. Signatures: {signatures}, and `labels` (`index` to
`cells`, the names of the outputs){more}.

```sh
tensorflow_model_server --rest_api_port=8501 \\
  --model_name=deepcpg --model_base_path="$PWD/saved_model"
curl -d '{request}' http://localhost:8501/v1/models/deepcpg:predict
```
"""

_WINDOWS = (
    "`serving_default` (`sequences`: strings, a\nwindow each{others}), `tokens` (uint8 [n, "
    "{length}], ASCII codes{others}), `one_hot` (float32\n[n, {length}, 4]{others}), `embedding` "
    "(`sequences`{others})"
)
_NEIGHBOURS = (
    ", `input_labels` (the same of those whose\nneighbours are read, in their order; `state` "
    "and `dist` are float32 [n, {cells}, {of_each}], and what is not\nfrom 0 to 1 in them is an "
    "error), and `neighbours_key` (`index` 0 to what tables for the model have in the column\n"
    "`neighbours`)"
)


def write(job: Job) -> list[Artefact]:
    """Write a model as one version of a TF Serving base path."""
    version_folder = job.folder / str(job.number)
    model = job.model
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    with quiet_stderr():
        tf.saved_model.save(module, str(version_folder), signatures=_signatures(model))
    extra = version_folder / "assets.extra"
    extra.mkdir()
    (extra / "cells.txt").write_text("".join(f"{cell}\n" for cell in model.cells))
    description = {**job.description, "precision": "float32"}
    (extra / _DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    _write_warm_up(extra / WARM_UP_FILE, model, take(job.drawn.parity, slice(_WARM_UP_WINDOWS)))
    path = f"{job.folder.name}/{job.number}"
    return [Artefact(path, job.folder.name, interface=_interface(model), export=job.number)]


def open(path: Path, artefact: Artefact) -> Runtime:  # noqa: A001
    """Load a version as TF Serving does."""
    return _SavedModel(path)


def card(paths: Sequence[str], description: Mapping[str, Any]) -> str:
    """Return how it is served."""
    others, more, instance = "", "", '"ACGT…"'
    if "neighbours" in description:
        of = description["neighbours"]
        others = ", `state`, `dist`"
        more = _NEIGHBOURS.format(cells=len(of["cells"]), of_each=of["of_each_cell"])
        instance = '"state": [[1, …], …], "dist": [[0.02, …], …]'
        letters = '"sequences": "ACGT…", ' if "window" in description else ""
        instance = f"{{{letters}{instance}}}"
    if "window" in description:
        signatures = _WINDOWS.format(length=description["window"]["length"], others=others)
    else:
        names = ", ".join(f"`{name}`" for name in shapes_of(description))
        signatures = f"`serving_default` and `embedding` ({names})"
    if "features" in description:
        given = ", ".join(f'"{name}": [0.1, …]' for name in shapes_of(description))
        instance = f"{{{given}}}"
    request = f'{{"instances": [{instance}]}}'
    return _CARD.format(signatures=signatures, more=more, request=request)


class _SavedModel:
    def __init__(self, path: Path) -> None:
        self.name = f"session of TensorFlow {version('tensorflow')}"
        self._session = ServingSession(path)
        self._description = json.loads((path / "assets.extra" / _DESCRIPTION).read_text())
        self._signature = TOKENS if TOKENS in self._session.signatures else DEFAULT

    def call(self, arrays: Arrays) -> Values:
        return self._session.run(self._signature, dict(arrays))

    def seconds(self, arrays: Arrays, repeat: int) -> list[float]:
        return self._session.seconds(self._signature, dict(arrays), repeat)

    def said(self) -> Said:
        """By its signatures, and the description beside it."""
        signatures = self._session.interface
        cells = signatures["serving_default"]["outputs"]["probabilities"]["shape"][1]
        names = self._session.run("labels", {"index": np.arange(cells)})["cells"]
        return Said(
            {"signatures": signatures}, [name.decode() for name in names], self._description
        )

    def close(self) -> None:
        self._session.close()


def _interface(model: MethylationModel) -> dict[str, Any]:
    found = {
        name: {"inputs": inputs_of(model, form), "outputs": outputs_of(model)}
        for name, form in _forms(model).items()
    }
    embedding = {"embedding": tensor("float32", -1, model.config.embedding_size)}
    found["embedding"] = {"inputs": found[DEFAULT]["inputs"], "outputs": embedding}
    for name, (output, _) in _texts(model).items():
        outputs = {output: tensor("string", -1)}
        found[name] = {"inputs": {"index": tensor("int64", -1)}, "outputs": outputs}
    return {"signatures": found}


def _forms(model: MethylationModel) -> dict[str, str]:
    """Return the form of windows that each signature takes."""
    return {DEFAULT: SEQUENCES, **numeric_signatures(model)}


def _texts(model: MethylationModel) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the output of each signature that yields texts, and these: names of cells, a key."""
    texts = {"labels": ("cells", model.cells)}
    if (part := cpg_part(model.config)) is not None:
        texts["input_labels"] = ("cells", part.input_cells)
        texts[NEIGHBOURS_KEY] = (NEIGHBOURS_KEY, (part.neighbours_key,))
    return texts


def _signatures(model: MethylationModel) -> dict[str, Any]:
    found = {name: _function(model, outputs, form) for name, form in _forms(model).items()}
    found["embedding"] = _function(model, embedding, SEQUENCES)
    return found | {name: _labels(*texts) for name, texts in _texts(model).items()}


def _function(
    model: MethylationModel, compute: Callable[[MethylationModel, Tensors], Outputs], form: str
) -> Any:
    """Return a signature that computes what is right, and refuses what is not."""
    specs = {spec.name: spec for spec in input_specs(model, form)}

    @tf.function
    def run(**tensors: tf.Tensor) -> Outputs:
        checked: dict[str, tf.Tensor] = {}
        for name, given in tensors.items():
            # What is declared of an input is not checked by the loader of TF Serving.
            checked[name] = _not_empty(
                tf.ensure_shape(given, specs[name].shape), _UNITS.get(name, "window")
            )
            if name in _SHARES:
                checked[name] = _share(checked[name], name)
            elif name in _NUMBERS:
                checked[name] = _finite(checked[name], name)
        if SEQUENCES in checked:
            (length,) = model.reads.named("windows").shape
            checked[TOKENS] = _letters_of_strings(checked.pop(SEQUENCES), length)
        return compute(model, rows_of(model, checked, checked=True))

    return run.get_concrete_function(**specs)


def _labels(output: str, texts: tuple[str, ...]) -> Any:
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int64, name="index")])
    def labels(index: tf.Tensor) -> Outputs:
        index = tf.ensure_shape(index, (None,))
        return {output: tf.gather(tf.constant(texts), index)}

    return labels


def _share(values: tf.Tensor, name: str) -> tf.Tensor:
    """Return what is from 0 to 1: base pairs, say, would be computed without a word."""
    wrong = tf.boolean_mask(values, ~((values >= 0) & (values <= 1)))[:1]
    message = f"{name}: expected values from 0 to 1, received"
    check = tf.debugging.Assert(tf.equal(tf.size(wrong), 0), [message, wrong])
    with tf.control_dependencies([check]):
        return tf.identity(values)


def _finite(values: tf.Tensor, name: str) -> tf.Tensor:
    wrong = tf.boolean_mask(values, ~tf.math.is_finite(values))[:1]
    message = f"{name}: expected finite numbers, received"
    check = tf.debugging.Assert(tf.equal(tf.size(wrong), 0), [message, wrong])
    with tf.control_dependencies([check]):
        return tf.identity(values)


def _letters_of_strings(sequences: tf.Tensor, length: int) -> tf.Tensor:
    """Return the ASCII codes of windows, uint8 [n, length]."""
    lengths = tf.strings.length(sequences)
    wrong = tf.where(tf.not_equal(lengths, length))[:1]
    message = f"expected windows of {length} letters, received [[record]] of [letters]"
    check = tf.debugging.Assert(
        tf.equal(tf.size(wrong), 0), [message, wrong + 1, tf.gather_nd(lengths, wrong)]
    )
    with tf.control_dependencies([check]):
        # Given a length, it would fill up what is too short without a word.
        letters = tf.io.decode_raw(tf.identity(sequences), tf.uint8)
    return tf.ensure_shape(letters, (None, length))


def _not_empty(batch: tf.Tensor, of_what: str) -> tf.Tensor:
    message = f"expected a batch of at least one {of_what}, received an empty one"
    check = tf.debugging.Assert(tf.greater(tf.shape(batch)[0], 0), [message])
    with tf.control_dependencies([check]):
        return tf.identity(batch)


def _write_warm_up(path: Path, model: MethylationModel, arrays: Arrays) -> None:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    forms = _forms(model)
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature, form in {**forms, "embedding": forms[DEFAULT]}.items():
            values = _in_form(model, arrays, form)
            for batch in (take(values, slice(1)), values):
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = signature
                for name, value in batch.items():
                    request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
                log = prediction_log_pb2.PredictLog(request=request)
                record = prediction_log_pb2.PredictionLog(predict_log=log)
                file.write(record.SerializeToString())


def _in_form(model: MethylationModel, arrays: Arrays, form: str) -> Arrays:
    """Return arrays with letters in a form."""
    if TOKENS not in arrays:
        return arrays
    letters = arrays[TOKENS]
    values: dict[str, npt.NDArray[Any]] = {
        SEQUENCES: np.array([row.tobytes() for row in letters]),
        TOKENS: letters,
        ONE_HOT: one_hot_of_bytes(channels(model))[letters],
    }
    return {form: values[form], **{name: arrays[name] for name in arrays if name != TOKENS}}
