"""Made-up cells whose neighbouring sites go together, and what can be predicted of them."""

from typing import NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import expit

from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import Reference
from deepcpg_tf.results.contents import Contents, Kind
from deepcpg_tf.results.registry import write_results
from deepcpg_tf.scan.shards import Shard

READ = 300
"""Bases that are observed together."""


class Chromosome(NamedTuple):
    """``positions`` [sites]; ``common``, a logit of all cells, [sites, 1]; states of all cells."""

    name: str
    positions: np.ndarray
    common: np.ndarray
    states: np.ndarray


def field(rng, positions, cells, length):
    """Return normal values [sites, cells] whose correlation falls with the distance."""
    decay = np.exp(-np.diff(positions) / length)
    values = rng.normal(size=(len(positions), cells))
    for i, one in enumerate(decay.tolist(), 1):
        values[i] = one * values[i - 1] + np.sqrt(1 - one**2) * values[i]
    return values


def chromosomes(rng, *, number=4, sites=4000, cells=20, apart=100):
    result = []
    for i in range(number):
        positions = np.cumsum(rng.geometric(1 / apart, sites)).astype(np.int64)
        common = 1.5 * field(rng, positions, 1, 5_000) + 0.8
        own = field(rng, positions, cells, 1_000) + field(rng, positions, cells, 30_000)
        states = (rng.random(own.shape) < expit(common + 1.5 * own)).astype(np.int8)
        result.append(Chromosome(f"chr{i + 1}", positions, common, states))
    return result


def observed(rng, one, share):
    """Return which entries of a chromosome are observed: those of whole reads."""
    reads = np.unique(one.positions // READ, return_inverse=True)[1]
    return (rng.random((reads[-1] + 1, one.states.shape[1])) < share)[reads]


def cells_of(data):
    return tuple(f"cell{i}" for i in range(data[0].states.shape[1]))


def table_of(data, labels):
    """Return the table of labels [sites, cells], -1 missing, of each chromosome."""
    calls = np.concatenate([np.where(own < 0, 0, 2 * own - 1) for own in labels])
    sizes = [len(one.positions) for one in data]
    seen = (calls != 0).any(axis=1)
    return MethylationTable(
        cells_of(data),
        tuple(one.name for one in data),
        np.repeat(np.arange(len(data)), sizes).astype(np.int32)[seen],
        np.concatenate([one.positions for one in data])[seen],
        scipy.sparse.csr_array(calls.astype(np.int8)[seen]),
        Reference("made-up.fa", "0" * 64),
    )


def write_imputed(path, data, labels, probabilities):
    lengths = tuple(int(one.positions[-1]) + 2 for one in data)
    names = tuple(one.name for one in data)
    write_results(
        path,
        Contents(cells_of(data), names, lengths, Kind.IMPUTED),
        (
            Shard(one.name, one.positions, own.astype(np.float32), known)
            for one, own, known in zip(data, probabilities, labels, strict=True)
        ),
    )


def of_neighbours(data, labels, train=1):
    """Predict each entry from the other observed sites of its cell, calibrated.

    Trained on the first chromosomes, and never told of an entry itself.
    """
    from sklearn.linear_model import LogisticRegression

    features = [_features(one, own) for one, own in zip(data, labels, strict=True)]
    x, y = (
        np.concatenate([rows[own >= 0] for rows, own in zip(of, labels[:train], strict=True)])
        for of in (features[:train], labels[:train])
    )
    model = LogisticRegression(max_iter=200).fit(x, y)
    return [
        model.predict_proba(rows.reshape(-1, rows.shape[-1]))[:, 1].reshape(rows.shape[:2])
        for rows in features
    ]


def _features(one, labels):
    some = (labels >= 0) * 1.0
    off = np.where(labels >= 0, labels - expit(one.common), 0.0)
    result = [np.broadcast_to(one.common, off.shape)]
    for length in (500, 3_000, 20_000):
        decay = np.exp(-np.diff(one.positions) / length)
        result.append(_around(off, decay) / (1 + _around(some, decay)))
    return np.stack(result, axis=-1)


def _around(values, decay):
    """Return sums over all other sites, weighted by distance."""
    result = np.zeros_like(values)
    for order in (1, -1):
        own, out, steps = values[::order], result[::order], decay[::order]
        running = np.zeros(values.shape[1])
        for i in range(1, len(own)):
            running = (running + own[i - 1]) * steps[i - 1]
            out[i] += running
    return result
