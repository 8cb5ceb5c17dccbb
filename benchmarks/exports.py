"""Exported artefacts, each in its own runtime: size, loading, latency, throughput, accuracy."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks import made_up
from benchmarks.common import (
    Result,
    alternate,
    figure,
    in_words,
    number,
    progress,
    prose,
    ratio_name,
    requirement,
    table,
)

TITLE = "Exported artefacts"
ARCHITECTURES = {"CnnL2h128": 18, "CnnL3h128": 12}
BATCH, SINGLES, ROUNDS = 32, 50, 7
REQUIRED = 3  # times the windows a second of float32, in ONNX Runtime
LITE_FLOAT32, LITE_INT8 = "tflite/float32_batch1.tflite", "tflite/int8_batch1.tflite"
FLOAT32, INT8 = "onnx/float32.onnx", "onnx/int8.onnx"


def run() -> Result:
    """Measure."""
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    with made_up.working_folder() as folder:
        models = {name: _measure(name, cells, folder) for name, cells in ARCHITECTURES.items()}
    reached = min(
        found["throughput"]["ratios"][ratio_name(INT8, FLOAT32)]["median"]
        for found in models.values()
    )
    what = "times the windows a second of float32, for int8 in ONNX Runtime"
    return {
        "batch_size": BATCH,
        "models": models,
        "requirement": requirement(what, REQUIRED, reached),
    }


def _measure(architecture: str, cells: int, folder: Path) -> Result:
    import keras

    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.exporters.bundle import export
    from deepcpg_tf.exporters.contents import windows_file
    from deepcpg_tf.exporters.formats import open_artefact
    from deepcpg_tf.exporters.manifest import artefacts_of
    from deepcpg_tf.exporters.parity import Reference
    from deepcpg_tf.exporters.runtimes import Runtime
    from deepcpg_tf.exporters.samples import draw_samples
    from deepcpg_tf.inputs import take
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

    progress(f"  exporting {architecture}")
    keras.utils.set_random_seed(0)
    config = DeepCpgDnaConfig.from_architecture(architecture, num_labels=cells)
    model = DeepCpgDnaForSequencePrediction(config)
    out = folder / architecture
    content = export(model, architecture, out, draw_samples(model))
    arrays = Reference.load(out / windows_file(1)).arrays
    artefacts = {artefact.path: artefact for artefact in artefacts_of(content)}

    def latency(name: str) -> float:
        """Return single windows a second."""
        return SINGLES / sum(runtimes[name].seconds(take(arrays, slice(1)), SINGLES))

    def throughput(name: str) -> float:
        size = artefacts[name].batch or BATCH
        repeat = 8 * BATCH // size
        return size * repeat / sum(runtimes[name].seconds(take(arrays, slice(size)), repeat))

    # INT8 before FLOAT32: a ratio is that of an earlier one to a later one.
    names = sorted(content["artefacts"], key=lambda name: (name != INT8, name))
    loading: dict[str, float] = {}
    runtimes: dict[str, Runtime] = {}
    for name in names:
        start = time.perf_counter()
        runtimes[name] = open_artefact(out, artefacts[name])
        loading[name] = (time.perf_counter() - start) * 1e3
    found = {
        what: alternate({name: _bound(measure, name) for name in names}, ROUNDS)
        for what, measure in (("latency", latency), ("throughput", throughput))
    }
    for runtime in runtimes.values():
        runtime.close()
    return {
        "cells": cells,
        "artefacts": {
            name: {
                "runtime": entry["runtime"],
                "bytes": entry["bytes"],
                "load_ms": round(loading[name], 1),
                "maximum_difference": entry["maximum_difference"],
                "calls_changed": entry["calls_changed"],
            }
            for name, entry in content["artefacts"].items()
        },
        **found,
    }


def _bound(measure: Any, name: str) -> Any:
    return lambda: measure(name)


def report(result: Result) -> str:
    """Return the section of the report."""
    what = (
        "Models with weights as Keras starts them, exported and compared by `deepcpg-tf export`; "
        "each artefact in the runtime that its users have, on all cores. The difference is the "
        "largest of a probability over 1,024 windows, among them those with the smallest and "
        "largest probabilities; calls changed are those on the other side of 0.5. Keras is the "
        "`.keras` file in a compiled function, SavedModel TensorFlow's C library without Python. "
        "A file with `batch1` takes one window a call."
    )
    header = (
        *("artefact", "MB", "load, ms", "one window, ms", f"windows a second, batch {BATCH}"),
        *("difference", "calls changed"),
    )
    tables = []
    for architecture, found in result["models"].items():
        latency, throughput = found["latency"]["rates"], found["throughput"]["rates"]
        rows = [
            (
                *(name, number(entry["bytes"] / 1e6), number(entry["load_ms"])),
                f"{1e3 / latency[name]['median']:.3f}",
                figure(throughput[name]),
                *(f"{entry['maximum_difference']:.1e}", f"{entry['calls_changed']:.2%}"),
            )
            for name, entry in found["artefacts"].items()
        ]
        share = latency[LITE_FLOAT32]["median"] / latency[LITE_INT8]["median"]
        aim = (
            f"In LiteRT a single window takes float32 {share:.2g} times as long as int8, both with "
            "the file for one window (the aim is 3)."
        )
        title = f"{architecture}, {found['cells']} cells:"
        tables.append(f"{title}\n\n{table(header, rows)}\n\n{prose(aim)}")
    tables_text = "\n\n".join(tables)
    return f"{prose(what)}\n\n{tables_text}\n\n{in_words(result['requirement'])}\n"
