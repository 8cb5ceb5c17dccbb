"""The model as Keras saves it: for Python with deepcpg_tf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters.artefact import Artefact, Said
from deepcpg_tf.exporters.describe import describe, logits_of, shapes_of
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import ONE_HOT, TOKENS, input_specs, inputs_of, outputs, rows_of
from deepcpg_tf.exporters.runtimes import InProcess, Values
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.models.base import MethylationModel
from deepcpg_tf.models.registry import MODELS

PACKAGES: tuple[str, ...] = ()

_CARD = """
### Keras

The file needs the package deepcpg_tf (see below), whose classes it is of; without it Keras cannot
load it, and says that it does not find them.

```python
import deepcpg_tf.models.registry, keras

model = keras.saving.load_model("{path}")  # {inputs} to logits
{call}
```
"""


def write(job: Job) -> list[Artefact]:
    """Write ``<name>.keras``."""
    file = f"{job.name}.keras"
    own = job.model.provenance
    job.model.provenance = job.description["provenance"]  # which is without folders
    try:
        job.model.save(job.folder / file)
    finally:
        job.model.provenance = own
    path, kind = f"{job.folder.name}/{file}", job.folder.name
    return [Artefact(path, kind, interface=_interface(job.model), export=job.number)]


def open(path: Path, artefact: Artefact) -> InProcess:  # noqa: A001
    """Load the file in Keras."""
    return _Keras(path)


def card(paths: Sequence[str], description: Mapping[str, Any]) -> str:
    """Return how the file is loaded."""
    if "window" in description and "neighbours" not in description:
        call = "model.predict_sequences([window])  # letters to probabilities"
        return _CARD.format(path=paths[0], inputs="one-hot rows", call=call)
    arrays = ", ".join(f'"{name}": {name}' for name in shapes_of(description))
    inputs = "features" if "features" in description else "states and distances"
    return _CARD.format(
        path=paths[0],
        inputs=f"one-hot rows, {inputs}" if "window" in description else inputs,
        call=f"model.predict_arrays({{{arrays}}})  # to probabilities",
    )


def _interface(model: MethylationModel) -> dict[str, Any]:
    return {"inputs": inputs_of(model, ONE_HOT), "outputs": logits_of(model)}


class _Keras(InProcess):
    def __init__(self, path: Path) -> None:
        self.name = f"keras {version('keras')}"
        model = keras.saving.load_model(path)
        if not isinstance(model, MethylationModel) or type(model) not in MODELS.values():
            raise ExportError("expected a model of DeepCpG, received another")
        self._model, self._name = model, path.stem
        specs = {spec.name: spec for spec in input_specs(model, TOKENS)}
        self._run = tf.function(
            lambda tensors: outputs(model, rows_of(model, tensors, checked=True)),
            input_signature=[specs],
        )

    def call(self, arrays: Arrays) -> Values:
        found = self._run({name: tf.constant(array) for name, array in arrays.items()})
        return {name: value.numpy() for name, value in found.items()}

    def said(self) -> Said:
        """Of the model itself: its weights are those whose checksum it has."""
        description = {**describe(self._model, self._name), "precision": "float32"}
        return Said(_interface(self._model), self._model.cells, description)
