#!/usr/bin/env python3
"""Export the five published variants into saved_models/, one after the other.

One that fails does not keep the others from being exported; a table at the end says what
became of each, and the exit code is 1 if any failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from deepcpg_tf.errors import CheckpointError, DeepCpgError
from deepcpg_tf.presets import PRESETS
from deepcpg_tf.quiet import import_tensorflow

ROOT = Path(__file__).resolve().parents[1]

Export = Callable[[str, str, Path], str]
"""From a variant's name, what to load and the folder to write to what was exported, in words."""


class Outcome(NamedTuple):
    """What became of a variant."""

    name: str
    word: str
    detail: str
    seconds: float


def build_all(
    source: Path | None, out: Path, *, force: bool, export: Export, verified: Callable[[Path], bool]
) -> list[Outcome]:
    """Export each variant that is not there already.

    Parameters
    ----------
    source
        A folder with a checkpoint for each variant, in a folder of its name; None fetches
        what is published.
    out
        Where the exports are written, each in a folder of its variant's name.
    force
        Whether a variant whose export is as it should be is exported again.
    export
        What exports a model.
    verified
        What tells whether a folder holds an export that is as it should be.
    """
    outcomes = []
    for name in PRESETS:
        print(f"{name} ...", flush=True)
        start = time.perf_counter()
        model = name if source is None else str(source.resolve() / name)
        try:
            if not force and verified(out / name):
                word, detail = "kept", "its export is as it should be (--force exports again)"
            else:
                word, detail = "exported", export(name, model, out / name)
        except Exception as error:  # whatever it is, the others are still to be exported
            reason = " ".join(str(error).split())
            known = isinstance(error, DeepCpgError)
            word, detail = "failed", reason if known else f"{type(error).__name__}: {reason}"
        outcomes.append(Outcome(name, word, detail, time.perf_counter() - start))
    return outcomes


def export_variant(name: str, model: str, folder: Path) -> str:
    """Export one variant, as ``deepcpg-tf export`` does; return what was exported, in words."""
    from deepcpg_tf.cli.export import count
    from deepcpg_tf.exporters.bundle import check_export_folder, export
    from deepcpg_tf.exporters.samples import draw_samples
    from deepcpg_tf.models.registry import load_model

    check_export_folder(folder)
    loaded = load_model(model)
    if loaded.cells != PRESETS[name].cells:
        raise CheckpointError(
            f"{model}: expected the cells of {name} ({PRESETS[name].cells[0]} and others), "
            f"received {loaded.cells[0]} and others"
        )
    return count(export(loaded, name, folder, draw_samples(loaded), replace=True))


def is_verified(folder: Path) -> bool:
    """Tell whether a folder holds an export that is as it should be."""
    from deepcpg_tf.errors import ExportError
    from deepcpg_tf.exporters.bundle import verify

    if not folder.is_dir():
        return False
    try:
        verify(folder)
    except ExportError as error:
        print(f"  {error}: exported again", flush=True)
        return False
    return True


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each variant."""
    lines = [
        f"{name:20} {word:9} {seconds:6.0f} s  {detail}" for name, word, detail, seconds in outcomes
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Export all variants; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--from-dir", type=Path, metavar="DIR", help="checkpoints, each in a folder of its name"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=ROOT / "saved_models", help="where to write"
    )
    parser.add_argument("--force", action="store_true", help="export what is there already too")
    asked = parser.parse_args(arguments)
    if asked.from_dir is not None and not asked.from_dir.is_dir():
        parser.error(f"{asked.from_dir}: expected a folder with a folder for each variant")
    import_tensorflow()
    outcomes = build_all(
        asked.from_dir, asked.out, force=asked.force, export=export_variant, verified=is_verified
    )
    print(table(outcomes))
    return int(any(outcome.word == "failed" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
