"""What is known of a model, and how each artefact of it is called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deepcpg_tf.configs.calibration import Adjustment, Calibration
from deepcpg_tf.configs.cpg import cpg_part
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.configs.names import CPG, DNA, JOINT, LOCAL
from deepcpg_tf.exporters.paths import without_folders
from deepcpg_tf.genome.sequence import LETTERS
from deepcpg_tf.presets import PRESETS, Preset

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel


def published_variant(cells: tuple[str, ...]) -> Preset | None:
    """Return the published variant that has these cells, in this order."""
    return next((preset for preset in PRESETS.values() if preset.cells == cells), None)


def training_files(provenance: Mapping[str, Any]) -> list[str]:
    """Return the data files of a model that this package trained, of others none."""
    files = provenance.get("files", []) if "data" in provenance else []
    names = [file.get("name") if isinstance(file, dict) else file for file in files]
    return [name for name in names if isinstance(name, str)]


CALIBRATED = "probabilities_calibrated"
"""The output of artefacts whose model keeps what calibrates it; in order the last one."""

COMMON = (
    *("module", "cells_of", "architecture", "parameters"),
    *("window", "neighbours", "features", "cells"),
)
"""What all that is in one folder has in common; what a module does not read is not there."""

OWN = ("name", "weights", "genome", "config", "provenance")
"""What is of a model alone."""

NEIGHBOURS_KEY = "neighbours_key"
"""What is too of a model that reads neighbours: mean states are trained, as weights are."""


def own_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is of a model alone."""
    there = [NEIGHBOURS_KEY] if NEIGHBOURS_KEY in description else []
    return {key: description[key] for key in (*OWN, *there)}


MODULES = {
    DNA: (
        "DeepCpG's DNA module",
        "from {window} the probability that it is methylated in each of {cells} cells",
    ),
    CPG: (
        "DeepCpG's CpG module",
        "from {neighbours}, the probability that the site is methylated in each of {cells} cells",
    ),
    JOINT: (
        "DeepCpG's Joint module",
        "from {window} and from {neighbours}, the probability that the site is methylated in "
        "each of {cells} cells",
    ),
    LOCAL: (
        "A local module",
        "from {features} of an entry, a site in any cell, the probability that it is methylated",
    ),
}


def describe(model: MethylationModel, name: str) -> dict[str, Any]:
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
        **_reads(model),
        "cells": list(model.cells),
        "config": config.to_dict(),
        "provenance": provenance,
    }
    return dict(json.loads(json.dumps(found)))  # as it will be read


def _reads(model: MethylationModel) -> dict[str, Any]:
    """Return what is said of windows and of neighbours, where they are read."""
    found: dict[str, Any] = {}
    if "windows" in model.reads.names:
        found["window"] = window_of(*model.reads.named("windows").shape)
    if (part := cpg_part(model.config)) is not None:
        found["neighbours"] = {
            "cells": list(part.input_cells),
            "of_each_cell": part.neighbours,
            "max_distance": part.max_distance,
        }
        found[NEIGHBOURS_KEY] = part.neighbours_key
    if isinstance(model.config, LocalConfig):
        dna = model.config.dna
        found["features"] = {
            "names": list(model.config.feature_names),
            "embedding": 0 if dna is None else dna.embedding_size,
        }
    return found


def shapes_of(description: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a site's arrays, for each input of an artefact that takes letters."""
    shapes: dict[str, tuple[int, ...]] = {}
    if "window" in description:
        shapes["tokens"] = (description["window"]["length"],)
    if "neighbours" in description:
        of = description["neighbours"]
        shapes |= dict.fromkeys(("state", "dist"), (len(of["cells"]), of["of_each_cell"]))
    if "features" in description:
        shapes["features"] = (len(description["features"]["names"]),)
        if description["features"]["embedding"]:
            shapes["embedding"] = (description["features"]["embedding"],)
    return shapes


def unit_of(description: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a model predicts one of, a window, a site or an entry, and several of."""
    if "features" in description:
        return "entry", "entries"
    return ("site", "sites") if "neighbours" in description else ("window", "windows")


def summary(description: Mapping[str, Any]) -> str:
    """Return a sentence on the model, for formats that have a place for one."""
    name, does = what_it_does(description)
    return (
        f"{description['name']}: {name}, architecture {description['architecture']}. "
        f"{does[0].upper()}{does[1:]}."
    )


def what_it_does(description: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of the module, and what it makes of what."""
    name, does = MODULES[description["module"]]
    texts: dict[str, Any] = {"cells": len(description["cells"])}
    if "window" in description:
        length = description["window"]["length"]
        texts["window"] = f"a window of {length} letters of DNA around a CpG site"
        if "neighbours" not in description:
            texts["window"] += ","
    if "neighbours" in description:
        of = description["neighbours"]
        texts["neighbours"] = (
            f"the states and distances of the {of['of_each_cell']} nearest observed CpG sites in "
            f"each of {len(of['cells'])} cells"
        )
    if "features" in description:
        of = description["features"]
        texts["features"] = f"{len(of['names'])} features"
        if of["embedding"]:
            texts["features"] += f", and the embedding of its DNA ({of['embedding']} values),"
    return name, does.format(**texts)


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


def logits_of(model: MethylationModel, batch: int = -1) -> dict[str, Any]:
    """Return the output of logits."""
    return {"logits": tensor("float32", batch, len(model.cells))}


def outputs_of(model: MethylationModel, batch: int = -1) -> dict[str, Any]:
    """Return the outputs of all but the Keras file."""
    logits = logits_of(model, batch)
    found = {**logits, "probabilities": logits["logits"]}
    return found if model.config.calibration is None else {**found, CALIBRATED: logits["logits"]}


def adjustment_of(description: Mapping[str, Any]) -> Adjustment | None:
    """Return what calibrates the logits of a model that is described, if it keeps anything."""
    fields = description["config"].get("calibration")
    if fields is None:
        return None
    return Calibration(**fields).offsets_and_temperatures(description["cells"])
