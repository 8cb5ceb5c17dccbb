"""A model as a folder of artefacts, each measured before it appears."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import expit

import deepcpg_tf
from deepcpg_tf.errors import ConfigError, ExportError, OutputError
from deepcpg_tf.exporters import formats as formats_
from deepcpg_tf.exporters import parity
from deepcpg_tf.exporters.artefact import Artefact
from deepcpg_tf.exporters.card import write_card
from deepcpg_tf.exporters.describe import describe
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.manifest import (
    MANIFEST_FILE,
    artefacts_of,
    changes,
    fingerprint,
    read_manifest,
    write_manifest,
)
from deepcpg_tf.exporters.paths import without_folders
from deepcpg_tf.exporters.samples import Drawn
from deepcpg_tf.files import check_writable
from deepcpg_tf.genome.sequence import encode_windows

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

ALWAYS = "keras"
"""The format that every export has: the model itself."""

WINDOWS_FILE = "parity.npz"
CARD_FILE = "README.md"

OnMeasured = Callable[[str, parity.Measured], object]


class Found(NamedTuple):
    """An artefact, what was measured of it, and what is wrong with it, if anything.

    Nothing was measured of what does not run.
    """

    artefact: Artefact
    measured: parity.Measured | None
    fault: str | None


def choices() -> tuple[str, ...]:
    """Return the formats that there are to choose from."""
    return tuple(name for name in formats_.names() if name != ALWAYS)


def check_formats(formats: Sequence[str]) -> None:
    """Refuse what is none of `choices`, or nothing.

    Raises
    ------
    ConfigError
    """
    wrong = [name for name in formats if name not in choices()]
    if wrong or not formats:
        raise ConfigError(
            f"formats: expected some of {', '.join(choices())}, "
            f"received {repr(wrong[0]) if wrong else 'none'}"
        )


def check_export_folder(out: Path) -> None:
    """Refuse a folder that holds anything but an earlier export, or cannot be written.

    Raises
    ------
    OutputError
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: expected the name of a folder to write, received a file")
    check_writable(out)
    if not out.is_dir() or not any(out.iterdir()):
        return
    known = {*formats_.names(), WINDOWS_FILE, CARD_FILE, MANIFEST_FILE}
    others = sorted({file.name for file in out.iterdir()} - known)
    if others or not (out / MANIFEST_FILE).is_file():
        raise OutputError(
            f"{out}: expected a new folder or an earlier export, "
            f"it holds {', '.join(others) or 'no ' + MANIFEST_FILE}"
        )


def export(
    model: DeepCpgDnaForSequencePrediction,
    name: str,
    out: Path,
    drawn: Drawn,
    *,
    formats: Sequence[str] | None = None,
    int8: bool = True,
    strict: bool = False,
    on_measured: OnMeasured = lambda path, measured: None,
) -> dict[str, Any]:
    """Write a model in deployable formats, after each was run and compared with it.

    An artefact that is not within its bounds is left out, with a warning, and with what
    was measured of it in the manifest.

    An earlier export in the folder is replaced but for the versions of its
    SavedModel, which stay beside the new one, whose number is the next.

    Parameters
    ----------
    model
        The model, in float32.
    name
        What it is called in file names and the model card.
    out
        The folder.
    drawn
        Windows to calibrate and to compare on.
    formats
        Some of `choices`; by default all.
    int8
        Whether TFLite and ONNX are written in int8 too.
    strict
        Whether an artefact that is not within its bounds is an error.
    on_measured
        Called with the path of each artefact and what was measured of it.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ConfigError
        When a format is none of `choices`.
    ExportError
        When an artefact is not within its bounds and `strict`, or the Keras file is not,
        or nothing else is; nothing is written then.
    OutputError
        When the folder holds something else, or cannot be written to.
    """
    formats = choices() if formats is None else formats
    check_formats(formats)
    check_export_folder(out)
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        workspace = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{out}: cannot write there: {error.strerror}") from error
    try:
        new = workspace / out.name
        new.mkdir()
        job = Job(model, name, new, drawn, int8, _next_version(out), describe(model, name))
        artefacts = _write_artefacts(job, formats)
        reference = _reference(model, drawn)
        reference.save(new / WINDOWS_FILE)
        found = [_measure(new, artefact, reference, on_measured) for artefact in artefacts]
        _check(found, strict)
        _leave_out(new, found)
        content = _content(job, found)
        write_card(new / CARD_FILE, content)
        content["other_files"][CARD_FILE] = fingerprint(new / CARD_FILE)
        write_manifest(new, content)
        _publish(new, out)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    for path, entry in content["left_out"].items():
        warnings.warn(f"{path}: left out: {entry['reason']}", stacklevel=2)
    return content


def verify(folder: Path, on_measured: OnMeasured = lambda path, measured: None) -> dict[str, Any]:
    """Check the files of an export, then run and compare every artefact again.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ExportError
        When a file is missing or changed, or an artefact is not within its bounds.
    """
    content = read_manifest(folder)
    faults = list(changes(folder, content))
    if not faults:
        reference = parity.Reference.load(folder / WINDOWS_FILE)
        for artefact in artefacts_of(content):
            if fault := _measure(folder, artefact, reference, on_measured).fault:
                faults.append(f"{artefact.path}: {fault}")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ExportError(f"{folder}/{faults[0]}{more}")
    return content


def _write_artefacts(job: Job, formats: Sequence[str]) -> list[Artefact]:
    """Write the artefacts into their formats' folders within that of the job."""
    artefacts = []
    for name in (ALWAYS, *formats):
        (job.folder / name).mkdir()
        artefacts += formats_.load(name).write(job._replace(folder=job.folder / name))
    return artefacts


def _reference(model: DeepCpgDnaForSequencePrediction, drawn: Drawn) -> parity.Reference:
    letters = [row.tobytes().decode() for row in drawn.parity]
    windows = encode_windows(letters, model.config.sequence_length)
    logits = model.predict_windows(windows, "logits")
    labels = np.empty((0, len(model.cells)), np.int8) if drawn.labels is None else drawn.labels
    return parity.Reference({"tokens": drawn.parity}, logits, expit(logits), labels)


def _measure(
    folder: Path, artefact: Artefact, reference: parity.Reference, on_measured: OnMeasured
) -> Found:
    try:
        measured = parity.measure(folder, artefact, reference)
    except ExportError as error:
        return Found(artefact, None, without_folders(str(error)))
    on_measured(artefact.path, measured)
    return Found(artefact, measured, parity.fault(artefact, measured))


def _check(found: Sequence[Found], strict: bool) -> None:
    """Refuse an export that cannot do without what is to be left out."""
    faulty = [one for one in found if one.fault]
    optional = [one for one in found if one.artefact.kind != ALWAYS]
    needed = [one for one in faulty if strict or one.artefact.kind == ALWAYS]
    if not needed and faulty and all(one.fault for one in optional):
        needed = faulty
    if needed:
        more = f" (and {len(needed) - 1} more)" if len(needed) > 1 else ""
        raise ExportError(f"{needed[0].artefact.path}: {needed[0].fault}{more}")


def _leave_out(folder: Path, found: Sequence[Found]) -> None:
    """Remove what is not within its bounds."""
    for one in found:
        if one.fault:
            path = folder / one.artefact.path
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()


def _content(job: Job, found: Sequence[Found]) -> dict[str, Any]:
    drawn = job.drawn
    return {
        **job.description,
        "calibration": {"windows": len(drawn.calibration), "source": drawn.source},
        "parity": {
            "windows": len(drawn.parity),
            "source": drawn.source,
            "labels": drawn.labels is not None,
            "bounds": {**parity.BOUNDS, "mean_auc": parity.AUC_BOUND},
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
        "artefacts": {
            artefact.path: {
                **fingerprint(job.folder / artefact.path),
                **artefact.entry(),
                **measured.as_dict(),
            }
            for artefact, measured, fault in found
            if measured is not None and fault is None
        },
        "left_out": {
            artefact.path: {
                "precision": artefact.precision,
                "reason": fault,
                "bound": parity.BOUNDS[artefact.precision],
                "maximum_difference": None if measured is None else measured.worst(),
                "auc_change": None if measured is None else measured.auc_change,
            }
            for artefact, measured, fault in found
            if fault is not None
        },
        "other_files": {WINDOWS_FILE: fingerprint(job.folder / WINDOWS_FILE)},
    }


def _next_version(out: Path) -> int:
    """Return the number after the largest of the SavedModel's versions."""
    versions = (path.name for path in (out / "saved_model").glob("*") if path.name.isdigit())
    return max(map(int, versions), default=0) + 1


def _publish(new: Path, out: Path) -> None:
    """Move a finished export to its place; of an earlier one the SavedModel's versions stay."""
    if not out.exists() or not any(out.iterdir()):
        if out.exists():
            out.rmdir()
        new.rename(out)
        return
    old = new.parent / "old"
    old.mkdir()
    # The manifest first: without one, what is there is no export, should this be cut off.
    (out / MANIFEST_FILE).rename(old / MANIFEST_FILE)
    for path in out.iterdir():
        if path.name != "saved_model":
            path.rename(old / path.name)
    for source in (new / "saved_model").glob("*"):
        (out / "saved_model").mkdir(exist_ok=True)
        source.rename(out / "saved_model" / source.name)
    for path in sorted(new.iterdir(), key=lambda path: path.name == MANIFEST_FILE):
        if path.name != "saved_model":
            path.rename(out / path.name)
