"""The layers of the modules: their order, names, lengths and costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from deepcpg_tf.configs.names import HEAD

LayerKind = Literal[
    "convolution",
    "activation",
    "pooling",
    "flatten",
    "dense",
    "dropout",
    "merge",
    "time_distributed",
    "bidirectional",
    "average",
    "head",
]

_KERAS1_PREFIX: dict[LayerKind, str] = {
    "convolution": "convolution1d",
    "activation": "activation",
    "pooling": "maxpooling1d",
    "flatten": "flatten",
    "dense": "dense",
    "dropout": "dropout",
    "merge": "merge",
    "time_distributed": "timedistributed",
    "bidirectional": "bidirectional",
    "average": "globalaveragepooling1d",
}


class LayerSpec(NamedTuple):
    """One layer of the model: what it is, what it yields and what it costs.

    ``width`` is the number of positions that a convolution or pooling spans, else 1.
    ``length`` is the number of positions, or of cells, after the layer (1 once they are
    flattened or averaged) and ``channels`` the number of values at each. ``macs`` counts
    multiply-accumulates of one site. ``flops`` counts two for each of them, and one for
    each addition of a bias, activation, comparison of a max-pooling, and operation on the
    gates and states of a recurrent layer.
    """

    kind: LayerKind
    name: str
    width: int
    length: int
    channels: int
    parameters: int
    macs: int
    flops: int


def dna_kinds(convolutions: int) -> list[LayerKind]:
    """Return the kinds of the DNA module's layers in order."""
    kinds: list[LayerKind] = []
    for _ in range(convolutions):
        kinds += ["convolution", "activation", "pooling"]
    return [*kinds, "flatten", "dense", "activation", "dropout"]


def cpg_kinds(recurrent: int) -> list[LayerKind]:
    """Return the kinds of the CpG module's layers in order; without a recurrent one, a mean."""
    over_cells: list[LayerKind] = ["bidirectional"] * recurrent or ["average"]
    return ["merge", "time_distributed", *over_cells, "dropout"]


def joint_kinds(dense: int) -> list[LayerKind]:
    """Return the kinds of the layers that join the modules, in order."""
    hidden: list[LayerKind] = ["dense", "activation", "dropout"]
    return ["merge", *hidden * dense]


def numbered_names(kinds: Sequence[LayerKind]) -> tuple[str, ...]:
    """Return the names that Keras 1 gives to layers, counting each kind from 1."""
    return tuple(
        f"{_KERAS1_PREFIX[kind]}_{kinds[: i + 1].count(kind)}" for i, kind in enumerate(kinds)
    )


def dna_layers(
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
        A name for each of `dna_kinds`.
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


def cpg_layers(
    cells: int, neighbours: int, size: int, recurrent: Sequence[int], names: Sequence[str]
) -> tuple[LayerSpec, ...]:
    """Return the layers from the states and distances of neighbours to the embedding.

    Parameters
    ----------
    cells
        Cells whose neighbours are read.
    neighbours
        Of each cell.
    size
        Units of the dense layer that all cells share.
    recurrent
        Units of each recurrent layer, in one direction; none is a mean over the cells.
    names
        A name for each of `cpg_kinds`.
    """
    values = 2 * neighbours
    merge, shared, *over_cells, dropout = names
    specs = [
        LayerSpec("merge", merge, 1, cells, values, 0, 0, 0),
        _dense("time_distributed", shared, cells, values, size, activated=True),
    ]
    channels = size
    for i, (name, units) in enumerate(zip(over_cells, recurrent, strict=False), 1):
        weights = 2 * 3 * units * (channels + units)
        macs = cells * weights
        # In each direction: bias, sum and activation of three gates; the reset state; the
        # new state, of two products, a difference and a sum.
        flops = 2 * macs + 2 * cells * units * (9 + 1 + 4)
        length, channels = (1 if i == len(recurrent) else cells), 2 * units
        spec = LayerSpec(
            "bidirectional", name, 1, length, channels, weights + 2 * 3 * units, macs, flops
        )
        specs.append(spec)
    if not recurrent:
        (average,) = over_cells
        specs.append(LayerSpec("average", average, 1, 1, channels, 0, 0, cells * channels))
    return (*specs, LayerSpec("dropout", dropout, 1, 1, channels, 0, 0, 0))


def joint_layers(
    embeddings: int, sizes: Sequence[int], names: Sequence[str]
) -> tuple[LayerSpec, ...]:
    """Return the layers from the embeddings of the modules, side by side, to their joint one.

    Parameters
    ----------
    embeddings
        Values of all of them together.
    sizes
        Units of each dense layer.
    names
        A name for each of `joint_kinds`.
    """
    remaining = iter(names)
    specs = [LayerSpec("merge", next(remaining), 1, 1, embeddings, 0, 0, 0)]
    channels = embeddings
    for size in sizes:
        specs += [
            _dense("dense", next(remaining), 1, channels, size),
            LayerSpec("activation", next(remaining), 1, 1, size, 0, 0, size),
            LayerSpec("dropout", next(remaining), 1, 1, size, 0, 0, 0),
        ]
        channels = size
    return tuple(specs)


def _dense(
    kind: LayerKind, name: str, length: int, values: int, units: int, *, activated: bool = False
) -> LayerSpec:
    macs = length * values * units
    flops = 2 * macs + length * units * (2 if activated else 1)
    return LayerSpec(kind, name, 1, length, units, (values + 1) * units, macs, flops)


def head_layer(embedding_size: int, cells: int) -> LayerSpec:
    """Return the head, all cells together."""
    return _dense("head", HEAD, 1, embedding_size, cells)
