"""From the logits of all heads to what they predict: probabilities, levels, classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.special import expit, softmax

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.outputs import VAR_CEILING, Activation


def values_in_graph(logits: tf.Tensor, config: ModuleConfig) -> tf.Tensor:
    """Return what logits, float32 [n, units], stand for: probabilities, but for other outputs.

    The columns are those that `ModuleConfig.column_names` names.
    """
    if not config.outputs:
        return tf.sigmoid(logits)
    values = [tf.sigmoid(logits[:, : len(config.cells)])]
    values += [
        _IN_GRAPH[one.kind.activation](logits[:, one.columns]) for one in config.other_outputs
    ]
    return tf.concat(values, axis=1)


# No match statement: AutoGraph, which reads this code, knows none and warns.
_IN_GRAPH: dict[Activation, Callable[[tf.Tensor], tf.Tensor]] = {
    "sigmoid": tf.sigmoid,
    "scaled_sigmoid": lambda logits: VAR_CEILING * tf.sigmoid(logits),
    "softmax": tf.nn.softmax,
    "relu": tf.nn.relu,
}


def values_of_logits(
    logits: npt.NDArray[np.float32], config: ModuleConfig
) -> npt.NDArray[np.float32]:
    """Return what `values_in_graph` does, outside of a graph."""
    values: npt.NDArray[np.float32] = expit(logits)
    for one in config.other_outputs:
        own = logits[:, one.columns]
        match one.kind.activation:
            case "scaled_sigmoid":
                values[:, one.columns] *= np.float32(VAR_CEILING)
            case "softmax":
                values[:, one.columns] = softmax(own, axis=1)
            case "relu":
                values[:, one.columns] = np.maximum(own, 0)
    return values
