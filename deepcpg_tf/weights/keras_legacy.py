"""Checkpoints of the original program, written by Keras 1 or Keras 2.

Four layouts: a JSON with a full HDF5 (weights under ``model_weights``, as
published), a JSON with a weights-only HDF5 (weights at the root), one HDF5 with
its ``model_config`` inside, and each of them by Keras 1.1 and later (convolution
kernels [width, 1, in, out]) or by Keras 2 ([width, in, out]; backwards if its
backend was Theano; Keras 1 does not record it, and is taken to have run on
TensorFlow, as the published files did). Source: the files
themselves and ``keras.engine.topology`` of Keras 1.2.2 and 2.2.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from deepcpg_tf.configs.names import HEAD
from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.files import parse_json, sha256
from deepcpg_tf.weights.checkpoint import Checkpoint, Tensors
from deepcpg_tf.weights.hdf5 import open_hdf5
from deepcpg_tf.weights.keras_json import Architecture, read_architecture


def read_json_and_weights(
    model_json: Path, weights: Path, input_cells: Sequence[str] | None = None
) -> Checkpoint:
    """Read a model JSON with its HDF5, full or weights-only.

    Parameters
    ----------
    model_json, weights
        The files.
    input_cells
        As in `deepcpg_tf.weights.keras_json.read_architecture`.

    Raises
    ------
    CheckpointError
        When a file cannot be read, the JSON is no module of DeepCpG, or the
        weights are not exactly those that the JSON calls for.
    """
    document = _parse_json(model_json.read_bytes(), str(model_json))
    architecture = _read_architecture(document, str(model_json), input_cells)
    with open_hdf5(weights) as file:
        group, layout = _weights_group(file, weights)
        backend = _backend(file, document, weights)
        tensors = _read_tensors(group, architecture, weights, flipped=backend == "theano")
    provenance = _provenance(f"JSON + {layout} HDF5", document, [model_json, weights])
    return Checkpoint(architecture.config, tensors, provenance, str(weights))


def read_model_h5(model_h5: Path, input_cells: Sequence[str] | None = None) -> Checkpoint:
    """Read a single HDF5 that holds the model's configuration and weights.

    Raises
    ------
    CheckpointError
        As `read_json_and_weights`, and when there is no configuration inside.
    """
    with open_hdf5(model_h5) as file:
        text = file.attrs.get("model_config")
        if text is None:
            raise CheckpointError(
                f"{model_h5}: expected the attribute 'model_config', found none: a weights-only "
                "file, which needs the model's JSON beside it"
            )
        document = _parse_json(text, f"{model_h5}, attribute 'model_config'")
        document.setdefault("keras_version", _text(file.attrs.get("keras_version", "unknown")))
        architecture = _read_architecture(document, str(model_h5), input_cells)
        group, _ = _weights_group(file, model_h5)
        backend = _backend(file, document, model_h5)
        tensors = _read_tensors(group, architecture, model_h5, flipped=backend == "theano")
    provenance = _provenance("single HDF5", document, [model_h5])
    return Checkpoint(architecture.config, tensors, provenance, str(model_h5))


def _parse_json(text: str | bytes, where: str) -> dict[str, Any]:
    try:
        document = parse_json(text)
    except ValueError as error:
        raise CheckpointError(f"{where}: expected JSON, received {error}") from None
    if not isinstance(document, dict):
        raise CheckpointError(
            f"{where}: expected a JSON object, received {type(document).__name__}"
        )
    return document


def _read_architecture(
    document: dict[str, Any], where: str, input_cells: Sequence[str] | None
) -> Architecture:
    try:
        return read_architecture(document, input_cells)
    except CheckpointError as error:
        # Names of layers may hold anything.
        raise CheckpointError(f"{where}: {' '.join(str(error).split())}") from None


def _weights_group(file: h5py.File, path: Path) -> tuple[h5py.Group, str]:
    if isinstance(file.get("model_weights"), h5py.Group):
        return file["model_weights"], "full"
    if "layer_names" in file.attrs or "layer_names0" in file.attrs:
        return file, "weights-only"
    raise CheckpointError(
        f"{path}: expected Keras weights (a group 'model_weights' or an attribute 'layer_names'), "
        f"found {', '.join(file) or 'an empty file'}"
    )


def _backend(file: h5py.File, document: Mapping[str, Any], path: Path) -> str:
    """Return the backend that wrote the weights; Keras 1 does not record it.

    Theano's convolution runs over the kernel backwards, so its kernels are flipped.
    """
    recorded = file.attrs.get("backend", document.get("backend"))
    backend = "tensorflow" if recorded is None else _text(recorded)
    if backend not in ("tensorflow", "theano"):
        raise CheckpointError(
            f"{path}: expected weights of the backend tensorflow or theano, found {backend}"
        )
    return backend


def _read_tensors(
    group: h5py.Group, architecture: Architecture, path: Path, *, flipped: bool
) -> Tensors:
    expected = _expected_tensors(architecture)
    _check_layers(group, architecture, expected, path)
    used: set[str] = set()
    read = {
        layer: _read_layer(group, layer, shapes, path, used) for layer, shapes in expected.items()
    }
    _check_nothing_left(group, used, path)
    tensors: Tensors = {}
    for layer, arrays in read.items():
        if layer not in architecture.heads:
            tensors |= {
                name: array[::-1] if flipped and array.ndim == 3 else array
                for name, array in arrays.items()
            }
    heads = [read[layer].values() for layer in architecture.heads]
    kernels, biases = zip(*heads, strict=True)
    tensors[f"{HEAD}/kernel"] = np.concatenate(kernels, axis=1)
    tensors[f"{HEAD}/bias"] = np.concatenate(biases)
    return tensors


Shapes = dict[str, tuple[int, ...]]


def _expected_tensors(architecture: Architecture) -> dict[str, Shapes]:
    """Return names and shapes of our tensors of each layer of the file that has weights."""
    layers: dict[str, Shapes] = {}
    config = architecture.config
    for name, shape in config.hidden_shapes.items():
        layer = "/".join(name.split("/")[:2])
        layers.setdefault(layer, {})[name] = shape
    units = [*(1 for _ in config.cells), *(one.kind.units for one in config.other_outputs)]
    for head, own in zip(architecture.heads, units, strict=True):
        layers[head] = {f"{head}/kernel": (config.embedding_size, own), f"{head}/bias": (own,)}
    return layers


def _check_layers(
    group: h5py.Group, architecture: Architecture, expected: Mapping[str, Any], path: Path
) -> None:
    found = _name_list(group, "layer_names")
    for layer in expected:
        if layer not in found:
            weighted = [name for name in found if len(_name_list(group.get(name), "weight_names"))]
            raise CheckpointError(
                f"{path}: layer {layer}: expected by the model's configuration, but the weights "
                f"are of {', '.join(weighted) or 'no layer'}"
            )
    known = {*architecture.inputs, *expected, *architecture.config.layer_paths}
    known |= {*architecture.weightless}
    for layer in found:
        if layer not in known:
            raise CheckpointError(
                f"{path}: layer {layer}: in the weights, but not in the model's configuration"
            )


def _read_layer(
    group: h5py.Group, layer: str, shapes: Shapes, path: Path, used: set[str]
) -> Tensors:
    """Return the tensors of a layer by our names; names in the file are added to `used`."""
    names = _name_list(group.get(layer), "weight_names")
    if len(shapes) > 2 and len(names) == 3 * len(shapes):
        # Keras 1 stores the gates one by one.
        gates = _read_arrays(group, layer, names, _by_gate(shapes), path, used)
        return {
            name: np.concatenate([gates[f"{name}_{gate}"] for gate in _GATES], axis=-1)
            for name in shapes
        }
    return _read_arrays(group, layer, names, shapes, path, used)


_GATES = "zrh"


def _by_gate(shapes: Shapes) -> Shapes:
    """Return names and shapes of the tensors of each gate of a GRU, in the order of Keras 1."""
    names = list(shapes)
    ways = (names[:3], names[3:])  # kernel, recurrent kernel and bias of each direction
    return {
        f"{name}_{gate}": (*shapes[name][:-1], shapes[name][-1] // 3)
        for way in ways
        for gate in _GATES
        for name in way
    }


def _read_arrays(
    group: h5py.Group, layer: str, names: list[str], shapes: Shapes, path: Path, used: set[str]
) -> Tensors:
    if len(names) != len(shapes):
        what = "a kernel and a bias" if len(shapes) == 2 else "the weights of a GRU each way"
        raise CheckpointError(
            f"{path}: layer {layer}: expected {what}, found {', '.join(names) or 'no weights'}"
        )
    arrays: Tensors = {}
    for name, (own, shape) in zip(names, shapes.items(), strict=True):
        dataset = group[layer].get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise CheckpointError(f"{path}: layer {layer}: expected a tensor {name}, found none")
        keras1_shape = (shape[0], 1, *shape[1:]) if len(shape) == 3 else shape
        if dataset.shape not in (shape, keras1_shape):
            raise CheckpointError(
                f"{path}: layer {layer}: expected {name} of shape {shape}, found {dataset.shape}"
            )
        if dataset.dtype.kind != "f":
            raise CheckpointError(
                f"{path}: layer {layer}: expected {name} of floating point, found {dataset.dtype}"
            )
        arrays[own] = np.asarray(dataset, np.float32).reshape(shape)
        used.add(f"{layer}/{name}")
    return arrays


def _check_nothing_left(group: h5py.Group, used: set[str], path: Path) -> None:
    def visit(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset) and name not in used:
            raise CheckpointError(
                f"{path}: tensor {name}: in the weights, but not in the model's configuration"
            )

    group.visititems(visit)


def _name_list(group: h5py.Group | None, attribute: str) -> list[str]:
    """Return a list of names, which Keras 2 splits over attributes when it is long."""
    if group is None:
        return []
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names: list[str] = []
    chunk = 0
    while f"{attribute}{chunk}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{chunk}"]]
        chunk += 1
    return names


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _provenance(form: str, document: Mapping[str, Any], files: list[Path]) -> dict[str, Any]:
    return {
        "format": f"Keras {document.get('keras_version', '1 (version not recorded)')}, {form}",
        "files": [{"name": file.name, "sha256": sha256(file)} for file in files],
    }
