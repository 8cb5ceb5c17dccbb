"""``deepcpg-tf export`` and ``deepcpg-tf verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcpg_tf.cli.options import Debug, check_files

if TYPE_CHECKING:
    from deepcpg_tf.exporters.parity import Measured

_HEADER = ("artefact", "difference", "calls changed", "ms", "windows/s")


def export(
    model: Annotated[
        str, typer.Argument(help="Name of a published variant, or a folder.", metavar="MODEL")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The folder to write (default: saved_models/NAME).", metavar="DIR"),
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(help="Some of them, with commas (default: all).", metavar="LIST"),
    ] = None,
    int8: Annotated[bool, typer.Option(help="Write TFLite and ONNX in int8 too.")] = True,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="An artefact out of its bounds is an error, not left out."),
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Windows (FASTA), or sites with --genome, that set the scales of int8 "
            "(default: the training data, or generated).",
            metavar="FILE",
        ),
    ] = None,
    genome: Annotated[
        Path | None,
        typer.Option(help="The reference of sites for --calibration.", metavar="FASTA"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a model as SavedModel, TFLite and ONNX, each proven equal to it.

    Every artefact is run in its own runtime and compared; one that is not within its
    bounds is left out, with a warning. manifest.json has what was measured.
    """
    from deepcpg_tf.errors import ConfigError

    if genome is not None and calibration is None:
        raise ConfigError("--genome: expected --calibration SITES with it, received none")
    check_files(calibration)
    name = Path(model).resolve().name
    folder = Path("saved_models") / name if out is None else out

    from deepcpg_tf.exporters.bundle import check_export_folder, check_formats, choices
    from deepcpg_tf.exporters.bundle import export as export_model
    from deepcpg_tf.quiet import import_tensorflow

    asked = [name.strip() for name in (formats or ",".join(choices())).split(",") if name.strip()]
    check_formats(asked)
    check_export_folder(folder)
    import_tensorflow()
    from deepcpg_tf.exporters.samples import draw_windows
    from deepcpg_tf.models.registry import load_model

    loaded = load_model(model)
    drawn = draw_windows(loaded, calibration, genome)
    content = export_model(
        loaded, name, folder, drawn, formats=asked, int8=int8, strict=strict, told=_Table()
    )
    print(f"{folder}: {count(content)}; windows: {drawn.source}")


def verify(
    folder: Annotated[Path, typer.Argument(help="What export wrote.", metavar="DIR")],
    debug: Debug = False,
) -> None:
    """Check the files of an export, then run and compare each artefact again."""
    from deepcpg_tf.exporters.manifest import read_manifest

    read_manifest(folder)
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    from deepcpg_tf.exporters.bundle import verify as verify_folder

    content = verify_folder(folder, _Table())
    print(f"{folder}: {len(content['artefacts'])} artefacts are as they should be")


def count(content: dict[str, Any]) -> str:
    """Return how many artefacts an export has, in words."""
    left_out = len(content["left_out"])
    return f"{len(content['artefacts'])} artefacts" + (f", {left_out} left out" if left_out else "")


class _Table:
    """What was measured, printed a line an artefact."""

    def __init__(self) -> None:
        self._begun = False

    def __call__(self, path: str, measured: Measured) -> None:
        if not self._begun:
            print("{:34} {:>10} {:>13} {:>7} {:>10}".format(*_HEADER))
            self._begun = True
        print(
            f"{path:34} {measured.maximum_difference:10.1e} {measured.calls_changed:13.2%} "
            f"{measured.latency_ms:7.2f} {measured.windows_per_second:10,.0f}",
            flush=True,
        )
