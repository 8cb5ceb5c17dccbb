"""Predict many sites of a stretch of sequence, sharing what their windows share.

The windows of neighbouring sites overlap almost entirely, and so do their
convolutions. Tile by tile it is decided how many of these are computed once for all
sites (`deepcpg_tf.scan.trunk`), from all to none, by what the sites in the tile would
cost. The numbers are those of the model, to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.calibration import Adjustment
from deepcpg_tf.configs.names import DNA
from deepcpg_tf.data.readers import Reader, SiteColumns
from deepcpg_tf.errors import InputError
from deepcpg_tf.genome.windows import stretch
from deepcpg_tf.inputs import Arrays, take
from deepcpg_tf.models.values import values_of_logits
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.scan.trunk import SharedTrunk, filled, window_cost

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel, Tensors

TILE = 32_768
"""Bases at which the windows of a tile may start."""

_WINDOWS_AT_ONCE = 512
_SITES_AT_ONCE = 1024
_SITES_OF_GROUP = 4096

Codes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


class _Tile(NamedTuple):
    """The start of its first window, and the indices of its sites."""

    start: int
    sites: slice


class ScanEngine:
    """A model made ready for sites that lie close together.

    What is shared ends at the embedding of the DNA part; the model joins and reads it. What
    other parts read is computed in batches as large.

    Parameters
    ----------
    model
        Any module.
    others
        Reads ``state`` and ``dist`` of neighbouring sites, for a module that reads them.
    tile
        Bases at which the windows of a tile may start.
    depth
        How many convolutions are shared, 0 for none; by default as many in each tile as
        costs the least.
    adjustment
        What calibrates the probabilities of cells, if they are to be.

    Attributes
    ----------
    reach : int
        How far from its site a window goes, in bases.

    Raises
    ------
    InputError
        When the module reads neighbouring sites, and there is no reader of them.
    """

    def __init__(
        self,
        model: MethylationModel,
        others: Reader | None = None,
        tile: int = TILE,
        depth: int | None = None,
        adjustment: Adjustment | None = None,
    ) -> None:
        part: Any = model.parts.get(DNA)
        self._reads_others = any(name != DNA for name in model.parts)
        if self._reads_others and others is None:
            raise InputError(
                f"others: expected a reader of neighbouring sites, which a {model.config.module} "
                "module reads, received none"
            )
        self._model = model
        self._others = others
        self._part = part
        self._tile = tile
        self._depth = depth
        self._adjustment = adjustment
        self._length: int = 1 if part is None else part.config.sequence_length
        self.reach = self._length // 2
        if part is not None:
            config = part.config
            self._window_cost = window_cost(config.layers)
            depths = range(1, len(config.conv_channels) + 1)
            self._shared = [SharedTrunk(part, own, tile) for own in depths]

            @tf.function(input_signature=[tf.TensorSpec((None, self._length), tf.uint8)])
            def embed(windows: tf.Tensor) -> tf.Tensor:
                return part(model.part_input(DNA, {"windows": windows}), training=False)

            self._embed = embed

        def join(embeddings: Tensors, arrays: Tensors) -> tf.Tensor:
            return model.join({**embeddings, **model.embed_parts(arrays, but=DNA)})

        self._join = tf.function(join, reduce_retracing=True)
        self._finish = tf.function(lambda *both: model.head(join(*both)), reduce_retracing=True)

    def logits(
        self,
        codes: Codes,
        positions: Positions,
        sites: SiteColumns | None = None,
        progress: Progress = SILENT,
    ) -> Logits:
        """Predict sites.

        Parameters
        ----------
        codes : ndarray of uint8, shape (bases,)
            The sequence; off its ends it is N.
        positions : ndarray of int64, shape (n,)
            0-based positions in it of the forward-strand C of the sites, sorted.
        sites
            The same sites, with their chromosomes and their positions on these, for a module
            that reads neighbouring sites.
        progress
            Who is told of the sites done.

        Returns
        -------
        ndarray of float32, shape (n, units)
            A column for each cell, and then those of other outputs.

        Raises
        ------
        InputError
            When the module reads neighbouring sites, and `sites` are not given.
        """
        return self._all(self._finish, self._model.config.units, codes, positions, sites, progress)

    def probabilities(
        self,
        codes: Codes,
        positions: Positions,
        sites: SiteColumns | None = None,
        progress: Progress = SILENT,
    ) -> npt.NDArray[np.float32]:
        """Return what the logits stand for; parameters and columns are those of `logits`."""
        logits = self.logits(codes, positions, sites, progress)
        return values_of_logits(logits, self._model.config, self._adjustment)

    def embeddings(
        self,
        codes: Codes,
        positions: Positions,
        sites: SiteColumns | None = None,
        progress: Progress = SILENT,
    ) -> npt.NDArray[np.float32]:
        """Return the embedding [n, size] of sites; parameters are those of `logits`."""
        size = self._model.config.embedding_size
        return self._all(self._join, size, codes, positions, sites, progress)

    def _all(
        self,
        finish: Any,
        size: int,
        codes: Codes,
        positions: Positions,
        sites: SiteColumns | None,
        progress: Progress,
    ) -> npt.NDArray[np.float32]:
        if self._reads_others and sites is None:
            raise InputError(
                f"sites: expected them as columns, of which a {self._model.config.module} module "
                "reads neighbouring sites, received none"
            )
        starts = positions - self.reach
        result = np.empty((len(starts), size), np.float32)
        for tiles in self._groups(starts):
            rows = slice(tiles[0].sites.start, tiles[-1].sites.stop)
            result[rows] = self._rows(finish, codes, starts, tiles, sites)
            progress.advances(rows.stop - rows.start)
        return result

    def _rows(
        self,
        finish: Any,
        codes: Codes,
        starts: Positions,
        tiles: Sequence[_Tile],
        sites: SiteColumns | None,
    ) -> npt.NDArray[np.float32]:
        """Return what is asked for of the sites of some tiles."""
        rows = slice(tiles[0].sites.start, tiles[-1].sites.stop)
        embeddings = {}
        if self._part is not None:
            embeddings[DNA] = self._embeddings(codes, starts, tiles, rows.start)
        arrays = {}
        if self._others is not None and sites is not None:
            ids, positions = sites.chromosome_ids[rows], sites.positions[rows]
            arrays = dict(self._others.arrays(SiteColumns(sites.chromosomes, ids, positions)))
        found = []
        for first in range(0, rows.stop - rows.start, _SITES_AT_ONCE):
            own = slice(first, first + _SITES_AT_ONCE)
            batch = [_as_batch(take(values, own)) for values in (embeddings, arrays)]
            found.append(finish(*batch).numpy())
        return np.concatenate(found)[: rows.stop - rows.start]

    def _embeddings(
        self, codes: Codes, starts: Positions, tiles: Sequence[_Tile], first: int
    ) -> npt.NDArray[np.float32]:
        """Return the embeddings of the windows of some tiles, the sites of which begin at first."""
        last = tiles[-1].sites.stop
        result = np.empty((last - first, self._part.config.embedding_size), np.float32)
        alone = []
        for tile in tiles:
            own = starts[tile.sites]
            depth = self.depth(len(own))
            if not depth:
                alone.append(np.arange(tile.sites.start, tile.sites.stop))
                continue
            trunk = self._shared[depth - 1]
            bases = stretch(codes, tile.start, trunk.bases)
            batches = [batch.numpy() for batch in trunk.embeddings(bases, own - tile.start)]
            place = slice(tile.sites.start - first, tile.sites.stop - first)
            result[place] = np.concatenate(batches)[: len(own)]
        windows = np.concatenate(alone) if alone else np.empty(0, np.int64)
        for begin in range(0, len(windows), _WINDOWS_AT_ONCE):
            rows = windows[begin : begin + _WINDOWS_AT_ONCE]
            cut = np.stack([stretch(codes, start, self._length) for start in starts[rows].tolist()])
            result[rows - first] = self._embed(tf.constant(cut)).numpy()
        return result

    def depth(self, sites: int) -> int:
        """Return how many convolutions so many sites of a tile share, 0 for none."""
        if self._depth is not None:
            return self._depth
        costs = [sites * self._window_cost]
        costs += [trunk.tile_cost + filled(sites) * trunk.site_cost for trunk in self._shared]
        return costs.index(min(costs))

    def _groups(self, starts: Positions) -> Iterator[list[_Tile]]:
        """Yield tiles in groups, each with enough sites for large batches."""
        group: list[_Tile] = []
        for tile in self._tiles(starts):
            group.append(tile)
            if tile.sites.stop - group[0].sites.start >= _SITES_OF_GROUP:
                yield group
                group = []
        if group:
            yield group

    def _tiles(self, starts: Positions) -> Iterator[_Tile]:
        """Yield tiles, each from a site on, with all sites whose windows start in it."""
        first = 0
        while first < len(starts):
            start = int(starts[first])
            last = int(np.searchsorted(starts, start + self._tile))
            yield _Tile(start, slice(first, last))
            first = last


def _as_batch(arrays: Arrays) -> dict[str, tf.Tensor]:
    """Return arrays with as many rows as few batches have, those that are added being zero.

    For each new shape, weights are brought into another order.
    """
    result = {}
    for name, array in arrays.items():
        more = np.zeros((filled(len(array)), *array.shape[1:]), array.dtype)
        more[: len(array)] = array
        result[name] = tf.constant(more)
    return result
