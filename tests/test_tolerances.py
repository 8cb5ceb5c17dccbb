"""The tolerances are wide enough for any order of summation, and narrow enough for any fault."""

import numpy as np
import pytest

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from tests import tolerances
from tests.conftest import DATA
from tests.reference import forward, random_tensors, random_windows

CHECKPOINTS = [*sorted((DATA / "legacy").iterdir()), DATA / "original-run" / "model"]


def one_term_after_the_other(config, tensors, windows):
    """Logits of the DNA module in float32, each sum by its terms in order; and the largest value.

    The worst order in use: a library that sums in blocks rounds less often.
    """
    x = np.eye(5, config.vocab_size, dtype=np.float32)[windows]
    values = iter(tensors.values())
    largest = 0.0

    def layer(columns):
        kernel, bias = next(values), next(values)
        total = np.zeros((*columns.shape[:-1], kernel.shape[-1]), np.float32)
        for i, weights in enumerate(kernel.reshape(-1, kernel.shape[-1])):
            total += columns[..., i : i + 1] * weights
        return total + bias

    for width, pool in zip(config.conv_kernel_sizes, config.conv_pool_sizes, strict=True):
        length = x.shape[1] - width + 1
        x = layer(np.concatenate([x[:, i : i + length] for i in range(width)], axis=2))
        largest = max(largest, np.abs(x).max())
        length //= pool
        x = np.maximum(x, 0)[:, : length * pool].reshape(len(x), length, pool, -1).max(axis=2)
    for _ in range(2):
        x = layer(x.reshape(len(x), -1))
        largest = max(largest, np.abs(x).max())
        logits, x = x, np.maximum(x, 0)
    return logits, largest


def of_checkpoint(folder):
    model = DeepCpgDnaForSequencePrediction.from_preset(folder)
    tensors = {name: variable.numpy() for name, variable in model.variables_by_name.items()}
    return model.config, tensors, random_windows(50, model.config.sequence_length)


def of_random(architecture):
    config = DeepCpgDnaConfig.from_architecture(architecture, num_labels=3)
    return config, random_tensors(config), random_windows(2, 1001)


@pytest.fixture(
    params=[*CHECKPOINTS, "CnnL1h256", "CnnL2h128", "CnnL3h128"],
    ids=lambda param: param if isinstance(param, str) else param.name,
    scope="module",
)
def case(request):
    """Configuration, tensors, windows, and the size of the activations."""
    if isinstance(request.param, str):
        return *of_random(request.param), tolerances.SIZE
    size = tolerances.RUN_SIZE if request.param.name == "model" else tolerances.SIZE
    return *of_checkpoint(request.param), size


def test_wide_enough_for_the_worst_order(case):
    """Half of a tolerance is one program's; the other half is left to the other program."""
    config, tensors, windows, size = case
    logits, largest = one_term_after_the_other(config, tensors, windows)
    _, exact = forward(config, tensors, windows)
    assert largest <= size
    error = np.abs(logits - np.log(exact / (1 - exact))).max()
    assert error <= tolerances.logits(config, size) / 2
    error = np.abs(1 / (1 + np.exp(-logits)) - exact).max()
    assert error <= tolerances.probabilities(config, size) / 2


@pytest.mark.parametrize("fault", ["channel order", "one base off", "N is A", "cells exchanged"])
def test_narrow_enough_for_faults(case, fault):
    """Of some window, a wrong channel order changes a probability by 0.1 to 0.9, a window that is
    off by one base by 0.08 to 0.9, an N read as A by 0.05 to 0.3: tolerances are below 5e-5.
    """
    config, tensors, windows, size = case
    _, right = forward(config, tensors, windows)
    faulty = {
        "channel order": np.array([0, 3, 2, 1, 4], np.uint8)[windows],
        "one base off": np.roll(windows, 1, axis=1),
        "N is A": np.where(windows == 4, 0, windows),
        "cells exchanged": windows,
    }[fault]
    _, wrong = forward(config, tensors, faulty)
    if fault == "cells exchanged":
        wrong = wrong[:, ::-1]
    assert np.abs(wrong - right).max() > 1000 * tolerances.probabilities(config, size)
