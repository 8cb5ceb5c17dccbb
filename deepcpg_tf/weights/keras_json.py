"""The architecture in a Keras 1 or Keras 2 model JSON, module by module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.configs.names import CPG, DNA, HEAD, JOINT
from deepcpg_tf.configs.outputs import (
    BULK,
    SITE_STATISTICS,
    STATISTICS,
    VAR_CEILING,
    WINDOW_STATISTICS,
    output_kind,
)
from deepcpg_tf.errors import CheckpointError, ConfigError
from deepcpg_tf.weights.keras_graph import Graph, Layer, read_graph
from deepcpg_tf.weights.keras_layers import (
    MERGES,
    channels_last,
    convolution,
    dense,
    expect,
    expect_merge,
    gru,
    input_shape,
    pooling,
    relu,
    shared,
)

_CONVOLUTIONS = ("Convolution1D", "Conv1D")
_STATE, _DIST = f"{CPG}/state", f"{CPG}/dist"


class Architecture(NamedTuple):
    """The configuration that a JSON describes, and the names of its inputs.

    ``heads`` has, for each cell and then each other output, the name of the layer that has
    the weights, and ``weightless`` names outputs that are layers of their own without any.
    """

    config: ModuleConfig
    inputs: tuple[str, ...]
    heads: tuple[str, ...]
    weightless: tuple[str, ...]


def read_architecture(document: Any, input_cells: Sequence[str] | None = None) -> Architecture:
    """Return the configuration that a Keras model JSON describes.

    Parameters
    ----------
    document
        The parsed JSON.
    input_cells
        The cells whose neighbours a CpG or Joint module reads, in order, where neither the
        names of its inputs nor those of its outputs say so.

    Raises
    ------
    CheckpointError
        When it is no functional Keras model, no module of DeepCpG, or has a layer or a
        setting that DeepCpG's modules do not have.
    """
    graph = read_graph(document)
    try:
        heads = _heads(graph)
        layers = {k: v for k, v in graph.layers.items() if k not in heads.weightless}
        graph = Graph(layers, graph.inputs, (*heads.cells.values(), *heads.outputs.values()))
        config = _module(graph, tuple(heads.cells), input_cells, tuple(heads.outputs))
        return Architecture(config, graph.inputs, graph.outputs, heads.weightless)
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"expected the JSON of a functional Keras model, missing or malformed: {error}"
        ) from None


def _module(
    graph: Graph,
    cells: tuple[str, ...],
    input_cells: Sequence[str] | None,
    outputs: tuple[str, ...],
) -> ModuleConfig:
    neighbours = [name for name in graph.inputs if name.startswith(f"{CPG}/")]
    kinds = sorted("/".join(name.split("/")[:2]) for name in graph.inputs)
    known = ([DNA], [_DIST, _STATE], [_DIST, _STATE, DNA])
    if kinds not in known:
        raise CheckpointError(
            f"expected the inputs of a module of DeepCpG: {DNA}, or {_STATE} and {_DIST}, or all "
            f"three, received {', '.join(graph.inputs) or 'none'}"
        )
    for name in graph.inputs:
        if graph.layers[name].kind != "InputLayer":
            raise CheckpointError(
                f"layer {name}: expected an InputLayer, found {graph.layers[name].kind}"
            )
    if input_cells is not None and not neighbours:
        raise CheckpointError(
            "`input_cells`: expected none with a DNA module, which reads no cells"
        )
    trunk = graph.trunk().name
    if not neighbours:
        return _dna(graph, trunk, cells, outputs, used=set())
    if DNA not in graph.inputs:
        return _cpg(graph, trunk, cells, outputs, input_cells, used=set())
    chain, start = graph.way_to(trunk)
    expect_merge(start)
    used = {start.name, *(layer.name for layer in chain)}
    way = _Way(chain, JOINT, "the heads")
    sizes, rates = [], []
    while way.rest:
        sizes.append(dense(way.take("Dense")))
        relu(way.take("Activation"))
        rates.append(way.take("Dropout").get("rate", "p"))
    if len(set(rates)) > 1:
        raise CheckpointError(f"expected one rate of dropout in {JOINT}/, found {rates}")
    first, second = start.sources
    # The parts stop at what their own check finds left over: that is of the whole.
    dna = _dna(graph, first, cells, outputs, used)
    cpg = _cpg(graph, second, cells, outputs, input_cells, used)
    return DeepCpgJointConfig(
        dna=dna,
        cpg=cpg,
        joint_sizes=tuple(sizes),
        hidden_dropout=rates[0] if rates else 0.0,
        cells=cells,
        outputs=outputs,
        layer_names=(start.name, *way.names),
    )


class _Heads(NamedTuple):
    """The layer that has the weights of each cell and each other output, in order."""

    cells: dict[str, str]
    outputs: dict[str, str]
    weightless: tuple[str, ...]


def _heads(graph: Graph) -> _Heads:
    """Return the heads, as the original makes them of the names of its outputs.

    A ``var`` is a layer ScaledSigmoid after a dense one without a name. An ``entropy`` gets no
    name at all: it is told by its activation, which no other output has.
    """
    if not graph.outputs:
        raise CheckpointError("expected an output for each cell, found none")
    cells: dict[str, str] = {}
    outputs: dict[str, str] = {}
    weightless: list[str] = []
    scope = f"{HEAD}/"
    for name in graph.outputs:
        layer = graph.layers[name]
        output, activation = name, layer.get("activation")
        if "/" not in name and layer.kind == "Dense" and activation == "relu":
            output = f"{SITE_STATISTICS}/entropy"
        kind = output_kind(output)
        if not name.startswith(scope) and kind is None:
            raise CheckpointError(
                f"output {name}: expected an output of a cell ({scope}<cell>), a statistic over "
                f"cells ({SITE_STATISTICS}/ or {WINDOW_STATISTICS}/LENGTH/ and one of "
                f"{', '.join(STATISTICS)}) or {BULK}/<name>; other outputs are not supported"
            )
        expected: str = "sigmoid" if kind is None else kind.activation
        if expected == "scaled_sigmoid":
            expect(layer, "class", layer.kind, ("ScaledSigmoid",))
            expect(layer, "scaling", layer.get("scaling"), (VAR_CEILING,))
            expect(layer, "a number of sources of", len(layer.sources), (1,))
            weightless.append(name)
            layer = graph.layers[layer.sources[0]]
            if graph.consumers(layer.name) != [name]:
                raise CheckpointError(f"layer {layer.name}: expected to feed {name} alone")
            expected = "linear"
        expect(layer, "class", layer.kind, ("Dense",))
        expect(layer, "units", layer.get("units", "output_dim"), (kind.units if kind else 1,))
        expect(layer, "activation", layer.get("activation"), (expected,))
        expect(layer, "bias", layer.get("use_bias", "bias"), (True,))
        own, key = (cells, output.removeprefix(scope)) if kind is None else (outputs, output)
        if key in own:
            raise CheckpointError(f"output {name}: expected each output once, found two {output}")
        own[key] = layer.name
    return _Heads(cells, outputs, tuple(weightless))


class _Way:
    """The layers of a scope one after the other, taken as those that are expected.

    Parameters
    ----------
    layers
        In order.
    scope
        That their names are in.
    before
        What comes after the last, for messages.
    """

    def __init__(self, layers: Sequence[Layer], scope: str, before: str) -> None:
        self.rest = list(layers)
        self.names = tuple(layer.name.removeprefix(f"{scope}/") for layer in layers)
        self._scope = scope
        self._before = before

    def next_is(self, *kinds: str) -> bool:
        return bool(self.rest) and self.rest[0].kind in kinds

    def take(self, *kinds: str) -> Layer:
        if not self.rest:
            raise CheckpointError(f"expected a layer {' or '.join(kinds)}, found {self._before}")
        layer = self.rest.pop(0)
        if not layer.name.startswith(f"{self._scope}/"):
            raise CheckpointError(
                f"layer {layer.name}: expected a name in the scope '{self._scope}/'"
            )
        expect(layer, "class", layer.kind, kinds)
        return layer

    def end(self, last: Layer) -> None:
        for layer in self.rest:
            raise CheckpointError(
                f"layer {layer.name}: expected {self._before} after {last.name}, "
                f"found a layer {layer.kind}"
            )


def _dna(
    graph: Graph, end: str, cells: tuple[str, ...], outputs: tuple[str, ...], used: set[str]
) -> DeepCpgDnaConfig:
    chain, start = graph.way_to(end)
    if start.name != DNA:
        raise CheckpointError(
            f"layer {start.name}: expected one input, {DNA}, as in DeepCpG's plain CNNs, "
            f"found {len(start.sources)}"
        )
    used |= {layer.name for layer in chain}
    if graph.inputs == (DNA,):
        graph.check_used(used)
    way = _Way(chain, DNA, "the heads")
    convolutions: list[tuple[int, int, int]] = []
    while not convolutions or way.next_is(*_CONVOLUTIONS):
        filters, kernel = convolution(way.take(*_CONVOLUTIONS))
        relu(way.take("Activation"))
        convolutions.append((filters, kernel, pooling(way.take("MaxPooling1D"))))
    # From here on another convolution is as good as any other foreign layer.
    channels_last(way.take("Flatten"))
    bottleneck_size = dense(way.take("Dense"))
    relu(way.take("Activation"))
    dropout = way.take("Dropout")
    way.end(dropout)
    shape = input_shape(start)
    expect(start, "channels", shape[2], (4,))
    channels, kernels, pools = zip(*convolutions, strict=True)
    return DeepCpgDnaConfig(
        sequence_length=shape[1],
        conv_channels=channels,
        conv_kernel_sizes=kernels,
        conv_pool_sizes=pools,
        bottleneck_size=bottleneck_size,
        hidden_dropout=dropout.get("rate", "p"),
        cells=cells,
        outputs=outputs,
        layer_names=way.names,
    )


def _cpg(
    graph: Graph,
    end: str,
    cells: tuple[str, ...],
    outputs: tuple[str, ...],
    input_cells: Sequence[str] | None,
    used: set[str],
) -> DeepCpgCpgConfig:
    chain, start = graph.way_to(end)
    expect_merge(start)
    used |= {start.name, *(layer.name for layer in chain)}
    graph.check_used(used)
    state, dist = (graph.layers[name] for name in start.sources)
    if not (state.name.startswith(_STATE) and dist.name.startswith(_DIST)):
        raise CheckpointError(
            f"layer {start.name}: expected to read {_STATE} and {_DIST}, "
            f"found that it reads {state.name} and {dist.name}"
        )
    way = _Way([start, *chain], CPG, "the heads")
    way.take(*MERGES)
    shared_size = shared(way.take("TimeDistributed"))
    recurrent: list[Layer] = []
    while way.next_is("Bidirectional"):
        recurrent.append(way.take("Bidirectional"))
    sizes = [gru(layer, is_last=layer is recurrent[-1]) for layer in recurrent]
    if not recurrent:
        way.take("GlobalAveragePooling1D")
    dropout = way.take("Dropout")
    way.end(dropout)
    shape = input_shape(state)
    if input_shape(dist) != shape:
        raise CheckpointError(
            f"layer {dist.name}: expected the shape of {state.name}, {shape}, "
            f"received {input_shape(dist)}"
        )
    return DeepCpgCpgConfig(
        input_cells=_input_cells(state.name, shape[1], cells, input_cells),
        neighbours=shape[2],
        shared_size=shared_size,
        recurrent_sizes=tuple(sizes),
        hidden_dropout=dropout.get("rate", "p"),
        cells=cells,
        outputs=outputs,
        layer_names=way.names,
    )


def _input_cells(
    name: str, number: int, cells: tuple[str, ...], given: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the cells whose neighbours are read: by the input's name, given, or the outputs'."""
    named = tuple(name.removeprefix(_STATE).removeprefix("/").split("--"))
    if named == ("",):
        named = cells if given is None else tuple(given)
        if given is None and len(cells) != number:
            raise CheckpointError(
                f"layer {name}: expected to know the {number} cells whose neighbours are read; the "
                f"outputs of the file name {len(cells)} cells; name those read as `input_cells` "
                "of deepcpg-tf convert"
            )
    elif given is not None and tuple(given) != named:
        raise CheckpointError(
            f"`input_cells`: expected those in the file, {', '.join(named)}, "
            f"received {', '.join(given)}"
        )
    if len(named) != number:
        raise CheckpointError(f"layer {name}: expected {number} cells, received {len(named)}")
    return named
