"""Training: samples a second, ours against MultiMolecule's model in PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import made_up
from benchmarks.common import (
    Result,
    alternate,
    figure,
    number,
    progress,
    prose,
    rate,
    ratio_name,
    table,
)
from benchmarks.peer import Peer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf

    from deepcpg_tf.data.examples import Examples
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction
    from deepcpg_tf.training.settings import TrainingSettings

TITLE = "Training"
ARCHITECTURE, BATCH, STEPS, ROUNDS = "CnnL2h128", 128, 20, 7
AIM = 5  # times as fast as the peer
OURS, FIT, EAGER, COMPILED = "ours", "ours with fit", "peer", "peer compiled"


def run() -> Result:
    """Measure."""
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    from deepcpg_tf.training.settings import TrainingSettings
    from deepcpg_tf.training.step import prepare_devices

    prepare_devices(1)
    # The peer has the loss alone: no weights of classes, L1 or L2.
    settings = TrainingSettings(batch_size=BATCH, class_weights=False, l1=0, l2=0)
    with made_up.working_folder() as folder:
        progress("  making up a genome and a table")
        examples = made_up.make_examples(folder)
        batches = _write_batches(folder / "batches.npz", examples, settings)
        with Peer("peer_training.py", batches, settings.learning_rate) as peer:
            return _measure(examples, settings, peer)


def _measure(examples: Examples, settings: TrainingSettings, peer: Peer) -> Result:
    samples = BATCH * STEPS
    ours, fitted = _make_model(examples), _make_model(examples)
    contenders = {
        OURS: rate(samples, _our_pass(ours, examples, settings)),
        FIT: rate(samples, _fit_pass(fitted, examples, settings)),
        EAGER: lambda: samples / peer.seconds(train="eager"),
    }
    compiling = "works"
    try:
        progress("  compiling the peer")
        peer.seconds(train="compiled")
        contenders[COMPILED] = lambda: samples / peer.seconds(train="compiled")
    except RuntimeError as error:
        compiling = str(error)
    result = alternate(contenders, ROUNDS)
    rates = result["rates"]
    best = max({EAGER, COMPILED} & rates.keys(), key=lambda name: float(rates[name]["median"]))
    return {
        "architecture": ARCHITECTURE,
        "parameters": ours.count_params(),
        "batch_size": BATCH,
        "steps": STEPS,
        "cells": made_up.CELLS,
        "share_observed": made_up.OBSERVED,
        "cores": os.cpu_count(),
        "peer": {**peer.about, "compiling": compiling},
        **result,
        "best_of_peer": best,
        "aim": AIM,
        "reached": result["ratios"][ratio_name(OURS, best)]["median"],
    }


def _order(seed: int) -> npt.NDArray[np.int64]:
    """Return the sites of a pass, the same for all: some of an epoch's."""
    import numpy as np

    from deepcpg_tf.data.dataset import epoch_order

    return epoch_order(np.arange(made_up.SITES), seed, 1)[: BATCH * STEPS]


def _write_batches(path: Path, examples: Examples, settings: TrainingSettings) -> Path:
    """Write what the peer trains on, as its tokens: A, C, G, T, N are 0 to 4."""
    import numpy as np

    from deepcpg_tf.genome.sequence import LETTERS

    order = _order(settings.seed)
    token_of_code = np.array(["ACGTN".index(letter) for letter in LETTERS], np.uint8)
    np.savez(
        path,
        tokens=token_of_code[examples.arrays(order)["windows"]].reshape(STEPS, BATCH, -1),
        labels=examples.labels(order).reshape(STEPS, BATCH, -1),
    )
    return path


def _make_model(examples: Examples) -> DeepCpgDnaForSequencePrediction:
    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

    config = DeepCpgDnaConfig.from_architecture(ARCHITECTURE, cells=examples.cells)
    return DeepCpgDnaForSequencePrediction(config)


def _our_pass(
    model: DeepCpgDnaForSequencePrediction, examples: Examples, settings: TrainingSettings
) -> Callable[[], Any]:
    """Return the function that trains as `deepcpg_tf.training.trainer` does in an epoch."""
    import keras
    import tensorflow as tf

    from deepcpg_tf.data.dataset import make_dataset
    from deepcpg_tf.training.step import make_strategy, make_training_step

    optimizer = keras.optimizers.Adam(settings.learning_rate)
    optimizer.build(model.trainable_variables)
    step = make_training_step(model, optimizer, settings, make_strategy(1), None)

    def train() -> Any:
        for arrays, labels in make_dataset(examples, _order(settings.seed), BATCH):
            loss = step(arrays, labels, tf.constant(BATCH, tf.float32))
        return loss.numpy()

    return train


def _fit_pass(
    model: DeepCpgDnaForSequencePrediction, examples: Examples, settings: TrainingSettings
) -> Callable[[], Any]:
    """Return the function that trains with the same pipeline and loss in Keras' own loop."""
    import keras

    from deepcpg_tf.data.dataset import make_dataset
    from deepcpg_tf.training.loss import masked_cross_entropy

    def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return masked_cross_entropy(labels, logits) / BATCH

    def to_rows(arrays: dict[str, tf.Tensor], labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return model.encode(arrays), labels

    model.compile(keras.optimizers.Adam(settings.learning_rate), loss)

    def train() -> Any:
        dataset = make_dataset(examples, _order(settings.seed), BATCH).map(to_rows)
        return model.fit(dataset, shuffle=False, verbose=0)

    return train


def report(result: Result) -> str:
    """Return the section of the report."""
    ratios, best, peer = result["ratios"], result["best_of_peer"], result["peer"]
    rows = [
        (name, figure(rates), "" if name == OURS else figure(ratios[ratio_name(OURS, name)]))
        for name, rates in result["rates"].items()
    ]
    compiling = "" if peer["compiling"] == "works" else f" It failed: `{peer['compiling']}`."
    paragraphs = (
        f"{result['architecture']} for {result['cells']} cells in float32, on {result['cores']} "
        f"cores (PyTorch: {peer['threads']} threads). A round is {result['steps']} steps of Adam "
        f"on batches of {result['batch_size']}, the same windows of 1001 bases and the same labels "
        f"for all; {result['share_observed']:.0%} of the labels are there, the others are missing. "
        "The loss is the binary cross-entropy of the labels that are there, summed and divided by "
        "the batch size; on no side are classes weighted or kernels regularised.",
        "",
        "- **ours**: the step of `deepcpg-tf train`, fed by its `tf.data` pipeline. What prepares "
        "the input is counted: starting the pipeline, cutting windows from the genome, looking up "
        "labels, one-hot rows.",
        "- **ours with fit**: the same pipeline and loss in Keras' `fit`.",
        f"- **peer**: MultiMolecule {peer['multimolecule']}'s `DeepCpgDnaForSequencePrediction` in "
        f"train mode on PyTorch {peer['torch']}, in an environment and a process of its own. Its "
        "token ids, labels and masks lie in memory before the clock starts, which is to its "
        "favour; its model makes the one-hot rows. Its configuration is its own default: "
        f"{peer['channels']} channels, the last for N, so {peer['parameters']:,} parameters to the "
        f"{result['parameters']:,} of ours with 4.",
        "- **peer compiled**: the same through `torch.compile`; compiling is not counted."
        + compiling,
    )
    text = "\n".join(map(prose, paragraphs))
    reached = f"ours is {number(result['reached'])} times as fast; the aim is {result['aim']}."
    return f"""\
{text}

{table(("", "samples a second", "ours is so many times as fast"), rows)}

Of the peer's two, *{best}* is the better one: {reached}
Beside other work on the same cores PyTorch loses more than TensorFlow does: measure on an idle
machine.

The peer is installed once into `benchmarks/.peer`. Where pip finds PyTorch for GPUs first, the
variable `PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu` makes it take the smaller one.
"""
