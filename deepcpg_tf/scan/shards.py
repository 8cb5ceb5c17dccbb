"""What a scan yields, region by region: sites of a chromosome, with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.files import atomic_file


class Shard(NamedTuple):
    """Some sites of a chromosome.

    ``positions`` are int64 [n], 0-based, ``probabilities`` float32 [n, cells], and
    ``labels``, where they are known, int8 [n, cells]: 1, 0, or -1 for not observed.
    """

    chromosome: str
    positions: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8] | None = None

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """The label where there is one, and the probability elsewhere."""
        if self.labels is None:
            return self.probabilities
        return np.where(self.labels < 0, self.probabilities, self.labels.astype(np.float32))

    def rows(self, part: slice) -> Shard:
        """Return some of the sites."""
        labels = None if self.labels is None else self.labels[part]
        return Shard(self.chromosome, self.positions[part], self.probabilities[part], labels)


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
    OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile
        When it is damaged.
    """
    with path.open("rb") as opened, np.load(opened) as file:
        chromosomes, ends = file["chromosomes"].tolist(), np.cumsum(file["sites"])[:-1]
        positions = np.split(file["positions"], ends)
        probabilities = np.split(file["probabilities"], ends)
    return list(map(Shard, chromosomes, positions, probabilities))
