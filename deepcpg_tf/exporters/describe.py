"""What is known of a model, and how each artefact of it is called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deepcpg_tf.exporters.paths import without_folders
from deepcpg_tf.genome.sequence import LETTERS
from deepcpg_tf.presets import PRESETS, Preset

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction


def published_variant(cells: tuple[str, ...]) -> Preset | None:
    """Return the published variant that has these cells, in this order."""
    return next((preset for preset in PRESETS.values() if preset.cells == cells), None)


def training_files(provenance: Mapping[str, Any]) -> list[str]:
    """Return the data files of a model that this package trained, of others none."""
    files = provenance.get("files", []) if "data" in provenance else []
    names = [file.get("name") if isinstance(file, dict) else file for file in files]
    return [name for name in names if isinstance(name, str)]


COMMON = ("module", "cells_of", "architecture", "parameters", "window", "cells")
"""What all that is in one folder has in common."""

OWN = ("name", "weights", "genome", "config", "provenance")
"""What is of a model alone."""


def describe(model: DeepCpgDnaForSequencePrediction, name: str) -> dict[str, Any]:
    """Return what every artefact says of the model it came from, without folders of a machine."""
    variant = published_variant(model.cells)
    config = model.config
    provenance = without_folders(model.provenance)
    genome = provenance.get("genome") if variant is None else variant.genome
    if isinstance(genome, dict):
        genome = genome.get("name")
    found = {
        "name": name,
        "module": config.module,
        "weights": model.digest(),
        "cells_of": None if variant is None else variant.name,
        "architecture": config.architecture,
        "parameters": config.num_parameters,
        "genome": genome,
        "window": window_of(config.sequence_length),
        "cells": list(model.cells),
        "config": config.to_dict(),
        "provenance": provenance,
    }
    return dict(json.loads(json.dumps(found)))  # as it will be read


def summary(description: Mapping[str, Any]) -> str:
    """Return a sentence on the model, for formats that have a place for one."""
    length, cells = description["window"]["length"], len(description["cells"])
    return (
        f"{description['name']}: DeepCpG's DNA module, architecture "
        f"{description['architecture']}. From a window of {length} letters of DNA around a CpG "
        f"site, the probability that it is methylated in each of {cells} cells."
    )


def window_of(length: int) -> dict[str, Any]:
    """Return what a manifest says of windows."""
    return {
        "length": length,
        "cytosine_at": length // 2,
        "alphabet": "A C G T U N and other IUPAC letters, either case",
        "one_hot_channels": list(LETTERS[:4]),
    }


def tensor(dtype: str, *shape: int) -> dict[str, Any]:
    """Return what a manifest says of an input or output; -1 is any number."""
    return {"dtype": dtype, "shape": list(shape)}


def tokens_of(model: DeepCpgDnaForSequencePrediction, batch: int = -1) -> dict[str, Any]:
    """Return the input of letters."""
    return {"tokens": tensor("uint8", batch, model.config.sequence_length)}


def one_hot_of(model: DeepCpgDnaForSequencePrediction, batch: int = -1) -> dict[str, Any]:
    """Return the input of one-hot rows."""
    config = model.config
    return {"one_hot": tensor("float32", batch, config.sequence_length, config.vocab_size)}


def logits_of(model: DeepCpgDnaForSequencePrediction, batch: int = -1) -> dict[str, Any]:
    """Return the output of logits."""
    return {"logits": tensor("float32", batch, len(model.cells))}


def outputs_of(model: DeepCpgDnaForSequencePrediction, batch: int = -1) -> dict[str, Any]:
    """Return the outputs of all but the Keras file."""
    logits = logits_of(model, batch)
    return {**logits, "probabilities": logits["logits"]}
