"""Predicting many sites of a chromosome: the scan engine, window by window, and the peer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import made_up
from benchmarks.common import (
    Result,
    alternate,
    figure,
    in_words,
    number,
    progress,
    prose,
    rate,
    ratio_name,
    requirement,
    table,
)
from benchmarks.peer import Peer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction
    from deepcpg_tf.scan.engine import ScanEngine

TITLE = "Every CpG of a chromosome"
ARCHITECTURES = {"CnnL2h128": 18, "CnnL3h128": 12}
SPACINGS = (1000, 200, 100, 30, 10)
SITES, WINDOWS, ROUNDS = 8000, 1024, 5
PEER_BATCHES = (16, 64, 256)
GRAPH, XLA, KERAS = "window by window, graph", "window by window, XLA", "Keras predict"
EAGER, COMPILED = "peer", "peer compiled"
ISLANDS = "scan, islands"
# CnnL2h128: times XLA at a spacing of 100 and of 10, and times the best of the peer.
REQUIRED = {(100, XLA): 2.0, (10, XLA): 5.5, (100, EAGER): 2.5, (10, EAGER): 8.0}


def run() -> Result:
    """Measure."""
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    with made_up.working_folder() as folder:
        models = {name: _measure(name, cells, folder) for name, cells in ARCHITECTURES.items()}
    shortfall = min(
        _ratio(models["CnnL2h128"], spacing, _best(models["CnnL2h128"]) if to == EAGER else to)
        / least
        for (spacing, to), least in REQUIRED.items()
    )
    what = "times what is required of CnnL2h128 (" + ", ".join(
        f"{least:g} times {'the best of the peer' if to == EAGER else 'XLA'} at 1/{spacing}"
        for (spacing, to), least in REQUIRED.items()
    )
    return {
        "products_gmac_per_second": peak(),
        "models": models,
        "requirement": requirement(f"{what})", 1, shortfall),
    }


def scan_name(spacing: int) -> str:
    """Return what a scan of sites with some bases between them is called."""
    return f"scan, 1/{spacing}"


def _measure(architecture: str, cells: int, folder: Path) -> Result:
    import keras
    import numpy as np
    import tensorflow as tf

    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.genome.sequence import graph_one_hot, one_hot
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction
    from deepcpg_tf.scan.engine import ScanEngine

    progress(f"  {architecture}")
    keras.utils.set_random_seed(0)
    config = DeepCpgDnaConfig.from_architecture(architecture, num_labels=cells)
    model = DeepCpgDnaForSequencePrediction(config)
    engine = ScanEngine(model)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, SITES * max(SPACINGS), np.uint8)
    windows = rng.integers(0, 4, (WINDOWS, config.sequence_length), np.uint8)
    compiled = tf.function(
        lambda rows: model(graph_one_hot(rows), training=False), jit_compile=True, autograph=False
    )

    def window_by_window() -> None:
        model.predict_windows(windows, "logits")

    def xla() -> None:
        for first in range(0, WINDOWS, 512):
            compiled(tf.constant(windows[first : first + 512])).numpy()

    def keras_predict() -> None:
        model.predict(one_hot(windows), batch_size=512, verbose=0)

    scans: dict[str, Callable[[], float]] = {}
    for spacing in SPACINGS:
        positions = np.sort(rng.choice(SITES * spacing, SITES, replace=False))
        scans[scan_name(spacing)] = _scan(engine, codes, positions)
    scans[ISLANDS] = _scan(engine, codes, _islands(rng))
    convolutions = {
        name: list(getattr(config, name))
        for name in ("conv_channels", "conv_kernel_sizes", "conv_pool_sizes")
    }
    np.save(folder / "tokens.npy", windows)
    arguments = (folder / "tokens.npy", cells, json.dumps(convolutions))
    with Peer("peer_prediction.py", *arguments) as peer:
        batches = {mode: _best_batch(peer, mode) for mode in ("eager", "compiled")}
        contenders = {
            **scans,
            GRAPH: rate(WINDOWS, window_by_window),
            XLA: rate(WINDOWS, xla),
            KERAS: rate(WINDOWS, keras_predict),
            EAGER: lambda: WINDOWS / peer.seconds(predict="eager", batch=batches["eager"]),
            COMPILED: lambda: WINDOWS / peer.seconds(predict="compiled", batch=batches["compiled"]),
        }
        result = alternate(contenders, ROUNDS)
        about = peer.about
    positions = np.sort(rng.choice(50_000, 500, replace=False))
    return {
        "cells": cells,
        "macs_of_a_window": config.num_macs,
        "peer": {**about, "batch": batches},
        "difference": _difference(model, engine, codes, positions),
        **result,
    }


def _scan(
    engine: ScanEngine, codes: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]
) -> Callable[[], float]:
    return rate(len(positions), lambda: engine.logits(codes, positions))


def _islands(rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return sites as in a mammal: a hundred bases apart, ten in islands of a thousand."""
    import numpy as np

    bases = np.arange(SITES * 80)
    in_island = bases % 20_000 < 1000
    return np.flatnonzero(rng.random(len(bases)) < np.where(in_island, 0.1, 0.0085))


def _best_batch(peer: Peer, mode: str) -> int:
    """Return the number of windows at a time with which the peer is fastest."""
    seconds = {}
    for batch in PEER_BATCHES:
        peer.seconds(predict=mode, batch=batch)
        seconds[batch] = peer.seconds(predict=mode, batch=batch)
    return min(seconds, key=lambda batch: seconds[batch])


def _difference(
    model: DeepCpgDnaForSequencePrediction,
    engine: ScanEngine,
    codes: npt.NDArray[np.uint8],
    positions: npt.NDArray[np.int64],
) -> float:
    """Return the largest difference of a logit between the scan and single windows."""
    import numpy as np

    half = model.config.sequence_length // 2
    inside = positions[(positions >= half) & (positions + half < len(codes))]
    windows = np.stack([codes[p - half : p + half + 1] for p in inside])
    found = engine.logits(codes, inside) - model.predict_windows(windows, "logits")
    return float(np.abs(found).max())


def peak() -> Result:
    """Return the multiply-accumulates a second of large products of matrices, in billions.

    By TensorFlow and by NumPy, whose libraries differ from processor to processor.
    """
    import numpy as np
    import tensorflow as tf

    size = 2048
    matrix = np.random.default_rng(0).random((size, size), np.float32)
    tensor = tf.constant(matrix)
    measured = alternate(
        {
            "TensorFlow": rate(size**3 / 1e9, lambda: tf.matmul(tensor, tensor).numpy()),
            "NumPy": rate(size**3 / 1e9, lambda: matrix @ matrix),
        },
        5,
    )
    return {name: float(found["median"]) for name, found in measured["rates"].items()}


def _best(found: Any) -> str:
    rates = found["rates"]
    return max((EAGER, COMPILED), key=lambda name: float(rates[name]["median"]))


def _ratio(found: Any, spacing: int, to: str) -> float:
    return float(found["ratios"][ratio_name(scan_name(spacing), to)]["median"])


def report(result: Result) -> str:
    """Return the section of the report."""
    peaks = result["products_gmac_per_second"]
    products = ", ".join(f"{name} {number(peak)}" for name, peak in peaks.items())
    what = (
        f"Sites at random positions of a made-up chromosome, on average so many bases apart, and "
        "with islands as in a mammal; sites a second, from codes in memory to logits in memory. "
        "What is computed window by window does not depend on the distance. Differences are of "
        "logits, between the scan and single windows. The peer is MultiMolecule's model with "
        f"PyTorch, eager and compiled, each with the best of {', '.join(map(str, PEER_BATCHES))} "
        "windows at a time. The share of the limit is that of the multiply-accumulates that "
        "single windows would take, in those of the fastest large product of matrices here "
        f"({products} billion a second)."
    )
    tables = []
    for architecture, found in result["models"].items():
        best = _best(found)
        share = found["macs_of_a_window"] / 1e9 / max(peaks.values())
        rows = [
            (
                name,
                figure(rates),
                *(
                    figure(found["ratios"][ratio_name(name, to)]) if name.startswith("scan") else ""
                    for to in (GRAPH, XLA, best)
                ),
                f"{rates['median'] * share:.0%}",
            )
            for name, rates in found["rates"].items()
        ]
        header = (
            *("", "sites a second", "times graph", "times XLA", "times the best of the peer"),
            "of the limit",
        )
        title = (
            f"{architecture}, {found['cells']} cells; the largest difference of a logit is "
            f"{found['difference']:.1e}:"
        )
        tables.append(f"{title}\n\n{table(header, rows)}")
    tables_text = "\n\n".join(tables)
    return f"{prose(what)}\n\n{tables_text}\n\n{in_words(result['requirement'])}\n"
