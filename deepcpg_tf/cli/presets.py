"""``deepcpg-tf presets`` and ``deepcpg-tf fetch``: the published variants and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Debug
from deepcpg_tf.cli.rows import print_rows
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.presets import PRESETS
from deepcpg_tf.weights import store

_HEADER = ("preset", "architecture", "cells", "names", "genome", "cached")


def presets(debug: Debug = False) -> None:
    """List the published variants."""
    rows = [
        (
            preset.name,
            preset.architecture,
            str(len(preset.cells)),
            f"{preset.cells[0]} ... {preset.cells[-1]}",
            preset.genome,
            "yes" if store.cached(preset) else "no",
        )
        for preset in PRESETS.values()
    ]
    print_rows(_HEADER, rows)


def fetch(
    name: Annotated[str, typer.Argument(help="Name of a published variant (see presets).")],
    from_dir: Annotated[
        Path | None,
        typer.Option(help="Folder with the files downloaded by hand, instead of a download."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Address of a mirror of the files.", metavar="URL")
    ] = None,
    debug: Debug = False,
) -> None:
    """Download the files of a published variant into the cache and print where they are."""
    if from_dir is not None and base_url is not None:
        raise ConfigError("input: expected --from-dir or --base-url, received both")
    preset = store.find_preset(name)
    if from_dir is not None:
        files = store.install(preset, from_dir)
    else:
        url = store.BASE_URL if base_url is None else base_url
        files = store.fetch(preset, base_url=url, progress=True)
    print(*files, sep="\n")
