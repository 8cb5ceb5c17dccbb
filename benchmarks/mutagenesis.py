"""Every substitution in windows: what each changes alone, against whole windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TITLE = "Saturation mutagenesis"
ARCHITECTURES = {"CnnL2h128": 18, "CnnL3h128": 12}
WINDOWS, WHOLE, BATCH, ROUNDS = 64, 2048, 512, 5
OURS, ONE = "what changes", "what changes, one window"
GRAPH, XLA = "whole windows, graph", "whole windows, XLA"
REQUIRED = 20.0  # times the faster of both that compute whole windows, CnnL2h128


def run() -> Result:
    """Measure."""
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    models = {name: _measure(name, cells) for name, cells in ARCHITECTURES.items()}
    first = next(iter(models))
    what = f"times the substitutions a second of whole windows, the faster of both, {first}"
    return {
        "windows": WINDOWS,
        "whole": WHOLE,
        "models": models,
        "requirement": requirement(what, REQUIRED, _times(models[first])),
    }


def _measure(architecture: str, cells: int) -> Result:
    import keras
    import numpy as np
    import tensorflow as tf

    from deepcpg_tf import saturation_mutagenesis
    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.genome.sequence import graph_one_hot
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

    progress(f"  {architecture}")
    keras.utils.set_random_seed(0)
    config = DeepCpgDnaConfig.from_architecture(architecture, num_labels=cells)
    model = DeepCpgDnaForSequencePrediction(config)
    rng = np.random.default_rng(0)
    length = config.sequence_length
    windows = rng.integers(0, 4, (WINDOWS, length), np.uint8)
    places, codes = _substitutions(windows[0], rng)
    substituted = np.repeat(windows[:1], len(places), axis=0)
    substituted[np.arange(len(places)), places] = codes
    compiled = tf.function(
        lambda rows: model(graph_one_hot(rows), training=False), jit_compile=True, autograph=False
    )

    def xla() -> None:
        for first in range(0, len(substituted), BATCH):
            compiled(tf.constant(substituted[first : first + BATCH])).numpy()

    def mutate(count: int) -> npt.NDArray[np.float32]:
        return saturation_mutagenesis(model, {"windows": windows[:count]}).values

    base, *found = model.predict_windows(np.concatenate([windows[:1], substituted]), "logits")
    letters = np.argsort([0, 3, 2, 1])[codes]  # of codes in the order A, C, G, T
    apart = np.abs(mutate(1)[0, places, letters] - (np.array(found) - base)).max()
    a_window = 3 * length
    result = alternate(
        {
            OURS: rate(WINDOWS * a_window, lambda: mutate(WINDOWS)),
            ONE: rate(a_window, lambda: mutate(1)),
            GRAPH: rate(WHOLE, lambda: model.predict_windows(substituted, "logits", BATCH)),
            XLA: rate(WHOLE, xla),
        },
        ROUNDS,
    )
    return {"cells": cells, "substitutions": a_window, "difference": float(apart), **result}


def _substitutions(
    window: npt.NDArray[np.uint8], rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return places and codes of other letters than are there."""
    import numpy as np

    places = rng.integers(0, len(window), WHOLE)
    return places, (window[places] + rng.integers(1, 4, WHOLE).astype(np.uint8)) % 4


def _times(found: Any) -> float:
    """Return how many times as fast ours is as the faster way with whole windows."""
    best = max((GRAPH, XLA), key=lambda name: float(found["rates"][name]["median"]))
    return float(found["ratios"][ratio_name(OURS, best)]["median"])


def report(result: Result) -> str:
    """Return the section of the report."""
    what = (
        "All three other letters in each place of windows of random letters, from codes in memory "
        f"to differences of logits in memory: what a substitution changes alone, of "
        f"{result['windows']} windows and of one, its comparison of a sample with whole windows "
        f"included; and whole windows, {BATCH} at a time, of which {result['whole']:,} of one "
        "window's substitutions are measured, and the time of all of them is in proportion. "
        "Differences are between the two, of differences of a logit."
    )
    tables = []
    for architecture, found in result["models"].items():
        rows = [
            (
                name,
                figure(rates),
                f"{number(found['substitutions'] / rates['median'])}",
                *(
                    figure(found["ratios"][ratio_name(name, to)]) if name in (OURS, ONE) else ""
                    for to in (GRAPH, XLA)
                ),
            )
            for name, rates in found["rates"].items()
        ]
        header = ("", "substitutions a second", "seconds a window", "times graph", "times XLA")
        title = (
            f"{architecture}, {found['cells']} cells; the largest difference is "
            f"{found['difference']:.1e}:"
        )
        tables.append(f"{title}\n\n{table(header, rows)}")
    tables_text = "\n\n".join(tables)
    return f"{prose(what)}\n\n{tables_text}\n\n{prose(in_words(result['requirement']))}\n"
