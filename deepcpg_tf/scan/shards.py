"""What a scan yields, region by region: sites of a chromosome, with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.files import atomic_file
from deepcpg_tf.npz import read_npz

_INT, _FLOAT = np.dtype(np.int64).str, np.dtype(np.float32).str
_TYPES = {
    "chromosomes": np.dtype("U1").str[0],
    "sites": _INT,
    "positions": _INT,
    "probabilities": _FLOAT,
}


class Shard(NamedTuple):
    """Some sites of a chromosome.

    ``positions`` are int64 [n], 0-based, ``probabilities`` float32 [n, cells], and
    ``labels``, where they are known, int8 [n, cells]: 1, 0, or -1 for not observed.
    ``min_confidence`` is how sure a prediction has to be to stand for a label.
    """

    chromosome: str
    positions: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8] | None = None
    min_confidence: float = 0.0

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """The label where there is one, and the probability elsewhere; NaN if it is not sure."""
        if self.labels is None:
            return self.probabilities
        values = np.where(self.labels < 0, self.probabilities, self.labels.astype(np.float32))
        if self.min_confidence:
            sure = confidence(self.probabilities, self.labels) >= np.float32(self.min_confidence)
            values[~sure] = np.nan
        return values

    def first_columns(self, number: int) -> Shard:
        """Return the same sites with the first columns only."""
        if number == self.probabilities.shape[1]:
            return self
        return self._replace(probabilities=self.probabilities[:, :number])

    def rows(self, part: slice) -> Shard:
        """Return some of the sites."""
        labels = None if self.labels is None else self.labels[part]
        return self._replace(
            positions=self.positions[part], probabilities=self.probabilities[part], labels=labels
        )


def confidence(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int8]
) -> npt.NDArray[np.float32]:
    """Return the probability of the likelier state, and 1 where there is a label."""
    return np.where(labels < 0, np.maximum(probabilities, 1 - probabilities), np.float32(1))


def save_shards(shards: Sequence[Shard], path: Path) -> None:
    """Write chromosomes, positions and probabilities to a file, whole or not at all."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "chromosomes": np.array([shard.chromosome for shard in shards]),
        "sites": np.array([len(shard.positions) for shard in shards]),
        "positions": np.concatenate([shard.positions for shard in shards]),
        "probabilities": np.concatenate([shard.probabilities for shard in shards]),
    }
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_shards(path: Path) -> list[Shard]:
    """Read what `save_shards` wrote.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is damaged, or something else.
    """
    arrays = read_npz(path)
    found = {name: array.dtype.str.partition("U")[0] for name, array in arrays.items()}
    if found != _TYPES:
        raise ValueError(f"expected the arrays of a shard, received {', '.join(found)}")
    chromosomes, sites, positions, probabilities = (arrays[name] for name in _TYPES)
    count = int(sites.sum())
    shapes = (chromosomes.shape, positions.shape, probabilities.shape[:1], probabilities.ndim)
    if shapes != (sites.shape, (count,), (count,), 2) or sites.ndim != 1 or (sites < 0).any():
        raise ValueError(f"expected the arrays of a shard, received shapes {shapes}")
    ends = np.cumsum(sites)[:-1]
    parts = zip(np.split(positions, ends), np.split(probabilities, ends), strict=True)
    return [Shard(name, *part) for name, part in zip(chromosomes.tolist(), parts, strict=True)]
