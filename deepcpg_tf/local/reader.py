"""Features of the entries of a table, chromosome by chromosome."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import TableError
from deepcpg_tf.local.context import Folds
from deepcpg_tf.local.features import FeatureMaker, Features
from deepcpg_tf.local.grid import Run, runs_of
from deepcpg_tf.local.observed import Observed

Ints = npt.NDArray[np.int64]
Result = TypeVar("Result")

_FEWEST_CELLS = 2


class LocalReader:
    """Reads features of entries: any sites of the chromosomes of a table, in all its cells.

    Parameters
    ----------
    table
        The table.
    config
        Of a local module.
    sites : ndarray of int64, optional
        Indices of the sites of the table that tell how cells are and how alike, by default all.

    Raises
    ------
    TableError
        When the table has less than two cells.
    """

    def __init__(
        self, table: MethylationTable, config: LocalConfig, sites: Ints | None = None
    ) -> None:
        if len(table.cells) < _FEWEST_CELLS:
            raise TableError(
                f"table: expected at least {_FEWEST_CELLS} cells, which a local module compares, "
                f"received {len(table.cells)}"
            )
        self.table = table
        self._config = config
        self._folds = Folds(table, config.similar_cells, sites)

    @property
    def observed_chromosomes(self) -> frozenset[str]:
        """Those with an observed site in any of the cells."""
        table = self.table
        seen = np.diff(table.calls.indptr) > 0
        return frozenset(table.chromosomes[i] for i in np.unique(table.chromosome_ids[seen]))

    def digest(self) -> str:
        """Return a SHA-256 checksum of all that it reads: cells, sites, states."""
        table = self.table
        result = hashlib.sha256("\t".join((*table.cells, "", *table.chromosomes)).encode())
        calls = table.calls
        indices = np.ascontiguousarray(calls.indices, np.int32)
        indptr = np.ascontiguousarray(calls.indptr, np.int64)
        for array in (table.chromosome_ids, table.positions, indptr, indices, calls.data):
            result.update(np.ascontiguousarray(array).data)
        return result.hexdigest()

    def read(
        self,
        chromosome: str,
        positions: Ints,
        use: Callable[[slice, Features], Result],
    ) -> Iterator[Result]:
        """Make the features of sites, and yield what is made of them, in order.

        Parameters
        ----------
        chromosome
            Its name; where the table has none of its sites, nothing is observed on it.
        positions : ndarray of int64, shape (n,)
            0-based, ascending; the table may lack them.
        use
            Called with each run of sites, as a slice of them, and with their features; in any
            order and by several threads, each on one core.
        """
        first, last = self._rows_of(chromosome)
        observed = Observed(self.table, slice(first, last))
        jobs = self._jobs(observed, positions, first, last)

        def work(job: tuple[FeatureMaker, int, Run]) -> Result:
            maker, start, run = job
            own = slice(start + run.sites.start, start + run.sites.stop)
            return use(own, maker.features(run))

        yield from _in_order(work, jobs)

    def _rows_of(self, chromosome: str) -> tuple[int, int]:
        """Return where a chromosome begins and ends in the table; nowhere where it has none."""
        if chromosome not in self.table.chromosomes:
            return 0, 0
        index = self.table.chromosomes.index(chromosome)
        first, last = np.searchsorted(self.table.chromosome_ids, [index, index + 1])
        return int(first), int(last)

    def _jobs(
        self, observed: Observed, positions: Ints, first: int, last: int
    ) -> Iterator[tuple[FeatureMaker, int, Run]]:
        """Yield all runs, with the maker of their fold and where its sites begin."""
        table, folds = self.table, self._folds
        starts = folds.starts
        own = [
            i for i in range(len(folds)) if first <= starts[i] and starts[i] < starts[i + 1] <= last
        ]
        # Sites before the first of a fold that is a stretch belong to the fold before.
        firsts = table.positions[starts[own[1:]]]
        cuts = [0, *np.searchsorted(positions, firsts), len(positions)]
        folds_here: list[int | None] = [*own] or [None]
        for fold, start, end in zip(folds_here, cuts[:-1], cuts[1:], strict=True):
            if start == end:
                continue
            maker = FeatureMaker(observed, folds.context(fold), self._config)
            for run in runs_of(positions[start:end], observed, len(table.cells)):
                yield maker, int(start), run


def _in_order(work: Callable[..., Result], jobs: Iterator[object]) -> Iterator[Result]:
    """Yield the results of work on each of the jobs, in order, done by all cores."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        waiting: list[Future[Result]] = []
        for job in jobs:
            waiting.append(pool.submit(work, job))
            if len(waiting) > 2 * (threads or 1):
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def rows_of(chromosomes: Sequence[str], ids: npt.NDArray[np.int32]) -> Iterator[tuple[str, slice]]:
    """Yield each stretch of sites on one chromosome, in order."""
    cuts = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist(), len(ids)]
    for start, end in pairwise(cuts):
        if start < end:
            yield chromosomes[ids[start]], slice(start, end)
