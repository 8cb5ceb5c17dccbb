"""Starting from trained weights: what is taken over, and what stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deepcpg_tf.errors import ConfigError

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel


class Heads(NamedTuple):
    """Which cells kept the head of the model started from, and which got a new one."""

    kept: tuple[str, ...]
    new: tuple[str, ...]


def take_over(model: MethylationModel, source: MethylationModel) -> Heads:
    """Copy all of a model but its heads, and the heads of the cells that both have.

    Parameters
    ----------
    model
        The model to change, of the same architecture.
    source
        The model to start from.
    """
    target, origin = model.variables_by_name, source.variables_by_name
    for name, variable in origin.items():
        if name not in model.head_variables:
            target[name].assign(variable)
    theirs_are_trained = source.config.head.trained
    kept = tuple(cell for cell in model.cells if theirs_are_trained and cell in source.cells)
    # A cell may be called as another output is.
    columns = [("cell", cell) for cell in source.cells]
    columns += [("output", name) for name in source.config.column_names[len(source.cells) :]]
    wanted = [("cell", cell) for cell in model.cells]
    wanted += [("output", name) for name in model.config.column_names[len(model.cells) :]]
    both = [one for one in wanted if theirs_are_trained and one in columns]
    own = [wanted.index(one) for one in both]
    theirs = [columns.index(one) for one in both]
    for name in model.head_variables:
        value = target[name].numpy()
        value[..., own] = origin[name].numpy()[..., theirs]
        target[name].assign(value)
    return Heads(kept, tuple(cell for cell in model.cells if cell not in kept))


def take_over_part(model: MethylationModel, source: MethylationModel, part: str) -> None:
    """Copy the weights of one part of a model.

    Parameters
    ----------
    model
        The model to change, with that part of the same configuration.
    source
        The model that has it.
    part
        The original's scope of its layers: ``"dna"`` or ``"cpg"``.
    """
    target, origin = model.variables_by_name, source.variables_by_name
    for name in source.config.parts[part].hidden_shapes:
        target[name].assign(origin[name])


def freeze(model: MethylationModel, what: str) -> None:
    """Keep part of a model from being trained.

    Parameters
    ----------
    model
        The model.
    what
        One of the model's stages, such as ``"backbone"`` (only the heads are trained) and
        ``"first-conv"`` of a DNA module, or ``"none"``.

    Raises
    ------
    ConfigError
        When `what` is none of them.
    """
    choices = ("none", *model.stages)
    if what not in choices:
        raise ConfigError(f"freeze: expected one of {', '.join(choices)}, received {what!r}")
    if what != "none":
        for layer in model.stage_layers(what):
            layer.trainable = False
