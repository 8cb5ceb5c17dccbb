"""The state of a training between two epochs, from which it goes on after any death."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, parse_json
from deepcpg_tf.npz import read_npz

Arrays = dict[str, npt.NDArray[Any]]
Row = dict[str, float]

_STATE_FILE = "state.npz"


class State(NamedTuple):
    """What has been reached.

    ``history`` has a row an epoch. ``variables`` are those of model and optimizer by name.
    ``kept`` is the epoch with the smallest validation loss, or without validation the last;
    ``best`` are the model's variables after it, none where they are the last.
    """

    history: list[Row]
    kept: int
    variables: Arrays
    best: Arrays

    @classmethod
    def start(cls, variables: Arrays) -> State:
        """Return the state before the first epoch."""
        return cls([], 0, variables, {})

    @property
    def kept_row(self) -> Row:
        """The row of the epoch whose weights are kept."""
        return self.history[self.kept - 1]

    @property
    def best_loss(self) -> float:
        """The smallest validation loss, infinity before there is one."""
        return self.kept_row.get("validation_loss", math.inf) if self.history else math.inf

    @property
    def waited(self) -> int:
        """Epochs since the one whose weights are kept."""
        return len(self.history) - self.kept


def save_state(folder: Path, state: State) -> None:
    """Write the state in one file, by rename, so that no death can leave half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"history": state.history, "kept": state.kept})
    arrays = {
        f"{kind}:{name}": array
        for kind, group in (("variable", state.variables), ("best", state.best))
        for name, array in group.items()
    }
    with atomic_file(folder / _STATE_FILE) as partial, partial.open("wb") as file:
        np.savez(file, **{"text": np.array(text), **arrays})  # type: ignore[arg-type]


def load_state(folder: Path) -> State | None:
    """Return the state in a folder, or None where there is none.

    Raises
    ------
    OutputError
        When it is damaged.
    """
    path = folder / _STATE_FILE
    if not path.is_file():
        return None
    try:
        arrays = read_npz(path)
        if "text" not in arrays:
            raise ValueError("it has no description")
        history, kept = _described(parse_json(str(arrays["text"])))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise OutputError(
            f"{path}: expected the state of a training, but {reason}; remove {folder} to start anew"
        ) from None
    return State(history, kept, _of_kind(arrays, "variable"), _of_kind(arrays, "best"))


def _described(description: Any) -> tuple[list[Row], int]:
    """Return the history, and which epoch is kept."""
    if not isinstance(description, dict) or {*description} != {"history", "kept"}:
        raise ValueError("its description is another one")
    history, kept = description["history"], description["kept"]
    if not isinstance(history, list) or not all(
        isinstance(row, dict) and _is_row(row, epoch) for epoch, row in enumerate(history, 1)
    ):
        raise ValueError("its history is none")
    if type(kept) is not int or not min(1, len(history)) <= kept <= len(history):
        raise ValueError(f"it keeps epoch {kept!r:.60} of {len(history)}")
    return history, kept


def _is_row(row: dict[str, Any], epoch: int) -> bool:
    return all(type(value) in (int, float) for value in row.values()) and row.get("epoch") == epoch


def _of_kind(file: Mapping[str, npt.NDArray[Any]], kind: str) -> Arrays:
    return {key.removeprefix(f"{kind}:"): file[key] for key in file if key.startswith(f"{kind}:")}
