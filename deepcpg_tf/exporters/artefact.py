"""What is known of an artefact, by who wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

BOUNDS = {"float32": 1e-5, "float16": 1e-3, "int8": 2e-2}
"""The largest difference of a probability, for each precision."""

AUC_BOUND = 0.002
"""The largest change of the mean AUC, for any."""


def bounds() -> dict[str, float]:
    """Return what a manifest says of the bounds."""
    return {**BOUNDS, "mean_auc": AUC_BOUND}


INTERFACE = ("inputs", "outputs", "signatures")


class Said(NamedTuple):
    """What an artefact says of itself: its tensors, its cells, and its model.

    ``interface`` is as in `Artefact`, and ``description`` as a manifest has it.
    """

    interface: Mapping[str, Any]
    cells: Sequence[str]
    description: Mapping[str, Any]


@dataclass(frozen=True)
class Artefact:
    """One file, or folder, that a model was written to.

    Its writer makes it, and the manifest keeps it: nothing is read out of a path, which
    holds a name that the user chose.

    Parameters
    ----------
    path
        Where, in the export.
    kind
        The name of its format.
    precision
        One of those in `BOUNDS`.
    batch
        Windows of a call; None takes any number.
    interface
        ``inputs`` and ``outputs``, or these for each of its ``signatures``.
    export
        The number of the run that wrote it, among those into the same folder.
    made
        What else is to be known of how it was made.
    """

    path: str
    kind: str
    precision: str = "float32"
    batch: int | None = None
    interface: Mapping[str, Any] = field(default_factory=dict)
    export: int = 1
    made: Mapping[str, Any] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """Return what goes into a manifest."""
        facts = {name: getattr(self, name) for name in ("kind", "precision", "batch", "export")}
        return {**facts, **self.interface, **self.made}

    @classmethod
    def of_entry(cls, path: str, entry: Mapping[str, Any]) -> Artefact:
        """Return what a manifest says of the artefact with a path.

        Raises
        ------
        ValueError
            When it does not say it.
        """
        kind, precision, batch = (entry.get(name) for name in ("kind", "precision", "batch"))
        whole = isinstance(batch, int) and not isinstance(batch, bool) and batch > 0
        if not isinstance(kind, str) or precision not in BOUNDS or not (batch is None or whole):
            raise ValueError(
                f"{path}: expected its kind, precision and batch, received {kind!r}, "
                f"{precision!r} and {batch!r}"
            )
        interface = {key: entry[key] for key in INTERFACE if key in entry}
        return cls(path, kind, str(precision), batch, interface, int(entry["export"]))
