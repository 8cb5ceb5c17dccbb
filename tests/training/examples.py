"""Examples in memory, with methylation that depends on a motif."""

from typing import Any

import numpy as np

from deepcpg_tf import DeepCpgDnaConfig

LENGTH = 101
CONFIG: dict[str, Any] = {
    "sequence_length": LENGTH,
    "conv_channels": (16,),
    "conv_kernel_sizes": (11,),
    "conv_pool_sizes": (4,),
    "bottleneck_size": 16,
}


class ArrayExamples:
    """Windows and labels as arrays; sites of one chromosome, a base apart."""

    chromosomes = ("1",)

    def __init__(self, windows, labels, cells=None):
        self._windows, self._labels = windows, labels
        self.cells = tuple(cells or (f"cell_{i + 1}" for i in range(labels.shape[1])))
        self.reads = DeepCpgDnaConfig(**{**CONFIG, "num_labels": 1}).reads
        self.chromosome_ids = np.zeros(len(labels), np.int32)
        self.positions = np.arange(len(labels))

    def prepare(self, *, hold):
        pass

    def windows(self, indices):
        return self._windows[indices]

    def arrays(self, indices):
        return {"windows": self.windows(indices)}

    def labels(self, indices):
        return self._labels[indices]

    def origins(self):
        return {"windows": "in memory"}


def config(cells=2, **fields):
    return DeepCpgDnaConfig(**{**CONFIG, "num_labels": cells, **fields})


def motif_examples(n=600, cells=2, missing=0.3, noise=0.1, seed=0):
    """Sites with the motif TTGACA are methylated but for the noise, others are not."""
    rng = np.random.default_rng(seed)
    windows = rng.integers(0, 4, (n, LENGTH)).astype(np.uint8)
    has_motif = rng.random(n) < 0.5
    motif = np.array([1, 1, 2, 0, 3, 0], np.uint8)
    for row in np.flatnonzero(has_motif):
        start = rng.integers(5, 85)
        windows[row, start : start + 6] = motif
    labels = (has_motif[:, None] ^ (rng.random((n, cells)) < noise)).astype(np.int8)
    labels[rng.random((n, cells)) < missing] = -1
    return ArrayExamples(windows, labels)
