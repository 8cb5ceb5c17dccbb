"""An artefact, loaded: what all formats have in common."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.exporters.artefact import Said
from deepcpg_tf.inputs import Arrays, rows, take

Values = dict[str, npt.NDArray[np.float32]]

_BATCH = 256


class Runtime(Protocol):
    """An artefact, loaded."""

    name: str
    """The runtime and its version."""

    def call(self, arrays: Arrays) -> Values:
        """Return ``logits`` and ``probabilities`` [n, cells] of an array for each input."""

    def seconds(self, arrays: Arrays, repeat: int) -> list[float]:
        """Return how long each of some calls took."""

    def said(self) -> Said:
        """Return what it says of itself, by what is in its files alone."""

    def close(self) -> None:
        """Let go of what it holds."""


class InProcess:
    """A runtime that is a function of this process."""

    name: str

    def call(self, arrays: Arrays) -> Values:
        """Return ``logits`` and ``probabilities`` [n, cells] of an array for each input."""
        raise NotImplementedError

    def said(self) -> Said:
        """Return what it says of itself, by what is in its files alone."""
        raise NotImplementedError

    def seconds(self, arrays: Arrays, repeat: int) -> list[float]:
        """Return how long each of some calls took."""
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            self.call(arrays)
            times.append(time.perf_counter() - start)
        return times

    def close(self) -> None:
        """Let go of what it holds."""


def run(runtime: Runtime, arrays: Arrays, batch: int | None = None) -> Values:
    """Return the outputs for any number of windows, so many of them a call."""
    size = batch or _BATCH
    parts = [
        runtime.call(take(arrays, slice(start, start + size)))
        for start in range(0, rows(arrays), size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
