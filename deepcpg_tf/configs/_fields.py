"""Checks of configuration fields, each ending in one clear `ConfigError`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from deepcpg_tf.errors import ConfigError


def from_mapping(cls: Any, fields: object, where: str) -> Any:
    if not isinstance(fields, Mapping):
        raise ConfigError(f"{where}: expected an object, received {type(fields).__name__}")
    known = [field.name for field in dataclasses.fields(cls)]
    for name in fields:
        if name not in known:
            raise ConfigError(f"{where}: expected the fields {', '.join(known)}, received {name!r}")
    return cls(**fields)


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def positive_integers(name: str, values: Any) -> tuple[int, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{name}: expected a list of positive integers, received {values!r}")
    for value in values:
        if not is_integer(value) or value < 1:
            raise ConfigError(f"{name}: expected positive integers, received {value!r}")
    return tuple(values)


def strings(name: str, values: Any) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{name}: expected a list of names, received {values!r}")
    for value in values:
        if not isinstance(value, str) or not value or not value.isprintable():
            raise ConfigError(f"{name}: expected printable names, received {value!r}")
    return tuple(values)


def check_unique(name: str, values: Sequence[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ConfigError(f"{name}: expected each name once, received {value!r} twice")
        seen.add(value)


def check_rate(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name}: expected a number, received {value!r}")
    if not 0 <= value < 1:
        raise ConfigError(f"{name}: expected a rate of at least 0 and below 1, received {value!r}")


def check_layer_names(names: Sequence[str], kinds: Sequence[str], others: Sequence[str]) -> None:
    """Refuse names that are not one for each kind of layer, or that stand for something else."""
    if len(names) != len(kinds):
        raise ConfigError(
            f"layer_names: expected {len(kinds)} names ({', '.join(kinds)}), received {len(names)}"
        )
    for name in names:
        if "/" in name or name in (*others, ".", ".."):
            raise ConfigError(
                f"layer_names: expected names without '/' and other than {' and '.join(others)} "
                f"(of inputs and modules), received {name!r}"
            )
    check_unique("layer_names", names)


def sizes_of(
    architecture: str, known: Mapping[str, Any], own: Sequence[str], fields: Mapping[str, Any]
) -> Any:
    """Return what a named architecture stands for; refuse fields of its own beside it."""
    if architecture not in known:
        raise ConfigError(
            f"architecture: expected one of {', '.join(known)}, received {architecture!r}"
        )
    for name in own:
        if name in fields:
            raise ConfigError(f"{name}: expected no other than that of {architecture}")
    return known[architecture]
