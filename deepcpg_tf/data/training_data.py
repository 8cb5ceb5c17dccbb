"""Where on this machine the data lie that a model was trained on.

A model says which files those were by name, size and checksum, not where they are: it
goes to others. The user's cache keeps that, by the model's digest, so that an export on
the same machine can calibrate on them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from deepcpg_tf.cache import cache_folder, writing_to_cache
from deepcpg_tf.files import atomic_file, parse_json


class TrainingData(NamedTuple):
    """The files, the genome of a table, and the digest of what is in them."""

    files: tuple[Path, ...]
    genome: Path | None
    digest: str


def remember(model_digest: str, data: TrainingData) -> None:
    """Keep where the data of a model lie.

    Raises
    ------
    OutputError
        When the cache cannot be written to.
    """
    path = _place(model_digest)
    text = json.dumps(
        {
            "files": [str(file.resolve()) for file in data.files],
            "genome": None if data.genome is None else str(data.genome.resolve()),
            "digest": data.digest,
        }
    )
    with writing_to_cache():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as partial:
            partial.write_text(text)


def recall(model_digest: str) -> TrainingData | None:
    """Return where the data of a model lie, if that is known and they are still there."""
    try:
        kept = parse_json(_place(model_digest).read_bytes())
        genome = None if kept["genome"] is None else Path(kept["genome"])
        data = TrainingData(tuple(map(Path, kept["files"])), genome, str(kept["digest"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    there = all(file.is_file() for file in data.files) and (genome is None or genome.exists())
    return data if there else None


def _place(model_digest: str) -> Path:
    return cache_folder() / "training-data" / f"{model_digest}.json"
