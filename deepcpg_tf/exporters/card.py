"""The model card of an export: a page of what it is and how each artefact is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepcpg_tf.exporters import formats
from deepcpg_tf.exporters.describe import training_files
from deepcpg_tf.presets import PRESETS

_PAPER = (
    "Angermueller C, Lee HJ, Reik W, Stegle O. DeepCpG: accurate prediction of single-cell DNA "
    "methylation states using deep learning. Genome Biology 18:67 (2017), "
    "https://doi.org/10.1186/s13059-017-1189-z"
)
_RECORD = "https://zenodo.org/record/1466079"


def write_card(path: Path, content: dict[str, Any]) -> None:
    """Write the card of an export with the given manifest."""
    path.write_text("\n".join(_lines(content)) + "\n")


def _lines(content: dict[str, Any]) -> Iterator[str]:
    window, cells, artefacts = content["window"], content["cells"], content["artefacts"]
    kinds: dict[str, list[str]] = {}
    for path, entry in artefacts.items():
        kinds.setdefault(entry["kind"], []).append(path)
    yield f"# {content['name']}"
    yield ""
    yield (
        f"DeepCpG's DNA module: from the {window['length']} bases around a CpG site, the "
        f"probability that it is methylated in each of {len(cells)} cells."
    )
    yield ""
    yield "| | |"
    yield "|---|---|"
    for key, value in _facts(content):
        yield f"| {key} | {value} |"
    yield ""
    yield "## Input and output"
    yield ""
    yield (
        f"A window is {window['length']} letters of the forward strand with the C of the CpG at "
        f"index {window['cytosine_at']}, counted from 0; bases off the chromosome are N. Upper and "
        "lower case are the same, U is T, and every ambiguous letter of IUPAC is N. One-hot "
        f"channels are in the order {', '.join(window['one_hot_channels'])}, and N is all zeros."
    )
    yield ""
    yield (
        "Outputs are `logits` and `probabilities`, float32 [windows, cells]. What is no letter "
        "of DNA, or a window of another length, is an error in the SavedModel; TFLite and ONNX "
        "cannot raise errors and take **any other letter for N**: check windows before."
    )
    yield ""
    for kind, paths in kinds.items():
        yield formats.load(kind).card(paths, window["length"]).strip()
        yield ""
    yield "## What was measured"
    yield ""
    yield (
        f"Each artefact was run in its own runtime on {content['parity']['windows']} windows "
        f"({content['parity']['source']}) and compared with the model. Machine: "
        f"{content['machine']['cores']} cores, {content['machine']['processor']}."
    )
    yield ""
    yield from table(content)
    yield ""
    if content["left_out"]:
        yield "Left out, because it is not within its bounds:"
        yield ""
        for path, entry in content["left_out"].items():
            yield f"- `{path}`: {entry['reason']}"
        yield ""
    yield (
        f"Int8 was calibrated on {content['calibration']['windows']} windows "
        f"({content['calibration']['source']}); its weights are rounded so that the error of one "
        "is taken up by others. `deepcpg-tf verify` on this folder repeats the measurement; "
        "`manifest.json` has all figures and checksums."
    )
    yield ""
    yield "## Source, licence and citation"
    yield ""
    yield from _source(content)
    yield ""
    yield f"Please cite: {_PAPER}"


def table(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table of what was measured."""
    yield (
        "| artefact | MB | largest difference | calls changed | AUC change "
        "| load, ms | one window, ms | windows/s |"
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


def _facts(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    cells, provenance = content["cells"], content["provenance"]
    yield "architecture", f"{content['architecture']}, {content['parameters']:,} parameters"
    if content["cells_of"]:
        yield "cells of", f"`{content['cells_of']}`"
    yield "cells, in the order of the outputs", ", ".join(cells)
    yield "genome", str(content["genome"] or "not recorded")
    yield "weights from", str(provenance.get("format", "not recorded"))
    if files := training_files(provenance):
        yield "training data", ", ".join(files)
    elif content["cells_of"]:
        yield "training data", _STUDIES[content["cells_of"].split("-")[0]]


def _source(content: dict[str, Any]) -> Iterator[str]:
    if content["cells_of"]:
        stem = PRESETS[content["cells_of"]].stem
        yield (
            f"The cells are those of the published variant `{content['cells_of']}` ({stem}, "
            f"{_RECORD}). If these are its weights, the licence of that record applies to them."
        )
    else:
        yield "The licence of the weights is that of who trained them, and not recorded here."
    yield ""
    yield "The files were made by deepcpg_tf, whose licence is Apache-2.0."


_STUDIES = {
    "smallwood2014": "mouse embryonic stem cells of Smallwood et al., Nature Methods 2014",
    "hou2016": "cells of Hou et al., Cell Research 2016",
}
