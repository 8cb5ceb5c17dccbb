"""The loop over epochs: training, validation, early stopping, and resuming."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.data.dataset import epoch_order, make_dataset
from deepcpg_tf.data.examples import Examples
from deepcpg_tf.errors import TrainingError
from deepcpg_tf.training.loss import class_weights, regularisation
from deepcpg_tf.training.metrics import StreamingAuc
from deepcpg_tf.training.settings import TrainingSettings
from deepcpg_tf.training.state import Arrays, Progress, load_progress, save_progress
from deepcpg_tf.training.step import make_training_step, make_validation_step

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

Indices = npt.NDArray[np.int64]

# How often the loss is looked at: each look waits for the device.
_STEPS_BETWEEN_LOOKS = 50


class Parts(NamedTuple):
    """The sites to train on and, possibly none, to validate on."""

    train: Indices
    validation: Indices


class Watcher(Protocol):
    """Who is told how a training goes."""

    def epoch_starts(self, epoch: int, steps: int) -> None:
        """Take notice of an epoch, counted from 1, and its number of steps."""

    def step_ends(self) -> None:
        """Take notice of a step."""

    def epoch_ends(self, row: Mapping[str, float]) -> None:
        """Take notice of an epoch's row of the history."""


def train(
    model: MethylationModel,
    examples: Examples,
    parts: Parts,
    settings: TrainingSettings,
    strategy: tf.distribute.Strategy,
    *,
    state: Path,
    identity: Mapping[str, Any],
    watcher: Watcher,
) -> list[dict[str, float]]:
    """Train a model in place, going on where an earlier call was cut off.

    The weights kept are those with the smallest validation loss; without validation
    sites there is no early stopping, and the last weights are kept.

    Parameters
    ----------
    model
        The model, made within the scope of `strategy`.
    examples
        Arrays and labels; its cells are the model's.
    parts
        The sites to train and validate on.
    settings
        How to train.
    strategy
        As `deepcpg_tf.training.step.make_strategy` returns it.
    state
        Folder for the state after each epoch.
    identity
        What decides about the result; a state of another identity is refused.
    watcher
        Who is told.

    Returns
    -------
    list of dict
        A row an epoch: ``epoch``, ``learning_rate``, ``loss`` and, with validation,
        ``validation_loss`` and ``validation_auc``. Losses are with regularisation,
        as the original's; the validation loss is without class weights.

    Raises
    ------
    TrainingError
        When no label is there to train on, or the loss is not finite.
    OutputError
        When an unfinished training of another identity is in `state`.
    """
    counts = _count_classes(examples, parts.train)
    if not counts.sum():
        raise TrainingError("expected labels in the training part, found none")
    with strategy.scope():
        optimizer = keras.optimizers.Adam(settings.learning_rate)
        optimizer.build(model.trainable_variables)
    weights = class_weights(counts) if settings.class_weights else None
    step = make_training_step(model, optimizer, settings, strategy, weights)
    validate = make_validation_step(model)
    everything = _named(model, optimizer)
    progress = load_progress(state, identity) or Progress.start(_values(everything))
    _assign(everything, progress.variables)
    while not _finished(progress, settings):
        epoch = len(progress.history) + 1
        rate = settings.learning_rate * settings.decay ** (epoch - 1)
        optimizer.learning_rate.assign(rate)
        order = epoch_order(parts.train, settings.seed, epoch)
        watcher.epoch_starts(epoch, -(-len(order) // settings.batch_size))
        row = {"epoch": epoch, "learning_rate": rate}
        row["loss"] = _train_epoch(step, examples, order, settings, watcher)
        if len(parts.validation):
            row |= _validate(model, validate, examples, parts.validation, settings)
        progress = _advance(progress, row, model, everything)
        save_progress(state, progress, identity)
        watcher.epoch_ends(row)
    if progress.best:
        _assign(model.state_by_name, progress.best)
    return progress.history


def _count_classes(examples: Examples, indices: Indices) -> npt.NDArray[np.int64]:
    counts = np.zeros((len(examples.cells), 2), np.int64)
    for start in range(0, len(indices), 1 << 17):
        labels = examples.labels(indices[start : start + (1 << 17)])
        counts += np.stack([(labels == 0).sum(axis=0), (labels == 1).sum(axis=0)], axis=1)
    return counts


def _train_epoch(
    step: Any, examples: Examples, order: Indices, settings: TrainingSettings, watcher: Watcher
) -> float:
    """Return the mean loss over the sites."""
    total = tf.Variable(0.0, dtype=tf.float64)
    size = settings.batch_size
    for number, (arrays, labels) in enumerate(make_dataset(examples, order, size)):
        sites = min(size, len(order) - number * size)
        loss = step(arrays, labels, tf.constant(sites, tf.float32))
        total.assign_add(tf.cast(loss, tf.float64) * sites)
        watcher.step_ends()
        if number % _STEPS_BETWEEN_LOOKS == 0:
            _check_finite(float(loss), number + 1)
    mean = float(total) / len(order)
    _check_finite(mean, number + 1)
    return mean


def _check_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"step {step}: expected a finite loss, received {loss}: the training diverged; "
            "a smaller learning rate usually helps"
        )


def _validate(
    model: MethylationModel,
    step: Any,
    examples: Examples,
    indices: Indices,
    settings: TrainingSettings,
) -> dict[str, float]:
    auc = StreamingAuc(len(examples.cells))
    total = 0.0
    for arrays, labels in make_dataset(examples, indices, settings.batch_size):
        loss, probabilities = step(arrays, labels)
        total += float(loss)
        auc.update(labels.numpy(), probabilities.numpy())
    penalty = float(regularisation(model, settings.l1, settings.l2))
    return {
        "validation_loss": total / len(indices) + penalty,
        "validation_auc": auc.result(),
    }


def _advance(
    progress: Progress,
    row: dict[str, float],
    model: MethylationModel,
    everything: Mapping[str, keras.Variable],
) -> Progress:
    best_loss, waited, best = progress.best_loss, progress.waited + 1, progress.best
    if row.get("validation_loss", math.inf) < best_loss:
        best_loss, waited, best = row["validation_loss"], 0, _values(model.state_by_name)
    return Progress([*progress.history, row], best_loss, waited, _values(everything), best)


def _finished(progress: Progress, settings: TrainingSettings) -> bool:
    has_validation = math.isfinite(progress.best_loss)
    stopped = has_validation and progress.waited >= settings.patience
    return stopped or len(progress.history) >= settings.epochs


def _named(
    model: MethylationModel, optimizer: keras.optimizers.Optimizer
) -> dict[str, keras.Variable]:
    """Return the variables of model and optimizer by name.

    Without the name of the optimizer itself, which Keras numbers within a process.
    """
    result = {f"model/{name}": variable for name, variable in model.state_by_name.items()}
    for variable in optimizer.variables:
        result[f"optimizer/{variable.path.partition('/')[2]}"] = variable
    if len(result) != len(model.variables) + len(optimizer.variables):
        raise AssertionError(f"variables share names: {', '.join(result)}")
    return result


def _values(variables: Mapping[str, keras.Variable]) -> Arrays:
    return {name: variable.numpy() for name, variable in variables.items()}


def _assign(variables: Mapping[str, keras.Variable], values: Arrays) -> None:
    if variables.keys() != values.keys():
        other = ", ".join(sorted(variables.keys() ^ values.keys()))
        raise TrainingError(f"the state of the training has other variables: {other}")
    for name, variable in variables.items():
        variable.assign(values[name])
