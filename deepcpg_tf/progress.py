"""Who is told how long work goes: one protocol for all of it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told of work that takes its time, stretch by stretch."""

    def begins(self, what: str, total: int, unit: str) -> object:
        """Take notice of a stretch of work, and of how many units it has."""

    def advances(self, units: int) -> object:
        """Take notice of some units done."""

    def tells(self, line: str) -> object:
        """Take notice of a line that is worth reading."""


class Silent:
    """Tells nobody."""

    def begins(self, what: str, total: int, unit: str) -> None:
        """Do nothing."""

    def advances(self, units: int) -> None:
        """Do nothing."""

    def tells(self, line: str) -> None:
        """Do nothing."""


SILENT = Silent()
"""The default of whatever reports progress."""
