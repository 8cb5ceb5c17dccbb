"""Exporting a model, and verifying an export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deepcpg_tf.errors import ConfigError
from deepcpg_tf.workflows.opening import (
    ModelLike,
    PathLike,
    check_files,
    check_other_than,
    name_of,
    open_model,
)

if TYPE_CHECKING:
    from deepcpg_tf.exporters.parity import Measured

DEFAULT_FOLDER = Path("saved_models")


class Exported(NamedTuple):
    """An export: its folder, and what `manifest.json` there says."""

    folder: Path
    manifest: dict[str, Any]


OnMeasured = Callable[[str, "Measured"], object]


def export(
    model: ModelLike,
    out: PathLike | None = None,
    *,
    formats: Sequence[str] | None = None,
    int8: bool = True,
    calibration: PathLike | None = None,
    genome: PathLike | None = None,
    strict: bool = False,
    replace: bool = False,
    on_measured: OnMeasured = lambda path, measured: None,
) -> Exported:
    """Write a model as SavedModel, TFLite and ONNX, each proven equal to it.

    Every artefact is run in its own runtime and compared; one that is not within its
    bounds is left out, with a warning.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model.
    out
        The folder to write; by default one of the model's name in ``saved_models``.
    formats
        Some of ``"saved_model"``, ``"tflite"`` and ``"onnx"``; by default all.
    int8
        Whether to write TFLite and ONNX in int8 too.
    calibration
        What sets the scales of int8 and is compared on: windows (FASTA) or, with
        `genome`, sites or a table; of a model that reads neighbours a table or the original's
        data files; by default the data that the model was trained on on this machine, or
        else what is generated.
    genome
        The reference of `calibration`.
    strict
        Whether an artefact that is not within its bounds is an error.
    replace
        Whether all that is in the folder goes. Otherwise what is there has to be of the same
        model, if with other weights: its SavedModel gets one more version, each other of the
        `formats` is replaced, and the rest stays, and has to be of the same weights.
    on_measured
        Called with the path of each artefact and what was measured of it.

    Returns
    -------
    Exported

    Raises
    ------
    DeepCpgError
        When a file cannot be read or written, another model or another export is in the
        folder, or nothing is within its bounds.
    """
    if genome is not None and calibration is None:
        raise ConfigError("genome: expected `calibration` with it, received none")
    windows = None if calibration is None else Path(calibration)
    check_files(windows)
    name = name_of(model)
    folder = DEFAULT_FOLDER / name if out is None else Path(out)
    from deepcpg_tf.exporters import bundle
    from deepcpg_tf.exporters.place import claim

    wanted = bundle.choices() if formats is None else formats
    bundle.check_formats(wanted)
    check_other_than(folder, windows, genome, model)
    bundle.check_export_folder(folder)
    with claim(folder) as place:
        _make_sure_of(wanted)
        loaded = open_model(model)
        loaded.check_values()
        if loaded.config.outputs:
            raise ConfigError(
                "model: expected a model of cells alone, received one with the outputs "
                f"{', '.join(loaded.config.outputs)}, which are not exported as yet"
            )
        from deepcpg_tf.exporters.samples import draw_samples

        bundle.check_model(place, loaded, name, wanted, replace=replace)
        drawn = draw_samples(loaded, windows, None if genome is None else Path(genome))
        manifest = bundle.export_into(
            place,
            loaded,
            name,
            drawn,
            formats=wanted,
            int8=int8,
            strict=strict,
            replace=replace,
            on_measured=on_measured,
        )
    return Exported(folder, manifest)


def verify(folder: PathLike, *, on_measured: OnMeasured = lambda path, measured: None) -> Exported:
    """Check the files of an export, then run and compare each artefact again.

    Parameters
    ----------
    folder
        What `export` wrote.
    on_measured
        As for `export`.

    Returns
    -------
    Exported

    Raises
    ------
    ExportError
        When a file is missing or changed, or an artefact is not within its bounds.
    """
    folder = Path(folder)
    from deepcpg_tf.exporters.manifest import read_manifest

    artefacts = read_manifest(folder)["artefacts"].values()
    _make_sure_of(sorted({artefact["kind"] for artefact in artefacts}))
    from deepcpg_tf.exporters.bundle import verify as verify_folder

    return Exported(folder, verify_folder(folder, on_measured))


def _make_sure_of(formats: Sequence[str]) -> None:
    """Load what formats need, or tell what is missing, before work begins."""
    from deepcpg_tf.exporters.formats import load
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    for name in formats:
        load(name)
