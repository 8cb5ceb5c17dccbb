"""What is known of an artefact, by who wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PRECISIONS = ("float32", "float16", "int8")


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
        One of `PRECISIONS`.
    batch
        Windows of a call; None takes any number.
    interface
        ``inputs`` and ``outputs``, or these for each of its ``signatures``.
    made
        What else is to be known of how it was made.
    """

    path: str
    kind: str
    precision: str = "float32"
    batch: int | None = None
    interface: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """Return what goes into a manifest."""
        facts = {"kind": self.kind, "precision": self.precision, "batch": self.batch}
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
        if not isinstance(kind, str) or precision not in PRECISIONS or not (batch is None or whole):
            raise ValueError(
                f"{path}: expected its kind, precision and batch, received {kind!r}, "
                f"{precision!r} and {batch!r}"
            )
        return cls(path, kind, str(precision), batch if whole else None)
