"""The architecture in a Keras 1 or Keras 2 model JSON, module by module."""

from __future__ import annotations

from typing import Any, TypeVar

from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.names import DNA, HEAD
from deepcpg_tf.errors import CheckpointError, ConfigError
from deepcpg_tf.weights.keras_graph import Graph, Layer, read_graph

T = TypeVar("T")

HIDDEN_SCOPE = f"{DNA}/"
HEAD_SCOPE = f"{HEAD}/"

_CONVOLUTIONS = ("Convolution1D", "Conv1D")


def read_architecture(document: Any) -> DeepCpgDnaConfig:
    """Return the configuration that a Keras model JSON describes.

    Parameters
    ----------
    document
        The parsed JSON.

    Raises
    ------
    CheckpointError
        When it is no functional Keras model, no DNA module, or has a layer or a
        setting that the plain CNNs of DeepCpG do not have.
    """
    graph = read_graph(document)
    try:
        _check_module(graph)
        cells = _cells(graph)
        chain = graph.way_to(graph.trunk().name)
        graph.check_used({layer.name for layer in chain})
        return _config(graph.layers[DNA], chain, cells)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"expected the JSON of a functional Keras model, missing or malformed: {error}"
        ) from None


def _check_module(graph: Graph) -> None:
    inputs = graph.inputs
    if any(name.startswith(HEAD_SCOPE) for name in inputs):
        module = "Joint" if DNA in inputs else "CpG"
        raise CheckpointError(
            f"this is a {module} module (inputs {', '.join(inputs)}); "
            f"only DNA modules (input {DNA}) are supported as yet"
        )
    if inputs != (DNA,):
        raise CheckpointError(
            f"expected a DNA module with the one input {DNA!r}, "
            f"received the inputs {', '.join(inputs) or 'none'}"
        )
    if graph.layers[DNA].kind != "InputLayer":
        raise CheckpointError(
            f"layer {DNA}: expected an InputLayer, found {graph.layers[DNA].kind}"
        )


def _cells(graph: Graph) -> tuple[str, ...]:
    if not graph.outputs:
        raise CheckpointError("expected an output for each cell, found none")
    for name in graph.outputs:
        if not name.startswith(HEAD_SCOPE):
            raise CheckpointError(
                f"output {name}: expected an output of a cell ({HEAD_SCOPE}<cell>); "
                "other outputs are not supported"
            )
        head = graph.layers[name]
        _expect(head, "class", head.kind, ("Dense",))
        _expect(head, "units", head.get("units", "output_dim"), (1,))
        _expect(head, "activation", head.get("activation"), ("sigmoid",))
        _expect(head, "bias", head.get("use_bias", "bias"), (True,))
    return tuple(name.removeprefix(HEAD_SCOPE) for name in graph.outputs)


def _config(start: Layer, chain: list[Layer], cells: tuple[str, ...]) -> DeepCpgDnaConfig:
    rest = list(chain)

    def take(*kinds: str) -> Layer:
        if not rest:
            raise CheckpointError(f"expected a layer {' or '.join(kinds)}, found the heads")
        layer = rest.pop(0)
        if not layer.name.startswith(HIDDEN_SCOPE):
            raise CheckpointError(
                f"layer {layer.name}: expected a name in the scope {HIDDEN_SCOPE!r}"
            )
        _expect(layer, "class", layer.kind, kinds)
        return layer

    convolutions: list[tuple[int, int, int]] = []
    while not convolutions or (rest and rest[0].kind in _CONVOLUTIONS):
        filters, kernel = _convolution(take(*_CONVOLUTIONS))
        _relu(take("Activation"))
        convolutions.append((filters, kernel, _pooling(take("MaxPooling1D"))))
    # From here on another convolution is as good as any other foreign layer.
    _channels_last(take("Flatten"))
    dense = take("Dense")
    _expect(dense, "activation", dense.get("activation"), ("linear",))
    _expect(dense, "bias", dense.get("use_bias", "bias"), (True,))
    _relu(take("Activation"))
    dropout = take("Dropout")
    if rest:
        raise CheckpointError(
            f"layer {rest[0].name}: expected the heads after {dropout.name}, "
            f"found a layer {rest[0].kind}"
        )
    shape = start.get("batch_input_shape", "batch_shape")
    if not isinstance(shape, list) or len(shape) != 3:
        raise CheckpointError(
            f"layer {start.name}: expected the shape [null, length, 4], received {shape}"
        )
    _expect(start, "channels", shape[2], (4,))
    channels, kernels, pools = zip(*convolutions, strict=True)
    try:
        return DeepCpgDnaConfig(
            sequence_length=shape[1],
            conv_channels=channels,
            conv_kernel_sizes=kernels,
            conv_pool_sizes=pools,
            bottleneck_size=dense.get("units", "output_dim"),
            hidden_dropout=dropout.get("rate", "p"),
            cells=cells,
            layer_names=tuple(layer.name.removeprefix(HIDDEN_SCOPE) for layer in chain),
        )
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def _convolution(layer: Layer) -> tuple[int, int]:
    _expect(layer, "padding", layer.get("padding", "border_mode"), ("valid",))
    _expect(layer, "stride", _scalar(layer.get("strides", "subsample_length")), (1,))
    _expect(layer, "dilation", _scalar(layer.get("dilation_rate", default=1)), (1,))
    _expect(layer, "activation", layer.get("activation"), ("linear",))
    _expect(layer, "bias", layer.get("use_bias", "bias"), (True,))
    _expect(layer, "groups", layer.get("groups", default=1), (1,))
    _channels_last(layer)
    return layer.get("filters", "nb_filter"), _scalar(layer.get("kernel_size", "filter_length"))


def _pooling(layer: Layer) -> int:
    pool: int = _scalar(layer.get("pool_size", "pool_length"))
    _expect(layer, "padding", layer.get("padding", "border_mode"), ("valid",))
    _expect(layer, "stride", _scalar(layer.get("strides", "stride")), (pool,))
    _channels_last(layer)
    return pool


def _relu(layer: Layer) -> None:
    _expect(layer, "activation", layer.get("activation"), ("relu",))


def _channels_last(layer: Layer) -> None:
    data_format = layer.get("data_format", default="channels_last")
    _expect(layer, "data_format", data_format, ("channels_last",))


def _scalar(value: Any) -> Any:
    """Keras 2 writes a width as a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _expect(layer: Layer, what: str, found: T, expected: tuple[T, ...]) -> None:
    if found not in expected:
        raise CheckpointError(
            f"layer {layer.name}: expected {what} {' or '.join(map(str, expected))}, "
            f"as in DeepCpG's plain CNNs, found {found}"
        )
