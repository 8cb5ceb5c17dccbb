"""`tf.data` pipelines: indices are shuffled, windows are cut a batch at a time.

Whatever the examples come from — a methylation table with a genome, or the
original's data files — they flow through the same pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.genome.sequence import N_CODE

if TYPE_CHECKING:
    import tensorflow as tf


class Examples(Protocol):
    """Sites with their windows and labels, by index."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""

    @property
    def length(self) -> int:
        """Bases of a window."""

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Names of the chromosomes that `chromosome_ids` are indices into."""

    @property
    def chromosome_ids(self) -> npt.NDArray[np.int32]:
        """Chromosome of each site."""

    @property
    def positions(self) -> npt.NDArray[np.int64]:
        """Position of each site, 0-based."""

    def prepare(self, *, hold: bool) -> None:
        """Make reading windows in random order fast; with `hold`, from memory."""

    def windows(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return the codes [n, length] of some sites."""

    def labels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Return the labels [n, cells] of some sites: 1, 0, or -1 where missing."""


class Shard(NamedTuple):
    """The part of each batch that one of several workers takes."""

    worker: int
    workers: int


def epoch_order(indices: npt.NDArray[np.int64], seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the indices in the random order of an epoch, always the same for a seed."""
    return np.random.default_rng((seed, epoch)).permutation(indices)


def make_dataset(
    examples: Examples,
    indices: npt.NDArray[np.int64],
    batch_size: int,
    *,
    shard: Shard | None = None,
) -> tf.data.Dataset:
    """Return batches of the given sites in the given order.

    Every batch has the same shape: the last one is filled up with windows of N whose
    labels are all missing, which no loss or metric counts.

    Parameters
    ----------
    examples
        Where windows and labels come from.
    indices : ndarray of int64, shape (n,)
        The sites, in order; see `epoch_order` for a random one.
    batch_size
        Sites in a batch, over all workers.
    shard
        Which part of each batch this worker takes; by default the whole. The parts
        of all workers together are the batch.

    Returns
    -------
    tf.data.Dataset
        Of (windows uint8 [batch, length], labels int8 [batch, cells]), prefetched.
        Turn windows into one-hot rows with `deepcpg_tf.genome.sequence.graph_one_hot`.
    """
    import tensorflow as tf

    shard = Shard(0, 1) if shard is None else shard
    rows = -(-batch_size // shard.workers)
    batches = -(-len(indices) // batch_size)

    def load(batch: np.int64) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
        whole = indices[batch * batch_size : (batch + 1) * batch_size]
        own = whole[shard.worker :: shard.workers]
        windows = np.full((rows, examples.length), N_CODE, np.uint8)
        labels = np.full((rows, len(examples.cells)), -1, np.int8)
        windows[: len(own)] = examples.windows(own)
        labels[: len(own)] = examples.labels(own)
        return windows, labels

    def load_in_graph(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        windows, labels = tf.numpy_function(load, [batch], (tf.uint8, tf.int8), stateful=False)
        return (
            tf.ensure_shape(windows, (rows, examples.length)),
            tf.ensure_shape(labels, (rows, len(examples.cells))),
        )

    # Nothing is left to tune, and the end of an iteration waits until the tuner wakes,
    # which it does at intervals that double: up to as long again as the iteration took.
    options = tf.data.Options()
    options.autotune.enabled = False
    return (
        tf.data.Dataset.range(batches)
        .map(load_in_graph, num_parallel_calls=2, deterministic=True)
        .prefetch(4)
        .with_options(options)
    )
