import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepcpg_tf import DeepCpgDnaForSequencePrediction
from deepcpg_tf.errors import OutputError, TrainingError
from deepcpg_tf.genome.sequence import one_hot
from deepcpg_tf.training import trainer
from deepcpg_tf.training.settings import TrainingSettings
from deepcpg_tf.training.step import make_strategy
from deepcpg_tf.training.trainer import Parts, train_model
from tests import tolerances
from tests.training.examples import LENGTH, ArrayExamples, config, motif_examples

NONE = np.array([], np.int64)


class Stop:
    """Progress that counts steps, and may end the training after some epochs."""

    def __init__(self, after=None):
        self.steps, self.lines, self.after = 0, [], after

    def begins(self, what, total, unit):
        epoch = int(what.removeprefix("epoch ").partition("/")[0])
        if epoch - 1 == self.after:
            raise KeyboardInterrupt

    def advances(self, units):
        self.steps += units

    def tells(self, line):
        self.lines.append(line)


def run(folder, examples, settings, *, validation=NONE, train_sites=None, progress=None):
    keras.utils.set_random_seed(settings.seed)
    strategy = make_strategy(settings.devices)
    with strategy.scope():
        model = DeepCpgDnaForSequencePrediction(config(len(examples.cells)))
    n = len(examples.labels(slice(None)))
    sites = np.setdiff1d(np.arange(n), validation) if train_sites is None else train_sites
    history = train_model(
        model,
        examples,
        Parts(sites, validation),
        settings,
        strategy,
        state=folder,
        progress=progress or Stop(),
    )
    return model, history.rows


def values(model):
    return [variable.numpy() for variable in model.variables]


# A gradient of the first convolution sums over a batch of 64 and the positions of a window.
TERMS = 64 * LENGTH

SHORT = TrainingSettings(epochs=4, batch_size=64, learning_rate=1e-3)


def test_resumed_training_ends_with_the_same_weights(tmp_path):
    examples = motif_examples()
    validation = np.arange(500, 600)
    whole, history = run(tmp_path / "whole", examples, SHORT, validation=validation)
    for stop in (0, 1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", examples, SHORT, validation=validation, progress=Stop(stop))
    told = Stop()
    resumed, again = run(tmp_path / "cut", examples, SHORT, validation=validation, progress=told)
    assert told.lines[0] == "going on with an unfinished run, after epoch 3"
    assert again == history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    for one, other in zip(values(whole), values(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_training_is_not_repeated(tmp_path):
    examples = motif_examples(100)
    _, history = run(tmp_path, examples, SHORT)
    progress = Stop()
    _, again = run(tmp_path, examples, SHORT, progress=progress)
    assert progress.steps == 0
    assert again == history


def test_the_order_of_variables_decides_nothing(tmp_path, monkeypatch):
    """Moments go back to the variables they are of, in whatever order Keras holds them."""
    examples = motif_examples(100)
    _, history = run(tmp_path / "whole", examples, SHORT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", examples, SHORT, progress=Stop(2))
    real = trainer._named
    monkeypatch.setattr(
        trainer, "_named", lambda *given: dict(reversed(list(real(*given).items())))
    )
    _, again = run(tmp_path / "cut", examples, SHORT)
    assert again == history


def test_a_damaged_state_is_told(tmp_path):
    examples = motif_examples(100)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, examples, SHORT, progress=Stop(1))
    state = tmp_path / "state.npz"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(OutputError, match=r"state.npz: expected the state of a training, but"):
        run(tmp_path, examples, SHORT)


def test_learns_the_rule(tmp_path):
    """The rule allows an AUC of 0.9: each label is flipped with probability 0.1."""
    examples = motif_examples(12_000, noise=0.1)
    validation = np.arange(10_000, 12_000)
    settings = TrainingSettings(epochs=5, batch_size=64, learning_rate=3e-3, l1=1e-5, l2=1e-5)
    _, history = run(tmp_path, examples, settings, validation=validation)
    assert max(row["validation_auc"] for row in history) > 0.88


def test_losses_equal_a_plain_restatement(tmp_path):
    """One epoch of one batch: the losses before and after, in NumPy from Keras' own outputs."""
    examples = motif_examples(60)
    settings = TrainingSettings(epochs=1, batch_size=64, l1=1e-3, l2=1e-2)
    keras.utils.set_random_seed(settings.seed)
    before = DeepCpgDnaForSequencePrediction(config(2))
    sites, validation = np.arange(40), np.arange(40, 60)
    after, (row,) = run(tmp_path, examples, settings, train_sites=sites, validation=validation)

    def loss(model, indices, weights):
        rows = one_hot(examples.windows(indices))
        p = 1 / (1 + np.exp(-model.predict(rows, verbose=0).astype(np.float64)))
        labels = examples.labels(indices)
        total = 0.0
        for cell in range(2):
            for label, probability in ((1, p), (0, 1 - p)):
                seen = labels[:, cell] == label
                total -= weights[cell, label] * np.log(probability[seen, cell]).sum()
        kernels = [v.numpy() for k, v in model.variables_by_name.items() if "kernel" in k]
        penalty = sum(1e-3 * np.abs(k).sum() + 1e-2 * (k**2).sum() for k in kernels[:-1])
        return total / len(indices) + penalty

    labels = examples.labels(sites)
    inverse = np.array([[1 / np.mean(c[c >= 0] == k) for k in (0, 1)] for c in labels.T])
    weights = inverse / inverse.sum(axis=1, keepdims=True)
    rel = tolerances.trained(TERMS, 1)
    assert row["loss"] == pytest.approx(loss(before, sites, weights), rel=rel)
    unweighted = np.ones((2, 2))
    assert row["validation_loss"] == pytest.approx(loss(after, validation, unweighted), rel=rel)


def test_two_devices_give_the_same_losses(tmp_path):
    examples = motif_examples(500)
    validation = np.arange(400, 500)
    histories = []
    for devices in (1, 2):
        settings = TrainingSettings(epochs=3, batch_size=64, learning_rate=1e-3, devices=devices)
        _, history = run(tmp_path / str(devices), examples, settings, validation=validation)
        histories.append(history)
    for one, two in zip(*histories, strict=True):
        rel = tolerances.trained(TERMS, 7 * one["epoch"])
        assert two["loss"] == pytest.approx(one["loss"], rel=rel)
        assert two["validation_loss"] == pytest.approx(one["validation_loss"], rel=rel)


def test_two_models_one_after_the_other_on_two_devices(tmp_path):
    """In one process, as in a notebook: what devices exchange is told apart by a number."""
    settings = TrainingSettings(epochs=1, batch_size=8, devices=2)
    for cells in (2, 3):
        _, history = run(tmp_path / str(cells), motif_examples(16, cells, missing=0), settings)
        assert len(history) == 1


def test_early_stopping_keeps_the_best_weights(tmp_path):
    examples = motif_examples(300)
    wrong = examples.labels(slice(None)).copy()
    wrong[200:] = np.where(wrong[200:] >= 0, 1 - wrong[200:], -1)
    examples = ArrayExamples(examples.windows(slice(None)), wrong)
    settings = TrainingSettings(
        epochs=40, batch_size=16, learning_rate=3e-3, patience=3, l1=0.0, l2=0.0
    )
    model, history = run(tmp_path, examples, settings, validation=np.arange(200, 300))
    losses = [row["validation_loss"] for row in history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 40
    rows = one_hot(examples.windows(np.arange(200, 300)))
    labels = wrong[200:]
    logits = model(rows).numpy()
    loss = np.where(labels >= 0, np.logaddexp(0, logits) - logits * (labels > 0), 0).sum() / 100
    assert loss == pytest.approx(losses[best], rel=tolerances.sums(TERMS))


@pytest.mark.parametrize(
    ("n", "cells", "settings"),
    [
        (20, 1, TrainingSettings(epochs=2, batch_size=8)),
        (5, 2, TrainingSettings(epochs=2, batch_size=64)),
    ],
    ids=["one cell", "a batch larger than the data"],
)
def test_small_data(tmp_path, n, cells, settings):
    _, history = run(tmp_path, motif_examples(n, cells, missing=0), settings)
    assert len(history) == 2
    assert all(math.isfinite(row["loss"]) for row in history)
    assert "validation_loss" not in history[0]


def test_filling_up_a_batch_changes_nothing(tmp_path):
    examples = motif_examples(5)
    keras.utils.set_random_seed(SHORT.seed)
    models, losses = [DeepCpgDnaForSequencePrediction(config(2))], []
    for size in (5, 64):
        settings = TrainingSettings(epochs=2, batch_size=size)
        model, history = run(tmp_path / str(size), examples, settings)
        models.append(model)
        losses.append(history[1]["loss"])
    start, one, other = (np.concatenate([v.ravel() for v in values(m)]) for m in models)
    assert np.linalg.norm(one - other) < tolerances.ADAM * np.linalg.norm(one - start)
    assert losses[0] == pytest.approx(losses[1], rel=tolerances.trained(TERMS, 2))


def test_a_cell_with_one_class_is_learnt_too(tmp_path):
    examples = motif_examples(200)
    labels = examples.labels(slice(None)).copy()
    labels[:, 1] = 1
    examples = ArrayExamples(examples.windows(slice(None)), labels)
    settings = TrainingSettings(epochs=5, batch_size=16, learning_rate=3e-3)
    model, history = run(tmp_path, examples, settings, validation=np.arange(150, 200))
    assert model.predict_windows(examples.windows(np.arange(20)))[:, 1].min() > 0.6
    assert math.isfinite(history[-1]["validation_auc"])


def test_no_labels(tmp_path):
    examples = motif_examples(20, missing=1.1)
    with pytest.raises(TrainingError, match="expected labels in the training part, found none"):
        run(tmp_path, examples, SHORT)


def test_divergence_is_told(tmp_path):
    settings = TrainingSettings(epochs=50, batch_size=16, learning_rate=1e30)
    with pytest.raises(
        TrainingError, match=r"step \d+: expected a finite loss, received (nan|inf)"
    ):
        run(tmp_path, motif_examples(200), settings)


def test_xla_gives_the_same_losses(tmp_path):
    examples = motif_examples(100)
    losses = []
    for jit in ("on", "off"):
        settings = TrainingSettings(epochs=2, batch_size=32, jit=jit)
        _, history = run(tmp_path / jit, examples, settings)
        losses.append(history[1]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=tolerances.trained(TERMS, 8))


def test_virtual_devices_are_there():
    assert len(tf.config.list_logical_devices("CPU")) == 2
