"""DeepCpG on TensorFlow and Keras 3: single-cell DNA methylation from sequence.

The public names are imported when first used, so that what does not compute does
not wait for TensorFlow. Everything else may change without notice.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepcpg_tf.configs.base import HeadConfig
    from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
    from deepcpg_tf.configs.dna import ARCHITECTURES, DeepCpgDnaConfig
    from deepcpg_tf.configs.joint import DeepCpgJointConfig
    from deepcpg_tf.data.splits import chromosome_split, fraction_split, published_split
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.data.table_file import read_table, write_table
    from deepcpg_tf.errors import DeepCpgError
    from deepcpg_tf.evaluation.evaluation import Evaluation
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.models.cpg import DeepCpgCpgForSitePrediction, DeepCpgCpgModel
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction, DeepCpgDnaModel
    from deepcpg_tf.models.joint import DeepCpgJointForSitePrediction
    from deepcpg_tf.models.registry import load_model
    from deepcpg_tf.prediction.sources import FastaFile, SequenceFile, SiteFile
    from deepcpg_tf.presets import PRESETS
    from deepcpg_tf.progress import Progress
    from deepcpg_tf.training.settings import TrainingSettings
    from deepcpg_tf.variants.attributions import attributions
    from deepcpg_tf.variants.mutagenesis import saturation_mutagenesis
    from deepcpg_tf.workflows.attributions import write_attributions
    from deepcpg_tf.workflows.calibrate import calibrate
    from deepcpg_tf.workflows.effects import variant_effects, write_variant_effects
    from deepcpg_tf.workflows.evaluate import evaluate
    from deepcpg_tf.workflows.export import export, verify
    from deepcpg_tf.workflows.genome import impute, predict_genome
    from deepcpg_tf.workflows.motifs import filter_motifs
    from deepcpg_tf.workflows.mutagenesis import write_mutagenesis
    from deepcpg_tf.workflows.neighbours import write_neighbours
    from deepcpg_tf.workflows.predict import iterate_predictions, predict
    from deepcpg_tf.workflows.regions import summarise_regions
    from deepcpg_tf.workflows.stores import export_table
    from deepcpg_tf.workflows.tables import (
        build_table,
        filter_table,
        hide_table,
        import_table,
    )
    from deepcpg_tf.workflows.train import train

_MODULE_OF = {
    "ARCHITECTURES": "configs.dna",
    "PRESETS": "presets",
    "DeepCpgCpgConfig": "configs.cpg",
    "DeepCpgCpgForSitePrediction": "models.cpg",
    "DeepCpgCpgModel": "models.cpg",
    "DeepCpgDnaConfig": "configs.dna",
    "DeepCpgDnaForSequencePrediction": "models.dna",
    "DeepCpgDnaModel": "models.dna",
    "DeepCpgError": "errors",
    "DeepCpgJointConfig": "configs.joint",
    "DeepCpgJointForSitePrediction": "models.joint",
    "Evaluation": "evaluation.evaluation",
    "FastaFile": "prediction.sources",
    "Genome": "genome.reference",
    "HeadConfig": "configs.base",
    "MethylationModel": "models.base",
    "MethylationTable": "data.table",
    "Progress": "progress",
    "SequenceFile": "prediction.sources",
    "SiteFile": "prediction.sources",
    "TrainingSettings": "training.settings",
    "attributions": "variants.attributions",
    "build_table": "workflows.tables",
    "calibrate": "workflows.calibrate",
    "chromosome_split": "data.splits",
    "evaluate": "workflows.evaluate",
    "export": "workflows.export",
    "export_table": "workflows.stores",
    "filter_motifs": "workflows.motifs",
    "filter_table": "workflows.tables",
    "fraction_split": "data.splits",
    "hide_table": "workflows.tables",
    "import_table": "workflows.tables",
    "impute": "workflows.genome",
    "iterate_predictions": "workflows.predict",
    "load_model": "models.registry",
    "predict": "workflows.predict",
    "predict_genome": "workflows.genome",
    "published_split": "data.splits",
    "read_table": "data.table_file",
    "saturation_mutagenesis": "variants.mutagenesis",
    "summarise_regions": "workflows.regions",
    "train": "workflows.train",
    "variant_effects": "workflows.effects",
    "verify": "workflows.export",
    "write_attributions": "workflows.attributions",
    "write_mutagenesis": "workflows.mutagenesis",
    "write_neighbours": "workflows.neighbours",
    "write_table": "data.table_file",
    "write_variant_effects": "workflows.effects",
}

__all__ = [
    "ARCHITECTURES",
    "PRESETS",
    "DeepCpgCpgConfig",
    "DeepCpgCpgForSitePrediction",
    "DeepCpgCpgModel",
    "DeepCpgDnaConfig",
    "DeepCpgDnaForSequencePrediction",
    "DeepCpgDnaModel",
    "DeepCpgError",
    "DeepCpgJointConfig",
    "DeepCpgJointForSitePrediction",
    "Evaluation",
    "FastaFile",
    "Genome",
    "HeadConfig",
    "MethylationModel",
    "MethylationTable",
    "Progress",
    "SequenceFile",
    "SiteFile",
    "TrainingSettings",
    "attributions",
    "build_table",
    "calibrate",
    "chromosome_split",
    "evaluate",
    "export",
    "export_table",
    "filter_motifs",
    "filter_table",
    "fraction_split",
    "hide_table",
    "import_table",
    "impute",
    "iterate_predictions",
    "load_model",
    "predict",
    "predict_genome",
    "published_split",
    "read_table",
    "saturation_mutagenesis",
    "summarise_regions",
    "train",
    "variant_effects",
    "verify",
    "write_attributions",
    "write_mutagenesis",
    "write_neighbours",
    "write_table",
    "write_variant_effects",
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
