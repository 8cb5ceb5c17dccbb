"""The modules beside each other: training steps, reading neighbours, and scanning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
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
from benchmarks.scan import peak

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deepcpg_tf.configs.base import ModuleConfig
    from deepcpg_tf.data.examples import Data, Examples

TITLE = "DNA, CpG and Joint module"
BATCH, STEPS, ROUNDS = 128, 10, 5
SITES = 8000
DNA = "CnnL2h128"
CPG = ("RnnL1", "RnnL2")
JOINT = "CnnL2h128+RnnL1+JointL2h512"
READING = "reading neighbours"
LEAST_SHARE, LEAST_TIMES = 0.5, 20.0
_TRAINING_PASSES = 3  # forward, and of a product backward two more


def run() -> Result:
    """Measure."""
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    from deepcpg_tf.training.step import prepare_devices

    prepare_devices(1)
    with made_up.working_folder() as folder:
        progress("  making up a genome and a table")
        made_up.make_examples(folder)
        return _measure(folder)


def _measure(folder: Path) -> Result:
    from deepcpg_tf.data.opening import open_data
    from deepcpg_tf.workflows.beginning import Beginning

    genome = folder / "genome.fa"
    data = open_data([folder / "cells.h5ad"], genome)
    order = _order()
    configs = {
        name: Beginning(architecture=name).config(data, order) for name in (DNA, *CPG, JOINT)
    }
    examples = {name: data.examples(config) for name, config in configs.items()}
    macs = {name: _TRAINING_PASSES * of.num_macs / 1e9 for name, of in configs.items()}
    samples = BATCH * STEPS
    steps = {
        name: rate(samples, _steps(config, examples[name])) for name, config in configs.items()
    }
    reading = rate(samples, _reading(examples["RnnL1"]))
    training = alternate({**steps, READING: reading}, ROUNDS)
    scans = alternate(_scans(configs, data, genome), ROUNDS)
    share = min(
        training["ratios"][ratio_name(DNA, name)]["median"] ** -1 * macs[name] / macs[DNA]
        for name in CPG
    )
    times = 1 / training["ratios"][ratio_name(JOINT, READING)]["median"]
    return {
        "cells": made_up.CELLS,
        "neighbours": configs["RnnL1"].reads.named("state").shape[1],
        "gmac_of_a_sample": macs,
        "products_gmac_per_second": peak(),
        "training": training,
        "scan": scans,
        "gmac_of_a_site": {name: configs[name].num_macs / 1e9 for name in (DNA, JOINT)},
        "neighbours_times_step": times,
        "requirement": requirement(
            f"times what is required (a CpG module's step {LEAST_SHARE:.0%} of the "
            f"multiply-accumulates a second of the DNA module's, neighbours read {LEAST_TIMES:.0f} "
            "times as fast as the Joint module's step takes them)",
            1,
            min(share / LEAST_SHARE, times / LEAST_TIMES),
        ),
    }


def _order() -> npt.NDArray[np.int64]:
    """Return the sites of a pass: some of an epoch's."""
    import numpy as np

    from deepcpg_tf.data.dataset import epoch_order

    return epoch_order(np.arange(made_up.SITES), 0, 1)[: BATCH * STEPS]


def _steps(config: ModuleConfig, examples: Examples) -> Callable[[], Any]:
    """Return the function that takes steps of training, on batches that lie in memory."""
    import keras
    import tensorflow as tf

    from deepcpg_tf.data.dataset import make_dataset
    from deepcpg_tf.models.registry import new_model
    from deepcpg_tf.training.settings import TrainingSettings
    from deepcpg_tf.training.step import make_strategy, make_training_step

    settings = TrainingSettings(batch_size=BATCH)
    model = new_model(config)
    optimizer = keras.optimizers.Adam(settings.learning_rate)
    optimizer.build(model.trainable_variables)
    step = make_training_step(model, optimizer, settings, make_strategy(1), None)
    batches = list(make_dataset(examples, _order(), BATCH))

    def train() -> Any:
        for arrays, labels in batches:
            loss = step(arrays, labels, tf.constant(BATCH, tf.float32))
        return loss.numpy()

    return train


def _reading(examples: Examples) -> Callable[[], Any]:
    """Return the function that reads the neighbours of as many sites."""
    order = _order().reshape(STEPS, BATCH)

    def read() -> None:
        for indices in order:
            examples.arrays(indices)

    return read


def _scans(
    configs: Mapping[str, ModuleConfig], data: Data, genome: Path
) -> dict[str, Callable[[], float]]:
    """Return the functions that scan sites of a chromosome, from codes to logits in memory."""
    import numpy as np

    from deepcpg_tf import Genome
    from deepcpg_tf.data.neighbours import neighbours_of
    from deepcpg_tf.data.opening import TableData
    from deepcpg_tf.data.readers import SiteColumns
    from deepcpg_tf.models.registry import new_model
    from deepcpg_tf.scan.engine import ScanEngine

    assert isinstance(data, TableData)
    positions = data.positions[:SITES]
    chromosome = data.chromosomes[data.chromosome_ids[0]]
    sites = SiteColumns((chromosome,), np.zeros(SITES, np.int32), positions)
    codes = Genome(genome).codes(chromosome)
    scans = {}
    for name in (DNA, JOINT):
        engine = ScanEngine(new_model(configs[name]), neighbours_of(configs[name], data.table))
        scans[name] = rate(SITES, partial(engine.logits, codes, positions, sites))
    return scans


def report(result: Result) -> str:
    """Return the section of the report."""
    best = max(result["products_gmac_per_second"].values())
    rates, scans = result["training"]["rates"], result["scan"]
    steps = [
        (name, f"{gmac:.3f}", figure(rates[name]), number(rates[name]["median"] * gmac))
        for name, gmac in result["gmac_of_a_sample"].items()
    ]
    steps.append((READING, "", figure(rates[READING]), ""))
    what = (
        f"{result['cells']} cells, of which {result['neighbours']} neighbours are read each. A "
        f"round is {STEPS} steps of Adam, as `deepcpg-tf train` takes them, on batches of {BATCH} "
        "that lie in memory. Multiply-accumulates are those of matrix products and convolutions, "
        "forward and twice that backward. Neighbours are read as in training, by one thread: "
        f"{number(result['neighbours_times_step'])} times as fast as the step of the Joint module "
        "takes them."
    )
    scanned = [
        (
            name,
            figure(scans["rates"][name]),
            f"{scans['rates'][name]['median'] * gmac / best:.0%}",
        )
        for name, gmac in result["gmac_of_a_site"].items()
    ]
    how = (
        f"A scan of {SITES:,} sites, 100 bases apart on average, from codes in memory to logits in "
        "memory. The Joint module reads the neighbours of a table and has the DNA module's trunk "
        "shared as well. The share of the limit is that of the multiply-accumulates that single "
        "windows would take, in those of the fastest large product of matrices here "
        f"({number(best)} billion a second)."
    )
    slower = figure(scans["ratios"][ratio_name(DNA, JOINT)])
    training = table(("", "GMAC of a sample", "samples a second", "GMAC a second"), steps)
    scan = table(("scan", "sites a second", "of the limit"), scanned)
    return (
        f"{prose(what)}\n\n{training}\n\n{prose(how)}\n\n{scan}\n\n"
        f"The DNA module alone is {slower} times as fast.\n\n{in_words(result['requirement'])}\n"
    )
