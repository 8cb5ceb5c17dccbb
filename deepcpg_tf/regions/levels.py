"""Levels of regions in cells: what was observed, and what is to be expected of the rest.

Of an imputed file, a site that was not observed has its predicted probability. Of a table, it
has that of the other cells' calls in the region, moved by what the cell itself was observed
to have there as far as sites go together: the best linear prediction of one sum by another.
How much they do is that of `deepcpg_tf.regions.dispersion`.

An imputed file can be read in both ways: with how errors of its probabilities go together, or,
where that is not told by what was observed, with how much calls of a cell tell of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.regions.dispersion import Errors, Outcomes, joined
from deepcpg_tf.regions.places import SCALES, Blocks, Places
from deepcpg_tf.regions.sources import Floats, Labels, Mask, Piece, Source

Numbers = npt.NDArray[np.float64]

_OWN = 1.0
"""Calls of other cells that the level of a cell counts as, where these are to be expected."""

MOST_BLOCKS = 100_000
"""Blocks of a scale, in cells, whose errors are taken."""

# Pairs of sites, by variance: more than rounding makes of one site.
_SEVERAL = 1e-3

_HELD_OUT = SCALES[0]
"""Bases of the blocks whose calls are held out together."""


class Known(NamedTuple):
    """What is known of some regions of a chromosome in all cells.

    ``sites`` is float64 [regions], all others are [regions, cells]: how many sites were
    ``observed``, how many of these are ``methylated``, and the ``mean`` and the ``variance`` of
    the methylated share of the other sites, which do not matter where there are none.
    """

    sites: Numbers
    observed: Numbers
    methylated: Numbers
    mean: Numbers
    variance: Numbers


class Levels:
    """Reads regions of a source, run by run.

    Parameters
    ----------
    source
        Where from.
    of_cells : ndarray of float64, shape (cells,)
        The methylated share of each cell: how sites go together is then taken from calls, and
        not from errors of probabilities. A source without these needs it.
    """

    def __init__(self, source: Source, of_cells: Numbers | None = None) -> None:
        self._source = source
        self._of_cells = of_cells

    def errors(self, chromosome: str, places: Places, most: int = MOST_BLOCKS) -> Errors:
        """Return how sums over regions are off, where what comes out is known.

        So are sums over the blocks in them, which tell how sites that are near go together;
        of each scale as many, with two sites or more, as `most` says.
        """
        run = _Run(self._source, chromosome, places)
        parts: list[Errors] = []
        prior = self._prior(run)
        for piece in run.pieces(calls=prior is not None):
            labels = run.rows(piece.labels)
            own: npt.NDArray[np.floating[Any]]
            if prior is None:
                own, tested = run.predicted(piece)
            else:
                own, tested = prior[run.of_rows][:, piece.cells], labels >= 0
            each, off = own * (1 - own) * tested, ((labels == 1) - own) * tested
            sums = [run.blocks.nested(one) for one in (off, each, off**2)]
            roots = run.blocks.nested(np.sqrt(each))
            share = -(-most * (piece.cells.stop - piece.cells.start) // len(self._source.cells))
            for scale, (error, alone, squares) in enumerate(zip(*sums, strict=True)):
                together = run.blocks.products(roots, roots, scale) - alone
                if scale == len(SCALES):
                    at = np.nonzero(alone > 0)
                else:
                    at = np.nonzero(together[scale] > _SEVERAL * alone)
                    every = max(1, len(at[0]) // share)
                    at = (at[0][::every], at[1][::every])
                parts.append(
                    Errors(error[at], alone[at], together[(slice(None), *at)], squares[at])
                )
        return joined(parts)

    def outcomes(
        self, chromosome: str, places: Places, weights: Numbers, rng: np.random.Generator
    ) -> Outcomes:
        """Return what comes out, beside what is predicted of it.

        Of calls, half are held out for that, in blocks of some bases.
        """
        run = _Run(self._source, chromosome, places)
        parts: list[Sequence[Numbers]] = []
        prior = self._prior(run)
        for piece in run.pieces(calls=prior is not None):
            labels = run.rows(piece.labels)
            if prior is not None:
                seen = (labels >= 0) & run.coins(labels.shape[1], rng)
                tested = (labels >= 0) & ~seen
                nested = run.blocks.nested(tested)
                total = nested[-1]
                some = (total > 0) & (run.blocks.sums(seen) > 0)
                given = _Given(seen, nested, run.blocks, weights)
                mean = given.mean(prior[:, piece.cells], labels)
                variance = given.part * mean * (1 - mean)
            else:
                own, tested = run.predicted(piece)
                total, mean, variance = _share(own, tested, run.blocks, weights)
                some = total > 0
            count = run.blocks.sums(tested & (labels == 1))
            parts.append([one[some] for one in (count, total, mean, variance)])
        return Outcomes(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def known(self, chromosome: str, places: Places, weights: Numbers) -> Known:
        """Return what is known of regions of a chromosome.

        Parameters
        ----------
        chromosome
            Its name in the source.
        places
            Regions of it, those of one run.
        weights : ndarray of float64, shape (scales,)
            See `deepcpg_tf.regions.dispersion.fit`.
        """
        run = _Run(self._source, chromosome, places)
        shape = (len(places), len(self._source.cells))
        sites = (places.lasts - places.firsts).astype(np.float64)
        result = Known(sites, *(np.zeros(shape) for _ in range(4)))
        prior = self._prior(run)
        for piece in run.pieces():
            labels = run.rows(piece.labels)
            seen, others = labels >= 0, labels < 0
            result.observed[:, piece.cells] = run.blocks.sums(seen)
            result.methylated[:, piece.cells] = run.blocks.sums(labels == 1)
            if piece.probabilities is not None:
                own = run.rows(piece.probabilities)
                total, mean, variance = _share(own, others, run.blocks, weights)
            if prior is not None:
                given = _Given(seen, run.blocks.nested(others), run.blocks, weights)
                if piece.probabilities is None:
                    mean = given.mean(prior[:, piece.cells], labels)
                    variance = given.part * mean * (1 - mean)
                else:
                    each = run.blocks.sums(own * (1 - own) * others)
                    variance = given.part * each / np.maximum(total, 1)
            result.mean[:, piece.cells], result.variance[:, piece.cells] = mean, variance
        return result

    def _prior(self, run: _Run) -> Numbers | None:
        """Return the level of the other cells in regions, [regions, cells]."""
        if self._of_cells is None:
            return None
        total = np.zeros((run.regions, len(self._source.cells)))
        count = np.zeros_like(total)
        for piece in run.pieces(calls=True):
            labels = run.rows(piece.labels)
            total[:, piece.cells] = run.blocks.sums(labels >= 0)
            count[:, piece.cells] = run.blocks.sums(labels == 1)
        count_of_others = count.sum(axis=1, keepdims=True) - count
        total_of_others = total.sum(axis=1, keepdims=True) - total
        result: Numbers = (count_of_others + _OWN * self._of_cells) / (total_of_others + _OWN)
        return result


class _Run:
    """Regions that are read together."""

    def __init__(self, source: Source, chromosome: str, places: Places) -> None:
        self._source, self._chromosome = source, chromosome
        self.sites = slice(int(places.firsts.min()), int(places.lasts.max()))
        self._positions = source.positions(chromosome)[self.sites]
        self.blocks = Blocks(self._positions, places, self.sites.start)
        self.regions = len(places)
        self.of_rows = np.repeat(np.arange(len(places)), places.lasts - places.firsts)

    def pieces(self, *, calls: bool = False) -> Iterator[Piece]:
        """Yield what is known of the sites."""
        return self._source.pieces(self._chromosome, self.sites.start, self.sites.stop, calls=calls)

    def rows(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return values of sites, region by region."""
        return values[self.blocks.rows]

    def predicted(self, piece: Piece) -> tuple[Floats, Mask]:
        """Return probabilities, and which of them are tested."""
        assert piece.probabilities is not None
        assert piece.tested is not None
        return self.rows(piece.probabilities), self.rows(piece.tested)

    def coins(self, cells: int, rng: np.random.Generator) -> Mask:
        """Return a coin's side for each site and cell, the same within blocks."""
        blocks = np.unique(self._positions // _HELD_OUT, return_inverse=True)[1]
        return self.rows((rng.random((blocks[-1] + 1, cells)) < 0.5)[blocks])


def _share(
    own: Floats, hidden: Mask, blocks: Blocks, weights: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Return the number of hidden sites, and mean and variance of their methylated share."""
    total = blocks.sums(hidden)
    each = own * (1 - own) * hidden
    nested, alone = blocks.nested(np.sqrt(each)), blocks.sums(each)
    together = blocks.products(nested, nested) - alone
    mean = np.clip(blocks.sums(own * hidden) / np.maximum(total, 1), 0, 1)
    variance = (alone + np.tensordot(weights, together, 1)) / np.maximum(total, 1) ** 2
    return total, mean, np.clip(variance, 0, mean * (1 - mean))


class _Given:
    """What is to be expected of other sites of a region, given those seen.

    In units of prior (1 - prior), all sums have the variances and the covariance that the
    weights tell, and the prediction is linear. What is left of the variance of the other sites'
    share is told as a part of the most that it could be. So it goes with the mean that is
    predicted, which makes it that of the beta-binomial distribution where all pairs
    of sites of a region go together alike.

    Attributes
    ----------
    part : ndarray of float64, shape (regions, cells)
        0 to 1; 0 where there are no other sites.
    """

    def __init__(
        self, seen: Mask, others: Sequence[Numbers], blocks: Blocks, weights: Numbers
    ) -> None:
        self._seen, self._blocks = seen, blocks
        nested = blocks.nested(seen)
        self._number, total = nested[-1], others[-1]
        self._sites = np.maximum(total, 1)

        def variance(one: Sequence[Numbers], number: Numbers) -> Numbers:
            return number + np.tensordot(weights, blocks.products(one, one) - number, 1)

        both = np.tensordot(weights, blocks.products(nested, others), 1)
        of_seen = variance(nested, self._number)
        self._slope = np.divide(both, of_seen, out=np.zeros_like(both), where=of_seen > 0)
        told = self._slope * both / self._sites**2
        rest = variance(others, total) / self._sites**2 - told
        part = np.clip(rest / np.maximum(1 - told, 1e-9), 0, 1)
        self.part: Numbers = np.where(total > 0, part, 0.0)

    def mean(self, prior: Numbers, labels: Labels) -> Numbers:
        """Return the share to be expected, [regions, cells]; where there are no others, any."""
        count = self._blocks.sums(self._seen & (labels == 1))
        error = count - self._number * prior
        return np.asarray(np.clip(prior + self._slope * error / self._sites, 0, 1))


def expected_of_observed(
    source: Source, chromosome: str, places: Places, mean_of_cells: Numbers
) -> Numbers:
    """Return the sum of a number of each site over the observed sites of regions.

    Parameters
    ----------
    source, chromosome, places
        Regions of one run.
    mean_of_cells : ndarray of float64, shape (sites,)
        Of the chromosome's sites; it may be NaN where no cell observed one.

    Returns
    -------
    ndarray of float64, shape (regions, cells)
    """
    run = _Run(source, chromosome, places)
    own = run.rows(np.nan_to_num(mean_of_cells[run.sites]))[:, None]
    result = np.zeros((run.regions, len(source.cells)))
    for piece in run.pieces(calls=True):
        result[:, piece.cells] = run.blocks.sums((run.rows(piece.labels) >= 0) * own)
    return result
