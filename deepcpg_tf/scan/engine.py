"""Predict many sites of a stretch of sequence, sharing what their windows share.

The windows of neighbouring sites overlap almost entirely, and so do their
convolutions. Tile by tile it is decided how many of these are computed once for all
sites (`deepcpg_tf.scan.shared`), from all to none, by what the sites in the tile would
cost. The numbers are those of the model, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.genome.windows import stretch
from deepcpg_tf.scan.shared import SharedLayers, filled, window_cost

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

TILE = 32_768
"""Bases at which the windows of a tile may start."""

_WINDOWS_AT_ONCE = 512

Codes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class _Tile(NamedTuple):
    """The start of its first window, and the indices of its sites."""

    start: int
    sites: slice


class ScanEngine:
    """A model made ready for sites that lie close together.

    Parameters
    ----------
    model
        The model.
    tile
        Bases at which the windows of a tile may start.
    """

    def __init__(self, model: DeepCpgDnaForSequencePrediction, tile: int = TILE) -> None:
        self._model = model
        self._length = model.config.sequence_length
        self._tile = tile
        config = model.config
        self._window_cost = window_cost([*config.layers, config.head_layer])
        self._shared = [SharedLayers(model, i + 1, tile) for i in range(len(config.conv_channels))]

    def logits(
        self,
        codes: Codes,
        positions: Positions,
        advance: Callable[[int], object] = lambda sites: None,
    ) -> Logits:
        """Predict sites.

        Parameters
        ----------
        codes : ndarray of uint8, shape (bases,)
            The sequence; off its ends it is N.
        positions : ndarray of int64, shape (n,)
            0-based positions in it of the forward-strand C of the sites, sorted.
        advance
            Called with the number of sites done.

        Returns
        -------
        ndarray of float32, shape (n, cells)
        """
        starts = positions - self._length // 2
        result = np.empty((len(starts), len(self._model.cells)), np.float32)
        alone = np.zeros(len(starts), bool)
        for tile in self._tiles(starts):
            own = starts[tile.sites]
            shared = self._cheapest(len(own))
            if shared is None:
                alone[tile.sites] = True
            else:
                bases = stretch(codes, tile.start, shared.bases)
                result[tile.sites] = shared.logits(bases, own - tile.start)
                advance(len(own))
        result[alone] = self._of_windows(codes, starts[alone])
        advance(int(alone.sum()))
        return result

    def _tiles(self, starts: Positions) -> Iterator[_Tile]:
        """Yield tiles, each from a site on, with all sites whose windows start in it."""
        first = 0
        while first < len(starts):
            start = int(starts[first])
            last = int(np.searchsorted(starts, start + self._tile))
            yield _Tile(start, slice(first, last))
            first = last

    def _cheapest(self, sites: int) -> SharedLayers | None:
        """Return how much is shared by so many sites of a tile; None is nothing."""
        costs: dict[SharedLayers | None, float] = {
            shared: shared.tile_cost + filled(sites) * shared.site_cost for shared in self._shared
        }
        costs[None] = sites * self._window_cost
        return min(costs, key=lambda shared: costs[shared])

    def _of_windows(self, codes: Codes, starts: Positions) -> Logits:
        parts = [np.empty((0, len(self._model.cells)), np.float32)]
        for first in range(0, len(starts), _WINDOWS_AT_ONCE):
            own = starts[first : first + _WINDOWS_AT_ONCE]
            windows = np.stack([stretch(codes, start, self._length) for start in own.tolist()])
            parts.append(self._model.predict_windows(windows, "logits"))
        return np.concatenate(parts)
