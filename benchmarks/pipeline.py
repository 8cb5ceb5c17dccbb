"""The `tf.data` pipeline alone: windows a second, against what a training step takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from benchmarks import made_up
from benchmarks.common import (
    Result,
    alternate,
    figure,
    in_words,
    progress,
    prose,
    rate,
    ratio_name,
    requirement,
    table,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Examples

TITLE = "The input pipeline"
ARCHITECTURE, BATCH, BATCHES, STEPS, ROUNDS = "CnnL2h128", 128, 400, 10, 7
REQUIRED = 20  # times what the training step takes
CODES, ONE_HOT, STEP = "pipeline", "pipeline and one-hot", "training step"


def run() -> Result:
    """Measure."""
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    from deepcpg_tf.training.step import prepare_devices

    prepare_devices(1)
    with made_up.working_folder() as folder:
        progress("  making up a genome and a table")
        result = _measure(made_up.make_examples(folder))
    reached = result["ratios"][ratio_name(ONE_HOT, STEP)]["median"]
    return {
        "architecture": ARCHITECTURE,
        "batch_size": BATCH,
        "windows": BATCH * BATCHES,
        "genome_megabases": len(made_up.CHROMOSOMES) * made_up.BASES / 1e6,
        "sites": made_up.SITES,
        "cells": made_up.CELLS,
        **result,
        "requirement": requirement("times what a training step takes", REQUIRED, reached),
    }


def _measure(examples: Examples) -> Result:
    import keras
    import numpy as np
    import tensorflow as tf

    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.data.dataset import epoch_order, make_dataset
    from deepcpg_tf.genome.sequence import graph_one_hot
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction
    from deepcpg_tf.training.settings import TrainingSettings
    from deepcpg_tf.training.step import make_strategy, make_training_step

    everything = np.arange(made_up.SITES)
    epochs: Iterator[int] = iter(range(1, made_up.SITES))

    def dataset(batches: int) -> tf.data.Dataset:
        """Return the first batches of another epoch: sites at random, never the same."""
        order = epoch_order(everything, 0, next(epochs))[: batches * BATCH]
        return make_dataset(examples, order, BATCH)

    one_hot = tf.function(graph_one_hot)
    settings = TrainingSettings(batch_size=BATCH)
    model = DeepCpgDnaForSequencePrediction(
        DeepCpgDnaConfig.from_architecture(ARCHITECTURE, cells=examples.cells)
    )
    optimizer = keras.optimizers.Adam(settings.learning_rate)
    optimizer.build(model.trainable_variables)
    weights = np.ones((made_up.CELLS, 2), np.float32)
    step = make_training_step(model, optimizer, settings, make_strategy(1), weights)
    in_memory = [*dataset(STEPS)]

    def codes() -> None:
        for _ in dataset(BATCHES):
            pass

    def one_hot_rows() -> None:
        for arrays, _ in dataset(BATCHES):
            one_hot(arrays["windows"])

    def train() -> Any:
        for arrays, labels in in_memory:
            loss = step(arrays, labels, tf.constant(BATCH, tf.float32))
        return loss.numpy()

    return alternate(
        {
            CODES: rate(BATCH * BATCHES, codes),
            ONE_HOT: rate(BATCH * BATCHES, one_hot_rows),
            STEP: rate(BATCH * STEPS, train),
        },
        ROUNDS,
    )


def report(result: Result) -> str:
    """Return the section of the report."""
    ratios = result["ratios"]
    times = {name: figure(ratios[ratio_name(name, STEP)]) for name in (CODES, ONE_HOT)}
    rows = [(name, figure(rates), times.get(name, "1")) for name, rates in result["rates"].items()]
    what = (
        f"{result['windows']:,} windows a round, in batches of {result['batch_size']}, at sites in "
        f"random order: windows are cut from a made-up genome of {result['genome_megabases']:g} "
        f"megabases, labels are taken from a table of {result['sites']:,} sites in "
        f"{result['cells']} cells. Each round is a new epoch, whose start is counted. The one-hot "
        "rows are made in a TensorFlow graph, as the training step makes them. The training step "
        f"is that of {result['architecture']} and has its batches in memory, so that it takes all "
        "it can."
    )
    return f"""\
{prose(what)}

{table(("", "windows a second", "times the training step"), rows)}

{in_words(result["requirement"])}
"""
