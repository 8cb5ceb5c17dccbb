"""What a training begins with: a new model of any module, one to go on from, or joined ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from deepcpg_tf.configs import cpg, dna, joint, local
from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.joint import DeepCpgJointConfig
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.configs.names import CPG, DNA, JOINT, LOCAL
from deepcpg_tf.configs.outputs import full_name
from deepcpg_tf.data.examples import WINDOW_LENGTH
from deepcpg_tf.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from deepcpg_tf.data.examples import Data
    from deepcpg_tf.models.base import MethylationModel

_FAMILIES: Mapping[str, Collection[str]] = {
    DNA: dna.ARCHITECTURES,
    CPG: cpg.ARCHITECTURES,
    JOINT: joint.ARCHITECTURES,
    LOCAL: local.ARCHITECTURES,
}
_JOINED = (DNA, CPG, JOINT)
_USUAL = {DNA: "CnnL2h128", CPG: "RnnL1", JOINT: "JointL2h512", LOCAL: "LocalL2h96"}
TRAIN_PARTS = (JOINT, "all")
"""What of a Joint module is trained whose parts were: what joins them with the heads, or all."""


class Chosen(NamedTuple):
    """A module, and the architecture of each of its parts and of what joins them."""

    module: str
    architectures: Mapping[str, str]


def chosen_architectures(module: str | None, architecture: str | None) -> Chosen:
    """Return what two arguments say together, and the usual architectures for the rest.

    Raises
    ------
    ConfigError
        When they do not go together, or there is no such module or architecture.
    """
    if module is not None and module not in _FAMILIES:
        raise ConfigError(f"module: expected one of {', '.join(_FAMILIES)}, received {module!r}")
    named: dict[str, str] = {}
    for name in architecture.split("+") if architecture is not None else ():
        family = next((one for one, known in _FAMILIES.items() if name in known), None)
        if family is None or family in named:
            known = "; ".join(", ".join(names) for names in _FAMILIES.values())
            raise ConfigError(
                f"architecture: expected one of {known}; of a joint module one of each kind with + "
                f"between them, received {architecture!r}"
            )
        named[family] = name
    if module is None:
        module = DNA if not named else next(iter(named)) if len(named) == 1 else JOINT
    wanted = _JOINED if module == JOINT else (module,)
    for family, name in named.items():
        if family not in wanted:
            raise ConfigError(
                f"architecture: expected that of a {module} module "
                f"({', '.join(_FAMILIES[module])}), received {name!r} of a {family} module"
            )
    return Chosen(module, {one: named.get(one, _USUAL[one]) for one in wanted})


class Outputs(NamedTuple):
    """Whether the cells are predicted, and which other outputs, by their names in full."""

    cells: bool
    others: tuple[str, ...]

    def cells_of(self, data: Data) -> tuple[str, ...]:
        """Return the cells of the data, or none."""
        return data.cells if self.cells else ()


def check_module(
    *,
    module: str | None,
    architecture: str | None,
    neighbours: int | None,
    max_distance: int | None,
    dna_module: object,
    cpg_module: object,
    train_parts: str | None,
    entries: int | None,
    similar_cells: int | None,
    groups: Sequence[str] | None,
    start: object,
) -> str | None:
    """Refuse arguments of `train` that say what model to make and do not go together.

    Returns
    -------
    str or None
        The module to make; None with a model to start from.

    Raises
    ------
    ConfigError
        Naming the argument that would be passed over.
    """
    given = {
        "module": module,
        "architecture": architecture,
        "neighbours": neighbours,
        "max_distance": max_distance,
        "dna_module": dna_module,
        "cpg_module": cpg_module,
        "train_parts": train_parts,
    }
    of_entries = {"entries": entries, "similar_cells": similar_cells, "groups": groups}
    if module == LOCAL and start is None:
        joining = {"cpg_module": cpg_module, "train_parts": train_parts}
        near = {"neighbours": neighbours, "max_distance": max_distance}
        _refuse({**joining, **near}, "a local module", "which reads features of entries")
        chosen_architectures(module, architecture)
        for name, value in of_entries.items():
            if isinstance(value, int) and value < 1:
                raise ConfigError(f"{name}: expected at least 1, received {value}")
        return LOCAL
    if start is not None:
        _refuse({**given, **of_entries}, "`start`", "which says what model to make")
        return None
    _refuse(of_entries, f"a {module or 'DeepCpG'} module", "which is trained on sites")
    joins = dna_module is not None or cpg_module is not None
    module = JOINT if module is None and joins else module
    chosen = chosen_architectures(module, architecture)
    if not joins:
        _refuse({"train_parts": train_parts}, "new modules", "all of which is trained")
        if CPG not in chosen.architectures:
            near = {"neighbours": neighbours, "max_distance": max_distance}
            _refuse(near, f"a {chosen.module} module", "which reads no neighbouring sites")
        return chosen.module
    if dna_module is None or cpg_module is None:
        one, other = ("cpg", "dna") if dna_module is None else ("dna", "cpg")
        raise ConfigError(
            f"{one}_module: expected `{other}_module` with it, a module to join, received none"
        )
    if chosen.module != JOINT:
        raise ConfigError(
            "dna_module and cpg_module: expected them with the module joint, "
            f"received {chosen.module}"
        )
    if architecture is not None and architecture not in _FAMILIES[JOINT]:
        raise ConfigError(
            f"architecture: expected that of what joins modules that are given "
            f"({', '.join(_FAMILIES[JOINT])}), received {architecture!r}"
        )
    near = {"neighbours": neighbours, "max_distance": max_distance}
    _refuse(near, "`cpg_module`", "which says it")
    if train_parts not in (None, *TRAIN_PARTS):
        raise ConfigError(
            f"train_parts: expected one of {', '.join(TRAIN_PARTS)}, received {train_parts!r}"
        )
    return JOINT


def _refuse(arguments: Mapping[str, object], beside: str, why: str) -> None:
    """Refuse arguments that would be passed over."""
    for name, value in arguments.items():
        if value is not None:
            raise ConfigError(f"{name}: expected none with {beside}, {why}, received {value}")


_CELLS = "cells"


def chosen_outputs(names: Sequence[str]) -> Outputs:
    """Return what ``"cells"`` and names of other outputs stand for.

    Raises
    ------
    ConfigError
        When there is no such output, one is named twice, or none.
    """
    others = [full_name(name, [_CELLS]) for name in names if name != _CELLS]
    given = [*([_CELLS] * list(names).count(_CELLS)), *others]
    for name in given:
        if given.count(name) > 1:
            raise ConfigError(f"outputs: expected each once, received {name!r} twice")
    if not given:
        raise ConfigError(f"outputs: expected {_CELLS} or names of other outputs, received none")
    return Outputs(_CELLS in given, tuple(others))


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What is asked for of the model before training, as `check_module` has let it pass.

    ``start``, ``dna`` and ``cpg`` are loaded models.
    """

    module: str | None = None
    architecture: str | None = None
    outputs: Outputs | None = None
    start: MethylationModel | None = None
    dna: MethylationModel | None = None
    cpg: MethylationModel | None = None
    dropout: float = 0.0
    neighbours: int | None = None
    max_distance: int | None = None
    similar_cells: int | None = None
    groups: Sequence[str] | None = None

    @property
    def parts(self) -> dict[str, MethylationModel]:
        """The models whose parts are joined, by the part."""
        return {name: one for name, one in ((DNA, self.dna), (CPG, self.cpg)) if one is not None}

    def config(self, data: Data, sites: npt.NDArray[np.int64]) -> ModuleConfig:
        """Return the configuration of the model for some data, of which some sites train it.

        Raises
        ------
        ConfigError
            When a model to join has no such part, or a value is out of range.
        """
        if self.start is not None:
            before = self.start.config
            outputs = self.outputs or Outputs(bool(before.cells), before.outputs)
            own = before.with_cells(outputs.cells_of(data), outputs.others)
            own = own.with_dropout(self.dropout)
        else:
            own = self._new(data)
        # Nothing of the sites to validate and to test on is told.
        return own.with_state_means(lambda cells: data.state_means(cells, sites))

    def _new(self, data: Data) -> ModuleConfig:
        module, names = chosen_architectures(self.module, self.architecture)
        configs: dict[str, ModuleConfig] = {}
        outputs = self.outputs or Outputs(True, ())
        shared: dict[str, Any] = {"cells": outputs.cells_of(data), "outputs": outputs.others}
        shared["hidden_dropout"] = self.dropout
        if module == LOCAL:
            return self._local(names[LOCAL])
        for part, name in names.items():
            if part in self.parts:
                configs[part] = self._given(part)
            elif part == DNA:
                length = data.window_length or WINDOW_LENGTH
                configs[part] = DeepCpgDnaConfig.from_architecture(
                    name, **shared, sequence_length=length
                )
            elif part == CPG:
                neighbours = data.neighbours if self.neighbours is None else self.neighbours
                asked = {"neighbours": neighbours, "max_distance": self.max_distance}
                given = {key: value for key, value in asked.items() if value is not None}
                configs[part] = DeepCpgCpgConfig.from_architecture(
                    name, **shared, **given, input_cells=data.cells
                )
        if module != JOINT:
            return configs[module]
        return DeepCpgJointConfig.from_architecture(
            names[JOINT], **shared, dna=configs[DNA], cpg=configs[CPG]
        )

    def _local(self, name: str) -> LocalConfig:
        if self.outputs not in (None, Outputs(True, ())):
            raise ConfigError("outputs: expected cells alone of a local module, received others")
        fields: dict[str, Any] = {"hidden_dropout": self.dropout}
        asked = {"similar_cells": self.similar_cells, "groups": self.groups}
        fields |= {name: value for name, value in asked.items() if value is not None}
        dna = self._given(DNA).to_dict() if self.dna is not None else None
        return LocalConfig.from_architecture(name, **fields, dna=dna)

    def _given(self, part: str) -> ModuleConfig:
        model = self.parts[part]
        if part not in model.config.parts:
            raise ConfigError(
                f"{part}_module: expected a model with a {part} module, "
                f"received a {model.config.module} module"
            )
        return model.config.parts[part].with_dropout(self.dropout)

    def model(self, config: ModuleConfig, dtype: str) -> tuple[MethylationModel, list[str]]:
        """Return the model, with the weights that it begins with, and what is told of it."""
        from deepcpg_tf.models.registry import new_model
        from deepcpg_tf.training.finetune import take_over, take_over_part

        model = new_model(config, dtype)
        if self.start is not None:
            heads = take_over(model, self.start)
            return model, [
                f"{len(heads.kept)} of {len(config.cells)} cells keep their heads, "
                f"{len(heads.new)} get new ones"
            ]
        for part, source in self.parts.items():
            take_over_part(model, source, part)
        return model, []
