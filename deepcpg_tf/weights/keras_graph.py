"""The graph in a Keras 1 or Keras 2 model JSON: layers, and which of them reads which.

Layer order comes from the graph (``inbound_nodes``), cell order from
``output_layers``; the numbers in layer names say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from deepcpg_tf.errors import CheckpointError


class Layer(NamedTuple):
    """A layer of the JSON: its name, Keras class, settings and the layers it reads."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    sources: tuple[str, ...]

    def get(self, *names: str, default: Any = None) -> Any:
        """Return a setting under the first of its names: Keras 1 and 2 differ in them."""
        return next((self.settings[name] for name in names if name in self.settings), default)


class Graph(NamedTuple):
    """The layers by name, and the names of those that are inputs and outputs, in order."""

    layers: dict[str, Layer]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def consumers(self, name: str) -> list[str]:
        """Return the names of the layers that read a layer."""
        return [layer.name for layer in self.layers.values() if name in layer.sources]

    def trunk(self) -> Layer:
        """Return the layer that all outputs read.

        Raises
        ------
        CheckpointError
            When they read several.
        """
        sources = {source for name in self.outputs for source in self.layers[name].sources}
        read = [layer for layer in self.layers.values() if layer.name in sources]
        for layer in read:
            self._check_feeds(layer.name, list(self.outputs))
        return read[0]

    def way_to(self, name: str) -> tuple[list[Layer], Layer]:
        """Return the layers that lead to a layer, it included, and where they begin.

        They begin after an input or after a layer that reads several others.

        Raises
        ------
        CheckpointError
            When a layer on the way feeds several.
        """
        way: list[Layer] = []
        while name not in self.inputs and len(self.layers[name].sources) == 1:
            layer = self.layers[name]
            if layer in way:
                raise CheckpointError(f"layer {name}: expected a way from an input, found a circle")
            way.insert(0, layer)
            (name,) = layer.sources
            self._check_feeds(name, [layer.name])
        return way, self.layers[name]

    def check_used(self, used: set[str]) -> None:
        """Refuse layers other than some, the inputs and the outputs.

        Raises
        ------
        CheckpointError
        """
        for name in sorted(self.layers.keys() - {*used, *self.inputs, *self.outputs}):
            raise CheckpointError(f"layer {name}: not on the way from the input to the heads")

    def _check_feeds(self, name: str, expected: list[str]) -> None:
        found = self.consumers(name)
        if sorted(found) != sorted(expected):
            raise CheckpointError(
                f"layer {name}: expected to feed either one layer or all {len(self.outputs)} "
                f"heads, found that it feeds {', '.join(found) or 'nothing'}"
            )


def read_graph(document: Any) -> Graph:
    """Return the graph of a parsed Keras model JSON.

    Raises
    ------
    CheckpointError
        When it is no functional Keras model.
    """
    try:
        return _read(document)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"expected the JSON of a functional Keras model, missing or malformed: {error}"
        ) from None


def _read(document: Any) -> Graph:
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
    inputs = tuple(entry[0] for entry in config["input_layers"])
    outputs = tuple(entry[0] for entry in config["output_layers"])
    for name in (*inputs, *outputs, *(s for layer in layers.values() for s in layer.sources)):
        if name not in layers:
            raise CheckpointError(f"layer {name}: referred to, but not described")
    return Graph(layers, inputs, outputs)
