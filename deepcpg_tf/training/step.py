"""The compiled steps of training and validation, on one device or several."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.errors import ConfigError
from deepcpg_tf.genome.sequence import graph_one_hot
from deepcpg_tf.training.loss import masked_cross_entropy, regularisation
from deepcpg_tf.training.settings import TrainingSettings

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

# What tf.function returns; TensorFlow has no types.
Function = Callable[..., Any]


def prepare_devices(devices: int) -> None:
    """Make TensorFlow give the same sums every time, and enough devices of its CPU.

    It must come before TensorFlow computes anything; after that, it does nothing.
    Operations that run side by side add up gradients in the order in which they
    finish, so they run one after the other (each on all cores, at the same speed).
    """
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_inter_op_parallelism_threads(1)
        if tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
        elif devices > 1:
            (cpu,) = tf.config.list_physical_devices("CPU")
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration()] * devices
            )


def make_strategy(devices: int) -> tf.distribute.Strategy:
    """Return how variables live on the given number of GPUs, or CPUs where none is.

    Raises
    ------
    ConfigError
        When there are fewer devices.
    """
    if devices == 1:
        return tf.distribute.get_strategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    found = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(found) < devices:
        raise ConfigError(
            f"devices: expected at most the {len(found)} {kind}s here, asked {devices}"
        )
    return tf.distribute.MirroredStrategy(found[:devices])


def make_training_step(
    model: DeepCpgDnaForSequencePrediction,
    optimizer: keras.optimizers.Optimizer,
    settings: TrainingSettings,
    strategy: tf.distribute.Strategy,
    class_weights: npt.NDArray[np.float32] | None,
) -> Function:
    """Return the function that makes one step.

    It takes windows (uint8 [batch, length]), labels (int8 [batch, cells]) and the
    number of sites among them that are no filling, and returns the loss (float32):
    the original's, with regularisation.
    """
    replicas = strategy.num_replicas_in_sync
    rows = settings.batch_size // replicas
    weights = None if class_weights is None else tf.constant(class_weights)
    variables = model.trainable_variables
    jit = settings.jit == "on" or (
        settings.jit == "auto" and bool(tf.config.list_physical_devices("GPU"))
    )

    @tf.function(jit_compile=jit)
    def gradients(
        windows: tf.Tensor, labels: tf.Tensor, sites: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(graph_one_hot(windows, model.config.vocab_size), training=True)
            loss = masked_cross_entropy(labels, logits, weights) / sites
            # Gradients are summed over the replicas, each of which has all kernels.
            loss += regularisation(model, settings.l1, settings.l2) / replicas
        return tape.gradient(loss, variables), loss

    def on_replica(windows: tf.Tensor, labels: tf.Tensor, sites: tf.Tensor) -> tf.Tensor:
        first = tf.distribute.get_replica_context().replica_id_in_sync_group * rows
        own = (windows[first : first + rows], labels[first : first + rows])
        slopes, loss = gradients(*own, sites)
        optimizer.apply_gradients(zip(slopes, variables, strict=True))
        return loss

    @tf.function
    def step(windows: tf.Tensor, labels: tf.Tensor, sites: tf.Tensor) -> tf.Tensor:
        losses = strategy.run(on_replica, (windows, labels, sites))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return step


def make_validation_step(model: DeepCpgDnaForSequencePrediction) -> Function:
    """Return the function from windows and labels to the summed loss and probabilities."""

    @tf.function
    def step(windows: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(graph_one_hot(windows, model.config.vocab_size), training=False)
        return masked_cross_entropy(labels, logits), tf.sigmoid(logits)

    return step
