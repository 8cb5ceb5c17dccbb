from typing import Any

import keras
import pytest
import tensorflow as tf

from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
from deepcpg_tf.configs.dna import ARCHITECTURES
from deepcpg_tf.models.base import array_specs
from deepcpg_tf.training.settings import TrainingSettings
from deepcpg_tf.training.step import make_strategy, make_training_step


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_gradient_is_a_sum_of_three(architecture, devices):
    """Or training is not repeatable.

    AddN starts with whichever input's memory is free by then, so that rounding
    depends on time when there are more than two.
    """
    config = DeepCpgDnaConfig.from_architecture(architecture, num_labels=3, sequence_length=201)
    strategy = make_strategy(devices)
    with strategy.scope():
        model = DeepCpgDnaForSequencePrediction(config)
        optimizer = keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)
    settings = TrainingSettings(batch_size=4, devices=devices)
    step: Any = make_training_step(model, optimizer, settings, strategy, None)
    graph = step.get_concrete_function(
        array_specs(config.reads, 4),
        tf.TensorSpec((4, 3), tf.int8),
        tf.TensorSpec((), tf.float32),
    ).graph.as_graph_def()
    nodes = [*graph.node, *(node for body in graph.library.function for node in body.node_def)]
    sums = [node for node in nodes if node.op == "AddN"]
    assert sums
    assert [list(n.input) for n in sums if n.attr["N"].i > 2] == []
