"""What training can be asked for; the defaults are the original's."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from deepcpg_tf.configs.names import LOCAL
from deepcpg_tf.errors import ConfigError

PRECISIONS = ("float32", "mixed_bfloat16")
JIT = ("auto", "on", "off")

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "True or False"),
    "str": ((str,), "text"),
}

# Entries are many and the network is small; the sums of its loss are those of observed cells,
# so that balancing them would only move the probabilities.
_OF_LOCAL: dict[str, Any] = {
    "learning_rate": 2e-3,
    "decay": 0.7,
    "batch_size": 512,
    "epochs": 12,
    "l1": 0.0,
    "l2": 0.0,
    "class_weights": False,
}

# NumPy's, which Keras sets too.
_LARGEST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a model is trained.

    Parameters
    ----------
    learning_rate
        Of Adam, in the first epoch.
    decay
        What the learning rate is multiplied by after each epoch.
    batch_size
        Sites in a step, over all devices.
    epochs
        Epochs at most.
    patience
        Epochs without a smaller validation loss after which training stops.
    l1, l2
        Regularisation of the kernels of convolutions and dense layer.
    class_weights
        Whether the two classes are balanced in each cell, in training.
    seed
        Of initial weights, order of sites, and dropout: 0 to 4294967295.
    precision
        ``"float32"`` or ``"mixed_bfloat16"``.
    jit
        Whether XLA compiles the step: ``"on"``, ``"off"``, or ``"auto"``, which is
        on with a GPU only: on CPUs it makes training slower.
    devices
        Devices to share each batch: GPUs where there are any, else CPUs.

    Raises
    ------
    ConfigError
        When a value is out of range, or of another type; NumPy's become Python's.
    """

    learning_rate: float = 1e-4
    decay: float = 0.975
    batch_size: int = 128
    epochs: int = 30
    patience: int = 5
    l1: float = 1e-4
    l2: float = 1e-4
    class_weights: bool = True
    seed: int = 0
    precision: str = "float32"
    jit: str = "auto"
    devices: int = 1

    @classmethod
    def of_module(cls, module: str | None, **given: Any) -> TrainingSettings:
        """Return settings with those that a module has by default where none are given.

        Parameters
        ----------
        module
            ``"local"``, or any other, whose defaults are the original's.
        **given
            Settings; None stands for the default.
        """
        own = {name: value for name, value in given.items() if value is not None}
        return cls(**{**(_OF_LOCAL if module == LOCAL else {}), **own})

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _plain(field.name, str(field.type), getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        for name in ("batch_size", "epochs", "patience", "devices"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, received {getattr(self, name)}")
        if not (0 < self.learning_rate < math.inf and 0 < self.decay <= 1):
            raise ConfigError(
                "learning_rate, decay: expected a positive rate and a decay above 0 and at most 1, "
                f"received {self.learning_rate} and {self.decay}"
            )
        for name in ("l1", "l2"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name}: expected 0 or more, received {getattr(self, name)}")
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise ConfigError(f"seed: expected 0 to {_LARGEST_SEED}, received {self.seed}")
        for name, choices in (("precision", PRECISIONS), ("jit", JIT)):
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name}: expected one of {', '.join(choices)}, "
                    f"received {getattr(self, name)!r}"
                )
        if self.batch_size % self.devices:
            raise ConfigError(
                f"batch_size: expected a multiple of the {self.devices} devices, "
                f"received {self.batch_size}"
            )


def _plain(name: str, kind: str, value: Any) -> Any:
    """Return a value in the type of Python that its field has, as JSON takes it."""
    value = value.item() if isinstance(value, np.generic) else value
    types, words = _TYPES[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise ConfigError(f"{name}: expected {words}, received {value!r:.60}")
    return value
