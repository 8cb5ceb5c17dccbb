"""What the parts of all modules have in common, and the head that reads their embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import keras

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.layers import LayerSpec
from deepcpg_tf.configs.names import HEAD
from deepcpg_tf.errors import ConfigError

Own = TypeVar("Own", bound="Part")


class Part(keras.Model):
    """A Keras functional model that is made of a configuration, and comes back from it.

    Parameters
    ----------
    inputs, outputs
        Symbolic tensors of Keras.
    config
        What it was made of.
    policy
        The dtype policy of its layers.
    name
        Of the model.
    """

    config_type: ClassVar[type[ModuleConfig]]

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        *,
        config: ModuleConfig,
        policy: keras.DTypePolicy,
        name: str,
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.config = config
        self.policy_name = policy.name

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same model."""
        return {"config": self.config.to_dict(), "dtype": self.policy_name, "name": self.name}

    @classmethod
    def from_config(cls: type[Own], config: dict[str, Any], custom_objects: Any = None) -> Own:
        """Make the model that `get_config` describes."""
        return cls(**{**config, "config": cls.config_type.from_dict(config["config"])})


def dense_layers(
    specs: Sequence[LayerSpec], dropout: float, policy: keras.DTypePolicy
) -> list[keras.layers.Layer]:
    """Return the layers that join what is embedded, and read it.

    Parameters
    ----------
    specs
        Of a concatenation, dense layers, rectifiers and dropout, in order.
    dropout
        Rate of the dropout.
    policy
        The dtype policy of all.
    """
    layers: list[keras.layers.Layer] = []
    for spec in specs:
        options = {"name": spec.name, "dtype": policy}
        match spec.kind:
            case "merge":
                layers.append(keras.layers.Concatenate(**options))
            case "dense":
                layers.append(keras.layers.Dense(spec.channels, **options))
            case "activation":
                layers.append(keras.layers.Activation("relu", **options))
            case "dropout":
                layers.append(keras.layers.Dropout(dropout, **options))
    return layers


def with_head(config: ModuleConfig, embedding: Any) -> tuple[keras.layers.Dense, Any]:
    """Return the head that a configuration calls for, and its logits of an embedding.

    Parameters
    ----------
    config
        Of a module.
    embedding
        Symbolic tensor [n, embedding size].

    Returns
    -------
    Dense
        With a unit for each column that the configuration names.
    symbolic tensor
        The logits, float32 [n, units].
    """
    if config.head.dropout:
        dropout = keras.layers.Dropout(config.head.dropout, dtype="float32", name="head_dropout")
        embedding = dropout(embedding)
    head = keras.layers.Dense(config.units, dtype="float32", name=HEAD)
    return head, head(embedding)


def float32_policy(dtype: str | None) -> keras.DTypePolicy:
    """Return a dtype policy whose variables are float32; by default Keras' own.

    Raises
    ------
    ConfigError
        When its variables are of another type.
    """
    policy = keras.dtype_policies.get(dtype) if dtype else keras.config.dtype_policy()
    if policy.variable_dtype != "float32":
        raise ConfigError(
            "dtype: expected a policy with float32 variables, such as mixed_bfloat16, "
            f"received {policy.name}"
        )
    return policy
