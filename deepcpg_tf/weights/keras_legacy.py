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

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.configs.names import DNA, HEAD, head_name
from deepcpg_tf.errors import CheckpointError
from deepcpg_tf.files import parse_json, sha256
from deepcpg_tf.weights.checkpoint import Checkpoint, Tensors
from deepcpg_tf.weights.hdf5 import open_hdf5
from deepcpg_tf.weights.keras_json import HIDDEN_SCOPE, read_architecture


def read_json_and_weights(model_json: Path, weights: Path) -> Checkpoint:
    """Read a model JSON with its HDF5, full or weights-only.

    Raises
    ------
    CheckpointError
        When a file cannot be read, the JSON is no DNA module of DeepCpG, or the
        weights are not exactly those that the JSON calls for.
    """
    document = _parse_json(model_json.read_bytes(), str(model_json))
    config = _read_config(document, str(model_json))
    with open_hdf5(weights) as file:
        group, layout = _weights_group(file, weights)
        backend = _backend(file, document, weights)
        tensors = _read_tensors(group, config, weights, flipped=backend == "theano")
    provenance = _provenance(f"JSON + {layout} HDF5", document, [model_json, weights])
    return Checkpoint(config, tensors, provenance, str(weights))


def read_model_h5(model_h5: Path) -> Checkpoint:
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
        config = _read_config(document, str(model_h5))
        group, _ = _weights_group(file, model_h5)
        backend = _backend(file, document, model_h5)
        tensors = _read_tensors(group, config, model_h5, flipped=backend == "theano")
    provenance = _provenance("single HDF5", document, [model_h5])
    return Checkpoint(config, tensors, provenance, str(model_h5))


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


def _read_config(document: dict[str, Any], where: str) -> DeepCpgDnaConfig:
    try:
        return read_architecture(document)
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
    group: h5py.Group, config: DeepCpgDnaConfig, path: Path, *, flipped: bool
) -> Tensors:
    expected = _expected_shapes(config)
    _check_layers(group, config, expected, path)
    read = {layer: _read_layer(group, layer, shapes, path) for layer, shapes in expected.items()}
    _check_nothing_left(group, read, path)
    tensors: Tensors = {}
    for layer, arrays in read.items():
        if layer.startswith(HIDDEN_SCOPE):
            kernel, bias = arrays.values()
            if flipped and kernel.ndim == 3:
                kernel = kernel[::-1]
            tensors[f"{layer}/kernel"], tensors[f"{layer}/bias"] = kernel, bias
    heads = [list(read[head_name(cell)].values()) for cell in config.cells]
    tensors[f"{HEAD}/kernel"] = np.concatenate([kernel for kernel, _ in heads], axis=1)
    tensors[f"{HEAD}/bias"] = np.concatenate([bias for _, bias in heads])
    return tensors


def _expected_shapes(config: DeepCpgDnaConfig) -> dict[str, list[tuple[int, ...]]]:
    """Return the shapes of kernel and bias of each layer that has weights."""
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in config.tensor_shapes.items():
        shapes.setdefault(name.rpartition("/")[0], []).append(shape)
    kernel, _ = shapes.pop(HEAD)
    return shapes | {head_name(cell): [(kernel[0], 1), (1,)] for cell in config.cells}


def _check_layers(
    group: h5py.Group, config: DeepCpgDnaConfig, expected: Mapping[str, Any], path: Path
) -> None:
    found = _name_list(group, "layer_names")
    for layer in expected:
        if layer not in found:
            weighted = [name for name in found if len(_name_list(group.get(name), "weight_names"))]
            raise CheckpointError(
                f"{path}: layer {layer}: expected by the model's configuration, but the weights "
                f"are of {', '.join(weighted) or 'no layer'}"
            )
    known = {DNA, *expected, *config.layer_paths}
    for layer in found:
        if layer not in known:
            raise CheckpointError(
                f"{path}: layer {layer}: in the weights, but not in the model's configuration"
            )


def _read_layer(
    group: h5py.Group, layer: str, shapes: list[tuple[int, ...]], path: Path
) -> Tensors:
    """Return kernel and bias by their full names in the file."""
    names = _name_list(group.get(layer), "weight_names")
    if len(names) != len(shapes):
        raise CheckpointError(
            f"{path}: layer {layer}: expected a kernel and a bias, "
            f"found {', '.join(names) or 'no weights'}"
        )
    arrays: Tensors = {}
    for name, shape in zip(names, shapes, strict=True):
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
        arrays[f"{layer}/{name}"] = np.asarray(dataset, np.float32).reshape(shape)
    return arrays


def _check_nothing_left(group: h5py.Group, read: Mapping[str, Tensors], path: Path) -> None:
    used = {name for arrays in read.values() for name in arrays}

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
