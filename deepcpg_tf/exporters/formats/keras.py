"""The model as Keras saves it: for Python with deepcpg_tf."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters.artefact import Artefact, Said
from deepcpg_tf.exporters.describe import describe, logits_of, one_hot_of
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.graphs import outputs
from deepcpg_tf.exporters.runtimes import InProcess, Values
from deepcpg_tf.genome.sequence import graph_encode, graph_one_hot
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

PACKAGES: tuple[str, ...] = ()

_CARD = """
### Keras

The file needs the package deepcpg_tf (see below), whose classes it is of; without it Keras cannot
load it, and says that it does not find them.

```python
import deepcpg_tf.models.dna, keras

model = keras.saving.load_model("{path}")  # one-hot rows to logits
model.predict_sequences([window])  # letters to probabilities
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


def card(paths: Sequence[str], length: int) -> str:
    """Return how the file is loaded."""
    return _CARD.format(path=paths[0])


def _interface(model: DeepCpgDnaForSequencePrediction) -> dict[str, Any]:
    return {"inputs": one_hot_of(model), "outputs": logits_of(model)}


class _Keras(InProcess):
    def __init__(self, path: Path) -> None:
        self.name = f"keras {version('keras')}"
        model = keras.saving.load_model(path)
        if not isinstance(model, DeepCpgDnaForSequencePrediction):
            raise ExportError("expected a model of DeepCpG, received another")
        self._model, self._name = model, path.stem
        channels = model.config.vocab_size
        self._run = tf.function(
            lambda letters: outputs(model, graph_one_hot(graph_encode(letters), channels)),
            input_signature=[tf.TensorSpec((None, model.config.sequence_length), tf.uint8)],
        )

    def call(self, arrays: Arrays) -> Values:
        return {name: value.numpy() for name, value in self._run(arrays["tokens"]).items()}

    def said(self) -> Said:
        """Of the model itself: its weights are those whose checksum it has."""
        description = {**describe(self._model, self._name), "precision": "float32"}
        return Said(_interface(self._model), self._model.cells, description)
