"""Each kind of artefact in the runtime that its users run it in."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters.session import ServingSession
from deepcpg_tf.quiet import quiet_stderr

Tokens = npt.NDArray[np.uint8]
Values = dict[str, npt.NDArray[np.float32]]

_BATCH = 256


class Runtime(Protocol):
    """An artefact, loaded."""

    name: str
    """The runtime and its version."""

    batch: int | None
    """Windows of each call, where the artefact takes no other number."""

    def call(self, tokens: Tokens) -> Values:
        """Return ``logits`` and ``probabilities`` [n, cells] of ASCII codes [n, length]."""

    def seconds(self, tokens: Tokens, repeat: int) -> list[float]:
        """Return how long each of some calls took."""

    def close(self) -> None:
        """Let go of what it holds."""


def open_artefact(path: Path) -> Runtime:
    """Load an artefact by its kind: a SavedModel's version, ``.tflite``, ``.onnx``, ``.keras``.

    Raises
    ------
    ExportError
        When it cannot be loaded.
    """
    try:
        with quiet_stderr():
            return _KINDS["" if path.is_dir() else path.suffix](path)
    except ExportError:
        raise
    except Exception as error:
        # Every runtime has errors of its own for a file that is none of its kind.
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"{path}: expected an artefact that loads, but {reason}") from error


def run(runtime: Runtime, tokens: Tokens) -> Values:
    """Return the outputs for any number of windows."""
    size = runtime.batch or _BATCH
    parts = [runtime.call(tokens[start : start + size]) for start in range(0, len(tokens), size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class _InProcess:
    """A runtime that is a function of this process."""

    name: str
    batch: int | None = None

    def call(self, tokens: Tokens) -> Values:
        raise NotImplementedError

    def seconds(self, tokens: Tokens, repeat: int) -> list[float]:
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            self.call(tokens)
            times.append(time.perf_counter() - start)
        return times

    def close(self) -> None:
        pass


class _Keras(_InProcess):
    def __init__(self, path: Path) -> None:
        import keras
        import tensorflow as tf

        from deepcpg_tf.exporters.saved_model import outputs
        from deepcpg_tf.genome.sequence import graph_encode, graph_one_hot
        from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

        self.name = f"keras {version('keras')}"
        model = keras.saving.load_model(path)
        if not isinstance(model, DeepCpgDnaForSequencePrediction):
            raise ExportError(f"{path}: expected a model of DeepCpG, received another")
        channels = model.config.vocab_size
        self._run = tf.function(
            lambda letters: outputs(model, graph_one_hot(graph_encode(letters), channels)),
            input_signature=[tf.TensorSpec((None, model.config.sequence_length), tf.uint8)],
        )

    def call(self, tokens: Tokens) -> Values:
        return {name: value.numpy() for name, value in self._run(tokens).items()}


class _SavedModel:
    batch: int | None = None

    def __init__(self, path: Path) -> None:
        self.name = f"session of TensorFlow {version('tensorflow')}"
        self._session = ServingSession(path)

    def call(self, tokens: Tokens) -> Values:
        return self._session.run("tokens", {"tokens": tokens})

    def seconds(self, tokens: Tokens, repeat: int) -> list[float]:
        return self._session.seconds("tokens", {"tokens": tokens}, repeat)

    def close(self) -> None:
        self._session.close()


class _TFLite(_InProcess):
    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.name = f"ai_edge_litert {version('ai-edge-litert')}"
        # The file as bytes: mapped into memory, it could be changed while it is in use.
        self._interpreter = Interpreter(model_content=path.read_bytes(), num_threads=os.cpu_count())
        self._runner = self._interpreter.get_signature_runner("tokens")
        (details,) = self._runner.get_input_details().values()
        self.batch = None if details["shape_signature"][0] == -1 else int(details["shape"][0])
        # The first call prepares the weights, and tells of it on stderr.
        self.call(np.full((self.batch or 1, details["shape"][1]), ord("N"), np.uint8))

    def call(self, tokens: Tokens) -> Values:
        return dict(self._runner(tokens=tokens))


class _Onnx(_InProcess):
    def __init__(self, path: Path) -> None:
        import onnxruntime

        self.name = f"onnxruntime {version('onnxruntime')}"
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def call(self, tokens: Tokens) -> Values:
        values = self._session.run(self._outputs, {"tokens": tokens})
        return dict(zip(self._outputs, values, strict=True))


_KINDS: dict[str, Callable[[Path], Any]] = {
    "": _SavedModel,
    ".tflite": _TFLite,
    ".onnx": _Onnx,
    ".keras": _Keras,
}
