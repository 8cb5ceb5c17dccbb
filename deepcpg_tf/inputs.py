"""What a model reads: named inputs, with the shape and type that each has for one site.

Arrays travel as a mapping of names to arrays that share their first axis, the sites.
The inputs of DeepCpG are ``windows`` (codes of the DNA around a site), ``state`` and
``dist`` (methylation and distance of neighbouring CpG sites in every cell).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import InputError

Arrays = Mapping[str, npt.NDArray[Any]]
"""An array for each input by its name; all have the same number of rows, the sites."""


class Input(NamedTuple):
    """One input of a model.

    ``shape`` and ``dtype`` are those of one site; ``fill`` is the value of rows that
    stand for no site. ``largest`` is the largest value that is allowed, and 0 the least, where
    there is a limit.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    fill: float
    largest: float | None = None


class Inputs(tuple[Input, ...]):
    """All inputs of a model, in order."""

    __slots__ = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(one.name for one in self)

    def named(self, name: str) -> Input:
        """Return one of the inputs.

        Raises
        ------
        InputError
            When the model reads none of that name.
        """
        for one in self:
            if one.name == name:
                return one
        raise InputError(
            f"model: expected one that reads {name}, received one that reads "
            f"{', '.join(self.names)}"
        )

    def check(self, arrays: Arrays) -> int:
        """Refuse arrays that are not what the model reads, and return their number of sites.

        Raises
        ------
        InputError
            When an array is missing or left over, or has another shape, type or number of
            sites, or a value out of range.
        """
        if set(arrays) != set(self.names):
            raise InputError(
                f"inputs: expected {', '.join(self.names)}, "
                f"received {', '.join(sorted(arrays)) or 'none'}"
            )
        sites = len(arrays[self[0].name]) if arrays[self[0].name].ndim else 0
        for one in self:
            array = arrays[one.name]
            if array.shape != (sites, *one.shape) or array.dtype != one.dtype:
                shape = ", ".join(map(str, ("n", *one.shape)))
                raise InputError(
                    f"{one.name}: expected {one.dtype} of shape ({shape}), the same n for all "
                    f"inputs, received {array.dtype} of shape {array.shape}"
                )
            if not array.size:
                continue
            if one.largest is None:
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise InputError(f"{one.name}: expected finite numbers, received NaN or inf")
                continue
            least, most = array.min(), array.max()  # NaN, where there is any
            if not (least >= 0 and most <= one.largest):
                wrong = most if least >= 0 else least
                raise InputError(
                    f"{one.name}: expected values from 0 to {one.largest:g}, received {wrong}"
                )
        return sites

    def filled(self, arrays: Arrays, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return arrays with so many rows, those after the given sites being filling."""
        result = {}
        for one in self:
            array = np.full((rows, *one.shape), one.fill, one.dtype)
            array[: len(arrays[one.name])] = arrays[one.name]
            result[one.name] = array
        return result


def take(arrays: Arrays, rows: Any) -> dict[str, npt.NDArray[Any]]:
    """Return some rows of all arrays, given as a slice or as indices."""
    return {name: array[rows] for name, array in arrays.items()}


def rows(arrays: Arrays) -> int:
    """Return the number of sites that arrays are of."""
    return len(next(iter(arrays.values())))
