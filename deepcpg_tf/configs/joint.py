"""The architecture of a DeepCpG Joint module as data: both other modules, and what joins them.

Source: Angermueller et al., Genome Biology 18:67 (2017), and the models of the
original program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from deepcpg_tf.configs._fields import (
    check_layer_names,
    check_rate,
    from_mapping,
    positive_integers,
    sizes_of,
    strings,
)
from deepcpg_tf.configs.base import HeadConfig, ModuleConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.layers import LayerSpec, joint_kinds, joint_layers, numbered_names
from deepcpg_tf.configs.names import CPG, DNA, JOINT
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.inputs import Inputs
from deepcpg_tf.presets import SERUM_CELLS

ARCHITECTURES: dict[str, tuple[int, ...]] = {
    "JointL0": (),
    "JointL1h512": (512,),
    "JointL2h512": (512, 512),
    "JointL3h512": (512, 512, 512),
}
"""The original's: name -> units of each dense layer after the concatenation."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepCpgJointConfig(ModuleConfig):
    """Architecture of a DeepCpG Joint module; the default is JointL2h512.

    Parameters
    ----------
    dna, cpg
        The modules that are joined, as configurations or mappings; by default CnnL2h128 and
        RnnL1. They have the cells of this one, whatever they had, and no head of their own.
    joint_sizes
        Units of each dense layer after the concatenation of their embeddings.
    hidden_dropout
        Rate of dropout after each of these, in training.
    num_labels, head, cells, outputs
        As in `ModuleConfig`.
    layer_names
        Names of the joining layers in order, the first the concatenation, the others
        without the scope ``joint/``. The default is the original's numbering from 1.

    Raises
    ------
    ConfigError
        When a value is out of range.
    """

    module: ClassVar[str] = "joint"
    default_cells: ClassVar[tuple[str, ...]] = SERUM_CELLS

    # None stands for "not given"; once made, a configuration always has both.
    dna: DeepCpgDnaConfig = None  # type: ignore[assignment]
    cpg: DeepCpgCpgConfig = None  # type: ignore[assignment]
    joint_sizes: tuple[int, ...] = (512, 512)
    hidden_dropout: float = 0.0
    layer_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("dna", self._part(DNA, DeepCpgDnaConfig))
        self._set("cpg", self._part(CPG, DeepCpgCpgConfig))
        self._set("joint_sizes", positive_integers("joint_sizes", self.joint_sizes))
        check_rate("hidden_dropout", self.hidden_dropout)
        self._set("layer_names", strings("layer_names", self.layer_names))
        kinds = joint_kinds(len(self.joint_sizes))
        if not self.layer_names:
            self._set("layer_names", numbered_names(kinds))
        check_layer_names(self.layer_names, kinds, (DNA, CPG))

    def _part(self, name: str, cls: type[ModuleConfig]) -> Any:
        """Return the configuration of a part, with the cells and outputs of the whole."""
        part = getattr(self, name)
        # What calibrates heads is of the whole.
        own: dict[str, Any] = {"cells": self.cells, "outputs": self.outputs, "calibration": None}
        if part is None:
            return cls(**own)
        if isinstance(part, Mapping):
            return from_mapping(cls, {**part, **own}, name)
        if not isinstance(part, cls):
            raise ConfigError(f"{name}: expected its configuration, received {part!r}")
        return dataclasses.replace(part, **own, num_labels=len(self.cells), head=HeadConfig())

    @classmethod
    def from_architecture(cls, architecture: str, **fields: Any) -> DeepCpgJointConfig:
        """Return the configuration of a named architecture.

        Parameters
        ----------
        architecture
            A key of `ARCHITECTURES`, for example ``"JointL2h512"``.
        **fields
            Any other field, for example ``dna`` and ``cpg``.

        Raises
        ------
        ConfigError
            When there is no such architecture, or a field is not valid.
        """
        sizes = sizes_of(architecture, ARCHITECTURES, ("joint_sizes",), fields)
        return cls.from_dict({**fields, "joint_sizes": sizes})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types, the cells once."""
        fields = super().to_dict()
        for part in (DNA, CPG):
            for name in ("cells", "num_labels", "outputs", "head", "calibration"):
                del fields[part][name]
        return fields

    @property
    def parts(self) -> Mapping[str, ModuleConfig]:
        """Both modules that are joined."""
        return {DNA: self.dna, CPG: self.cpg}

    @property
    def reads(self) -> Inputs:
        """What the model reads of each site: ``windows``, ``state`` and ``dist``."""
        return Inputs((*self.dna.reads, *self.cpg.reads))

    @property
    def embedding_size(self) -> int:
        """Values that the head reads."""
        return self.joining_layers[-1].channels if self.joint_sizes else self._embeddings

    @property
    def _embeddings(self) -> int:
        return self.dna.embedding_size + self.cpg.embedding_size

    @property
    def architecture(self) -> str:
        """Names of both parts and of what joins them, such as ``CnnL2h128+RnnL1+JointL2h512``."""
        joint = next((k for k, sizes in ARCHITECTURES.items() if sizes == self.joint_sizes), None)
        return f"{self.dna.architecture}+{self.cpg.architecture}+{joint or 'custom'}"

    def with_cells(
        self, cells: tuple[str, ...], outputs: tuple[str, ...] = ()
    ) -> DeepCpgJointConfig:
        """Return the same architecture with other cells, whose neighbours are read too."""
        cpg = self.cpg.with_cells(cells, outputs)
        return dataclasses.replace(super().with_cells(cells, outputs), cpg=cpg)

    def with_dropout(self, rate: float) -> DeepCpgJointConfig:
        """Return the same with another rate of dropout before every embedding."""
        dna, cpg = self.dna.with_dropout(rate), self.cpg.with_dropout(rate)
        return dataclasses.replace(self, dna=dna, cpg=cpg, hidden_dropout=rate)

    def with_state_means(
        self, means_of: Callable[[tuple[str, ...]], tuple[float, ...]]
    ) -> DeepCpgJointConfig:
        """Return the same with the mean methylation of the cells that it reads."""
        return dataclasses.replace(self, cpg=self.cpg.with_state_means(means_of))

    @property
    def joining_layers(self) -> tuple[LayerSpec, ...]:
        """The concatenation and the dense layers, with their costs."""
        return joint_layers(self._embeddings, self.joint_sizes, self.layer_names)

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """The layers of both modules and those that join them, with their costs."""
        return (*self.dna.layers, *self.cpg.layers, *self.joining_layers)

    @property
    def joining_paths(self) -> tuple[str, ...]:
        """The original's names of the joining layers, the first of which has no scope."""
        merge, *others = self.layer_names
        return (merge, *(f"{JOINT}/{name}" for name in others))

    @property
    def layer_paths(self) -> tuple[str, ...]:
        """The original's names of all hidden layers, in order."""
        return (*self.dna.layer_paths, *self.cpg.layer_paths, *self.joining_paths)

    @property
    def hidden_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of weights but the head's, by its name, in order."""
        shapes = self.dna.hidden_shapes | self.cpg.hidden_shapes
        channels = self._embeddings
        for path, spec in zip(self.joining_paths, self.joining_layers, strict=True):
            if spec.kind == "dense":
                shapes[f"{path}/kernel"] = (channels, spec.channels)
                shapes[f"{path}/bias"] = (spec.channels,)
            channels = spec.channels
        return shapes
