"""The settings of layers in a Keras 1 or Keras 2 model JSON: those that DeepCpG's modules have.

Each function takes a `Layer` and returns what is free in it; anything else than the
original's is a `CheckpointError`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.weights.keras_graph import Layer, read_graph

T = TypeVar("T")

MERGES = ("Merge", "Concatenate")
"""Classes of Keras 1 and 2 that put layers side by side."""


def convolution(layer: Layer) -> tuple[int, int]:
    """Return filters and width of a convolution over the length."""
    expect(layer, "padding", layer.get("padding", "border_mode"), ("valid",))
    expect(layer, "stride", scalar(layer.get("strides", "subsample_length")), (1,))
    expect(layer, "dilation", scalar(layer.get("dilation_rate", default=1)), (1,))
    expect(layer, "activation", layer.get("activation"), ("linear",))
    expect(layer, "bias", layer.get("use_bias", "bias"), (True,))
    expect(layer, "groups", layer.get("groups", default=1), (1,))
    channels_last(layer)
    return layer.get("filters", "nb_filter"), scalar(layer.get("kernel_size", "filter_length"))


def pooling(layer: Layer) -> int:
    """Return the width of a max-pooling."""
    pool: int = scalar(layer.get("pool_size", "pool_length"))
    expect(layer, "padding", layer.get("padding", "border_mode"), ("valid",))
    expect(layer, "stride", scalar(layer.get("strides", "stride")), (pool,))
    channels_last(layer)
    return pool


def dense(layer: Layer) -> int:
    """Return the units of a dense layer that nothing activates."""
    expect(layer, "activation", layer.get("activation"), ("linear",))
    expect(layer, "bias", layer.get("use_bias", "bias"), (True,))
    units: int = layer.get("units", "output_dim")
    return units


def shared(layer: Layer) -> int:
    """Return the units of the dense layer, ReLU after it, that is applied cell by cell."""
    inner = read_graph(layer.settings["layer"])
    (output,) = inner.outputs
    chain, _ = inner.way_to(output)
    expected = ["Dense", "Activation"]
    if [one.kind for one in chain] != expected:
        raise CheckpointError(
            f"layer {layer.name}: expected the layers {' and '.join(expected)} inside, "
            f"found {', '.join(one.kind for one in chain)}"
        )
    units, activation = chain
    relu(activation)
    return dense(units)


def gru(layer: Layer, *, is_last: bool) -> int:
    """Return the units of a GRU in both directions."""
    expect(layer, "merge mode", layer.get("merge_mode"), ("concat",))
    inner = layer.settings["layer"]
    gru = Layer(layer.name, inner["class_name"], inner["config"], ())
    expect(gru, "a wrapped", gru.kind, ("GRU",))
    gates = gru.get("recurrent_activation", "inner_activation")
    expect(gru, "activation", gru.get("activation"), ("tanh",))
    expect(gru, "activation of gates", gates, ("hard_sigmoid",))
    expect(gru, "bias", gru.get("use_bias", default=True), (True,))
    for name in ("go_backwards", "stateful", "reset_after"):
        expect(gru, name, gru.get(name, default=False), (False,))
    expect(gru, "return_sequences", gru.get("return_sequences"), (not is_last,))
    units: int = gru.get("units", "output_dim")
    return units


def relu(layer: Layer) -> None:
    """Refuse another activation."""
    expect(layer, "activation", layer.get("activation"), ("relu",))


def channels_last(layer: Layer) -> None:
    """Refuse channels before positions."""
    data_format = layer.get("data_format", default="channels_last")
    expect(layer, "data_format", data_format, ("channels_last",))


def expect_merge(layer: Layer) -> None:
    """Refuse all but a concatenation of the last axis of two layers."""
    expect(layer, "class", layer.kind, MERGES)
    expect(layer, "mode", layer.get("mode", default="concat"), ("concat",))
    expect(layer, "axis", layer.get("axis", "concat_axis"), (-1, 2))
    expect(layer, "a number of sources of", len(layer.sources), (2,))


def input_shape(layer: Layer) -> list[Any]:
    """Return the shape of an input, of three axes."""
    shape = layer.get("batch_input_shape", "batch_shape")
    if not isinstance(shape, list) or len(shape) != 3:
        raise CheckpointError(
            f"layer {layer.name}: expected the shape [null, length, 4] or [null, cells, "
            f"neighbours], received {shape}"
        )
    return shape


def scalar(value: Any) -> Any:
    """Keras 2 writes a width as a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def expect(layer: Layer, what: str, found: T, expected: tuple[T, ...]) -> None:
    """Refuse a setting that is none of those expected."""
    if found not in expected:
        raise CheckpointError(
            f"layer {layer.name}: expected {what} {' or '.join(map(str, expected))}, "
            f"as in DeepCpG's modules, found {found}"
        )
