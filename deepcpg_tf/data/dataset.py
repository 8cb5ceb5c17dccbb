"""`tf.data` pipelines: indices are shuffled, arrays are read a batch at a time.

Whatever the examples come from — a methylation table with a genome, or the
original's data files — they flow through the same pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deepcpg_tf.data.examples import Examples

if TYPE_CHECKING:
    import tensorflow as tf


def epoch_order(indices: npt.NDArray[np.int64], seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the indices in the random order of an epoch, always the same for a seed."""
    return np.random.default_rng((seed, epoch)).permutation(indices)


def make_dataset(
    examples: Examples, indices: npt.NDArray[np.int64], batch_size: int
) -> tf.data.Dataset:
    """Return batches of the given sites in the given order.

    Every batch has the same shape: the last one is filled up with rows whose labels are
    all missing, which no loss or metric counts.

    Parameters
    ----------
    examples
        Where arrays and labels come from.
    indices : ndarray of int64, shape (n,)
        The sites, in order; see `epoch_order` for a random one.
    batch_size
        Sites in a batch.

    Returns
    -------
    tf.data.Dataset
        Of (dict of arrays [batch, ...] as `Examples.reads` says, labels
        [batch, cells] of the type that they have), prefetched.
    """
    import tensorflow as tf

    reads = examples.reads
    batches = -(-len(indices) // batch_size)
    label_shape = (batch_size, len(examples.cells))
    # int8, but for those with targets of other outputs.
    label_type = examples.labels(indices[:0]).dtype

    def load(batch: np.int64) -> list[npt.NDArray[Any]]:
        own = indices[batch * batch_size : (batch + 1) * batch_size]
        arrays = reads.filled(examples.arrays(own), batch_size)
        labels = np.full(label_shape, -1, label_type)
        labels[: len(own)] = examples.labels(own)
        return [*(arrays[name] for name in reads.names), labels]

    def load_in_graph(batch: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        types = [*(tf.as_dtype(one.dtype) for one in reads), tf.as_dtype(label_type)]
        *loaded, labels = tf.numpy_function(load, [batch], types, stateful=False)
        arrays = {
            one.name: tf.ensure_shape(array, (batch_size, *one.shape))
            for one, array in zip(reads, loaded, strict=True)
        }
        return arrays, tf.ensure_shape(labels, label_shape)

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
