"""The outputs that a model can have beside the cells: statistics over cells, and bulk levels.

The original's names: ``cpg_stats/<statistic>`` is over the cells that were observed at a
site, ``win_stats/<length>/<statistic>`` over the cells that were observed in a window around
it, and ``bulk/<name>`` is a level of methylation measured in many cells at once. Lengths are
in base pairs. Source: ``deepcpg/models/utils.py`` and ``deepcpg/evaluation.py`` of DeepCpG 1.0.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from deepcpg_tf.errors import ConfigError

BULK = "bulk"
SITE_STATISTICS = "cpg_stats"
WINDOW_STATISTICS = "win_stats"
VAR_CEILING = 0.251
"""What the sigmoid of a variance is multiplied by: the largest variance of 0 and 1 is 0.25."""

Activation = Literal["sigmoid", "scaled_sigmoid", "softmax", "relu"]
Loss = Literal["cross_entropy", "squares", "classes"]
Measure = Literal["regression", "rank", "binary", "classes"]


class OutputKind(NamedTuple):
    """What an output is: its units and their activation, its loss, and how it is judged.

    A ``cross_entropy`` is of targets 0 and 1, ``squares`` are of numbers, and ``classes``
    of 0 to ``units`` - 1. ``largest`` is the largest target, the smallest is 0.
    """

    activation: Activation
    loss: Loss
    measures: tuple[Measure, ...]
    units: int = 1
    largest: float = 1.0

    @property
    def classes(self) -> int:
        """Number of classes that a training can balance, 0 for an output of numbers."""
        return {"cross_entropy": 2, "classes": self.units, "squares": 0}[self.loss]


_BINARY = OutputKind("sigmoid", "cross_entropy", ("binary",))

STATISTICS: dict[str, OutputKind] = {
    "mean": OutputKind("sigmoid", "squares", ("regression", "rank", "binary")),
    "var": OutputKind("scaled_sigmoid", "squares", ("regression", "rank"), largest=0.25),
    "cat_var": OutputKind("softmax", "classes", ("classes",), units=3, largest=2),
    "cat2_var": _BINARY,
    "diff": _BINARY,
    "mode": _BINARY,
    "entropy": OutputKind("relu", "squares", ("regression", "rank")),
}
"""The original's statistics over cells, by name."""

_BULK = OutputKind("sigmoid", "squares", ("regression", "binary"))


class Output(NamedTuple):
    """An output by name, and its columns among all units of the heads."""

    name: str
    kind: OutputKind
    columns: slice

    @property
    def column_names(self) -> list[str]:
        """A name for each of its columns: its own, or one for each class."""
        units = self.kind.units
        return [self.name] if units == 1 else [f"{self.name}_{i}" for i in range(units)]


class Statistic(NamedTuple):
    """Which statistic over cells, and the length of the window, or None for a single site."""

    name: str
    window: int | None


def statistic_of(output: str) -> Statistic | None:
    """Return the statistic that an output is, or None for any other name."""
    match output.split("/"):
        case [scope, name] if scope == SITE_STATISTICS and name in STATISTICS:
            return Statistic(name, None)
        case [scope, length, name] if scope == WINDOW_STATISTICS and name in STATISTICS:
            if length.isascii() and length.isdigit() and int(length) > 0:
                return Statistic(name, int(length))
    return None


def bulk_of(output: str) -> str | None:
    """Return the name of the bulk sample that an output is of, or None for any other name."""
    scope, _, name = output.partition("/")
    return name if scope == BULK and name else None


def output_kind(output: str) -> OutputKind | None:
    """Return what kind an output is, or None for a name that is none."""
    statistic = statistic_of(output)
    if statistic is not None:
        return STATISTICS[statistic.name]
    return None if bulk_of(output) is None else _BULK


def full_name(name: str, others: Sequence[str] = ()) -> str:
    """Return the name of an output in full: ``mean`` is ``cpg_stats/mean``.

    `others` are names that an error tells too.

    Raises
    ------
    ConfigError
        When there is no such output.
    """
    full = f"{SITE_STATISTICS}/{name}" if name in STATISTICS else name
    if output_kind(full) is None:
        raise ConfigError(
            f"outputs: expected {', '.join((*others, *STATISTICS))} (of the cells observed at a "
            f"site), {WINDOW_STATISTICS}/LENGTH/ and one of these, or {BULK}/NAME, "
            f"received {name!r}"
        )
    return full


def outputs_from(first: int, names: Sequence[str]) -> tuple[Output, ...]:
    """Return outputs whose columns follow each other, from a first one (0-based) on."""
    outputs = []
    for name in names:
        kind = output_kind(name)
        assert kind is not None  # a configuration has no other names
        outputs.append(Output(name, kind, slice(first, first + kind.units)))
        first += kind.units
    return tuple(outputs)
