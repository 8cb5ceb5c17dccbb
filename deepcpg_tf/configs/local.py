"""The local module as data: the features of an entry, and the network that reads them.

An entry is a site in a cell. Its features are numbers of what was observed near the site in
the cell and in the others, never of the entry itself; no weight belongs to a cell.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from deepcpg_tf.configs._fields import (
    check_rate,
    check_unique,
    from_mapping,
    is_integer,
    positive_integers,
    sizes_of,
    strings,
)
from deepcpg_tf.configs.base import HeadConfig, ModuleConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.layers import LayerSpec, joint_kinds, joint_layers, numbered_names
from deepcpg_tf.configs.names import DNA, LOCAL
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.inputs import Input, Inputs

ARCHITECTURES: dict[str, tuple[int, ...]] = {
    "LocalL2h96": (96, 48),
    "LocalL2h256": (256, 128),
}
"""Name -> units of each hidden layer."""

KERNELS = (150, 500, 2000, 10_000)
"""Base pairs after which what was observed counts 1/e, of smoothed values."""

RESIDUAL_KERNELS = (150, 1000)
ROW_KERNELS = (150, 500)
NEAREST = 3
"""Observed neighbours of an entry on each side, of which state and distance are read."""

NEAREST_WITH_ROWS = 2
"""Those of them of which the states of other cells are read too."""

ROWS_AROUND = 4
"""Observed sites on each side, of which the mean over the cells is read."""

_SIDES = ("left", "right")

CELL_FEATURES: Mapping[str, tuple[str, ...]] = {
    "own": tuple(f"own_{what}_{bp}" for bp in KERNELS for what in ("mean", "count")),
    "neighbours": tuple(
        f"{side}_{i + 1}_{what}"
        for i in range(NEAREST)
        for side in _SIDES
        for what in ("state", "distance")
    ),
    "neighbour_rows": tuple(
        f"{side}_{i + 1}_{what}"
        for i in range(NEAREST_WITH_ROWS)
        for side in _SIDES
        for what in ("others", "agreement")
    ),
    "site": ("site_mean", "site_count"),
    "similar": ("similar_evidence", "similar_mean", "similar_count"),
    "agreement": tuple(
        f"agreement_{what}_{bp}" for bp in ROW_KERNELS for what in ("evidence", "mean", "count")
    ),
    "residual": tuple(f"residual_{bp}" for bp in RESIDUAL_KERNELS),
    "cell": ("cell_mean", "cell_coverage"),
}
"""Features that differ between the cells at a site, by group; see `deepcpg_tf.local`."""

SITE_FEATURES: Mapping[str, tuple[str, ...]] = {
    "around": tuple(f"around_{what}_{bp}" for bp in KERNELS for what in ("mean", "count")),
    "rows": tuple(
        f"row_{side}_{i + 1}_{what}"
        for i in range(ROWS_AROUND)
        for side in _SIDES
        for what in ("mean", "count")
    ),
    "variability": tuple(f"variability_{bp}" for bp in RESIDUAL_KERNELS),
}
"""Features that all cells at a site share, by group."""

GROUPS = (*CELL_FEATURES, *SITE_FEATURES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalConfig(ModuleConfig):
    """Architecture of a local module.

    Parameters
    ----------
    groups
        Groups of features that are read; all of them by default, in the order of `GROUPS`.
    similar_cells
        Cells that are compared with a cell at most: those most similar to it.
    hidden_sizes
        Units of each hidden layer.
    hidden_dropout
        Rate of dropout after each of these, in training.
    dna
        The DNA module whose embedding of the site is read too, as a configuration or a
        mapping; none by default.
    num_labels, head, cells, outputs
        As in `ModuleConfig`; the one "cell" is called ``methylation``, and stands for any.

    Raises
    ------
    ConfigError
        When a value is out of range.
    """

    module: ClassVar[str] = LOCAL
    default_cells: ClassVar[tuple[str, ...]] = ("methylation",)

    groups: tuple[str, ...] = GROUPS
    similar_cells: int = 32
    hidden_sizes: tuple[int, ...] = (96, 48)
    hidden_dropout: float = 0.0
    dna: DeepCpgDnaConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cells != self.default_cells or self.outputs:
            raise ConfigError(
                f"cells: expected {self.default_cells[0]} alone, which stands for any cell, "
                f"received {', '.join((*self.cells, *self.outputs))}"
            )
        groups = strings("groups", self.groups)
        check_unique("groups", groups)
        for name in groups:
            if name not in GROUPS:
                raise ConfigError(f"groups: expected some of {', '.join(GROUPS)}, received {name}")
        self._set("groups", tuple(name for name in GROUPS if name in groups))
        if not self.cell_features:
            raise ConfigError(
                f"groups: expected at least one of {', '.join(CELL_FEATURES)}, "
                f"received {', '.join(groups) or 'none'}"
            )
        if not is_integer(self.similar_cells) or self.similar_cells < 1:
            raise ConfigError(
                f"similar_cells: expected at least 1, received {self.similar_cells!r}"
            )
        self._set("hidden_sizes", positive_integers("hidden_sizes", self.hidden_sizes))
        if not self.hidden_sizes:
            raise ConfigError("hidden_sizes: expected at least one, received none")
        check_rate("hidden_dropout", self.hidden_dropout)
        if self.dna is not None:
            self._set("dna", self._dna_part())

    def _dna_part(self) -> DeepCpgDnaConfig:
        """Return the configuration of the DNA module, without cells of its own."""
        own: dict[str, Any] = {
            "cells": self.cells,
            "num_labels": len(self.cells),
            "outputs": (),
            "head": HeadConfig(),
            "calibration": None,
        }
        if isinstance(self.dna, Mapping):
            result: DeepCpgDnaConfig = from_mapping(DeepCpgDnaConfig, {**self.dna, **own}, DNA)
            return result
        if not isinstance(self.dna, DeepCpgDnaConfig):
            raise ConfigError(f"dna: expected its configuration, received {self.dna!r}")
        return dataclasses.replace(self.dna, **own)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        fields = super().to_dict()
        if self.dna is None:
            del fields["dna"]
        else:
            for name in ("cells", "num_labels", "outputs", "head", "calibration"):
                fields["dna"].pop(name, None)
        return fields

    @classmethod
    def from_architecture(cls, architecture: str, **fields: Any) -> LocalConfig:
        """Return the configuration of a named architecture.

        Parameters
        ----------
        architecture
            A key of `ARCHITECTURES`.
        **fields
            Any other field, for example ``dna``.

        Raises
        ------
        ConfigError
            When there is no such architecture, or a field is not valid.
        """
        sizes = sizes_of(architecture, ARCHITECTURES, ("hidden_sizes",), fields)
        return cls.from_dict({**fields, "hidden_sizes": sizes})

    @property
    def cell_features(self) -> tuple[str, ...]:
        """Names of the features that differ between cells, in order."""
        return tuple(
            one for group, own in CELL_FEATURES.items() if group in self.groups for one in own
        )

    @property
    def site_features(self) -> tuple[str, ...]:
        """Names of the features that all cells at a site share, in order."""
        return tuple(
            one for group, own in SITE_FEATURES.items() if group in self.groups for one in own
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of all features, in the order in which they are read."""
        return (*self.cell_features, *self.site_features)

    @property
    def parts(self) -> Mapping[str, ModuleConfig]:
        """The one module: itself; what embeds DNA is computed before, once a site."""
        return {LOCAL: self}

    @property
    def reads(self) -> Inputs:
        """What the network reads of an entry: ``features``, and the ``embedding`` of its DNA."""
        own = [Input("features", (len(self.feature_names),), "float32", fill=0.0)]
        if self.dna is not None:
            own.append(Input("embedding", (self.dna.embedding_size,), "float32", fill=0.0))
        return Inputs(own)

    @property
    def embedding_size(self) -> int:
        """Values that the head reads."""
        return self.hidden_sizes[-1]

    @property
    def architecture(self) -> str:
        """The DNA module's, if there is one, and the units of the hidden layers."""
        sizes = self.hidden_sizes
        own = next((name for name, other in ARCHITECTURES.items() if other == sizes), "custom")
        return own if self.dna is None else f"{self.dna.architecture}+{own}"

    def with_cells(self, cells: tuple[str, ...], outputs: tuple[str, ...] = ()) -> LocalConfig:
        """Return the same: its one output stands for any cell."""
        if outputs:
            raise ConfigError(f"outputs: expected cells alone, received {', '.join(outputs)}")
        return dataclasses.replace(self, head=dataclasses.replace(self.head, trained=True))

    def with_dropout(self, rate: float) -> LocalConfig:
        """Return the same with another rate of dropout after each hidden layer."""
        return dataclasses.replace(self, hidden_dropout=rate)

    @property
    def values(self) -> int:
        """Values that the first layer reads: features, and the embedding of DNA."""
        return sum(one.shape[0] for one in self.reads)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in order, without the scope ``local/``."""
        return numbered_names(joint_kinds(len(self.hidden_sizes)))[self.dna is None :]

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """The layers of the network, with their costs for an entry."""
        names = numbered_names(joint_kinds(len(self.hidden_sizes)))
        return joint_layers(self.values, self.hidden_sizes, names)[self.dna is None :]

    @property
    def num_parameters(self) -> int:
        """Number of parameters, those of the DNA module included."""
        dna = () if self.dna is None else self.dna.layers
        return super().num_parameters + sum(spec.parameters for spec in dna)

    @property
    def layer_paths(self) -> tuple[str, ...]:
        """Names of the hidden layers in order, such as ``local/dense_1``."""
        return tuple(f"{LOCAL}/{name}" for name in self.layer_names)

    @property
    def hidden_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of weights but the head's, by its name, in order."""
        shapes = {} if self.dna is None else dict(self.dna.hidden_shapes)
        channels = self.values
        for path, spec in zip(self.layer_paths, self.layers, strict=True):
            if spec.kind == "dense":
                shapes[f"{path}/kernel"] = (channels, spec.channels)
                shapes[f"{path}/bias"] = (spec.channels,)
            channels = spec.channels
        return shapes
