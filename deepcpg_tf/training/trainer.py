"""The loop over epochs: training, validation, early stopping, and resuming."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.data.dataset import epoch_order, make_dataset
from deepcpg_tf.data.examples import Examples
from deepcpg_tf.errors import TrainingError
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.training.loss import class_weights, regularisation
from deepcpg_tf.training.metrics import StreamingAuc
from deepcpg_tf.training.settings import TrainingSettings
from deepcpg_tf.training.state import Arrays, Row, State, load_state, save_state
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


class History(NamedTuple):
    """How a training went.

    ``rows`` has one an epoch: ``epoch``, ``learning_rate``, ``loss`` and, with
    validation, ``validation_loss`` and, of cells, ``validation_auc``. Losses are with
    regularisation, as the original's; the validation loss is without class weights.
    ``kept`` is the row of the epoch whose weights the model has. ``classes`` are the
    unmethylated and methylated labels of each cell at the sites to train on.
    """

    rows: list[Row]
    kept: Row
    classes: list[list[int]]


def train_model(
    model: MethylationModel,
    examples: Examples,
    parts: Parts,
    settings: TrainingSettings,
    strategy: tf.distribute.Strategy,
    *,
    state: Path,
    progress: Progress = SILENT,
    on_epoch: Callable[[Row], object] = lambda row: None,
) -> History:
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
        Folder for the state after each epoch, owned by this training.
    progress
        Who is told.
    on_epoch
        Called with each row of the history.

    Raises
    ------
    TrainingError
        When no label is there to train on, or the loss is not finite.
    OutputError
        When the state in the folder is damaged.
    """
    counts = _count_classes(examples, parts.train, model.config)
    if not counts.labels:
        raise TrainingError("expected labels in the training part, found none")
    with strategy.scope():
        optimizer = keras.optimizers.Adam(settings.learning_rate)
        optimizer.build(model.trainable_variables)
    weights, balances = None, [None for _ in counts.outputs]
    if settings.class_weights:
        weights = class_weights(counts.cells)
        balances = [None if one is None else class_weights(one[None])[0] for one in counts.outputs]
    step = make_training_step(model, optimizer, settings, strategy, weights, balances)
    validate = make_validation_step(model)
    everything = _named(model, optimizer)
    reached = load_state(state) or State.start(_values(everything))
    _assign(everything, reached.variables)
    if reached.history:
        progress.tells(f"going on with an unfinished run, after epoch {len(reached.history)}")
    while not _finished(reached, settings):
        epoch = len(reached.history) + 1
        rate = settings.learning_rate * settings.decay ** (epoch - 1)
        optimizer.learning_rate.assign(rate)
        order = epoch_order(parts.train, settings.seed, epoch)
        title = f"epoch {epoch}/{settings.epochs}"
        progress.begins(title, -(-len(order) // settings.batch_size), "steps")
        row: Row = {"epoch": epoch, "learning_rate": rate}
        row["loss"] = _train_epoch(step, examples, order, settings, progress)
        if len(parts.validation):
            row |= _validate(model, validate, examples, parts.validation, settings)
        reached = _advance(reached, row, model, everything)
        save_state(state, reached)
        progress.tells(f"{title}  {_figures(row)}")
        on_epoch(row)
    if reached.best:
        _assign(model.state_by_name, reached.best)
    return History(reached.history, reached.kept_row, counts.cells.tolist())


def _figures(row: Row) -> str:
    shown = ("loss", "validation_loss", "validation_auc")
    return "  ".join(f"{name.replace('_', ' ')} {row[name]:.4f}" for name in shown if name in row)


class _Counts(NamedTuple):
    """Labels of each class: of each cell [cells, 2], and of each other output that has classes.

    ``labels`` is how many there are of anything.
    """

    cells: Indices
    outputs: list[Indices | None]
    labels: int


def _count_classes(examples: Examples, indices: Indices, config: ModuleConfig) -> _Counts:
    cells = np.zeros((len(config.cells), 2), np.int64)
    kinds = [one.kind for one in config.other_outputs]
    outputs = [np.zeros(kind.classes, np.int64) if kind.classes else None for kind in kinds]
    labels_seen = 0
    for start in range(0, len(indices), 1 << 17):
        labels = examples.labels(indices[start : start + (1 << 17)])
        own, targets = labels[:, : len(cells)], labels[:, len(cells) :]
        cells += np.stack([(own == 0).sum(axis=0), (own == 1).sum(axis=0)], axis=1)
        for one, column in zip(outputs, targets.T, strict=True):
            if one is not None:
                one += np.bincount(column[column >= 0].astype(np.int64), minlength=len(one))
        labels_seen += int(np.count_nonzero(labels >= 0))
    return _Counts(cells, outputs, labels_seen)


def _train_epoch(
    step: Any, examples: Examples, order: Indices, settings: TrainingSettings, progress: Progress
) -> float:
    """Return the mean loss over the sites."""
    total = tf.Variable(0.0, dtype=tf.float64)
    size = settings.batch_size
    for number, (arrays, labels) in enumerate(make_dataset(examples, order, size)):
        sites = min(size, len(order) - number * size)
        loss = step(arrays, labels, tf.constant(sites, tf.float32))
        total.assign_add(tf.cast(loss, tf.float64) * sites)
        progress.advances(1)
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
    cells = len(model.cells)
    auc = StreamingAuc(cells)
    total = 0.0
    for arrays, labels in make_dataset(examples, indices, settings.batch_size):
        loss, probabilities = step(arrays, labels)
        total += float(loss)
        auc.update(labels.numpy()[:, :cells].astype(np.int8, copy=False), probabilities.numpy())
    penalty = float(regularisation(model, settings.l1, settings.l2))
    figures = {"validation_loss": total / len(indices) + penalty}
    return figures | ({"validation_auc": auc.result()} if cells else {})


def _advance(
    reached: State,
    row: Row,
    model: MethylationModel,
    everything: Mapping[str, keras.Variable],
) -> State:
    kept, best = reached.kept, reached.best
    if row.get("validation_loss", math.inf) < reached.best_loss:
        kept, best = int(row["epoch"]), _values(model.state_by_name)
    elif "validation_loss" not in row:
        kept = int(row["epoch"])
    return State([*reached.history, row], kept, _values(everything), best)


def _finished(reached: State, settings: TrainingSettings) -> bool:
    has_validation = math.isfinite(reached.best_loss)
    stopped = has_validation and reached.waited >= settings.patience
    return stopped or len(reached.history) >= settings.epochs


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
