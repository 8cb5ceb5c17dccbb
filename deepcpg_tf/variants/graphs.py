"""What is computed of windows that lie between letters, as compiled functions."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.genome.sequence import one_hot
from deepcpg_tf.inputs import Arrays
from deepcpg_tf.models.base import array_specs
from deepcpg_tf.variants.rescale import multipliers
from deepcpg_tf.variants.targets import Target

Floats = npt.NDArray[np.float32]


class Graphs:
    """Functions of a target, each compiled when it is first used.

    Parameters
    ----------
    target
        What is explained.

    Attributes
    ----------
    value, gradient, rescaled : functions
        `Target.of`, `Target.gradient` and `deepcpg_tf.variants.rescale.multipliers`.
    """

    def __init__(self, target: Target) -> None:
        model = target.model
        length, self._channels = model.parts[DNA].input_shape[1:]
        rows = tf.TensorSpec((None, length, self._channels), tf.float32)
        beside = {
            name: tf.TensorSpec((None, part.output_shape[-1]), tf.float32)
            for name, part in model.parts.items()
            if name != DNA
        }
        # Of partial functions, each counts for itself when TensorFlow warns of much tracing.
        self.value = tf.function(partial(target.of), [rows, beside])
        self.gradient = tf.function(partial(target.gradient), [rows, beside])
        self.rescaled = tf.function(partial(multipliers, target), [rows, rows, beside])
        self._beside = tf.function(partial(target.beside), [array_specs(model.reads)])

    def read(self, arrays: Arrays) -> tuple[Floats, dict[str, tf.Tensor]]:
        """Return the one-hot windows, and the embeddings of the other parts."""
        tensors = {name: tf.constant(array) for name, array in arrays.items()}
        return self.one_hot(arrays["windows"]), self._beside(tensors)

    def one_hot(self, windows: npt.NDArray[np.uint8]) -> Floats:
        """Return windows as float32 [n, length, channels]."""
        return one_hot(windows, self._channels)
