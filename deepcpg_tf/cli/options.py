"""Options that every command has."""

from __future__ import annotations

from typing import Annotated

import typer

Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error.", show_default=False)
]
