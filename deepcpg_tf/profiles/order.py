"""The order of the lines of methylation profiles: chromosomes together, positions ascending."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.profiles.formats import STRANDS, Layout
from deepcpg_tf.profiles.lines import Calls
from deepcpg_tf.profiles.sorting import UnsortedError, in_order


class Lines(Protocol):
    """What calls are from."""

    layout: Layout

    def place(self, line: int) -> str:
        """Return where a line is, by its number."""

    def error(self, line: int, fault: str) -> ProfileError:
        """Return the error of a line."""


class OrderedCalls:
    """The calls of a profile, each site once.

    Parameters
    ----------
    lines
        The profile, or the cell of a file.
    calls
        Its calls.

    Attributes
    ----------
    duplicates : int
        Lines left out so far, since the one before has the same site and label.
    """

    def __init__(self, lines: Lines, calls: Iterable[Calls]) -> None:
        self.duplicates = 0
        self._lines = lines
        self._calls = calls
        self._first_duplicate = 0

    def __iter__(self) -> Iterator[Calls]:
        """Yield the calls, of one chromosome after the other; warn of duplicates at the end.

        Raises
        ------
        UnsortedError
            At a chromosome that comes back, or a position smaller than the one before, or
            the same and on the + strand after the -.
        ProfileError
            At a site that is there again with another label; and as `ProfileLines`.
        """
        seen: set[str] = set()
        chromosome = None
        before = _START
        for calls in self._calls:
            if calls.chromosome != chromosome:
                if calls.chromosome in seen:
                    raise self._unsorted(
                        calls,
                        0,
                        f"all lines of chromosome {calls.chromosome} together, "
                        f"received more of them after those of {chromosome}",
                    )
                chromosome = calls.chromosome
                seen.add(chromosome)
                before = _START
            sites = np.stack([calls.positions, calls.strands, _directions(calls)])
            yield self._without_duplicates(calls, sites, np.hstack([before, sites[:, :-1]]))
            before = sites[:, -1:]
        if self.duplicates:
            warnings.warn(
                f"{self._lines.place(self._first_duplicate)}: expected each site once, "
                f"received {self.duplicates} again with the same label, which were merged",
                stacklevel=4,
            )

    def _without_duplicates(
        self, calls: Calls, sites: npt.NDArray[np.int64], before: npt.NDArray[np.int64]
    ) -> Calls:
        # A site that is there again has to follow itself, whatever else is at its position.
        falls = in_order(*sites[:2]) < in_order(*before[:2])
        again = (sites[:2] == before[:2]).all(axis=0)
        differs = again & (sites[2] != before[2])
        base = self._lines.layout.base
        if falls.any():
            index = int(np.argmax(falls))
            (position, strand), (last, other) = sites[:2, index], before[:2, index]
            received = f"{position + base} after {last + base}"
            if position == last:
                received = f"{position + base} {_SIGNS[strand]} after {_SIGNS[other]}"
            raise self._unsorted(calls, index, f"ascending positions, received {received}")
        if differs.any():
            index = int(np.argmax(differs))
            raise self._lines.error(
                calls.line(index),
                "expected each site once, "
                f"received {sites[0, index] + base} again, with another label",
            )
        if not again.any():
            return calls
        if not self.duplicates:
            self._first_duplicate = calls.line(int(np.argmax(again)))
        self.duplicates += int(again.sum())
        return calls.select(~again)

    def _unsorted(self, calls: Calls, index: int, expected: str) -> UnsortedError:
        line = calls.line(index)
        error = UnsortedError(str(self._lines.error(line, f"expected {expected}")))
        error.line = line
        return error


_SIGNS = {number: sign for sign, number in STRANDS.items()}
_START = np.array([[-1], [0], [0]])


def _directions(calls: Calls) -> npt.NDArray[np.int64]:
    """Return 1 methylated, -1 unmethylated, 0 neither."""
    return np.sign(calls.methylated - calls.unmethylated)
