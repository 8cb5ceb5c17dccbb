"""What every substitution of a base does to a prediction, computed of what it changes alone.

A base changes as many outputs of the first convolution as its kernel is wide, by the difference
of two rows of the kernel; of the poolings, as valid ones whose stride is their size, the few rows
that these lie in; of the next convolution the outputs that read those rows; and so on, until a
few rows of the dense layer's input. Which they are depends on the position only by its phase,
the remainder by the product of all pool sizes. So the positions of one phase go together, for
several windows at once, and each step is a product of matrices or a pass over an array.

The arithmetic is that of whole windows in float32, sums in another order: what a substitution
leaves as it is cancels exactly.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided
from threadpoolctl import threadpool_limits

from deepcpg_tf.genome.sequence import N_CODE, one_hot

Floats: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = npt.NDArray[np.uint8]

_ROWS = 512
"""Substitutions in one product of matrices: enough for it to be fast, few enough for the cache."""

_BASES = 4


class Convolution(NamedTuple):
    """A convolution with its rectifier and max-pooling.

    ``kernel`` is float32 [width, channels before, channels], ``bias`` [channels].
    """

    kernel: Floats
    bias: Floats
    pool: int


class Dense(NamedTuple):
    """A dense layer: ``kernel`` float32 [units before, units], ``bias`` [units]."""

    kernel: Floats
    bias: Floats


class Network(NamedTuple):
    """The layers of a DNA module and all that follow it to the logits.

    There is a rectifier after each but the last. The second of the dense layers may read more
    than the first one's units: what comes after them in its kernel are the embeddings of the
    other parts.
    """

    convolutions: tuple[Convolution, ...]
    dense: tuple[Dense, ...]
    length: int
    receptive_length: int


class _Level(NamedTuple):
    """A convolution as all windows of a batch see it, with rows beyond both ends.

    ``sums`` is float32 [(before + rows) * pool, n, channels], before the rectifier; ``pooled``
    [before + rows, n, channels], after it. What lies beyond the ends is read by nothing that
    counts.
    """

    sums: Floats
    pooled: Floats
    before: int


class _Reach(NamedTuple):
    """Which rows a substitution changes at one level.

    Outputs of the convolution from ``low`` to ``high``, and pooled rows from ``first`` on, so
    many as ``rows``; all of them counted from the place that the position divided by the phases
    has there, and ``stride`` apart from those of the next position of its phase.
    """

    low: int
    high: int
    first: int
    rows: int
    stride: int


class Substitutions:
    """Computes what all substitutions of windows do to the logits.

    Parameters
    ----------
    network
        The layers.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        pools = [one.pool for one in network.convolutions]
        self._phases = math.prod(pools)
        self._reaches = [self._reach(phase) for phase in range(self._phases)]
        most = -(-network.receptive_length // self._phases)
        self._before, self._rows = [], []
        for level in range(len(pools)):
            reaches = [reach[level] for reach in self._reaches]
            self._before.append(max(0, *(-one.first for one in reaches)))
            strides = {one.stride // pools[level] for one in reaches}
            (stride,) = strides
            self._rows.append(stride * most + max(one.first + one.rows for one in reaches))
        self._tables = {
            letters: _difference_tables(network.convolutions[0].kernel, alternatives)
            for letters, alternatives in _ALTERNATIVES.items()
        }
        self._kernels = [
            one.kernel.reshape(-1, one.kernel.shape[-1]) for one in network.convolutions
        ]
        self._embedding = self._padded_kernel(network.dense[0].kernel)

    def _reach(self, phase: int) -> list[_Reach]:
        """Return which rows a substitution at a position of some phase changes."""
        found, first, rows, stride = [], phase, 1, self._phases
        for one in self._network.convolutions:
            low, high = first - one.kernel.shape[0] + 1, first + rows - 1
            first, rows = low // one.pool, high // one.pool - low // one.pool + 1
            found.append(_Reach(low, high, first, rows, stride))
            stride //= one.pool
        return found

    def _padded_kernel(self, kernel: Floats) -> Floats:
        """Return the dense layer's kernel [rows, channels, units] with zeros beyond both ends."""
        channels = self._network.convolutions[-1].kernel.shape[-1]
        before = self._before[-1]
        own = kernel.reshape(-1, channels, kernel.shape[-1])
        padded = np.zeros((before + self._rows[-1], *own.shape[1:]), np.float32)
        padded[before : before + len(own)] = own
        return padded

    def deltas(self, windows: Codes, others: Floats | None = None) -> Floats:
        """Return the difference that each letter makes to the logits, in place of the one there.

        Parameters
        ----------
        windows : ndarray of uint8, shape (n, length)
            Codes.
        others : ndarray of float32, shape (n, units), optional
            The embeddings of the other parts.

        Returns
        -------
        ndarray of float32, shape (n, length, 4, outputs)
            The letters in the order of their codes.
        """
        count = len(windows)
        outputs = self._network.dense[-1].kernel.shape[-1]
        result = np.zeros((count, self._network.length, _BASES, outputs), np.float32)
        if not count:
            return result
        columns = np.ascontiguousarray(windows.T)
        letters = _BASES if (windows == N_CODE).any() else _BASES - 1
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(_threads()) as pool:
            levels, sums = self._forward(windows, others)
            tasks = [
                pool.submit(self._fill, result, columns, levels, sums, letters, phase, part)
                for phase in range(self._phases)
                for part in self._parts(phase, count * letters)
            ]
            for task in tasks:
                task.result()
        return result

    def rounding(self, windows: Codes, others: Floats | None = None) -> float:
        """Return how far apart right differences may be, as float32 is rounded.

        A sum of n terms is off by no more than sqrt(n) roundings of the largest activation; there
        are four sums of each layer, of two logits in two programs.
        """
        levels, units = self._forward(windows, others)
        kernels = [one.kernel for one in self._network.convolutions]
        kernels += [one.kernel for one in self._network.dense]
        roundings = sum(math.sqrt(math.prod(kernel.shape[:-1]) + 1) for kernel in kernels)
        size = max(1.0, *(float(np.abs(one).max()) for one in (*(x[0] for x in levels), *units)))
        return 4 * roundings * 2.0**-24 * size

    def _parts(self, phase: int, rows: int) -> Iterator[range]:
        """Yield which positions of a phase are computed together, with so many rows each."""
        number = -(-(self._network.receptive_length - phase) // self._phases)
        step = max(1, _ROWS // rows)
        for start in range(0, number, step):
            yield range(start, min(start + step, number))

    def _forward(self, windows: Codes, others: Floats | None) -> tuple[list[_Level], list[Floats]]:
        """Return the convolutions of whole windows, and the sums of each dense layer's units.

        The sums are before the rectifier, without those of the last layer.
        """
        count = len(windows)
        x = one_hot(windows.T, self._network.convolutions[0].kernel.shape[1])
        levels = []
        for one, kernel, before, rows in zip(
            self._network.convolutions, self._kernels, self._before, self._rows, strict=True
        ):
            width, _, channels = one.kernel.shape
            length = len(x) - width + 1
            columns = np.concatenate([x[i : i + length] for i in range(width)], axis=2)
            sums = np.zeros(((before + rows) * one.pool, count, channels), np.float32)
            own = sums[before * one.pool :][:length]
            found = columns.reshape(-1, len(kernel)) @ kernel + one.bias
            own[:] = found.reshape(length, count, channels)[: len(own)]
            pooled = np.maximum(sums.reshape(before + rows, one.pool, count, channels).max(1), 0)
            levels.append(_Level(sums, pooled, before))
            x = pooled[before : before + length // one.pool]
        embedding = x.transpose(1, 0, 2).reshape(count, -1)
        units = []
        for i, layer in enumerate(self._network.dense[:-1]):
            if i == 1 and others is not None:
                embedding = np.concatenate([embedding, others], axis=1)
            units.append(embedding @ layer.kernel + layer.bias)
            embedding = np.maximum(units[-1], 0)
        return levels, units

    def _fill(
        self,
        result: Floats,
        columns: Codes,
        levels: list[_Level],
        sums: list[Floats],
        letters: int,
        phase: int,
        part: range,
    ) -> None:
        """Compute the substitutions at some positions of a phase, in all windows."""
        positions = np.arange(part.start, part.stop) * self._phases + phase
        present = columns[positions]
        change = self._first_change(levels[0], present, letters, phase, part)
        for level in range(1, len(levels)):
            change = self._next_change(level, levels[level], change, phase, part)
        places, count, _, rows, channels = change.shape
        kernel = self._embedding
        start = self._before[-1] + part.start + self._reaches[phase][-1].first
        size = kernel.strides[0]
        slices = as_strided(
            kernel[start:],
            (places, rows * channels, kernel.shape[-1]),
            (size, *kernel.strides[1:]),
            writeable=False,
        )
        x = np.matmul(change.reshape(places, count * letters, -1), slices)
        for layer, before in zip(self._network.dense[1:], sums, strict=True):
            x = x.reshape(places, count, letters, -1)
            x += before[:, None]
            np.maximum(x, 0, out=x)
            x -= np.maximum(before, 0)[:, None]
            x = x.reshape(-1, x.shape[-1]) @ layer.kernel[: x.shape[-1]]
        x = x.reshape(places, count, letters, -1)
        put = _ALTERNATIVES[letters][present]
        result[np.arange(count)[:, None], positions[:, None, None], put] = x

    def _first_change(
        self, level: _Level, present: Codes, letters: int, phase: int, part: range
    ) -> Floats:
        """Return how substitutions change the first pooled rows.

        Float32 [places, n, letters, rows, channels], zero beyond what they change.
        """
        tables = self._tables[letters]
        channels = tables.shape[-1]
        reach = self._reaches[phase][0]
        shape = (*present.shape, letters, channels)
        change = np.empty((*shape[:-1], reach.rows, channels), np.float32)
        sums, best = np.empty(shape, np.float32), np.empty(shape, np.float32)

        def changed(output: int, into: Floats) -> None:
            np.take(tables[phase - output], present, axis=0, out=into, mode="clip")

        self._pool(0, level, reach, part, changed, change, sums, best)
        return change

    def _next_change(
        self, number: int, level: _Level, change: Floats, phase: int, part: range
    ) -> Floats:
        """Return how the change of a level's input changes its pooled rows."""
        *outer, rows, before = change.shape
        kernel = self._kernels[number]
        width, channels = self._network.convolutions[number].kernel.shape[0], kernel.shape[-1]
        reach, first = self._reaches[phase][number], self._reaches[phase][number - 1].first
        flat = change.reshape(-1, rows * before)
        result = np.empty((*outer, reach.rows, channels), np.float32)
        sums = np.empty((*outer, channels), np.float32)
        best = np.empty_like(sums)

        def changed(output: int, into: Floats) -> None:
            low, high = max(output, first), min(output + width, first + rows)
            np.matmul(
                flat[:, (low - first) * before : (high - first) * before],
                kernel[(low - output) * before : (high - output) * before],
                out=into.reshape(-1, channels),
            )

        self._pool(number, level, reach, part, changed, result, sums, best)
        return result

    def _pool(
        self,
        number: int,
        level: _Level,
        reach: _Reach,
        part: range,
        changed: Any,
        result: Floats,
        sums: Floats,
        best: Floats,
    ) -> None:
        """Pool what changes of a convolution with what stays, less what was pooled before."""
        pool = self._network.convolutions[number].pool

        def stored(values: Floats, row: int, stride: int) -> Floats:
            start = row + part.start * stride
            return values[start : start + (len(part) - 1) * stride + 1 : stride]

        for i in range(reach.rows):
            row = reach.first + i
            floor: Any = 0
            into = best
            for output in range(row * pool, (row + 1) * pool):
                old = stored(level.sums, level.before * pool + output, reach.stride)
                if not reach.low <= output <= reach.high:
                    floor = np.maximum(floor, old)
                    continue
                changed(output, into)
                into += old[:, :, None]
                if into is sums:
                    np.maximum(best, sums, out=best)
                into = sums
            np.maximum(best, floor if isinstance(floor, int) else floor[:, :, None], out=best)
            was = stored(level.pooled, level.before + row, reach.stride // pool)
            np.subtract(best, was[:, :, None], out=result[:, :, :, i])


def _alternatives(letters: int) -> npt.NDArray[np.intp]:
    """Return the codes that are put in place of each code, [5, letters]; of N only if all are."""
    others = [[code for code in range(_BASES) if code != present] for present in range(_BASES)]
    others.append([0] * (_BASES - 1))
    return np.array([range(_BASES)] * (_BASES + 1) if letters == _BASES else others)


_ALTERNATIVES = {letters: _alternatives(letters) for letters in (_BASES - 1, _BASES)}


def _difference_tables(kernel: Floats, alternatives: npt.NDArray[np.intp]) -> Floats:
    """Return by how much each output changes, [width, code there, letters, channels]."""
    own = np.zeros((len(kernel), N_CODE + 1, kernel.shape[-1]), np.float32)
    own[:, :_BASES] = kernel[:, :_BASES]
    return own[:, alternatives] - own[:, :, None]


def _threads() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
