"""The architecture of a DeepCpG CpG module as data.

Source: Angermueller et al., Genome Biology 18:67 (2017), and the models of the
original program.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from deepcpg_tf.configs._fields import (
    check_layer_names,
    check_rate,
    check_unique,
    is_integer,
    positive_integers,
    sizes_of,
    strings,
)
from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.layers import LayerSpec, cpg_kinds, cpg_layers, numbered_names
from deepcpg_tf.configs.names import CPG
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.inputs import Input, Inputs
from deepcpg_tf.presets import SERUM_CELLS

ARCHITECTURES: dict[str, tuple[int, tuple[int, ...]]] = {
    "RnnL1": (256, (256,)),
    "RnnL2": (256, (128, 256)),
    "FcAvg": (512, ()),
}
"""The original's: name -> (units of the layer that cells share, of each recurrent layer)."""

_INPUTS = ("state", "dist")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepCpgCpgConfig(ModuleConfig):
    """Architecture of a DeepCpG CpG module; the default is RnnL1.

    Parameters
    ----------
    input_cells
        Names of the cells whose neighbouring sites are read, in order; by default those
        of the outputs. The recurrent layers go from one to the next, so their order is
        part of the model.
    neighbours
        Observed neighbours of a site that are read in each cell, half of them to the left
        of it and half to the right.
    max_distance
        Base pairs at which a distance is 1; longer ones are as well.
    state_means
        Mean methylation of each of `input_cells`, which stands for the state of a
        neighbour that is not there; empty where it is not known.
    shared_size
        Units of the dense layer that all cells share.
    recurrent_sizes
        Units of each bidirectional recurrent layer, in one direction. None is the mean
        over the cells.
    hidden_dropout
        Rate of dropout after these, in training.
    num_labels, head, cells, outputs
        As in `ModuleConfig`.
    layer_names
        Names of the layers in order, without the scope ``cpg/``. The default is the
        original's numbering from 1 (``bidirectional_1``).

    Raises
    ------
    ConfigError
        When a value is out of range.
    """

    module: ClassVar[str] = "cpg"
    default_cells: ClassVar[tuple[str, ...]] = SERUM_CELLS

    input_cells: tuple[str, ...] = ()
    neighbours: int = 50
    max_distance: int = 25_000
    state_means: tuple[float, ...] = ()
    shared_size: int = 256
    recurrent_sizes: tuple[int, ...] = (256,)
    hidden_dropout: float = 0.0
    layer_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("input_cells", strings("input_cells", self.input_cells) or self.cells)
        check_unique("input_cells", self.input_cells)
        if not self.input_cells:
            raise ConfigError("input_cells: expected at least one, received none")
        for name in ("max_distance", "shared_size"):
            positive_integers(name, (getattr(self, name),))
        if not is_integer(self.neighbours) or self.neighbours < 2 or self.neighbours % 2:
            raise ConfigError(
                "neighbours: expected an even number of at least 2, half of them on each side, "
                f"received {self.neighbours!r}"
            )
        self._set("recurrent_sizes", positive_integers("recurrent_sizes", self.recurrent_sizes))
        check_rate("hidden_dropout", self.hidden_dropout)
        self._set("state_means", _rates("state_means", self.state_means))
        if self.state_means and len(self.state_means) != len(self.input_cells):
            raise ConfigError(
                f"state_means: expected one for each of {len(self.input_cells)} cells, "
                f"received {len(self.state_means)}"
            )
        self._set("layer_names", strings("layer_names", self.layer_names))
        kinds = cpg_kinds(len(self.recurrent_sizes))
        if not self.layer_names:
            self._set("layer_names", numbered_names(kinds))
        check_layer_names(self.layer_names, kinds, _INPUTS)
        for cell in self.cells:
            if cell in self.layer_names:
                raise ConfigError(
                    f"layer_names: expected other names than those of cells, received {cell!r}"
                )

    @classmethod
    def from_architecture(cls, architecture: str, **fields: Any) -> DeepCpgCpgConfig:
        """Return the configuration of a named architecture.

        Parameters
        ----------
        architecture
            A key of `ARCHITECTURES`: ``"RnnL1"``, ``"RnnL2"`` or ``"FcAvg"``.
        **fields
            Any other field, for example ``cells``.

        Raises
        ------
        ConfigError
            When there is no such architecture, or a field is not valid.
        """
        own = ("shared_size", "recurrent_sizes")
        sizes = sizes_of(architecture, ARCHITECTURES, own, fields)
        return cls.from_dict({**fields, **dict(zip(own, sizes, strict=True))})

    @property
    def parts(self) -> Mapping[str, ModuleConfig]:
        """The one module: itself."""
        return {CPG: self}

    @property
    def reads(self) -> Inputs:
        """What the model reads of each site: ``state`` and ``dist`` of neighbours, 0 to 1."""
        shape = (len(self.input_cells), self.neighbours)
        return Inputs(Input(name, shape, "float32", fill=0.0, largest=1.0) for name in _INPUTS)

    @property
    def neighbours_key(self) -> str:
        """What tells tables of neighbours apart: a checksum of whose are read, and how."""
        how = [self.input_cells, self.neighbours, self.max_distance, self.state_means]
        return hashlib.sha256(json.dumps(how).encode()).hexdigest()[:16]

    @property
    def embedding_size(self) -> int:
        """Values that the head reads."""
        return self.layers[-1].channels

    @property
    def architecture(self) -> str:
        """Name among `ARCHITECTURES`, or ``"custom"``."""
        own = (self.shared_size, self.recurrent_sizes)
        return next((name for name, other in ARCHITECTURES.items() if other == own), "custom")

    def with_cells(self, cells: tuple[str, ...], outputs: tuple[str, ...] = ()) -> DeepCpgCpgConfig:
        """Return the same architecture with other cells, whose neighbours are read too.

        The same cells in another order are read in the order in which they were, and without
        cells those that were.
        """
        changed = super().with_cells(cells, outputs)
        if not cells or set(cells) == set(self.input_cells):
            return changed
        return dataclasses.replace(changed, input_cells=cells, state_means=())

    def with_state_means(
        self, means_of: Callable[[tuple[str, ...]], tuple[float, ...]]
    ) -> DeepCpgCpgConfig:
        """Return the same with the mean methylation of the cells that it reads."""
        if self.state_means:
            return self
        return dataclasses.replace(self, state_means=means_of(self.input_cells))

    def with_dropout(self, rate: float) -> DeepCpgCpgConfig:
        """Return the same with another rate of dropout before the embedding."""
        return dataclasses.replace(self, hidden_dropout=rate)

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """The layers in order, with the number of cells or sites, and their costs."""
        return cpg_layers(
            len(self.input_cells),
            self.neighbours,
            self.shared_size,
            self.recurrent_sizes,
            self.layer_names,
        )

    @property
    def layer_paths(self) -> tuple[str, ...]:
        """The original's names of the layers, in order, such as ``cpg/bidirectional_1``."""
        return tuple(f"{CPG}/{name}" for name in self.layer_names)

    @property
    def hidden_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of weights but the head's, by its name, in order."""
        merge, shared, *over_cells, _ = self.layers
        stem = f"{CPG}/{shared.name}"
        shapes: dict[str, tuple[int, ...]] = {
            f"{stem}/kernel": (merge.channels, shared.channels),
            f"{stem}/bias": (shared.channels,),
        }
        channels = shared.channels
        for spec in over_cells:
            if spec.kind == "bidirectional":
                units = spec.channels // 2
                for direction in ("forward", "backward"):
                    stem = f"{CPG}/{spec.name}/{direction}_gru/gru_cell"
                    shapes[f"{stem}/kernel"] = (channels, 3 * units)
                    shapes[f"{stem}/recurrent_kernel"] = (units, 3 * units)
                    shapes[f"{stem}/bias"] = (3 * units,)
            channels = spec.channels
        return shapes


def cpg_part(config: ModuleConfig) -> DeepCpgCpgConfig | None:
    """Return the CpG module of a module, or None where it reads no neighbouring sites."""
    part = config.parts.get(CPG)
    assert part is None or isinstance(part, DeepCpgCpgConfig)
    return part


def _rates(name: str, values: Any) -> tuple[float, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{name}: expected a list of numbers, received {values!r}")
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not (math.isfinite(value) and 0 <= value <= 1):
            raise ConfigError(f"{name}: expected numbers from 0 to 1, received {value!r}")
    return tuple(float(value) for value in values)
