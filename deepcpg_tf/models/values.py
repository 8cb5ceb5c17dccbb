"""From the logits of all heads to what they predict: probabilities, levels, classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.special import expit, softmax

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.calibration import Adjustment
from deepcpg_tf.configs.outputs import VAR_CEILING, Activation


@tf.autograph.experimental.do_not_convert  # what it decides is known before the graph
def values_in_graph(logits: tf.Tensor, config: ModuleConfig) -> tf.Tensor:
    """Return what logits, float32 [n, units], stand for: probabilities, but for other outputs.

    The columns are those that `ModuleConfig.column_names` names.
    """
    if not config.outputs:
        return tf.sigmoid(logits)
    values = [tf.sigmoid(logits[:, : len(config.cells)])]
    values += [
        _activated_in_graph(logits[:, one.columns], one.kind.activation)
        for one in config.other_outputs
    ]
    return tf.concat(values, axis=1)


def _activated_in_graph(logits: tf.Tensor, activation: Activation) -> tf.Tensor:
    match activation:
        case "sigmoid":
            return tf.sigmoid(logits)
        case "scaled_sigmoid":
            return VAR_CEILING * tf.sigmoid(logits)
        case "softmax":
            return tf.nn.softmax(logits)
        case "relu":
            return tf.nn.relu(logits)


def values_of_logits(
    logits: npt.NDArray[np.float32], config: ModuleConfig, adjustment: Adjustment | None = None
) -> npt.NDArray[np.float32]:
    """Return what `values_in_graph` does, outside of a graph.

    With an adjustment, of the cells in the first columns, their probabilities are calibrated.
    """
    if adjustment is not None:
        cells = len(adjustment.offsets)
        adjusted = adjustment.of_logits(logits[:, :cells])
        logits = np.concatenate([adjusted, logits[:, cells:]], axis=1)
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
