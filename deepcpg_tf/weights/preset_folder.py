"""A model as a folder: ``config.json`` (architecture, provenance) and ``weights.h5``.

The HDF5 has a float32 dataset for each tensor of `Checkpoint`, by its name.
Keras' own weights files are not used: reading one, Keras passes over what is
missing with a warning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.registry import config_class
from deepcpg_tf.errors import CheckpointError, ConfigError, OutputError
from deepcpg_tf.files import atomic_folder, check_writable, parse_json
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.weights.checkpoint import Checkpoint, check_shapes
from deepcpg_tf.weights.hdf5 import open_hdf5

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.h5"

_FORMAT = "deepcpg_tf"
_VERSION = 1


def is_preset_folder(folder: Path) -> bool:
    """Return whether a folder holds the two files of a preset."""
    return (folder / CONFIG_FILE).is_file() and (folder / WEIGHTS_FILE).is_file()


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written, or whose content a preset must not replace.

    Raises
    ------
    OutputError
    """
    check_writable(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    others = sorted({file.name for file in folder.iterdir()} - {CONFIG_FILE, WEIGHTS_FILE})
    if others or not _is_ours(folder):
        raise OutputError(
            f"{folder}: expected a new folder, or one with nothing but a preset to replace; "
            f"it holds {', '.join(others) or 'files that are no preset of ours'}"
        )


def _is_ours(folder: Path) -> bool:
    try:
        return parse_json((folder / CONFIG_FILE).read_bytes())["format"] == _FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def save_folder(
    checkpoint: Checkpoint,
    folder: Path,
    add: Callable[[Path], None] = lambda new: None,
) -> None:
    """Write a model with its weights, whole or not at all.

    Parameters
    ----------
    checkpoint
        The model.
    folder
        Where to write; an earlier preset there is replaced.
    add
        Called with the new folder before it appears, to add files to it.

    Raises
    ------
    OutputError
        When the folder holds anything else, or cannot be written to.
    """
    check_folder(folder)
    config = checkpoint.config
    description = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "module": config.module,
        "architecture": config.architecture,
        "config": config.to_dict(),
        "provenance": checkpoint.provenance,
    }
    with atomic_folder(folder) as new:
        with hdf5_file(new / WEIGHTS_FILE) as (file, _):
            for name, tensor in checkpoint.tensors.items():
                file[name] = tensor
        add(new)
        (new / CONFIG_FILE).write_text(json.dumps(description, indent=2) + "\n")


def read_folder(folder: Path) -> Checkpoint:
    """Read a model that `save_folder` wrote.

    Raises
    ------
    CheckpointError
        When a file is damaged or of another version.
    """
    path = folder / CONFIG_FILE
    try:
        description = parse_json(path.read_bytes())
        if description.get("format") != _FORMAT or description.get("format_version") != _VERSION:
            raise CheckpointError(
                f"{path}: expected format {_FORMAT!r} version {_VERSION}, received "
                f"{description.get('format')!r} version {description.get('format_version')!r}"
            )
        # Version 1 was first written when there was one module only, and did not name it.
        module = description.get("module", DeepCpgDnaConfig.module)
        config = config_class(module).from_dict(description["config"])
        provenance = description["provenance"]
        if not isinstance(provenance, dict):
            raise TypeError("its provenance is no object")
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: expected the description of a model, but {error}") from None
    weights = folder / WEIGHTS_FILE
    datasets: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            datasets[name] = item

    with open_hdf5(weights) as file:
        file.visititems(visit)
        # Before anything is read: a file of a few bytes can tell of a tensor of any size.
        shapes = {name: dataset.shape for name, dataset in datasets.items()}
        check_shapes(shapes, config, str(weights))
        tensors = {name: _read_tensor(datasets[name], weights) for name in config.tensor_shapes}
    return Checkpoint(config, tensors, provenance, str(weights))


def _read_tensor(dataset: h5py.Dataset, path: Path) -> npt.NDArray[np.float32]:
    if dataset.dtype.kind != "f":
        raise CheckpointError(
            f"{path}: tensor {dataset.name[1:]}: expected floating point, found {dataset.dtype}"
        )
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what is too large becomes infinite, and is refused
        return np.asarray(dataset, np.float32)
