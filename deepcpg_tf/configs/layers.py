"""The layers of the plain CNNs: their order, names, lengths and costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

LayerKind = Literal["convolution", "activation", "pooling", "flatten", "dense", "dropout", "head"]

_KERAS1_PREFIX: dict[LayerKind, str] = {
    "convolution": "convolution1d",
    "activation": "activation",
    "pooling": "maxpooling1d",
    "flatten": "flatten",
    "dense": "dense",
    "dropout": "dropout",
}


class LayerSpec(NamedTuple):
    """One layer of the model: what it is, what it yields and what it costs.

    ``width`` is the number of positions that a convolution or pooling spans, else 1.
    ``length`` is the number of positions after the layer (1 once flattened) and
    ``channels`` the number of values at each. ``macs`` counts multiply-accumulates
    of one window. ``flops`` counts two for each of them, and one for each bias
    addition, ReLU and comparison of a max-pooling.
    """

    kind: LayerKind
    name: str
    width: int
    length: int
    channels: int
    parameters: int
    macs: int
    flops: int


def layer_kinds(convolutions: int) -> list[LayerKind]:
    """Return the kinds of the backbone's layers in order."""
    kinds: list[LayerKind] = []
    for _ in range(convolutions):
        kinds += ["convolution", "activation", "pooling"]
    return [*kinds, "flatten", "dense", "activation", "dropout"]


def numbered_names(kinds: Sequence[LayerKind]) -> tuple[str, ...]:
    """Return the names that Keras 1 gives to layers, counting each kind from 1."""
    return tuple(
        f"{_KERAS1_PREFIX[kind]}_{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds)
    )


def backbone_layers(
    sequence_length: int,
    vocab_size: int,
    convolutions: Sequence[tuple[int, int, int]],
    bottleneck_size: int,
    names: Sequence[str],
) -> tuple[LayerSpec, ...]:
    """Return the layers from the input to the embedding.

    Parameters
    ----------
    sequence_length, vocab_size
        Positions and channels of the input.
    convolutions
        Channels, kernel size and pool size of each.
    bottleneck_size
        Units of the dense layer.
    names
        A name for each of `layer_kinds`.
    """
    remaining = iter(names)
    specs: list[LayerSpec] = []
    length, channels = sequence_length, vocab_size

    def add(
        kind: LayerKind,
        *,
        width: int = 1,
        parameters: int = 0,
        macs: int = 0,
        other_flops: int = 0,
    ) -> None:
        flops = 2 * macs + other_flops
        spec = LayerSpec(kind, next(remaining), width, length, channels, parameters, macs, flops)
        specs.append(spec)

    for filters, kernel, pool in convolutions:
        weights = kernel * channels * filters
        length, channels = length - kernel + 1, filters
        positions = max(length, 0)
        add(
            "convolution",
            width=kernel,
            parameters=weights + filters,
            macs=positions * weights,
            other_flops=positions * filters,
        )
        add("activation", other_flops=positions * filters)
        length //= pool
        add("pooling", width=pool, other_flops=max(length, 0) * filters * (pool - 1))
    length, channels = min(length, 1), max(length, 0) * channels
    add("flatten")
    weights = channels * bottleneck_size
    channels = bottleneck_size
    add("dense", parameters=weights + channels, macs=weights, other_flops=channels)
    add("activation", other_flops=channels)
    add("dropout")
    return tuple(specs)


def head_layer(bottleneck_size: int, cells: int) -> LayerSpec:
    """Return the head, all cells together."""
    weights = bottleneck_size * cells
    return LayerSpec(
        "head",
        "cpg",
        width=1,
        length=1,
        channels=cells,
        parameters=weights + cells,
        macs=weights,
        flops=2 * weights + cells,
    )
