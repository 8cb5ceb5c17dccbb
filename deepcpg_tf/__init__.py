"""DeepCpG on TensorFlow and Keras 3: single-cell DNA methylation from sequence.

The public names are imported when first used, so that what does not compute does
not wait for TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepcpg_tf.config import ARCHITECTURES, DeepCpgDnaConfig, HeadConfig
    from deepcpg_tf.data.genome import Genome
    from deepcpg_tf.errors import DeepCpgError
    from deepcpg_tf.model import DeepCpgDnaForSequencePrediction, DeepCpgDnaModel
    from deepcpg_tf.presets import PRESETS

__version__ = "0.1.0"

_MODULE_OF = {
    "ARCHITECTURES": "config",
    "DeepCpgDnaConfig": "config",
    "DeepCpgDnaForSequencePrediction": "model",
    "DeepCpgDnaModel": "model",
    "DeepCpgError": "errors",
    "Genome": "data.genome",
    "HeadConfig": "config",
    "PRESETS": "presets",
}

__all__ = [
    "ARCHITECTURES",
    "PRESETS",
    "DeepCpgDnaConfig",
    "DeepCpgDnaForSequencePrediction",
    "DeepCpgDnaModel",
    "DeepCpgError",
    "Genome",
    "HeadConfig",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
