import math

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
    ],
)
def test_values_that_cannot_be(name, values, message):
    for value in values:
        with pytest.raises(ConfigError, match=message.format(value)):
            TrainingSettings(**{name: value})


def test_values_at_the_edges_that_can():
    for seed in (0, 2**32 - 1):
        TrainingSettings(seed=seed, l1=0, l2=0, decay=1, epochs=1, patience=1, batch_size=1)
