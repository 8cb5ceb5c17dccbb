"""What a folder holds after one more export: what is new, and what stays of earlier ones."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import deepcpg_tf
from deepcpg_tf.errors import OutputError
from deepcpg_tf.exporters.artefact import BOUNDS, Artefact, bounds
from deepcpg_tf.exporters.describe import COMMON, own_of
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.manifest import (
    MANIFEST_FILE,
    changes,
    fingerprint,
    read_manifest,
    unlisted,
)
from deepcpg_tf.exporters.parity import Measured
from deepcpg_tf.inputs import rows

VERSIONED = "saved_model"
"""The format whose earlier versions stay: a server may be at them."""

CARD_FILE = "README.md"

_WINDOWS = "parity"
_NOT_BUILT_IN = (
    *("cells", "num_labels", "sequence_length", "hidden_dropout", "layer_names"),
    *("input_cells", "neighbours", "max_distance", "state_means", "calibration"),
)
"""Of a configuration, what is compared on its own, or what nothing depends on that is exported."""


class Found(NamedTuple):
    """An artefact, what was measured of it, and what is wrong with it, if anything.

    Nothing was measured of what does not run.
    """

    artefact: Artefact
    measured: Measured | None
    fault: str | None


class Changes(NamedTuple):
    """What is to be moved into a folder, and out of it, as paths; and the manifest then."""

    placed: list[str]
    removed: list[str]
    content: dict[str, Any]


def windows_file(number: int | str) -> str:
    """Return where the windows are that an export was compared on."""
    return f"{_WINDOWS}/{number}.npz"


def next_number(out: Path) -> int:
    """Return the number of the next export into a folder, greater than all that are there.

    It is the version of the SavedModel too.
    """
    versions = (path.stem for place in (VERSIONED, _WINDOWS) for path in (out / place).glob("*"))
    return max((int(name) for name in versions if name.isdigit()), default=0) + 1


def earlier(out: Path) -> dict[str, Any] | None:
    """Return the manifest of what is in a folder, if anything is.

    Raises
    ------
    ExportError
        When it cannot be read.
    """
    return read_manifest(out) if (out / MANIFEST_FILE).exists() else None


def check_same(
    out: Path, before: Mapping[str, Any], description: Mapping[str, Any], formats: Sequence[str]
) -> None:
    """Refuse to put a model beside another, or beside what would pass for it.

    Parameters
    ----------
    out
        The folder.
    before
        The manifest there.
    description
        What is said of the model to export.
    formats
        Those in which it is exported.

    Raises
    ------
    OutputError
    """
    compared = ("module", "cells", "window", "neighbours")
    differs = [name for name in compared if before.get(name) != description.get(name)]
    if any(_built(run) != _built(description) for run in before["exports"].values()):
        differs.append("architecture")
    if differs:
        raise OutputError(
            f"{out}: expected a model with the {' and '.join(differs)} of {before['name']}, whose "
            f"export is there, received {description['name']} with others; another folder takes "
            "it, and `replace` removes what is there"
        )
    stay = _staying(out, before, formats)
    others = sorted(
        {
            entry["kind"]
            for entry in stay.values()
            if entry["kind"] != VERSIONED and entry["weights"] != description["weights"]
        }
    )
    if others:
        raise OutputError(
            f"formats: expected {', '.join(others)} too, which {out} has of other weights, "
            f"received {', '.join(formats)}; `replace` removes what is there"
        )
    windows = [windows_file(str(entry["export"])) for entry in stay.values()]
    faults = [*changes(out, dict(before), [*stay, *windows]), *unlisted(out, dict(before))]
    if faults:
        raise OutputError(f"{out}/{faults[0]}; `replace` removes what is there")


def merge(
    out: Path,
    before: Mapping[str, Any] | None,
    job: Job,
    found: Sequence[Found],
    formats: Sequence[str],
) -> Changes:
    """Return what is to be moved, and the manifest without its card.

    Parameters
    ----------
    out
        The folder.
    before
        The manifest of what is there and stays; None removes what is there.
    job
        The export, whose folder holds what is new.
    found
        What was measured of its artefacts.
    formats
        Those in which it was exported: each is replaced as a whole, but for `VERSIONED`.
    """
    number, weights = str(job.number), job.description["weights"]
    artefacts = {} if before is None else _staying(out, before, formats)
    left_out = {} if before is None else before["left_out"]
    left_out = {
        path: entry
        for path, entry in left_out.items()
        if path.split("/")[0] not in formats and entry["weights"] == weights
    }
    of_runs = {number, *(str(entry["export"]) for entry in artefacts.values())}
    exports = {} if before is None else before["exports"]
    exports = {run: entry for run, entry in exports.items() if run in of_runs}
    others = {} if before is None else before["other_files"]
    others = {
        path: others[path] for path in (windows_file(run) for run in exports) if path in others
    }
    new = _new_artefacts(job, found)
    content = {
        "name": job.description["name"],
        **{key: job.description[key] for key in COMMON if key in job.description},
        "bounds": bounds(),
        "exports": {**exports, number: _run(job)},
        "artefacts": dict(sorted({**artefacts, **new}.items(), key=_by_kind_and_number)),
        "left_out": {**left_out, **_new_left_out(found, weights, job.number)},
        "other_files": {
            **others,
            windows_file(number): fingerprint(job.folder / windows_file(number)),
        },
    }
    units = {path if path.startswith(f"{VERSIONED}/") else path.split("/")[0] for path in new}
    # What a server looks for comes last: it is not to be taken back.
    others_first = sorted(units, key=lambda unit: (unit.startswith(VERSIONED), unit))
    placed = [windows_file(number), CARD_FILE, *others_first]
    stay = {path if path.startswith(f"{VERSIONED}/") else path.split("/")[0] for path in artefacts}
    stay |= {*others, *placed, MANIFEST_FILE}
    removed = [unit for unit in _units(out) if unit not in stay]
    return Changes(placed, removed, content)


def _staying(
    out: Path, before: Mapping[str, Any], formats: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the artefacts that stay: those that are there still, and are not written anew."""
    return {
        path: entry
        for path, entry in before["artefacts"].items()
        if (entry["kind"] == VERSIONED or entry["kind"] not in formats) and (out / path).exists()
    }


def _units(out: Path) -> list[str]:
    """Return what can be moved on its own, hidden files apart."""
    found = []
    for path in sorted(out.iterdir()):
        if path.name in (VERSIONED, _WINDOWS) and path.is_dir():
            found += [f"{path.name}/{child.name}" for child in sorted(path.iterdir())]
        elif not path.name.startswith("."):
            found.append(path.name)
    return found


def _built(described: Mapping[str, Any]) -> dict[str, Any]:
    def built(config: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: built(value) if isinstance(value, Mapping) else value
            for key, value in config.items()
            if key not in _NOT_BUILT_IN
        }

    return built(described["config"])


def _by_kind_and_number(item: tuple[str, dict[str, Any]]) -> tuple[str, int]:
    path, entry = item
    return entry["kind"], int(path.split("/")[1]) if entry["kind"] == VERSIONED else 0


def _run(job: Job) -> dict[str, Any]:
    drawn = job.drawn
    return {
        **own_of(job.description),
        "calibration": {"windows": rows(drawn.calibration), "source": drawn.source},
        "parity": {
            "file": windows_file(job.number),
            "windows": rows(drawn.parity),
            "source": drawn.source,
            "labels": drawn.labels is not None,
        },
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": {
            "deepcpg_tf": deepcpg_tf.__version__,
            **{package: version(package) for package in ("tensorflow", "keras", "tf2onnx")},
        },
    }


def _new_artefacts(job: Job, found: Sequence[Found]) -> dict[str, dict[str, Any]]:
    return {
        artefact.path: {
            **fingerprint(job.folder / artefact.path),
            **artefact.entry(),
            "weights": job.description["weights"],
            **measured.as_dict(),
        }
        for artefact, measured, fault in found
        if measured is not None and fault is None
    }


def _new_left_out(found: Sequence[Found], weights: str, number: int) -> dict[str, dict[str, Any]]:
    return {
        artefact.path: {
            "precision": artefact.precision,
            "reason": fault,
            "bound": BOUNDS[artefact.precision],
            "maximum_difference": None if measured is None else measured.worst(),
            "auc_change": None if measured is None else measured.auc_change,
            "export": number,
            "weights": weights,
        }
        for artefact, measured, fault in found
        if fault is not None
    }
