"""A model as a folder of artefacts, each measured before it appears."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from deepcpg_tf.errors import ConfigError, ExportError, OutputError
from deepcpg_tf.exporters import formats as formats_
from deepcpg_tf.exporters import parity
from deepcpg_tf.exporters.artefact import Artefact
from deepcpg_tf.exporters.card import write_card
from deepcpg_tf.exporters.contents import (
    CARD_FILE,
    Found,
    check_same,
    earlier,
    merge,
    next_number,
    windows_file,
)
from deepcpg_tf.exporters.describe import describe
from deepcpg_tf.exporters.formats import Job
from deepcpg_tf.exporters.manifest import (
    MANIFEST_FILE,
    artefacts_of,
    changes,
    description_of,
    fingerprint,
    read_manifest,
    unlisted,
    write_manifest,
)
from deepcpg_tf.exporters.paths import without_folders
from deepcpg_tf.exporters.place import PASSED_OVER, Place, claim, cut_off
from deepcpg_tf.exporters.samples import Drawn
from deepcpg_tf.files import check_writable

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

ALWAYS = "keras"
"""The format that every export has: the model itself."""

OnMeasured = Callable[[str, parity.Measured], object]


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
    check_writable(out, inside=True)
    found = {file.name for file in out.iterdir()}.difference(PASSED_OVER) if out.is_dir() else set()
    others = sorted(found - {*formats_.names(), "parity", CARD_FILE, MANIFEST_FILE})
    if others or (found and MANIFEST_FILE not in found and not cut_off(out)):
        raise OutputError(
            f"{out}: expected a new folder or an earlier export, "
            f"it holds {', '.join(others) or 'no ' + MANIFEST_FILE}"
        )


def check_model(
    place: Place,
    model: MethylationModel,
    name: str,
    formats: Sequence[str],
    *,
    replace: bool = False,
) -> None:
    """Refuse a model that does not go with what is in the folder, as `export_into` does.

    Raises
    ------
    ExportError
        When what is there cannot be read.
    OutputError
        When it is of another model, or something in it would be left of other weights.
    """
    _earlier(place, describe(model, name), formats, replace=replace)


def export(
    model: MethylationModel,
    name: str,
    out: Path,
    drawn: Drawn,
    *,
    formats: Sequence[str] | None = None,
    int8: bool = True,
    strict: bool = False,
    replace: bool = False,
    on_measured: OnMeasured = lambda path, measured: None,
) -> dict[str, Any]:
    """Write a model in deployable formats, after each was run and compared with it.

    Parameters
    ----------
    out
        The folder. No other export can be at it meanwhile.
    model, name, drawn, formats, int8, strict, replace, on_measured
        As for `export_into`.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    DeepCpgError
        As `export_into`, or when the folder holds something else, another export is at it,
        or it cannot be written to.
    """
    formats = choices() if formats is None else formats
    check_formats(formats)
    check_export_folder(out)
    with claim(out) as place:
        return export_into(
            place,
            model,
            name,
            drawn,
            formats=formats,
            int8=int8,
            strict=strict,
            replace=replace,
            on_measured=on_measured,
        )


def export_into(
    place: Place,
    model: MethylationModel,
    name: str,
    drawn: Drawn,
    *,
    formats: Sequence[str],
    int8: bool = True,
    strict: bool = False,
    replace: bool = False,
    on_measured: OnMeasured = lambda path, measured: None,
) -> dict[str, Any]:
    """Write a model in deployable formats into a folder that this run holds.

    An artefact that is not within its bounds is left out, with a warning, and with what
    was measured of it in the manifest.

    An earlier export in the folder has to be of the same model, if with other weights. The
    SavedModel becomes the next version of those that are there, which stay; each other
    format that is written takes the place of the earlier one as a whole. What is not
    written stays, and has to be of the same weights.

    Parameters
    ----------
    place
        The folder.
    model
        The model, in float32.
    name
        What it is called in file names and the model card.
    drawn
        What to calibrate and to compare on.
    formats
        Some of `choices`.
    int8
        Whether TFLite and ONNX are written in int8 too.
    strict
        Whether an artefact that is not within its bounds is an error.
    replace
        Whether all that is in the folder goes, whatever it is of.
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
        When another model is there, or it cannot be written to.
    """
    check_formats(formats)
    out, new = place.out, place.new
    description = describe(model, name)
    before = _earlier(place, description, formats, replace=replace)
    job = Job(model, name, new, drawn, int8, next_number(out), description)
    artefacts = _write_artefacts(job, formats)
    reference = _reference(model, drawn)
    windows = new / windows_file(job.number)
    windows.parent.mkdir()
    reference.save(windows)
    found = [_measure(new, one, description, reference, on_measured) for one in artefacts]
    _check(found, strict)
    _leave_out(new, found)
    changes_ = merge(out, before, job, found, (ALWAYS, *formats))
    content = changes_.content
    write_card(new / CARD_FILE, content)
    content["other_files"][CARD_FILE] = fingerprint(new / CARD_FILE)
    write_manifest(new, content)
    place.publish(changes_.placed, changes_.removed, MANIFEST_FILE)
    for one in found:
        if one.fault:
            text = f"{one.artefact.path}: left out: {one.fault}{_way_out(one)}"
            warnings.warn(text, stacklevel=2)
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
        When a file is missing, changed or not listed, or an artefact is not within its bounds,
        or says another thing of itself than the manifest does.
    """
    content = read_manifest(folder)
    faults = [*changes(folder, content), *unlisted(folder, content)]
    if not faults:
        for artefact in artefacts_of(content):
            reference = parity.Reference.load(folder / windows_file(artefact.export))
            description = description_of(content, artefact)
            found = _measure(folder, artefact, description, reference, on_measured)
            if found.fault:
                faults.append(f"{artefact.path}: {found.fault}")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ExportError(f"{folder}/{faults[0]}{more}")
    return content


def _earlier(
    place: Place, description: dict[str, Any], formats: Sequence[str], *, replace: bool
) -> dict[str, Any] | None:
    """Return the manifest of what is there and stays."""
    if replace:
        return None
    try:
        before = earlier(place.out)
    except ExportError as error:
        raise ExportError(f"{error}; `replace` removes what is there") from error
    if before is not None:
        check_same(place.out, before, description, (ALWAYS, *formats))
    return before


def _write_artefacts(job: Job, formats: Sequence[str]) -> list[Artefact]:
    """Write the artefacts into their formats' folders within that of the job."""
    artefacts = []
    for name in (ALWAYS, *formats):
        (job.folder / name).mkdir()
        artefacts += formats_.load(name).write(job._replace(folder=job.folder / name))
    return artefacts


def _reference(model: MethylationModel, drawn: Drawn) -> parity.Reference:
    logits = model.predict_arrays(drawn.parity, "logits")
    labels = np.empty((0, len(model.cells)), np.int8) if drawn.labels is None else drawn.labels
    return parity.Reference(drawn.parity, logits, expit(logits), labels)


def _measure(
    folder: Path,
    artefact: Artefact,
    description: Mapping[str, Any],
    reference: parity.Reference,
    on_measured: OnMeasured,
) -> Found:
    try:
        measured = parity.measure(folder, artefact, description, reference)
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
        first = needed[0]
        raise ExportError(f"{first.artefact.path}: {first.fault}{more}{_way_out(first)}")


def _way_out(found: Found) -> str:
    """Return what a user can do about int8, which is the precision that windows decide about."""
    if found.artefact.precision != "int8":
        return ""
    return (
        "; calibrated on windows like those to come (`calibration`) it may be within, and "
        "`int8=False` writes none"
    )


def _leave_out(folder: Path, found: Sequence[Found]) -> None:
    """Remove what is not within its bounds."""
    for one in found:
        if one.fault:
            path = folder / one.artefact.path
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
