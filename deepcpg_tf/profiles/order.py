"""The order of the lines of methylation profiles: chromosomes together, positions ascending."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from deepcpg_tf.profiles.lines import Calls, ProfileLines


class OrderedCalls:
    """The calls of a profile, each site once.

    Parameters
    ----------
    lines
        The profile.

    Attributes
    ----------
    duplicates : int
        Lines left out so far, since the one before has the same site and label.
    """

    def __init__(self, lines: ProfileLines) -> None:
        self.duplicates = 0
        self._lines = lines
        self._first_duplicate = 0

    def __iter__(self) -> Iterator[Calls]:
        """Yield the calls, of one chromosome after the other; warn of duplicates at the end.

        Raises
        ------
        ProfileError
            At a chromosome that comes back, a position smaller than the one before, or
            a site that is there again with another label; and as `ProfileLines`.
        """
        seen: set[str] = set()
        chromosome = None
        before = _START
        for calls in self._lines:
            if calls.chromosome != chromosome:
                if calls.chromosome in seen:
                    self._fail(
                        calls,
                        0,
                        f"all lines of chromosome {calls.chromosome} together",
                        f"more of them after those of {chromosome}",
                    )
                chromosome = calls.chromosome
                seen.add(chromosome)
                before = _START
            sites = np.stack([calls.positions, calls.strands, _directions(calls)])
            yield self._without_duplicates(calls, sites, np.hstack([before, sites[:, :-1]]))
            before = sites[:, -1:]
        if self.duplicates:
            warnings.warn(
                f"{self._lines.path}, line {self._first_duplicate}: expected each site once, "
                f"received {self.duplicates} again with the same label, which were merged",
                stacklevel=4,
            )

    def _without_duplicates(
        self, calls: Calls, sites: npt.NDArray[np.int64], before: npt.NDArray[np.int64]
    ) -> Calls:
        falls = sites[0] < before[0]
        again = (sites[:2] == before[:2]).all(axis=0)
        differs = again & (sites[2] != before[2])
        for wrong, expected, received in (
            (falls, "ascending positions", "{position} after {before}"),
            (differs, "each site once", "{position} again, with another label"),
        ):
            if wrong.any():
                index = int(np.argmax(wrong))
                base = self._lines.layout.base
                positions = {"position": sites[0, index] + base, "before": before[0, index] + base}
                self._fail(calls, index, expected, received.format(**positions))
        if not again.any():
            return calls
        if not self.duplicates:
            self._first_duplicate = calls.line(int(np.argmax(again)))
        self.duplicates += int(again.sum())
        return calls.select(~again)

    def _fail(self, calls: Calls, index: int, expected: str, received: str) -> NoReturn:
        raise self._lines.error(calls.line(index), f"expected {expected}, received {received}")


_START = np.array([[-1], [0], [0]])


def _directions(calls: Calls) -> npt.NDArray[np.int64]:
    """Return 1 methylated, -1 unmethylated, 0 neither."""
    return np.sign(calls.methylated - calls.unmethylated)
