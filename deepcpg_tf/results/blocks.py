"""Sites of any chromosomes in blocks of one size, as files store them well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.scan.shards import Shard

ROWS = 1 << 16
"""Sites in a block; the last one has those that are left."""


class Block(NamedTuple):
    """Some sites: ``chromosome_ids`` int32 [n] are indices, all else is as in `Shard`."""

    chromosome_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8] | None


def blocks(shards: Iterable[Shard], chromosomes: Sequence[str]) -> Iterator[Block]:
    """Yield the sites of all shards, in order.

    Parameters
    ----------
    shards
        All with labels, or all without.
    chromosomes
        Names that `Block.chromosome_ids` index.
    """
    ids = {name: i for i, name in enumerate(chromosomes)}
    waiting: list[Shard] = []
    count = 0
    for shard in shards:
        start = 0
        while start < len(shard.positions):
            part = shard.rows(slice(start, start + ROWS - count))
            waiting.append(part)
            count += len(part.positions)
            start += len(part.positions)
            if count == ROWS:
                yield _join(waiting, ids)
                waiting, count = [], 0
    if waiting:
        yield _join(waiting, ids)


def _join(shards: Sequence[Shard], ids: dict[str, int]) -> Block:
    labels = [shard.labels for shard in shards if shard.labels is not None]
    return Block(
        np.repeat(
            np.array([ids[shard.chromosome] for shard in shards], np.int32),
            [len(shard.positions) for shard in shards],
        ),
        np.concatenate([shard.positions for shard in shards]),
        np.concatenate([shard.values for shard in shards]),
        np.concatenate([shard.probabilities for shard in shards]),
        np.concatenate(labels) if labels else None,
    )


def shards_of(
    chromosomes: Sequence[str],
    chromosome_ids: npt.NDArray[np.integer],
    positions: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int8] | None = None,
) -> Iterator[Shard]:
    """Yield sites in any order as shards: one for each stretch of one chromosome.

    Parameters
    ----------
    chromosomes
        Names that `chromosome_ids` index.
    chromosome_ids : ndarray of int, shape (n,)
    positions : ndarray of int64, shape (n,)
        0-based.
    probabilities : ndarray of float32, shape (n, cells)
    labels : ndarray of int8, shape (n, cells)
    """
    cuts = np.flatnonzero(np.diff(chromosome_ids)) + 1
    edges = [0, *cuts.tolist(), len(positions)] if len(positions) else [0]
    for start, end in pairwise(edges):
        part = slice(start, end)
        yield Shard(
            chromosomes[int(chromosome_ids[start])],
            positions[part],
            probabilities[part],
            None if labels is None else labels[part],
        )
