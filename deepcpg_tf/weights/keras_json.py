"""The architecture in a Keras 1 or Keras 2 model JSON.

Layer order comes from the graph (``inbound_nodes``), cell order from
``output_layers``; the numbers in layer names say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from deepcpg_tf.errors import CheckpointError, ConfigError
from deepcpg_tf.models.config import DeepCpgDnaConfig

T = TypeVar("T")

INPUT_NAME = "dna"
HIDDEN_SCOPE = "dna/"
HEAD_SCOPE = "cpg/"

_CONVOLUTIONS = ("Convolution1D", "Conv1D")


class Layer(NamedTuple):
    """A layer of the JSON: its name, Keras class, settings and the layers it reads."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    sources: tuple[str, ...]

    def get(self, *names: str, default: Any = None) -> Any:
        """Return a setting under the first of its names: Keras 1 and 2 differ in them."""
        return next((self.settings[name] for name in names if name in self.settings), default)


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
    try:
        layers, inputs, outputs = _graph(document)
        _check_module(layers, inputs)
        cells = _cells(layers, outputs)
        chain = _chain(layers, inputs[0], outputs)
        return _config(layers[inputs[0]], chain, cells)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"expected the JSON of a functional Keras model, missing or malformed: {error}"
        ) from None


def _graph(document: Any) -> tuple[dict[str, Layer], list[str], list[str]]:
    kind, config = document["class_name"], document["config"]
    if kind not in ("Model", "Functional"):
        raise CheckpointError(
            f"expected a functional Keras model (class Model), received class {kind}"
        )
    layers = {}
    for entry in config["layers"]:
        nodes = entry["inbound_nodes"]
        if len(nodes) > 1:
            raise CheckpointError(f"layer {entry['name']}: expected one use, found {len(nodes)}")
        sources = tuple(source[0] for source in nodes[0]) if nodes else ()
        layers[entry["name"]] = Layer(entry["name"], entry["class_name"], entry["config"], sources)
    inputs = [entry[0] for entry in config["input_layers"]]
    outputs = [entry[0] for entry in config["output_layers"]]
    for name in (*inputs, *outputs, *(s for layer in layers.values() for s in layer.sources)):
        if name not in layers:
            raise CheckpointError(f"layer {name}: referred to, but not described")
    return layers, inputs, outputs


def _check_module(layers: Mapping[str, Layer], inputs: list[str]) -> None:
    reads_cpg = any(name.startswith(HEAD_SCOPE) for name in inputs)
    if reads_cpg:
        module = "Joint" if INPUT_NAME in inputs else "CpG"
        raise CheckpointError(
            f"this is a {module} module (inputs {', '.join(inputs)}); "
            f"only DNA modules (input {INPUT_NAME}) are supported as yet"
        )
    if inputs != [INPUT_NAME]:
        raise CheckpointError(
            f"expected a DNA module with the one input {INPUT_NAME!r}, "
            f"received the inputs {', '.join(inputs) or 'none'}"
        )
    if layers[INPUT_NAME].kind != "InputLayer":
        raise CheckpointError(
            f"layer {INPUT_NAME}: expected an InputLayer, found {layers[INPUT_NAME].kind}"
        )


def _cells(layers: Mapping[str, Layer], outputs: list[str]) -> tuple[str, ...]:
    if not outputs:
        raise CheckpointError("expected an output for each cell, found none")
    for name in outputs:
        if not name.startswith(HEAD_SCOPE):
            raise CheckpointError(
                f"output {name}: expected an output of a cell ({HEAD_SCOPE}<cell>); "
                "other outputs are not supported"
            )
        head = layers[name]
        _expect(head, "class", head.kind, ("Dense",))
        _expect(head, "units", head.get("units", "output_dim"), (1,))
        _expect(head, "activation", head.get("activation"), ("sigmoid",))
        _expect(head, "bias", head.get("use_bias", "bias"), (True,))
    return tuple(name.removeprefix(HEAD_SCOPE) for name in outputs)


def _chain(layers: Mapping[str, Layer], start: str, outputs: list[str]) -> list[Layer]:
    """Return the hidden layers from the input to the heads, which must be a chain."""
    consumers: dict[str, list[str]] = {name: [] for name in layers}
    for layer in layers.values():
        if layer.name != start and len(layer.sources) != 1:
            raise CheckpointError(
                f"layer {layer.name}: expected one input, as in DeepCpG's plain CNNs, "
                f"found {len(layer.sources)}"
            )
        for source in layer.sources:
            consumers[source].append(layer.name)
    chain: list[Layer] = []
    name = start
    while sorted(consumers[name]) != sorted(outputs):
        following = consumers[name]
        if len(following) != 1 or following[0] in outputs:
            raise CheckpointError(
                f"layer {name}: expected to feed either one layer or all {len(outputs)} heads, "
                f"found that it feeds {', '.join(following) or 'nothing'}"
            )
        name = following[0]
        chain.append(layers[name])
    extra = layers.keys() - {start, *outputs, *(layer.name for layer in chain)}
    if extra:
        raise CheckpointError(f"layer {min(extra)}: not on the way from the input to the heads")
    return chain


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
