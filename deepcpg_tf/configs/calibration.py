"""What makes probabilities of methylation such that they can be taken at their word, as data.

A training that balances classes learns, of each cell, the logit of a site less the logit of
the cell's methylated share. Adding that share's logit undoes it exactly. What is left, such
as the overconfidence of a model that fits its own sites too well, a temperature for each
cell divides the logits by.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs._fields import check_unique, strings
from deepcpg_tf.errors import ConfigError

BALANCE_EPSILON = 1e-7
"""What the original adds to the frequency of a class, whose inverse is its weight."""

_TEMPERATURES = (1e-6, 1e6)

Floats = npt.NDArray[np.float32]


class Adjustment(NamedTuple):
    """What is added to the logits of some cells, and what they are divided by then.

    Both are float32 [cells].
    """

    offsets: Floats
    temperatures: Floats

    def digest(self) -> str:
        """Return a SHA-256 checksum."""
        return hashlib.sha256(b"".join(one.tobytes() for one in self)).hexdigest()

    def of_logits(self, logits: Floats) -> Floats:
        """Return calibrated logits, float32 [n, cells]."""
        return (logits + self.offsets) / self.temperatures


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the logits of each cell, by its name, are calibrated.

    Parameters
    ----------
    cells
        Names of the cells that something is known of.
    shares
        For each of them the methylated share of the labels that it was trained on with
        balanced classes: above 0 and below 1, or None where nothing was balanced, as in a
        cell that showed one class only. Empty stands for None of all.
    temperatures
        For each of them a number above 1e-6 and below 1e6, or None for the common one. Empty
        stands for None of all.
    temperature
        The common one, of cells without one of their own and of those not named.

    Raises
    ------
    ConfigError
        When a value is out of range.
    """

    cells: tuple[str, ...] = ()
    shares: tuple[float | None, ...] = ()
    temperatures: tuple[float | None, ...] = ()
    temperature: float = 1.0

    def __post_init__(self) -> None:
        self._set("cells", strings("calibration.cells", self.cells))
        check_unique("calibration.cells", self.cells)
        for name, limits in (("shares", (0, 1)), ("temperatures", _TEMPERATURES)):
            values = _numbers(f"calibration.{name}", getattr(self, name), *limits)
            if values and len(values) != len(self.cells):
                raise ConfigError(
                    f"calibration.{name}: expected one for each of {len(self.cells)} cells, "
                    f"received {len(values)}"
                )
            self._set(name, values)
        (common,) = _numbers("calibration.temperature", [self.temperature], *_TEMPERATURES)
        if common is None:
            raise ConfigError("calibration.temperature: expected a number, received None")
        self._set("temperature", common)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def of_counts(cls, cells: Sequence[str], counts: npt.ArrayLike) -> Calibration:
        """Return what undoes the balance of a training.

        Parameters
        ----------
        cells
            Names of the cells.
        counts : array_like of integers, shape (cells, 2)
            Unmethylated and methylated labels of each.
        """
        shares = tuple(
            methylated / (unmethylated + methylated) if unmethylated and methylated else None
            for unmethylated, methylated in np.asarray(counts, np.int64).reshape(-1, 2).tolist()
        )
        return cls(cells=tuple(cells), shares=shares)

    @property
    def has_shares(self) -> bool:
        """Whether a prior is undone in any cell."""
        return any(share is not None for share in self.shares)

    @property
    def has_temperatures(self) -> bool:
        """Whether any logit is divided by anything."""
        return self.temperature != 1 or any(one not in (None, 1) for one in self.temperatures)

    def offsets_and_temperatures(self, cells: Sequence[str]) -> Adjustment:
        """Return what calibrates the logits of some cells.

        Parameters
        ----------
        cells
            Names, in the order of the logits.
        """
        shares = dict(zip(self.cells, self.shares, strict=False))
        own = dict(zip(self.cells, self.temperatures, strict=False))
        temperatures = [own.get(cell) or self.temperature for cell in cells]
        offsets = [_offset(shares.get(cell)) for cell in cells]
        return Adjustment(np.array(offsets, np.float32), np.array(temperatures, np.float32))


def _offset(share: float | None) -> float:
    """Return what undoes the weights of both classes: the logarithm of their ratio."""
    if share is None:
        return 0.0
    return math.log((share + BALANCE_EPSILON) / (1 - share + BALANCE_EPSILON))


def _numbers(name: str, values: Any, least: float, most: float) -> tuple[float | None, ...]:
    """Return numbers between two limits, or None in their place."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{name}: expected a list of numbers, received {values!r}")
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and least < value < most):
            raise ConfigError(
                f"{name}: expected numbers above {least:g} and below {most:g}, "
                f"received {value!r:.60}"
            )
    return tuple(None if value is None else float(value) for value in values)
