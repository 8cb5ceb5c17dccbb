from typing import Any

import numpy as np
import pytest

from deepcpg_tf.scan.run import _kept
from deepcpg_tf.scan.shards import Shard, load_shards, save_shards

HALF = np.full((4, 2), 0.5, np.float32)
WHOLE: dict[str, Any] = {
    "chromosomes": np.array(["1", "X"]),
    "sites": np.array([3, 1]),
    "positions": np.arange(4),
    "probabilities": HALF,
}


def test_shards_come_back(tmp_path):
    shards = [Shard("1", np.arange(3), HALF[:3]), Shard("X", np.array([3]), HALF[3:])]
    save_shards(shards, tmp_path / "shard.npz")
    np.savez(tmp_path / "other.npz", **WHOLE)
    for path in (tmp_path / "shard.npz", tmp_path / "other.npz"):
        loaded = load_shards(path)
        assert [shard.chromosome for shard in loaded] == ["1", "X"]
        assert [shard.positions.tolist() for shard in loaded] == [[0, 1, 2], [3]]
        assert [shard.probabilities.shape for shard in loaded] == [(3, 2), (1, 2)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in WHOLE),
        ("chromosomes", np.array([1, 2])),
        ("chromosomes", np.array(["1"])),
        ("sites", np.array(4)),
        ("sites", np.array([3, 2])),
        ("sites", np.array([5, -1])),
        ("sites", np.array([2.5, 1.5])),
        ("positions", np.array(3)),
        ("positions", np.arange(3)),
        ("positions", np.arange(4.0)),
        ("positions", np.arange(4)[:, None]),
        ("probabilities", HALF[:3]),
        ("probabilities", HALF.astype(np.float64)),
        ("probabilities", HALF[:, 0]),
        ("probabilities", np.array({"an": "object"}, object)),
        ("more", HALF),
    ],
)
def test_arrays_that_are_no_shards(tmp_path, name, value):
    arrays = {key: array for key, array in {**WHOLE, name: value}.items() if array is not None}
    np.savez(tmp_path / "shard.npz", **arrays)
    with pytest.raises(ValueError, match="expected the arrays of a shard|no whole file of arrays"):
        load_shards(tmp_path / "shard.npz")
    assert _kept(tmp_path / "shard.npz") == []
