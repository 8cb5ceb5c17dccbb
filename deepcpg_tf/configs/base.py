"""What the configurations of all modules have in common: the cells and their head."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from deepcpg_tf.configs._fields import (
    check_rate,
    check_unique,
    from_mapping,
    is_integer,
    positive_integers,
    strings,
)
from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.configs.layers import LayerSpec, head_layer
from deepcpg_tf.configs.names import HEAD
from deepcpg_tf.configs.outputs import Output, full_name, outputs_from
from deepcpg_tf.errors import ConfigError
from deepcpg_tf.files import parse_json
from deepcpg_tf.inputs import Inputs

Own = TypeVar("Own", bound="ModuleConfig")

# More than any study has; each gets a name, and a number from a file may be anything.
_MOST_CELLS = 10**6


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The head: one sigmoid unit per cell, and the units of other outputs.

    Parameters
    ----------
    problem_type
        Only ``"binary"``: each cell is its own yes-or-no question.
    dropout
        Rate of dropout between the embedding and the head, in training.
    trained
        False for a module taken out of a Joint module, which has no heads of its own: it
        yields an embedding, and can be trained or joined.
    """

    problem_type: str = "binary"
    dropout: float = 0.0
    trained: bool = True

    def __post_init__(self) -> None:
        if self.problem_type != "binary":
            raise ConfigError(
                f"head.problem_type: expected 'binary', received {self.problem_type!r}"
            )
        check_rate("head.dropout", self.dropout)
        if not isinstance(self.trained, bool):
            raise ConfigError(f"head.trained: expected true or false, received {self.trained!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModuleConfig:
    """Configuration of a module, whichever it is.

    Parameters
    ----------
    num_labels
        Number of cells. Taken from `cells` when those are given.
    head
        Options of the head, as `HeadConfig` or a mapping.
    cells
        Names of the cells in output order; ``cell_1 …`` when only `num_labels` is given.
        There may be none where there are other outputs.
    outputs
        Names of the outputs that follow the cells, such as ``cpg_stats/mean``; see
        `deepcpg_tf.configs.outputs`.
    calibration
        How probabilities of cells are calibrated, as `Calibration` or a mapping; None where
        nothing is known of that. What the model predicts does not depend on it.

    Raises
    ------
    ConfigError
        When a value is out of range.
    """

    module: ClassVar[str]
    """The name of the module in files: ``"dna"`` and so on."""

    default_cells: ClassVar[tuple[str, ...]] = ()

    num_labels: int | None = None
    head: HeadConfig = HeadConfig()
    # None stands for "not given"; once made, a configuration always has its cells.
    cells: tuple[str, ...] = None  # type: ignore[assignment]
    outputs: tuple[str, ...] = ()
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if isinstance(self.head, Mapping):
            self._set("head", from_mapping(HeadConfig, self.head, "head"))
        if not isinstance(self.head, HeadConfig):
            raise ConfigError(f"head: expected its options, received {self.head!r}")
        if isinstance(self.calibration, Mapping):
            self._set("calibration", from_mapping(Calibration, self.calibration, "calibration"))
        if not isinstance(self.calibration, Calibration | None):
            raise ConfigError(f"calibration: expected its values, received {self.calibration!r}")
        self._set("outputs", tuple(map(full_name, strings("outputs", self.outputs))))
        check_unique("outputs", self.outputs)
        self._resolve_cells()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _resolve_cells(self) -> None:
        if self.num_labels is not None:
            if not (self.outputs and is_integer(self.num_labels) and self.num_labels == 0):
                positive_integers("num_labels", (self.num_labels,))
            if self.num_labels > _MOST_CELLS:
                raise ConfigError(
                    f"num_labels: expected at most {_MOST_CELLS:,}, received {self.num_labels}"
                )
        if self.cells is not None:
            self._set("cells", strings("cells", self.cells))
        elif self.num_labels is not None:
            self._set("cells", tuple(f"cell_{i + 1}" for i in range(self.num_labels)))
        else:
            self._set("cells", self.default_cells)
        if not self.cells and not self.outputs:
            raise ConfigError("cells: expected at least one, received none")
        if self.num_labels not in (None, len(self.cells)):
            raise ConfigError(
                f"num_labels: expected {len(self.cells)}, the number of cells, "
                f"received {self.num_labels}"
            )
        self._set("num_labels", len(self.cells))
        check_unique("cells", self.cells)

    @property
    def architecture(self) -> str:
        """The name of the architecture, ``"custom"`` when it has none."""
        raise NotImplementedError

    @property
    def parts(self) -> Mapping[str, ModuleConfig]:
        """The modules that it consists of, by the original's scope of their layers."""
        raise NotImplementedError

    @property
    def reads(self) -> Inputs:
        """What the model reads of each site."""
        raise NotImplementedError

    @property
    def embedding_size(self) -> int:
        """Values that the head reads."""
        raise NotImplementedError

    @property
    def layers(self) -> tuple[LayerSpec, ...]:
        """The hidden layers in order, with their lengths and costs."""
        raise NotImplementedError

    @property
    def layer_paths(self) -> tuple[str, ...]:
        """The original's names of the hidden layers, in order, such as ``dna/dense_1``."""
        raise NotImplementedError

    @property
    def hidden_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of weights but the head's, by its name, in order."""
        raise NotImplementedError

    @property
    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of weights by its name, in order; the head's come last."""
        units = self.units
        head = {f"{HEAD}/kernel": (self.embedding_size, units), f"{HEAD}/bias": (units,)}
        return self.hidden_shapes | head

    @property
    def other_outputs(self) -> tuple[Output, ...]:
        """The outputs beside the cells, with their kinds and columns."""
        return outputs_from(len(self.cells), self.outputs)

    @property
    def column_names(self) -> tuple[str, ...]:
        """A name for each unit of the head: the cells, then the other outputs."""
        return (*self.cells, *(name for one in self.other_outputs for name in one.column_names))

    @property
    def units(self) -> int:
        """Units of the head: one a cell, and those of other outputs."""
        return len(self.cells) + sum(one.kind.units for one in self.other_outputs)

    @property
    def head_layer(self) -> LayerSpec:
        """The head, all cells and other outputs together."""
        return head_layer(self.embedding_size, self.units)

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(spec.parameters for spec in (*self.layers, self.head_layer))

    @property
    def num_macs(self) -> int:
        """Multiply-accumulates of one site."""
        return sum(spec.macs for spec in (*self.layers, self.head_layer))

    @property
    def num_flops(self) -> int:
        """Floating-point operations of one site, as `LayerSpec` counts them."""
        return sum(spec.flops for spec in (*self.layers, self.head_layer))

    def with_cells(self: Own, cells: tuple[str, ...], outputs: tuple[str, ...] = ()) -> Own:
        """Return the same architecture with other cells and outputs, and heads for them."""
        head = dataclasses.replace(self.head, trained=True)
        return dataclasses.replace(
            self,
            cells=cells,
            num_labels=len(cells),
            outputs=outputs,
            head=head,
            calibration=None,
        )

    def with_calibration(self: Own, calibration: Calibration | None) -> Own:
        """Return the same with other values that calibrate its cells."""
        return dataclasses.replace(self, calibration=calibration)

    def with_untrained_head(self: Own) -> Own:
        """Return the same with heads that stand for none."""
        head = dataclasses.replace(self.head, trained=False)
        return dataclasses.replace(self, head=head, calibration=None)

    def with_dropout(self: Own, rate: float) -> Own:
        """Return the same with another rate of dropout before the embedding."""
        raise NotImplementedError

    def with_state_means(
        self: Own, means_of: Callable[[tuple[str, ...]], tuple[float, ...]]
    ) -> Own:
        """Return the same with the mean methylation of the cells that it reads, if it reads any.

        Parameters
        ----------
        means_of
            Returns the means of some cells; only asked where they are not known.
        """
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        fields = dataclasses.asdict(self)
        if not self.outputs:
            # As before there were any: the digest of a model is of its configuration too.
            del fields["outputs"]
        if self.calibration is None:
            del fields["calibration"]
        return _as_json(fields)

    @classmethod
    def from_dict(cls: type[Own], fields: Mapping[str, Any]) -> Own:
        """Return the configuration that `to_dict` wrote.

        Raises
        ------
        ConfigError
            When a field is unknown or not valid.
        """
        result: Own = from_mapping(cls, fields, "configuration")
        return result

    def to_json(self) -> str:
        """Return the configuration as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls: type[Own], text: str) -> Own:
        """Return the configuration that `to_json` wrote.

        Raises
        ------
        ConfigError
            When the text is no JSON object, or a field is unknown or not valid.
        """
        try:
            fields = parse_json(text)
        except ValueError as error:
            raise ConfigError(f"configuration: expected JSON, received {error}") from None
        return cls.from_dict(fields)


def _as_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _as_json(value)
        if isinstance(value, Mapping)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in fields.items()
    }
