"""The formats of an export, a module each: how it is written, run, and called by its users.

A module in this folder is a format of its name; it has the functions of `Format`. Nothing
else is to be told of a new one.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from deepcpg_tf.errors import ExportError, MissingPackageError
from deepcpg_tf.exporters.artefact import Artefact
from deepcpg_tf.extras import require
from deepcpg_tf.quiet import quiet_stderr

if TYPE_CHECKING:
    from deepcpg_tf.exporters.runtimes import Runtime
    from deepcpg_tf.exporters.samples import Drawn
    from deepcpg_tf.models.base import MethylationModel


EXTRA = "export"
"""The extra that brings what formats need."""


class Job(NamedTuple):
    """What a format is to write.

    ``folder`` is that of the format; it is there, and empty. Paths of artefacts begin with
    its name. ``number`` is that of this export among those to the same place, and
    ``description`` what a file is to say of the model, with its precision, as JSON.
    """

    model: MethylationModel
    name: str
    folder: Path
    drawn: Drawn
    int8: bool
    number: int
    description: Mapping[str, Any]


class Format(Protocol):
    """What the module of a format has."""

    PACKAGES: tuple[str, ...]
    """What it needs of the extra ``export``, as it is imported."""

    def write(self, job: Job) -> list[Artefact]:
        """Write a model, and return what was written."""

    def open(self, path: Path, artefact: Artefact) -> Runtime:
        """Load an artefact in the runtime that its users have."""

    def card(self, paths: Sequence[str], description: Mapping[str, Any]) -> str:
        """Return how artefacts are called, in Markdown.

        Parameters
        ----------
        paths
            The artefacts of this format.
        description
            What is said of the model.
        """


def names() -> tuple[str, ...]:
    """Return the names of all formats."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> Format:
    """Return a format.

    Raises
    ------
    ExportError
        When there is none of the name.
    MissingPackageError
        When a package that it needs is not installed.
    """
    if name not in names():
        raise ExportError(f"format: expected one of {', '.join(names())}, received {name!r}")
    try:
        format_ = cast("Format", import_module(f"{__name__}.{name}"))
    except ModuleNotFoundError as error:
        require(str(error.name), extra=EXTRA)
        raise
    require(*format_.PACKAGES, extra=EXTRA)
    return format_


def open_artefact(folder: Path, artefact: Artefact) -> Runtime:
    """Load an artefact of an export.

    Raises
    ------
    ExportError
        When it cannot be loaded; the message is without its path.
    """
    try:
        with quiet_stderr():
            return load(artefact.kind).open(folder / artefact.path, artefact)
    except (ExportError, MissingPackageError):
        raise
    except Exception as error:
        # Every runtime has errors of its own for a file that is none of its kind.
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"expected an artefact that loads, but {reason}") from error
