"""Starting from trained weights: what is taken over, and what stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deepcpg_tf.errors import ConfigError
from deepcpg_tf.models.config import DeepCpgDnaConfig

if TYPE_CHECKING:
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

FREEZE = ("none", "first-conv", "backbone")


class Heads(NamedTuple):
    """Which cells kept the head of the model started from, and which got a new one."""

    kept: tuple[str, ...]
    new: tuple[str, ...]


def config_for_cells(
    config: DeepCpgDnaConfig, cells: tuple[str, ...], dropout: float
) -> DeepCpgDnaConfig:
    """Return the same architecture with other cells, and a rate of dropout."""
    return DeepCpgDnaConfig.from_dict(
        {
            **config.to_dict(),
            "cells": list(cells),
            "num_labels": len(cells),
            "hidden_dropout": dropout,
        }
    )


def take_over(
    model: DeepCpgDnaForSequencePrediction, source: DeepCpgDnaForSequencePrediction
) -> Heads:
    """Copy the backbone of a model, and the heads of the cells that both have.

    Parameters
    ----------
    model
        The model to change, of the same architecture.
    source
        The model to start from.
    """
    target, origin = model.variables_by_name, source.variables_by_name
    for name, variable in origin.items():
        if not name.startswith("cpg/"):
            target[name].assign(variable)
    kept = tuple(cell for cell in model.cells if cell in source.cells)
    own = [model.cells.index(cell) for cell in kept]
    theirs = [source.cells.index(cell) for cell in kept]
    for name in ("cpg/kernel", "cpg/bias"):
        value = target[name].numpy()
        value[..., own] = origin[name].numpy()[..., theirs]
        target[name].assign(value)
    return Heads(kept, tuple(cell for cell in model.cells if cell not in kept))


def freeze(model: DeepCpgDnaForSequencePrediction, what: str) -> None:
    """Keep part of a model from being trained.

    Parameters
    ----------
    model
        The model.
    what
        ``"backbone"`` (only the heads are trained), ``"first-conv"`` or ``"none"``.

    Raises
    ------
    ConfigError
        When `what` is none of them.
    """
    if what not in FREEZE:
        raise ConfigError(f"freeze: expected one of {', '.join(FREEZE)}, received {what!r}")
    layers = [layer for layer in model.backbone.layers if layer.weights]
    frozen = {"none": 0, "first-conv": 1, "backbone": len(layers)}[what]
    for i, layer in enumerate(layers):
        layer.trainable = i >= frozen
