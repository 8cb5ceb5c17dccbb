"""What is known of a model, and how each artefact of it is called."""

from __future__ import annotations

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


def describe(model: DeepCpgDnaForSequencePrediction, name: str) -> dict[str, Any]:
    """Return what every artefact says of the model it came from, without folders of a machine."""
    variant = published_variant(model.cells)
    config = model.config
    provenance = without_folders(model.provenance)
    genome = provenance.get("genome") if variant is None else variant.genome
    if isinstance(genome, dict):
        genome = genome.get("name")
    return {
        "name": name,
        "cells_of": None if variant is None else variant.name,
        "architecture": config.architecture,
        "parameters": config.num_parameters,
        "genome": genome,
        "window": {
            "length": config.sequence_length,
            "cytosine_at": config.sequence_length // 2,
            "alphabet": "A C G T U N and other IUPAC letters, either case",
            "one_hot_channels": list(LETTERS[:4]),
        },
        "cells": list(model.cells),
        "config": config.to_dict(),
        "provenance": provenance,
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
