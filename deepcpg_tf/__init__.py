"""DeepCpG on TensorFlow and Keras 3: single-cell DNA methylation from sequence.

The public names are imported when first used, so that what does not compute does
not wait for TensorFlow.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepcpg_tf.configs.base import HeadConfig
    from deepcpg_tf.configs.dna import ARCHITECTURES, DeepCpgDnaConfig
    from deepcpg_tf.errors import DeepCpgError
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction, DeepCpgDnaModel
    from deepcpg_tf.prediction.run import iterate_predictions, predict_to_file
    from deepcpg_tf.prediction.sources import FastaFile, SequenceFile, SiteFile
    from deepcpg_tf.presets import PRESETS

_MODULE_OF = {
    "ARCHITECTURES": "configs.dna",
    "DeepCpgDnaConfig": "configs.dna",
    "DeepCpgDnaForSequencePrediction": "models.dna",
    "DeepCpgDnaModel": "models.dna",
    "DeepCpgError": "errors",
    "FastaFile": "prediction.sources",
    "Genome": "genome.reference",
    "HeadConfig": "configs.base",
    "PRESETS": "presets",
    "SequenceFile": "prediction.sources",
    "SiteFile": "prediction.sources",
    "iterate_predictions": "prediction.run",
    "predict_to_file": "prediction.run",
}

__all__ = [
    "ARCHITECTURES",
    "PRESETS",
    "DeepCpgDnaConfig",
    "DeepCpgDnaForSequencePrediction",
    "DeepCpgDnaModel",
    "DeepCpgError",
    "FastaFile",
    "Genome",
    "HeadConfig",
    "SequenceFile",
    "SiteFile",
    "iterate_predictions",
    "predict_to_file",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        with suppress(PackageNotFoundError):  # in a source tree that is not installed
            return version("deepcpg-tf")
        return "unknown"
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
