"""How far an artefact is from the model it came from, and how fast it is."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters.artefact import AUC_BOUND, BOUNDS, Artefact, Said
from deepcpg_tf.exporters.describe import CALIBRATED, adjustment_of, shapes_of
from deepcpg_tf.exporters.formats import open_artefact
from deepcpg_tf.exporters.runtimes import Runtime, Values, run
from deepcpg_tf.inputs import Arrays, take

_BATCH = 32
_CALLS = 30
_BATCHES = 8
_LONGEST = 200


_INPUT = "inputs/"


class Reference(NamedTuple):
    """What artefacts are given, and what the model makes of it.

    ``arrays`` has an array for each input of an artefact: of ``tokens`` (ASCII codes [n,
    length]), ``state`` and ``dist`` those that the model reads.
    ``labels`` (int8 [n, cells], -1 missing) has no rows where none are known.
    """

    arrays: Arrays
    logits: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8]

    def save(self, path: Path) -> None:
        """Write a NumPy archive."""
        found: dict[str, Any] = {
            **{f"{_INPUT}{name}": array for name, array in self.arrays.items()},
            **{name: value for name, value in self._asdict().items() if name != "arrays"},
        }
        np.savez_compressed(path, **found)

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read what `save` wrote.

        Raises
        ------
        ExportError
        """
        try:
            with np.load(path) as file:
                names = [name for name in file.files if name.startswith(_INPUT)]
                arrays = {name.removeprefix(_INPUT): file[name] for name in names}
                return cls(arrays, *(file[name] for name in cls._fields[1:]))
        except (OSError, ValueError, KeyError) as error:
            raise ExportError(f"{path}: expected the windows of an export, but {error}") from None


class Measured(NamedTuple):
    """What was found of an artefact.

    Differences are of probabilities, of the given ones and of those of the logits,
    whichever is larger.
    """

    runtime: str
    windows: int
    maximum_difference: float
    mean_difference: float
    calls_changed: float
    """Share of probabilities that are on the other side of 0.5."""
    auc_change: float | None
    """Of the mean over cells; None without labels."""
    load_ms: float
    latency_ms: float
    """Median of a single window, or site."""
    windows_per_second: float
    """With batches of 32, or as many as the artefact takes."""

    def as_dict(self) -> dict[str, Any]:
        """Return what goes into a manifest."""
        return self._asdict()

    def worst(self) -> float | None:
        """Return the largest difference; None where what was yielded is no number."""
        return self.maximum_difference if np.isfinite(self.maximum_difference) else None


def measure(
    folder: Path, artefact: Artefact, description: Mapping[str, Any], reference: Reference
) -> Measured:
    """Run an artefact in its own runtime and compare.

    Parameters
    ----------
    folder
        The export.
    artefact
        What is said of the artefact.
    description
        What is said of its model: the artefact has to say the same of itself.
    reference
        What it is given, and what the model makes of it.

    Raises
    ------
    ExportError
        When it does not load, run, or say and yield what it should; the message is without
        its path.
    """
    start = time.perf_counter()
    runtime = open_artefact(folder, artefact)
    load = time.perf_counter() - start
    try:
        _compare(runtime.said(), artefact, description, reference)
        found = _run(artefact, runtime, description, reference)
        differences = np.maximum(
            np.abs(found["probabilities"] - reference.probabilities),
            np.abs(expit(found["logits"]) - reference.probabilities),
        )
        changed = (found["probabilities"] > 0.5) != (reference.probabilities > 0.5)
        size = artefact.batch or _BATCH
        latencies = runtime.seconds(take(reference.arrays, slice(1)), _CALLS)
        several = take(reference.arrays, slice(size))
        batches = runtime.seconds(several, _BATCHES * _BATCH // size)
    finally:
        runtime.close()
    return Measured(
        runtime=runtime.name,
        windows=len(reference.logits),
        maximum_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        calls_changed=float(changed.mean()),
        auc_change=_auc_change(found, reference),
        load_ms=load * 1e3,
        latency_ms=statistics.median(latencies) * 1e3,
        windows_per_second=size / statistics.median(batches),
    )


def fault(artefact: Artefact, measured: Measured) -> str | None:
    """Return what is wrong with an artefact, or None when it is within its bounds."""
    bound = BOUNDS[artefact.precision]
    if not measured.maximum_difference <= bound:
        return (
            f"expected probabilities within {bound:g} of the model's, "
            f"received a difference of {measured.maximum_difference:.2g}"
        )
    if measured.auc_change is not None and not abs(measured.auc_change) <= AUC_BOUND:
        return (
            f"expected a mean AUC within {AUC_BOUND:g} of the model's, "
            f"received a change of {measured.auc_change:.2g}"
        )
    return None


def _compare(
    said: Said, artefact: Artefact, description: Mapping[str, Any], reference: Reference
) -> None:
    """Refuse an artefact that says another thing of itself than is said of it."""
    shapes = {name: array.shape[1:] for name, array in reference.arrays.items()}
    if shapes != (expected := shapes_of(description)):
        if "tokens" in shapes and "tokens" in expected and shapes["tokens"] != expected["tokens"]:
            raise ExportError(
                f"expected windows of {expected['tokens'][0]} letters, "
                f"those to compare on have {shapes['tokens'][0]}"
            )
        raise ExportError(f"expected inputs of {expected}, those to compare on are of {shapes}")
    if _text(said.interface) != _text(artefact.interface):
        raise ExportError(
            f"expected the inputs and outputs {_text(artefact.interface)[:_LONGEST]}, "
            f"it has {_text(said.interface)[:_LONGEST]}"
        )
    if [*said.cells] != description["cells"]:
        raise ExportError(
            f"expected the cells {', '.join(description['cells'])}, it has {', '.join(said.cells)}"
        )
    own = {**description, "precision": artefact.precision}
    names = sorted({*own, *said.description}, key=lambda name: (name != "weights", name))
    for name in names:
        one, other = _text(own.get(name)), _text(said.description.get(name))
        if one != other:
            raise ExportError(
                f"expected a model of the {name} {one[:_LONGEST]}, it says {other[:_LONGEST]}"
            )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _run(
    artefact: Artefact, runtime: Runtime, description: Mapping[str, Any], reference: Reference
) -> Values:
    try:
        found = run(runtime, reference.arrays, artefact.batch)
    except ExportError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"expected an artefact that runs, but {reason}") from error
    shapes = {name: value.shape for name, value in found.items()}
    adjustment = adjustment_of(description)
    names = ["logits", "probabilities", *([] if adjustment is None else [CALIBRATED])]
    expected = dict.fromkeys(names, reference.logits.shape)
    if shapes != expected:
        raise ExportError(f"expected outputs {expected}, received {shapes}")
    if adjustment is not None:
        # Of its own logits: a temperature below 1 makes more of how far they are from the model's.
        calibrated = expit(adjustment.of_logits(found["logits"]))
        difference = np.abs(found[CALIBRATED] - calibrated).max()
        if not difference <= (bound := BOUNDS[artefact.precision]):
            raise ExportError(
                f"expected {CALIBRATED} within {bound:g} of what the logits give, "
                f"received a difference of {difference:.2g}"
            )
    return found


def _auc_change(found: Values, reference: Reference) -> float | None:
    changes = []
    for cell, labels in enumerate(reference.labels.T if reference.labels.size else ()):
        known = labels >= 0
        if len(np.unique(labels[known])) == 2:
            aucs = [
                roc_auc_score(labels[known], values[known, cell])
                for values in (found["probabilities"], reference.probabilities)
            ]
            changes.append(aucs[0] - aucs[1])
    return float(np.mean(changes)) if changes else None
