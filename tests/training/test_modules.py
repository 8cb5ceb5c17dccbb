"""What holds for the training of a DNA module holds for the others."""

import dataclasses
from functools import partial

import numpy as np
import pytest

from deepcpg_tf import chromosome_split, load_model, train
from deepcpg_tf.training.settings import TrainingSettings
from tests.conftest import bfloat16
from tests.workflows.test_modules import LEGACY

SPLIT = partial(chromosome_split, train=["1"], validation=["2"])
ARCHITECTURES = {"cpg": "RnnL1", "joint": "CnnL1h128+RnnL1+JointL1h512"}


class Interrupted:
    """Progress that ends a training when its second epoch begins."""

    def begins(self, what, total, unit):
        if what.startswith("epoch 2"):
            raise KeyboardInterrupt

    def advances(self, units):
        """Go on."""

    def tells(self, line):
        """Go on."""


@pytest.fixture(params=ARCHITECTURES)
def trained(request):
    return partial(train, LEGACY, split=SPLIT, architecture=ARCHITECTURES[request.param])


def test_resumed_training_ends_with_the_same_bits(trained, tmp_path):
    settings = TrainingSettings(epochs=2, batch_size=64, learning_rate=1e-3)
    whole = trained(tmp_path / "whole", settings=settings, dropout=0.2)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", settings=settings, dropout=0.2, progress=Interrupted())
    again = trained(tmp_path / "cut", settings=settings, dropout=0.2)
    assert again.history == whole.history
    assert again.model.digest() == whole.model.digest() == load_model(tmp_path / "cut").digest()


@bfloat16
def test_two_devices_and_bfloat16(trained, tmp_path):
    settings = TrainingSettings(epochs=1, batch_size=64, learning_rate=1e-3)
    alone = trained(tmp_path / "alone", settings=settings)
    two = dataclasses.replace(settings, devices=2, precision="mixed_bfloat16")
    shared = trained(tmp_path / "shared", settings=two)
    # A dozen layers, each of which rounds to eight bits.
    expected = pytest.approx(alone.kept["validation_loss"], rel=12 * 2**-8)
    assert shared.kept["validation_loss"] == expected
    for name, variable in shared.model.variables_by_name.items():
        assert np.isfinite(variable.numpy()).all(), name
        assert variable.dtype == "float32"
