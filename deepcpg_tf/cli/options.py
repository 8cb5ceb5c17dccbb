"""What the options of several commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.errors import InputError, OutputError

Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.", show_default=False)
]


def check_out(out: Path | None, *inputs: Path | None) -> None:
    """Refuse to write over an input.

    Raises
    ------
    OutputError
    """
    for path in inputs:
        if out is not None and path is not None and out.exists() and out.samefile(path):
            raise OutputError(f"{out}: expected another file than the input, received the same")


def check_files(*paths: Path | None) -> None:
    """Refuse input files that are not there, before anything is computed.

    Raises
    ------
    InputError
    """
    for path in paths:
        if path is not None and not path.is_file():
            found = "a folder" if path.is_dir() else "none there"
            if path.exists() and not path.is_dir():
                found = "a pipe or device, which cannot be read twice"
            raise InputError(f"{path}: expected a file, found {found}")
