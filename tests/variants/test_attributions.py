import h5py
import numpy as np
import pytest

import deepcpg_tf
from deepcpg_tf.models.registry import load_model
from tests import tolerances
from tests.conftest import DATA

RUN = DATA / "original-run"
SITES = 300


@pytest.fixture(scope="module")
def original():
    """The model of the original's run, and windows of its first sites."""
    with h5py.File(RUN / "data" / "c1_000000-000500.h5") as file:
        windows = file["inputs/dna"][:SITES].astype(np.uint8)
    return load_model(RUN / "model"), windows


@pytest.mark.parametrize("summary", ["mean", "var"])
def test_gradients_are_those_of_the_original(original, summary):
    model, windows = original
    tokens = np.frombuffer(b"ATGC", np.uint8)[windows]
    found = deepcpg_tf.attributions(model, {"tokens": tokens}, method="gradient", summary=summary)
    with np.load(RUN / "gradients.npz") as arrays:
        expected = arrays[summary]
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(
        found.values,
        expected[..., [0, 3, 2, 1]],
        rtol=0,
        atol=tolerances.gradients(model.config, tolerances.RUN_SIZE),
    )
