"""``deepcpg-tf export`` and ``deepcpg-tf verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcpg_tf.cli.options import Debug

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
            help="What sets the scales of int8: windows (FASTA); sites, or a table (.h5ad), with "
            "--genome; or data of the original. Of a CpG or Joint module one of the last two. "
            "(Default: the training data, or generated.)",
            metavar="FILE",
        ),
    ] = None,
    genome: Annotated[
        Path | None,
        typer.Option(help="The reference of --calibration.", metavar="FASTA"),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Remove what is in the folder. (Otherwise the same model, if with other weights, "
            "becomes the next version of its SavedModel, and another one is refused.)",
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Write a model as SavedModel, TFLite and ONNX, each proven equal to it.

    Every artefact is run in its own runtime and compared; one that is not within its
    bounds is left out, with a warning. manifest.json has what was measured.
    """
    from deepcpg_tf.exporters.manifest import latest
    from deepcpg_tf.workflows.export import export as export_model

    asked = [name.strip() for name in formats.split(",")] if formats else None
    folder, manifest = export_model(
        model,
        out,
        formats=asked,
        int8=int8,
        strict=strict,
        calibration=calibration,
        genome=genome,
        replace=replace,
        on_measured=_Table(),
    )
    source = latest(manifest)["parity"]["source"]
    without = "; no int8, as it reads no windows" if int8 and "window" not in manifest else ""
    print(f"{folder}: {count(manifest)}{without}; compared on: {source}")


def verify(
    folder: Annotated[Path, typer.Argument(help="What export wrote.", metavar="DIR")],
    debug: Debug = False,
) -> None:
    """Check the files of an export, then run and compare each artefact again."""
    from deepcpg_tf.workflows.export import verify as verify_folder

    folder, manifest = verify_folder(folder, on_measured=_Table())
    print(f"{folder}: {len(manifest['artefacts'])} artefacts are as they should be")


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
