"""What is known of a model, and how each artefact of it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
    return [file for file in files if isinstance(file, str)]


def describe(model: DeepCpgDnaForSequencePrediction, name: str) -> dict[str, Any]:
    """Return what every artefact says of the model it came from."""
    variant = published_variant(model.cells)
    config = model.config
    genome = model.provenance.get("genome") if variant is None else variant.genome
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
        "provenance": model.provenance,
    }


def interface(model: DeepCpgDnaForSequencePrediction, path: str) -> dict[str, Any]:
    """Return the inputs and outputs of an artefact: name, type and shape, -1 for any number."""
    config = model.config
    batch = 1 if "_batch1" in path else -1
    tokens = {"tokens": _tensor("uint8", batch, config.sequence_length)}
    rows = _tensor("float32", batch, config.sequence_length, config.vocab_size)
    cells = _tensor("float32", batch, len(config.cells))
    outputs = {"logits": cells, "probabilities": cells}
    kind = path.split("/")[0]
    if kind == "onnx":
        return {"inputs": tokens, "outputs": outputs}
    if kind == "keras":
        return {"inputs": {"one_hot": rows}, "outputs": {"logits": cells}}
    signatures: dict[str, Any] = {
        "tokens": {"inputs": tokens, "outputs": outputs},
        "one_hot": {"inputs": {"one_hot": rows}, "outputs": outputs},
    }
    if kind == "saved_model":
        strings = {"sequences": _tensor("string", batch)}
        embedding = _tensor("float32", batch, config.bottleneck_size)
        signatures |= {
            "serving_default": {"inputs": strings, "outputs": outputs},
            "embedding": {"inputs": strings, "outputs": {"embedding": embedding}},
            "labels": {
                "inputs": {"index": _tensor("int64", batch)},
                "outputs": {"cells": _tensor("string", batch)},
            },
        }
    return {"signatures": signatures}


def _tensor(dtype: str, *shape: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape)}
