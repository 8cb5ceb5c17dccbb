"""A module that reads no windows and whose layers are wrapped: what is next to come.

It has the inputs and the kinds of layers of DeepCpG's CpG module, and shows that nothing
but a configuration and a model has to be written for a module.
"""

import dataclasses
import math
from typing import ClassVar

import keras

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.inputs import Input, Inputs
from deepcpg_tf.models.base import MethylationModel, float32_policy, path_within


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyConfig(ModuleConfig):
    module: ClassVar[str] = "toy"
    default_cells: ClassVar[tuple[str, ...]] = ("x", "y")

    width: int = 4
    units: int = 3
    dropout: float = 0.0

    @property
    def architecture(self):
        return "toy"

    @property
    def reads(self):
        shape = (len(self.cells), self.width)
        return Inputs(
            (
                Input("state", shape, "float32", fill=0.0, largest=1.0),
                Input("dist", shape, "float32", fill=1.0, largest=1.0),
            )
        )

    @property
    def embedding_size(self):
        return 2 * self.units

    @property
    def layer_paths(self):
        return ("cpg/concatenate_1", "cpg/time_distributed_1", "cpg/bidirectional_1")

    @property
    def tensor_shapes(self):
        shapes = {
            "cpg/time_distributed_1/dense/kernel": (2 * self.width, 5),
            "cpg/time_distributed_1/dense/bias": (5,),
        }
        for way in ("forward", "backward"):
            gates = 3 * self.units
            stem = f"cpg/bidirectional_1/{way}_gru/gru_cell"
            shapes[f"{stem}/kernel"] = (5, gates)
            shapes[f"{stem}/recurrent_kernel"] = (self.units, gates)
            shapes[f"{stem}/bias"] = (gates,)
        return shapes | {
            "cpg/kernel": (2 * self.units, len(self.cells)),
            "cpg/bias": (len(self.cells),),
        }

    @property
    def num_parameters(self):
        return sum(math.prod(shape) for shape in self.tensor_shapes.values())

    def with_dropout(self, rate):
        return dataclasses.replace(self, dropout=rate)


@keras.saving.register_keras_serializable(package="deepcpg_tf_tests")
class ToyPart(keras.Model):
    def __init__(self, config, *, dtype=None, name="cpg_part"):
        policy = float32_policy(dtype)
        shape = (len(config.cells), config.width)
        state, dist = keras.Input(shape, name="state"), keras.Input(shape, name="dist")
        with keras.name_scope("cpg"):
            x = keras.layers.Concatenate(name="concatenate_1", dtype=policy)([state, dist])
            dense = keras.layers.Dense(5, activation="relu", name="dense", dtype=policy)
            x = keras.layers.TimeDistributed(dense, name="time_distributed_1", dtype=policy)(x)
            gru = keras.layers.GRU(config.units, reset_after=False, name="gru", dtype=policy)
            x = keras.layers.Bidirectional(gru, name="bidirectional_1", dtype=policy)(x)
        super().__init__(inputs=[state, dist], outputs=x, name=name)
        self.config = config
        self.policy_name = policy.name

    def get_config(self):
        return {"config": self.config.to_dict(), "dtype": self.policy_name, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**{**config, "config": ToyConfig.from_dict(config["config"])})


@keras.saving.register_keras_serializable(package="deepcpg_tf_tests")
class ToyModel(MethylationModel):
    config_type: ClassVar = ToyConfig
    stages: ClassVar = ("recurrent",)

    def __init__(self, config=None, *, dtype=None, provenance=None, name="toy"):
        config = ToyConfig() if config is None else config
        part = ToyPart(config, dtype=dtype)
        head = keras.layers.Dense(len(config.cells), dtype="float32", name="cpg")
        inputs = [keras.Input(one.shape, name=one.name) for one in config.reads]
        super().__init__(
            inputs, head(part(inputs)), config=config, head=head, provenance=provenance, name=name
        )
        self.part = part

    @property
    def parts(self):
        return {"cpg": self.part}

    def part_input(self, part, arrays):
        return [arrays["state"], arrays["dist"]]

    @property
    def penalised(self):
        return [
            variable
            for layer in self.part.layers
            for variable in layer.trainable_weights
            if path_within(variable, layer).endswith("/kernel")
        ]

    def stage_layers(self, stage):
        return {"recurrent": [self.part.get_layer("bidirectional_1")]}[stage]
