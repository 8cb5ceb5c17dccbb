"""Predict many sites of a stretch of sequence, sharing what their windows share.

The windows of neighbouring sites overlap almost entirely, and so do their
convolutions. Tile by tile it is decided how many of these are computed once for all
sites (`deepcpg_tf.scan.trunk`), from all to none, by what the sites in the tile would
cost. The numbers are those of the model, to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.genome.windows import stretch
from deepcpg_tf.models.base import array_specs
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.scan.trunk import SharedTrunk, filled, window_cost

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel, Tensors

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

    What is shared ends at the embedding of the DNA part; the model joins and reads it.

    Parameters
    ----------
    model
        A model that reads windows.
    tile
        Bases at which the windows of a tile may start.
    depth
        How many convolutions are shared, 0 for none; by default as many in each tile as
        costs the least.

    Attributes
    ----------
    reach : int
        How far from its site a window goes, in bases.
    """

    def __init__(self, model: MethylationModel, tile: int = TILE, depth: int | None = None) -> None:
        part: Any = model.parts[DNA]
        config = part.config
        self._model = model
        self._length: int = config.sequence_length
        self.reach = self._length // 2
        self._tile = tile
        self._depth = depth
        self._window_cost = window_cost(config.layers)
        self._shared = [SharedTrunk(part, i + 1, tile) for i in range(len(config.conv_channels))]

        @tf.function(input_signature=[array_specs(model.reads)])
        def embed(arrays: Tensors) -> tf.Tensor:
            return part(model.part_input(DNA, arrays), training=False)

        @tf.function(reduce_retracing=True)
        def finish(embeddings: Tensors) -> tf.Tensor:
            return model.head(model.join(embeddings))

        self._embed, self._finish = embed, finish

    def logits(
        self,
        codes: Codes,
        positions: Positions,
        progress: Progress = SILENT,
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
        starts = positions - self.reach
        result = np.empty((len(starts), len(self._model.cells)), np.float32)
        alone = np.zeros(len(starts), bool)
        for tile in self._tiles(starts):
            own = starts[tile.sites]
            depth = self.depth(len(own))
            if depth:
                trunk = self._shared[depth - 1]
                bases = stretch(codes, tile.start, trunk.bases)
                batches = trunk.embeddings(bases, own - tile.start)
                logits = [self._finish({DNA: batch}).numpy() for batch in batches]
                result[tile.sites] = np.concatenate(logits)[: len(own)]
                progress.advances(len(own))
            else:
                alone[tile.sites] = True
        (windows,) = np.nonzero(alone)
        for first in range(0, len(windows), _WINDOWS_AT_ONCE):
            rows = windows[first : first + _WINDOWS_AT_ONCE]
            cut = np.stack([stretch(codes, start, self._length) for start in starts[rows].tolist()])
            embeddings = self._embed({"windows": tf.constant(cut)})
            result[rows] = self._finish({DNA: embeddings}).numpy()
            progress.advances(len(rows))
        return result

    def depth(self, sites: int) -> int:
        """Return how many convolutions so many sites of a tile share, 0 for none."""
        if self._depth is not None:
            return self._depth
        costs = [sites * self._window_cost]
        costs += [trunk.tile_cost + filled(sites) * trunk.site_cost for trunk in self._shared]
        return costs.index(min(costs))

    def _tiles(self, starts: Positions) -> Iterator[_Tile]:
        """Yield tiles, each from a site on, with all sites whose windows start in it."""
        first = 0
        while first < len(starts):
            start = int(starts[first])
            last = int(np.searchsorted(starts, start + self._tile))
            yield _Tile(start, slice(first, last))
            first = last
