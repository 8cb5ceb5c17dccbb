"""The state of a training between two epochs, from which it goes on after any death."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, parse_json

Arrays = dict[str, npt.NDArray[Any]]

_STATE_FILE = "state.npz"


class Progress(NamedTuple):
    """What has been reached.

    ``history`` has a row an epoch. ``variables`` are those of model and optimizer by name.
    ``waited`` counts the epochs since the smallest validation loss, and ``best`` are the
    model's variables at that time.
    """

    history: list[dict[str, float]]
    best_loss: float
    waited: int
    variables: Arrays
    best: Arrays

    @classmethod
    def start(cls, variables: Arrays) -> Progress:
        """Return the progress before the first epoch."""
        return cls([], math.inf, 0, variables, {})


def save_progress(folder: Path, progress: Progress, identity: Mapping[str, Any]) -> None:
    """Write the state in one file, by rename, so that no death can leave half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {
            "identity": identity,
            "history": progress.history,
            "best_loss": progress.best_loss,
            "waited": progress.waited,
        }
    )
    arrays = {
        f"{kind}:{name}": array
        for kind, group in (("variable", progress.variables), ("best", progress.best))
        for name, array in group.items()
    }
    with atomic_file(folder / _STATE_FILE) as partial, partial.open("wb") as file:
        np.savez(file, **{"text": np.array(text), **arrays})  # type: ignore[arg-type]


def load_progress(folder: Path, identity: Mapping[str, Any]) -> Progress | None:
    """Return the state in a folder, or None where there is none.

    Parameters
    ----------
    folder
        Where `save_progress` wrote.
    identity
        What decides about the result of a training: data, settings, model.

    Raises
    ------
    OutputError
        When the state is of another training, or damaged.
    """
    path = folder / _STATE_FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            description = parse_json(str(arrays["text"]))
            variables, best = (_of_kind(arrays, kind) for kind in ("variable", "best"))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise OutputError(
            f"{path}: expected the state of a training, but {error}; remove {folder} to start anew"
        ) from None
    before = description["identity"]
    for name in {**before, **identity}:
        if before.get(name) != json.loads(json.dumps(identity.get(name))):
            raise OutputError(
                f"{folder}: an unfinished training with another {name} is there "
                f"({before.get(name)}, now {identity.get(name)}); remove it to start anew"
            )
    return Progress(
        description["history"], description["best_loss"], description["waited"], variables, best
    )


def _of_kind(file: Mapping[str, npt.NDArray[Any]], kind: str) -> Arrays:
    return {key.removeprefix(f"{kind}:"): file[key] for key in file if key.startswith(f"{kind}:")}
