"""The compiled steps of training and validation, on one device or several."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.errors import ConfigError
from deepcpg_tf.training.loss import regularisation, total_loss
from deepcpg_tf.training.settings import TrainingSettings

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel, Tensors

# What tf.function returns; TensorFlow has no types.
Function = Callable[..., Any]


def prepare_devices(devices: int) -> None:
    """Make TensorFlow give the same sums every time, and enough devices of its CPU.

    Operations that run side by side add up gradients in the order in which they
    finish, so they run one after the other (each on all cores, at the same speed).
    It must come before TensorFlow computes anything. After that it changes nothing: what
    is lost then of being repeatable is a warning, and too few devices are an error of
    `make_strategy`.
    """
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
    if tf.config.threading.get_inter_op_parallelism_threads() != 1:
        try:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            warnings.warn(
                "TensorFlow computed before the training began, and cannot be told any more to "
                "add up in a fixed order: the same training will give the same weights only to "
                "rounding; begin with the training in a new process, or call "
                "tf.config.threading.set_inter_op_parallelism_threads(1) first",
                stacklevel=2,
            )
    cpus = tf.config.list_physical_devices("CPU")
    if devices > 1 and not tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # `make_strategy` counts them
            tf.config.set_logical_device_configuration(
                cpus[0], [tf.config.LogicalDeviceConfiguration()] * devices
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
        cause = "" if kind == "GPU" else " (more must be asked for before TensorFlow computes)"
        raise ConfigError(
            f"devices: expected at most the {len(found)} {kind}s here{cause}, received {devices}"
        )
    return _mirrored(tuple(found[:devices]))


@cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Return the one strategy of some devices.

    It numbers what they exchange. A second one would begin anew, and TensorFlow take what a
    model exchanges for what another one did, of another shape.
    """
    return tf.distribute.MirroredStrategy(devices)


def make_training_step(
    model: MethylationModel,
    optimizer: keras.optimizers.Optimizer,
    settings: TrainingSettings,
    strategy: tf.distribute.Strategy,
    class_weights: npt.NDArray[np.float32] | None,
    output_weights: Sequence[npt.NDArray[np.float32] | None] = (),
) -> Function:
    """Return the function that makes one step.

    It takes arrays [batch, ...] as the model reads them, labels (int8 [batch, cells]; with
    targets of other outputs float32 [batch, cells + outputs]) and the number of sites among
    them that are no filling, and returns the loss (float32): the original's, with
    regularisation.
    """
    replicas = strategy.num_replicas_in_sync
    rows = settings.batch_size // replicas
    weights = None if class_weights is None else tf.constant(class_weights)
    balances = [None if one is None else tf.constant(one) for one in output_weights]
    variables = model.trainable_variables
    jit = settings.jit == "on" or (
        settings.jit == "auto" and bool(tf.config.list_physical_devices("GPU"))
    )

    @tf.function(jit_compile=jit)
    def gradients(
        arrays: Tensors, labels: tf.Tensor, sites: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(model.encode(arrays), training=True)
            loss = total_loss(labels, logits, model.config, weights, balances) / sites
            # Gradients are summed over the replicas, each of which has all kernels.
            loss += regularisation(model, settings.l1, settings.l2) / replicas
        return tape.gradient(loss, variables), loss

    def on_replica(arrays: Tensors, labels: tf.Tensor, sites: tf.Tensor) -> tf.Tensor:
        first = tf.distribute.get_replica_context().replica_id_in_sync_group * rows
        own = {name: array[first : first + rows] for name, array in arrays.items()}
        slopes, loss = gradients(own, labels[first : first + rows], sites)
        optimizer.apply_gradients(zip(slopes, variables, strict=True))
        return loss

    @tf.function
    def step(arrays: Tensors, labels: tf.Tensor, sites: tf.Tensor) -> tf.Tensor:
        losses = strategy.run(on_replica, (arrays, labels, sites))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return step


def make_validation_step(model: MethylationModel) -> Function:
    """Return the function from arrays and labels to the summed loss and cells' probabilities."""

    @tf.function
    def step(arrays: Tensors, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(model.encode(arrays), training=False)
        cells = logits if not model.config.outputs else logits[:, : len(model.cells)]
        return total_loss(labels, logits, model.config), tf.sigmoid(cells)

    return step
