"""The first convolution of a model, whose filters are what it looks for in DNA."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.genome.sequence import LETTERS, N_CODE

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

Floats = npt.NDArray[np.float32]

_CODES = N_CODE + 1
# Bases that one look-up reads: a table of 5^6 float32 stays in a core's cache.
_BASES = 6


class Filters:
    """The first convolution with its rectifier, one filter at a time.

    A filter's activation is a sum of one weight a base, so it is looked up by several bases at
    once: few additions, and the same bits for the same bases wherever they lie. That is what
    makes activations equal, which a threshold among them must not tear apart.

    Parameters
    ----------
    kernel : ndarray of floats, shape (width, channels, filters)
        Taken as float32. Channels A, T, G, C; one more, of N, is left alone.
    bias : ndarray of floats, shape (filters,)
    """

    def __init__(self, kernel: npt.NDArray[np.floating], bias: npt.NDArray[np.floating]) -> None:
        self.kernel = np.asarray(kernel, np.float32)[:, :N_CODE]
        self.width, _, self.count = self.kernel.shape
        self._groups: list[tuple[int, int]] = []
        self._tables: list[Floats] = []
        rows = np.zeros((self.width, _CODES, self.count))
        rows[:, :N_CODE] = self.kernel
        parts = -(-self.width // _BASES)
        edges = [self.width * i // parts for i in range(parts + 1)]
        for start, stop in pairwise(edges):
            table = np.asarray(bias, np.float64)[None] if start == 0 else np.zeros((1, self.count))
            for row in rows[start:stop]:
                table = (table[:, None] + row).reshape(-1, self.count)
            self._groups.append((start, stop))
            self._tables.append(np.ascontiguousarray(table.T, np.float32))

    @classmethod
    def of(cls, model: MethylationModel) -> Filters:
        """Return those of a model that reads windows."""
        part = model.parts[DNA]
        first = next(layer for layer in part.layers if layer.weights)
        return cls(first.kernel.numpy(), first.bias.numpy())

    def positions(self, length: int) -> int:
        """Return how many activations a window has."""
        return length - self.width + 1

    @property
    def letters(self) -> list[str]:
        """The letters that each filter weighs most."""
        best = self.kernel.argmax(axis=1)
        return ["".join(LETTERS[code] for code in column) for column in best.T]

    def activations(self, windows: npt.NDArray[np.uint8]) -> Iterator[Floats]:
        """Yield the activations of each filter, in order.

        Parameters
        ----------
        windows : ndarray of uint8, shape (n, length)
            Codes A 0, T 1, G 2, C 3, N 4.

        Yields
        ------
        ndarray of float32, shape (n, length - width + 1)
            The next one takes its place in memory.
        """
        shape = (len(windows), self.positions(windows.shape[1]))
        codes = [self._codes(windows, start, stop) for start, stop in self._groups]
        values, more = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for i in range(self.count):
            # With "clip", which never happens here, NumPy writes to its place at once.
            self._tables[0][i].take(codes[0], out=values, mode="clip")
            for table, code in zip(self._tables[1:], codes[1:], strict=True):
                table[i].take(code, out=more, mode="clip")
                values += more
            np.maximum(values, 0, out=values)
            yield values

    def _codes(self, windows: npt.NDArray[np.uint8], start: int, stop: int) -> npt.NDArray[np.intp]:
        """Return the number that some bases under the filter make, at each of its positions."""
        positions = self.positions(windows.shape[1])
        codes = np.zeros((len(windows), positions), np.intp)
        for base in range(start, stop):
            codes *= _CODES
            codes += windows[:, base : base + positions]
        return codes
