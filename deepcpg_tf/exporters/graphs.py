"""What every artefact yields, as TensorFlow computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

Outputs = dict[str, tf.Tensor]


def outputs(model: DeepCpgDnaForSequencePrediction, one_hot: tf.Tensor) -> Outputs:
    """Return what every artefact yields, float32 [n, cells] each."""
    logits = model(one_hot, training=False)
    return {"logits": logits, "probabilities": tf.sigmoid(logits)}
