import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from deepcpg_tf import TrainingSettings
from deepcpg_tf.errors import ConfigError

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("seed", [-1, 2**32, 99_999_999_999], r"^seed: expected 0 to 4294967295, received {}$"),
        ("epochs", [0, -1], "^epochs: expected at least 1, received {}$"),
        ("patience", [0, -1], "^patience: expected at least 1, received {}$"),
        ("batch_size", [0, -128], "^batch_size: expected at least 1, received {}$"),
        ("devices", [0, -1], "^devices: expected at least 1, received {}$"),
        ("learning_rate", [0, -1e-4, NAN, INF], "^learning_rate, decay: .* received {} and 0.975$"),
        ("decay", [0, -0.5, 1.01, NAN, INF], "^learning_rate, decay: .* received 0.0001 and {}$"),
        ("l1", [-1e-4, NAN, INF], "^l1: expected 0 or more, received {}$"),
        ("l2", [-1e-4, NAN, -INF], "^l2: expected 0 or more, received {}$"),
        ("precision", ["float16"], "^precision: expected one of float32, mixed_bfloat16, rec"),
        ("jit", ["yes"], "^jit: expected one of auto, on, off, received 'yes'$"),
        ("epochs", [1.5, True, None], "^epochs: expected a whole number, received {}$"),
        ("seed", [np.float64(3)], "^seed: expected a whole number, received 3.0$"),
        ("batch_size", [np.array([3])], r"^batch_size: expected a whole number, received array"),
        ("l1", [None, False], "^l1: expected a number, received {}$"),
        ("learning_rate", ["1e-4"], "^learning_rate: expected a number, received '{}'$"),
        ("class_weights", [1, None], "^class_weights: expected True or False, received {}$"),
        ("precision", [3], "^precision: expected text, received 3$"),
    ],
)
def test_values_that_cannot_be(name, values, message):
    for value in values:
        with pytest.raises(ConfigError, match=message.format(value)):
            TrainingSettings(**{name: value})


def test_values_at_the_edges_that_can():
    for seed in (0, 2**32 - 1):
        TrainingSettings(seed=seed, l1=0, l2=0, decay=1, epochs=1, patience=1, batch_size=1)


def test_numbers_of_numpy_are_those_of_python():
    """They go into JSON, and decide about what a run goes on from."""
    numbers: dict[str, Any] = {
        "epochs": np.int64(3),
        "batch_size": np.uint8(64),
        "seed": np.uint32(7),
        "l1": np.float32(0.5),
        "decay": np.float64(0.25),
        "class_weights": np.bool_(False),
        "jit": np.str_("on"),
    }
    given = TrainingSettings(**numbers)
    plain = TrainingSettings(
        epochs=3, batch_size=64, seed=7, l1=0.5, decay=0.25, class_weights=False, jit="on"
    )
    assert given == plain
    text = json.dumps(dataclasses.asdict(given))
    assert text == json.dumps(dataclasses.asdict(plain))
