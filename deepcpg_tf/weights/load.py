"""From whatever names a model to its checkpoint: preset, own folder, legacy, MultiMolecule."""

from __future__ import annotations

import sys
from pathlib import Path

from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.presets import PRESETS
from deepcpg_tf.weights import multimolecule, preset_folder, store
from deepcpg_tf.weights.checkpoint import Checkpoint
from deepcpg_tf.weights.keras_legacy import read_json_and_weights, read_model_h5

_HDF5_ENDINGS = (".h5", ".hdf5")

# What the original's training leaves side by side, in the order that it prefers them.
_ORIGINAL_WEIGHTS = ("model_weights.h5", "model_weights_val.h5", "model_weights_train.h5")


def read_checkpoint(preset: str | Path) -> Checkpoint:
    """Read the checkpoint that a name or folder stands for.

    Parameters
    ----------
    preset
        The name of a published variant (its files are downloaded when they are not in
        the cache), a folder of a preset, one with the files of a legacy checkpoint, or
        one of MultiMolecule.

    Raises
    ------
    CheckpointError
        When there is no such preset, or its files are damaged or of another kind.
    DownloadError
        When the published files are not in the cache and cannot be downloaded.
    """
    folder = Path(preset)
    empty = not folder.is_dir() or not any(folder.iterdir())
    if str(preset) in PRESETS and empty:
        published = PRESETS[str(preset)]
        files = store.cached(published) or store.fetch(published, progress=sys.stderr.isatty())
        return read_json_and_weights(files.model, files.weights)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "none there"
        raise CheckpointError(
            f"{preset}: expected a folder with a model, or one of {', '.join(PRESETS)}; "
            f"found {found}"
        )
    if preset_folder.is_preset_folder(folder):
        return preset_folder.read_folder(folder)
    if (folder / multimolecule.WEIGHTS_FILE).is_file():
        return multimolecule.read_multimolecule(folder)
    return _read_legacy_folder(folder)


def _read_legacy_folder(folder: Path) -> Checkpoint:
    """Read the one legacy checkpoint in a folder, whatever its files are called."""
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    weights = [file for file in files if file.suffix in _HDF5_ENDINGS]
    models = [file for file in files if file.suffix == ".json" or file.name.endswith("-model")]
    if len(models) == 1:
        preferred = [folder / name for name in _ORIGINAL_WEIGHTS if folder / name in weights]
        others = {file.name for file in weights} - {*_ORIGINAL_WEIGHTS, "model.h5"}
        if (preferred and not others) or len(weights) == 1:
            return read_json_and_weights(models[0], (preferred or weights)[0])
    if len(weights) == 1 and not models:
        return read_model_h5(weights[0])
    raise CheckpointError(
        f"{folder}: expected a preset ({preset_folder.CONFIG_FILE}, {preset_folder.WEIGHTS_FILE}), "
        f"a MultiMolecule model ({multimolecule.CONFIG_FILE}, {multimolecule.WEIGHTS_FILE}) or one "
        "legacy checkpoint (a JSON and an HDF5, or one HDF5), "
        f"found {_listed(files)}"
    )


def _listed(files: list[Path]) -> str:
    names = [file.name for file in files[:6]] + (["..."] if len(files) > 6 else [])
    return ", ".join(names) or "no file"
