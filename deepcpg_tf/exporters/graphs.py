"""What every artefact reads and yields, as TensorFlow computes it.

Numbers are read as they are (``state`` and ``dist``, ``features``); windows in one of three
forms: as ``sequences`` (strings), ``tokens`` (ASCII codes) or ``one_hot`` rows. A signature is
called by the form that it takes; a model without windows has one, the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.exporters.describe import CALIBRATED, tensor
from deepcpg_tf.genome.sequence import graph_encode, graph_one_hot, one_hot_of_bytes

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

Outputs = dict[str, tf.Tensor]
Tensors = Mapping[str, tf.Tensor]

SEQUENCES, TOKENS, ONE_HOT = "sequences", "tokens", "one_hot"
DEFAULT = "serving_default"


def reads_windows(model: MethylationModel) -> bool:
    """Return whether a model reads windows of DNA."""
    return "windows" in model.reads.names


def numeric_signatures(model: MethylationModel) -> dict[str, str]:
    """Return the signatures that take numbers alone, and the form of windows of each.

    The first is that in which artefacts are compared.
    """
    return {TOKENS: TOKENS, ONE_HOT: ONE_HOT} if reads_windows(model) else {DEFAULT: TOKENS}


def input_specs(
    model: MethylationModel, form: str, batch: int | None = None
) -> list[tf.TensorSpec]:
    """Return what a graph takes, windows in one form, in the order in which the model reads it."""
    return [
        _window_spec(model, form, batch)
        if one.name == "windows"
        else tf.TensorSpec((batch, *one.shape), one.dtype, one.name)
        for one in model.reads
    ]


def inputs_of(model: MethylationModel, form: str, batch: int = -1) -> dict[str, Any]:
    """Return what a manifest says of the inputs of a graph."""
    return {
        spec.name: tensor(spec.dtype.name, batch, *spec.shape[1:])
        for spec in input_specs(model, form)
    }


def _window_spec(model: MethylationModel, form: str, batch: int | None) -> tf.TensorSpec:
    (length,) = model.reads.named("windows").shape
    shape, dtype = {
        SEQUENCES: ((batch,), tf.string),
        TOKENS: ((batch, length), tf.uint8),
        ONE_HOT: ((batch, length, channels(model)), tf.float32),
    }[form]
    return tf.TensorSpec(shape, dtype, form)


def channels(model: MethylationModel) -> int:
    """Return the channels of a window's one-hot rows."""
    return int(model.config.parts[DNA].vocab_size)  # type: ignore[attr-defined]


def rows_of(model: MethylationModel, tensors: Tensors, *, checked: bool) -> dict[str, tf.Tensor]:
    """Return what a model itself reads, with one-hot rows for ASCII codes.

    Parameters
    ----------
    model
        The model.
    tensors
        What a graph was given, strings as ASCII codes.
    checked
        Whether what is no letter of DNA is an error. Otherwise it counts as N, by a table:
        for runtimes that cannot raise errors.
    """
    found = dict(tensors)
    if TOKENS in found:
        tokens = found.pop(TOKENS)
        if checked:
            found[ONE_HOT] = graph_one_hot(graph_encode(tokens), channels(model))
        else:
            # Made here: a constant from outside of a function would become an input of it.
            table = tf.constant(one_hot_of_bytes(channels(model)))
            found[ONE_HOT] = tf.gather(table, tf.cast(tokens, tf.int32))
    return found


def outputs(model: MethylationModel, tensors: Tensors) -> Outputs:
    """Return what every artefact yields of one-hot rows and neighbours, float32 [n, cells] each.

    Calibrated probabilities are among it where the model keeps what calibrates them.
    """
    names = (ONE_HOT if name == "windows" else name for name in model.reads.names)
    given = [tensors[name] for name in names]
    logits = model(given[0] if len(given) == 1 else given, training=False)
    found = {"logits": logits, "probabilities": tf.sigmoid(logits)}
    if model.config.calibration is None:
        return found
    offsets, temperatures = model.config.calibration.offsets_and_temperatures(model.cells)
    # Made here: a constant from outside of a function would become an input of it.
    factors, shifts = tf.constant(1 / temperatures), tf.constant(offsets / temperatures)
    return {**found, CALIBRATED: tf.sigmoid(logits * factors + shifts)}


def embedding(model: MethylationModel, tensors: Tensors) -> Outputs:
    """Return what the head of a model reads, float32 [n, embedding size]."""
    parts = {}
    for name, part in model.parts.items():
        reads = [ONE_HOT] if name == DNA else model.config.parts[name].reads.names
        given = [tensors[one] for one in reads]
        parts[name] = part(given[0] if len(given) == 1 else given, training=False)
    return {"embedding": tf.cast(model.join(parts), tf.float32)}
