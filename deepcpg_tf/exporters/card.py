"""The model card of an export: a page of what it is and how each artefact is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deepcpg_tf.exporters import formats
from deepcpg_tf.exporters.describe import (
    CALIBRATED,
    shapes_of,
    training_files,
    unit_of,
    what_it_does,
)
from deepcpg_tf.exporters.manifest import MANIFEST_FILE, latest
from deepcpg_tf.presets import PRESETS

_PAPER = (
    "Angermueller C, Lee HJ, Reik W, Stegle O. DeepCpG: accurate prediction of single-cell DNA "
    "methylation states using deep learning. Genome Biology 18:67 (2017), "
    "https://doi.org/10.1186/s13059-017-1189-z"
)
_RECORD = "https://zenodo.org/record/1466079"
_SHORT = 12


def write_card(path: Path, content: dict[str, Any]) -> None:
    """Write the card of an export with the given manifest."""
    path.write_text("\n".join(_lines(content)) + "\n")


def _lines(content: dict[str, Any]) -> Iterator[str]:
    last = latest(content)
    kinds: dict[str, list[str]] = {}
    for path, entry in content["artefacts"].items():
        kinds.setdefault(entry["kind"], []).append(path)
    name, does = what_it_does(content)
    yield f"# {content['name']}"
    yield ""
    yield f"{name}: {does}."
    yield ""
    yield "| | |"
    yield "|---|---|"
    for key, value in _facts(content, last):
        yield f"| {key} | {value} |"
    yield ""
    yield "## Input and output"
    yield ""
    if "window" in content:
        yield from _of_windows(content["window"])
    if "neighbours" in content:
        yield from _of_neighbours(content["neighbours"])
    if "features" in content:
        yield from _of_features(content["features"])
    yield "Outputs are `logits` and `probabilities`, float32 [n, cells]."
    if "calibration" in last["config"]:
        yield ""
        yield from _of_calibration()
    yield ""
    for kind, paths in kinds.items():
        yield formats.load(kind).card(paths, content).strip()
        yield ""
    yield from _measured(content, last)
    yield from _versions(content)
    yield "## Source, licence and citation"
    yield ""
    yield from _source(content, last)
    yield ""
    yield f"Please cite: {_PAPER}"


def _of_calibration() -> Iterator[str]:
    yield (
        f"A third one, `{CALIBRATED}`, has them calibrated: where training balanced the classes, "
        "`probabilities` are as if half of a cell's sites were methylated. What calibrates is "
        "`calibration` of the configuration in `manifest.json`: without `temperatures`, that "
        "balance is undone, and nothing more was fitted."
    )


def _of_windows(window: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"A window is {window['length']} letters of the forward strand with the C of the CpG at "
        f"index {window['cytosine_at']}, counted from 0; bases off the chromosome are N. Upper and "
        "lower case are the same, U is T, and every ambiguous letter of IUPAC is N. One-hot "
        f"channels are in the order {', '.join(window['one_hot_channels'])}, and N is all zeros. "
        "What is no letter "
        "of DNA, or a window of another length, is an error in the SavedModel; TFLite and ONNX "
        "cannot raise errors and take **any other letter for N**: check windows before. **What "
        "takes one-hot rows checks their shape alone**, in every format: NaN, fractions, or "
        "another order of channels are computed without a word."
    )
    yield ""


def _of_neighbours(neighbours: Mapping[str, Any]) -> Iterator[str]:
    cells, side = neighbours["cells"], neighbours["of_each_cell"] // 2
    yield (
        f"`state` and `dist` are float32 [n, {len(cells)}, {2 * side}]: for each of the cells "
        f"whose neighbours are read, in their order, first the {side} nearest observed CpG sites "
        f"to the left of the site, from far to near, then the {side} nearest to the right, from "
        "near to far; never the site itself, observed or not. `state` is 1 (methylated) or 0, and "
        f"`dist` the distance in bases divided by {neighbours['max_distance']}, at most 1. Where a "
        "side has fewer neighbours, what is missing is at the far end of that side, `state` there "
        "is the cell's mean methylation (`state_means` of the configuration in "
        f"`{MANIFEST_FILE}`), and `dist` is 1. `deepcpg-tf data neighbours` writes such states "
        "and distances of a methylation table, for the kits of the repository's `export` to read. "
        "What is not from 0 to 1 is an error in the SavedModel; TFLite and ONNX cannot raise "
        "errors and **compute it without a word**."
    )
    yield ""


def _of_features(features: Mapping[str, Any]) -> Iterator[str]:
    names = features["names"]
    yield (
        f"`features` are float32 [n, {len(names)}], in this order: "
        + ", ".join(f"`{name}`" for name in names)
        + ". They are what `deepcpg_tf.local` makes of a methylation table (`docs/local.md` of the "
        "repository defines each), never of the entry itself. What is not finite is an error in "
        "the SavedModel; TFLite and ONNX cannot raise errors and **compute it without a word**."
    )
    if features["embedding"]:
        yield (
            f"`embedding` is float32 [n, {features['embedding']}]: that of the DNA module, of the "
            "window around the site, rounded to float16."
        )
    yield ""


def _measured(content: Mapping[str, Any], last: Mapping[str, Any]) -> Iterator[str]:
    bounds = content["bounds"]
    unit = unit_of(content)[1]
    yield "## What was measured"
    yield ""
    yield (
        f"Each artefact was run in its own runtime on {last['parity']['windows']} {unit} "
        f"({last['parity']['source']}) and compared with the model. Machine: "
        f"{last['machine']['cores']} cores, {last['machine']['processor']}."
    )
    yield ""
    yield from table(content)
    yield ""
    yield (
        "The largest difference is of a probability, from the model's; what is further from it "
        f"than {bounds['float32']:g} (float32), {bounds['float16']:g} (float16) or "
        f"{bounds['int8']:g} (int8) is not in this folder. Calls changed is the share of "
        "probabilities on the other side of 0.5. AUC change is that of the mean over the cells, "
        f"{bounds['mean_auc']:g} at most; it is blank where no label of the {unit} is known."
    )
    yield ""
    if content["left_out"]:
        yield "Left out, because it is not within its bounds:"
        yield ""
        for path, entry in content["left_out"].items():
            yield f"- `{path}`: {entry['reason']}"
        yield ""
    if any(entry["precision"] == "int8" for entry in content["artefacts"].values()):
        yield (
            f"Int8 was calibrated on {last['calibration']['windows']} {unit} "
            f"({last['calibration']['source']}); its weights are rounded so that the error of one "
            "is taken up by others."
        )
        yield ""
    elif "window" not in content:
        yield "There is no int8: nearly all that this module computes is in its recurrent layers."
        yield ""
    arrays = ", ".join(
        f"`inputs/{name}`{', ASCII codes' if name == 'tokens' else ''}"
        for name in shapes_of(content)
    )
    yield (
        f"`{last['parity']['file']}` (NumPy) has the {unit} that all were compared on "
        f"({arrays}) and what the model makes of them (`logits`, `probabilities`; `labels`, "
        f"where known). `{MANIFEST_FILE}` has all figures and "
        "checksums. `deepcpg-tf verify` on this folder checks them, compares what each artefact "
        "says of itself, and repeats the measurement. Who may write to the folder can change "
        "files and checksums alike: fetch it from where it was made."
    )
    yield ""


def _versions(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield which artefacts are of which weights, where there are others than the last."""
    runs: dict[str, list[str]] = {}
    for path, entry in content["artefacts"].items():
        runs.setdefault(str(entry["export"]), []).append(path)
    if len(runs) < 2:
        return
    yield "## Which artefact is of which weights"
    yield ""
    yield "The folder was exported to several times, with the same cells and architecture:"
    yield ""
    yield "| export | model | weights | artefacts |"
    yield "|---:|---|---|---|"
    for number in sorted(runs, key=int):
        run = content["exports"][number]
        paths = ", ".join(runs[number])
        yield f"| {number} | {run['name']} | `{run['weights'][:_SHORT]}…` | {paths} |"
    yield ""
    yield "A server takes the SavedModel with the largest number."
    yield ""


def table(content: dict[str, Any] | Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table of what was measured."""
    unit, units = unit_of(content)
    yield (
        "| artefact | MB | largest difference | calls changed | AUC change "
        f"| load, ms | one {unit}, ms | {units}/s |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for path, entry in content["artefacts"].items():
        change = entry["auc_change"]
        yield (
            f"| {path} | {entry['bytes'] / 1e6:.1f} | {entry['maximum_difference']:.1e} "
            f"| {entry['calls_changed']:.2%} | {'' if change is None else f'{change:+.5f}'} "
            f"| {entry['load_ms']:.0f} | {entry['latency_ms']:.2f} "
            f"| {entry['windows_per_second']:,.0f} |"
        )


def _facts(content: Mapping[str, Any], last: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    cells, provenance = content["cells"], last["provenance"]
    yield "architecture", f"{content['architecture']}, {content['parameters']:,} parameters"
    if content["cells_of"]:
        yield "cells of", f"`{content['cells_of']}`"
    yield "cells, in the order of the outputs", ", ".join(cells)
    if "neighbours" in content:
        yield "cells whose neighbours are read, in order", ", ".join(content["neighbours"]["cells"])
    yield "genome", str(last["genome"] or "not recorded")
    yield "weights", f"`{last['weights']}` (SHA-256, with the configuration)"
    yield "weights from", str(provenance.get("format", "not recorded"))
    if files := training_files(provenance):
        yield "training data", ", ".join(files)
    elif content["cells_of"]:
        yield "training data", _STUDIES[content["cells_of"].split("-")[0]]


def _source(content: Mapping[str, Any], last: Mapping[str, Any]) -> Iterator[str]:
    if content["cells_of"]:
        stem = PRESETS[content["cells_of"]].stem
        yield (
            f"The cells are those of the published variant `{content['cells_of']}` ({stem}). If "
            f"these are its weights, they are under the terms that their record states: {_RECORD}. "
            "This export does not know which."
        )
    else:
        yield (
            "The cells are those of no published variant: the licence of the weights is up to who "
            "trained them, and not known here. If that began with published weights, the terms of "
            f"their record apply too: {_RECORD}."
        )
    yield ""
    yield (
        f"The files were made by deepcpg_tf {last['versions']['deepcpg_tf']}, a Python package "
        "whose code is under Apache-2.0. `pip install PATH` installs it, from a copy of its "
        "repository or the wheel that whoever made this export has; all but the Keras file "
        "works without it."
    )


_STUDIES = {
    "smallwood2014": "mouse embryonic stem cells of Smallwood et al., Nature Methods 2014",
    "hou2016": "cells of Hou et al., Cell Research 2016",
}
