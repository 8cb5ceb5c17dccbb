"""Filters that are silenced, against models whose filters are nothing."""

import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaConfig
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.variants.silencing import Silencer
from tests import tolerances
from tests.contract.test_models import random_arrays, random_weights
from tests.workflows.test_modules import JOINT

ONE = DeepCpgDnaConfig(
    sequence_length=41,
    conv_channels=(5,),
    conv_kernel_sizes=(7,),
    conv_pool_sizes=(3,),
    bottleneck_size=6,
    num_labels=2,
)
TWO = DeepCpgDnaConfig(
    sequence_length=41,
    conv_channels=(5, 4),
    conv_kernel_sizes=(7, 3),
    conv_pool_sizes=(3, 2),
    bottleneck_size=6,
    num_labels=2,
)


@pytest.mark.parametrize("config", [ONE, TWO, JOINT], ids=["one", "two", "joint"])
def test_a_silent_filter_is_as_if_it_were_nothing(config):
    model = random_weights(new_model(config))
    arrays = random_arrays(model.reads, 12)
    before = model.predict_arrays(arrays)
    first = next(layer for layer in model.parts["dna"].layers if layer.weights)
    kernel, bias = first.kernel.numpy(), first.bias.numpy()
    moved = 0.0
    for i, found in enumerate(Silencer(model).probabilities(arrays)):
        others = np.arange(len(bias)) != i
        first.kernel.assign(kernel * others)
        first.bias.assign(bias * others)
        expected = model.predict_arrays(arrays)
        first.kernel.assign(kernel)
        first.bias.assign(bias)
        assert found == pytest.approx(expected, rel=0, abs=tolerances.probabilities(config))
        moved = max(moved, np.abs(found - before).max())
    assert i == len(bias) - 1
    assert moved > 0.05
