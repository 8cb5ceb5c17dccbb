"""Labels and probabilities that tests of the evaluation share."""

import h5py
import numpy as np

from tests.conftest import DATA

RUN = DATA / "original-run"


def original():
    """Return labels, probabilities and cells of the original program's evaluation."""
    with h5py.File(RUN / "eval.h5") as file:
        cells = list(file["outputs/cpg"])
        labels = np.stack([file[f"outputs/cpg/{cell}"][:] for cell in cells], axis=1)
        probabilities = np.stack([file[f"preds/cpg/{cell}"][:] for cell in cells], axis=1)
    return labels, probabilities, cells


def random(n, cells, seed=0):
    """Return labels (a third missing), informative probabilities, and names of cells."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 2, (n, cells)).astype(np.int8)
    probabilities = np.clip(0.5 + 0.2 * labels + rng.normal(0, 0.2, labels.shape), 0, 1)
    return labels, probabilities.astype(np.float32), [f"c{i}" for i in range(cells)]
