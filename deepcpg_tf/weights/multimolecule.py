"""Checkpoints of MultiMolecule: a folder with config.json and model.safetensors.

MultiMolecule's channels are A, C, G, T, N and its kernels [out, in, width]; here
they are A, T, G, C and [width, in, out].
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.base import HeadConfig
from deepcpg_tf.configs.dna import DeepCpgDnaConfig
from deepcpg_tf.errors import CheckpointError, ConfigError
from deepcpg_tf.extras import require
from deepcpg_tf.files import parse_json, sha256
from deepcpg_tf.weights.checkpoint import Checkpoint

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"

_MODEL_TYPE = "deepcpgdna"
_DTYPES = ("F32", "F16", "F64")
_ATGC_FROM_ACGT = [0, 3, 2, 1]


def read_multimolecule(folder: Path) -> Checkpoint:
    """Read a folder that MultiMolecule's ``save_pretrained`` wrote.

    Raises
    ------
    CheckpointError
        When a file is missing or damaged, the model is no DeepCpG DNA module with
        a head, or the tensors are not exactly those that it calls for.
    """
    config_file, weights_file = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    for file in (config_file, weights_file):
        if not file.is_file():
            raise CheckpointError(f"{folder}: expected a file {file.name}, found none there")
    fields = _read_json(config_file)
    config = _read_config(fields, config_file)
    found = _read_safetensors(weights_file)
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    vocab_size = fields.get("vocab_size", 5)
    for name, source, shape in _layout(config, vocab_size):
        if source not in found:
            raise CheckpointError(
                f"{weights_file}: tensor {source}: expected, found none by that name"
            )
        tensor = found.pop(source)
        if tensor.shape != shape:
            raise CheckpointError(
                f"{weights_file}: tensor {source}: expected shape {shape}, found {tensor.shape}"
            )
        tensors[name] = np.ascontiguousarray(tensor.T)
    if found:
        raise CheckpointError(
            f"{weights_file}: tensor {min(found)}: not in the model's configuration"
        )
    first = f"dna/{config.layer_names[0]}/kernel"
    tensors[first] = _reorder_channels(tensors[first], weights_file)
    provenance = {
        "format": "MultiMolecule",
        "files": [{"name": f.name, "sha256": sha256(f)} for f in (config_file, weights_file)],
    }
    return Checkpoint(config, tensors, provenance, str(weights_file))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = parse_json(path.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{path}: expected JSON, received {error}") from None
    if not isinstance(fields, dict) or fields.get("model_type") != _MODEL_TYPE:
        received = fields.get("model_type") if isinstance(fields, dict) else type(fields).__name__
        raise CheckpointError(f"{path}: expected model_type {_MODEL_TYPE!r}, received {received!r}")
    return fields


def _read_config(fields: Mapping[str, Any], path: Path) -> DeepCpgDnaConfig:
    same = (
        *("sequence_length", "conv_channels", "conv_kernel_sizes", "conv_pool_sizes"),
        *("bottleneck_size", "hidden_act", "hidden_dropout"),
    )
    head = fields.get("head") or {}
    labels = fields.get("id2label") or {}
    if not isinstance(head, dict) or not isinstance(labels, dict):
        raise CheckpointError(f"{path}: head, id2label: expected objects")
    for name, expected in (("transform", None), ("act", None), ("bias", True)):
        if head.get(name, expected) != expected:
            raise CheckpointError(
                f"{path}: head.{name}: expected {expected}, received {head[name]!r}"
            )
    if fields.get("vocab_size", 5) not in (4, 5):
        raise CheckpointError(
            f"{path}: vocab_size: expected 5 (A, C, G, T, N) or 4, "
            f"received {fields['vocab_size']!r}"
        )
    try:
        cells = tuple(labels[str(i)] for i in range(len(labels)))
        return DeepCpgDnaConfig(
            **{name: fields[name] for name in same if name in fields},
            head=HeadConfig(
                **{k: head[k] for k in ("dropout", "problem_type") if head.get(k) is not None}
            ),
            num_labels=fields.get("num_labels", len(cells)),
            cells=cells,
        )
    except KeyError as error:
        raise CheckpointError(
            f"{path}: id2label: expected the keys 0 to {len(labels) - 1}, missing {error}"
        ) from None
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected MultiMolecule's configuration, but {error}"
        ) from None


def _layout(config: DeepCpgDnaConfig, vocab_size: int) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return our name, MultiMolecule's name and its shape there, for each tensor."""
    rows: list[tuple[str, str, tuple[int, ...]]] = []

    def add(name: str, source: str, kernel_shape: tuple[int, ...]) -> None:
        rows.append((f"{name}/kernel", f"{source}.weight", kernel_shape))
        rows.append((f"{name}/bias", f"{source}.bias", kernel_shape[:1]))

    names = {spec.kind: spec.name for spec in config.layers}
    convolutions = [spec.name for spec in config.layers if spec.kind == "convolution"]
    channels = vocab_size
    for i, (name, (filters, width, _)) in enumerate(
        zip(convolutions, config.convolutions, strict=True)
    ):
        add(f"dna/{name}", f"model.encoder.layers.{i}.conv", (filters, channels, width))
        channels = filters
    flat = next(spec.channels for spec in config.layers if spec.kind == "flatten")
    add(f"dna/{names['dense']}", "model.encoder.bottleneck.dense", (config.bottleneck_size, flat))
    add("cpg", "sequence_head.decoder", (len(config.cells), config.bottleneck_size))
    return rows


def _read_safetensors(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    require("safetensors", extra="multimolecule")
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, npt.NDArray[np.float32]] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                dtype = file.get_slice(name).get_dtype()
                if dtype not in _DTYPES:
                    raise CheckpointError(
                        f"{path}: tensor {name}: expected one of {', '.join(_DTYPES)}, "
                        f"found {dtype}; save the model with float32"
                    )
                with np.errstate(
                    over="ignore", invalid="ignore"
                ):  # becomes infinite, and is refused
                    tensors[name] = file.get_tensor(name).astype(np.float32)
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path}: expected an intact safetensors file, but {reason}"
        ) from None
    return tensors


def _reorder_channels(kernel: npt.NDArray[np.float32], path: Path) -> npt.NDArray[np.float32]:
    """Turn channels A, C, G, T, N of a kernel [width, in, out] into A, T, G, C."""
    largest = float(np.abs(kernel[:, 4:]).max(initial=0))
    if largest:
        raise CheckpointError(
            f"{path}: tensor model.encoder.layers.0.conv.weight: expected zeros in the channel of "
            f"N, as DeepCpG encodes it, found values up to {largest:g}"
        )
    return kernel[:, _ATGC_FROM_ACGT]
