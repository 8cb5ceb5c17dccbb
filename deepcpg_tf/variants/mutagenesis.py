"""Saturation mutagenesis: every letter in every place of a window, and what it does."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.errors import ConfigError, InputError
from deepcpg_tf.genome.sequence import LETTERS as CODED
from deepcpg_tf.inputs import Arrays, take
from deepcpg_tf.models.base import MethylationModel
from deepcpg_tf.models.registry import load_model
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.variants.network import OtherLayerError, network_of
from deepcpg_tf.variants.substitutions import Floats, Substitutions

Summary = Literal["mean", "var", "l2"]
"""What is left of the differences in all cells."""

LETTERS = "ACGT"
"""The letters in the order of results."""

CODES = np.array([CODED.index(letter) for letter in LETTERS], np.uint8)
"""The code of each of `LETTERS`."""

WINDOWS = 16
"""Windows computed together, but for models of very many cells."""

_VALUES = 1 << 24

_BATCH = 512
_SAMPLE = 32


@dataclasses.dataclass(frozen=True)
class Mutagenesis:
    """What every letter does in every place of some windows.

    Attributes
    ----------
    values : ndarray of float32, shape (n, length, 4, cells), or (n, length, 4) of a summary
        The logit with the letter in that place less the logit of the window as it is, the
        letters in the order of `letters`; or their summary over the cells.
    cells : tuple of str
        Names of the cells.
    summary : "mean", "var", "l2" or None
        Which summary, if any.
    """

    letters: ClassVar[str] = LETTERS

    values: Floats
    cells: tuple[str, ...]
    summary: Summary | None = None


def saturation_mutagenesis(
    model: str | Path | MethylationModel,
    arrays: Arrays,
    *,
    summary: Summary | None = None,
    cells: Sequence[str] | None = None,
    progress: Progress = SILENT,
) -> Mutagenesis:
    """Put every letter in every place of windows, and compare logits with those as they are.

    A value is the logit of a cell with the letter there, less its logit with the letter that
    is there: 0 for that letter itself, and for all letters where no layer reads the window.
    In place of N, which the model reads as no letter at all, all four letters have a value: what
    it does to the logit that this is known.

    Parameters
    ----------
    model
        One that reads windows of DNA and predicts cells, or its preset or folder. Neighbouring
        sites that it reads stay as they are.
    arrays : mapping of str to ndarray, shapes (n, ...)
        As of `MethylationModel.predict_arrays`: ``tokens`` or ``windows``, and what else the
        model reads.
    summary
        None for all cells; ``"mean"`` of the differences over the cells, ``"var"``, their
        variance (the mean square of how far they are from their mean), or ``"l2"``, the square
        root of the sum of their squares.
    cells
        Some of the model's cells, in the order wanted; all by default.
    progress
        Who is told.

    Returns
    -------
    Mutagenesis

    Raises
    ------
    InputError
        When the model reads no windows, or the arrays are not what it reads.
    CheckpointError
        When it is given by name, and cannot be read.
    ConfigError
        When there is no such summary or cell, or the model has no heads or cells.

    Notes
    -----
    Only what a substitution changes is computed anew, which gives the numbers of whole windows
    but for rounding. A sample is compared with whole windows first; where a model has other
    layers or the sample differs, all windows are computed whole, and a warning says so.
    """
    model = load_model(model) if isinstance(model, str | Path) else model
    mutagenist = Mutagenist(model, cells=cells)
    check_summaries([] if summary is None else [summary], mutagenist.cells)
    own = model.own_arrays(arrays)
    count = model.reads.check(own)
    (length,) = model.reads.named("windows").shape
    shape = (count, length, len(LETTERS)) + (() if summary else (len(mutagenist.cells),))
    values = np.empty(shape, np.float32)
    progress.begins("substituting", count, "windows")
    for start in range(0, count, mutagenist.batch):
        part = slice(start, start + mutagenist.batch)
        found = mutagenist.values(take(own, part))
        values[part] = summarised(found, summary) if summary else found
        progress.advances(len(found))
    return Mutagenesis(values, mutagenist.cells, summary)


def check_summaries(summaries: Sequence[str], cells: Sequence[str]) -> None:
    """Refuse summaries that there are not, or not of so few cells.

    Raises
    ------
    ConfigError
    """
    for summary in summaries:
        if summary not in get_args(Summary):
            raise ConfigError(
                f"summary: expected one of {', '.join(get_args(Summary))}, received {summary!r}"
            )
    if "var" in summaries and len(cells) < 2:
        raise ConfigError("summary: expected mean or l2 of a single cell, received var")


def summarised(values: Floats, summary: Summary) -> Floats:
    """Return a summary over the last axis of values, the cells; see `saturation_mutagenesis`."""
    match summary:
        case "mean":
            return values.mean(axis=-1)
        case "var":
            return values.var(axis=-1)
        case "l2":
            return np.sqrt(np.square(values).sum(axis=-1))


class Mutagenist:
    """Computes what substitutions do, batch by batch.

    Parameters
    ----------
    model, cells
        As of `saturation_mutagenesis`.

    Attributes
    ----------
    cells : tuple of str
        Those whose logits are compared.
    batch : int
        Windows to be computed together: fewer of them where there are many cells.

    Raises
    ------
    InputError, ConfigError
        As of `saturation_mutagenesis`.
    """

    def __init__(
        self,
        model: MethylationModel,
        *,
        cells: Sequence[str] | None = None,
    ) -> None:
        check_model(model)
        self.cells, self._columns = chosen_cells(model, cells)
        (length,) = model.reads.named("windows").shape
        self.batch = max(1, min(WINDOWS, _VALUES // (len(LETTERS) * length * len(model.cells))))
        self._model = model
        self._quick: Substitutions | None = None
        try:
            self._quick = Substitutions(network_of(model))
        except OtherLayerError:
            _warn("float32 convolutions with max-poolings", "other layers")
        self._checked = self._quick is None

    def values(self, arrays: Arrays) -> Floats:
        """Return the differences of logits, [n, length, 4, cells], of arrays that are checked."""
        found = None if self._quick is None else self._quick_values(self._quick, arrays)
        if found is None:
            found = whole_windows(self._model, arrays)
        return found if self._columns is None else found[..., self._columns]

    def _quick_values(self, quick: Substitutions, arrays: Arrays) -> Floats | None:
        """Return the same of all cells, or None when it is found not to be right."""
        others = self._others(arrays)
        found = quick.deltas(arrays["windows"], others)[:, :, CODES]
        if self._checked or not len(found):
            return found
        self._checked = True
        rng = np.random.default_rng(0)
        places = rng.integers(0, found.shape[1], _SAMPLE)
        letters = rng.integers(0, len(LETTERS), _SAMPLE)
        expected = _whole(self._model, take(arrays, slice(0, 1)), places, letters)
        apart = float(np.abs(found[0, places, letters] - expected).max())
        bound = quick.rounding(arrays["windows"][:1], None if others is None else others[:1])
        if apart <= bound:
            return found
        self._quick = None
        _warn("the logits of whole windows of what changes", f"some {apart:.1g} apart")
        return None

    def _others(self, arrays: Arrays) -> Floats | None:
        """Return the embeddings of the other parts than DNA, side by side; None without any."""
        if len(self._model.parts) == 1:
            return None
        tensors = {name: tf.constant(array) for name, array in arrays.items()}
        embeddings = self._model.embed_parts(tensors, but=DNA).values()
        others: Floats = np.concatenate([one.numpy() for one in embeddings], axis=1)
        return others


def _warn(expected: str, received: str) -> None:
    """Say that whole windows are computed."""
    warnings.warn(
        f"model: expected {expected}, received {received}; whole windows are computed for each "
        "substitution, which is slow",
        stacklevel=2,
    )


def check_model(model: MethylationModel) -> None:
    """Refuse a model of which there is nothing to learn of bases.

    Raises
    ------
    InputError
        When it reads no windows of DNA.
    ConfigError
        When it has no heads, or predicts no cells.
    """
    if DNA not in model.parts:
        raise InputError(
            f"model: expected one that reads windows of DNA, received a {model.config.module} "
            "module"
        )
    model.check_cells()


def chosen_cells(
    model: MethylationModel, cells: Sequence[str] | None
) -> tuple[tuple[str, ...], npt.NDArray[np.intp] | None]:
    """Return cells of a model, and their columns; None for all as they are.

    Raises
    ------
    ConfigError
        When the model has no such cell, or one is named twice.
    """
    if cells is None:
        return model.cells, None
    for cell in cells:
        if cell not in model.cells:
            known = ", ".join(model.cells)
            raise ConfigError(f"cells: expected some of {known}, received {cell!r}")
    if not cells or len(set(cells)) < len(cells):
        received = ", ".join(cells) or "none"
        raise ConfigError(f"cells: expected different ones, received {received}")
    columns = np.array([model.cells.index(cell) for cell in cells], np.intp)
    return tuple(cells), columns


def whole_windows(model: MethylationModel, arrays: Arrays) -> Floats:
    """Return what `Mutagenist.values` does for all cells, of predictions of whole windows."""
    windows = arrays["windows"]
    count, length = windows.shape
    result = np.zeros((count, length, len(LETTERS), len(model.cells)), np.float32)
    for i in range(count):
        positions, letters = np.nonzero(windows[i][:, None] != CODES)
        one = take(arrays, slice(i, i + 1))
        result[i, positions, letters] = _whole(model, one, positions, letters)
    return result


def _whole(
    model: MethylationModel,
    arrays: Arrays,
    positions: npt.NDArray[np.intp],
    letters: npt.NDArray[np.intp],
) -> Floats:
    """Return what some substitutions in one window do to the logits of cells, [n, cells]."""
    columns = slice(len(model.cells))
    base = model.predict_arrays(arrays, "logits")[:, columns]
    found = np.empty((len(positions), len(model.cells)), np.float32)
    for start in range(0, len(positions), _BATCH):
        part = slice(start, start + _BATCH)
        at = positions[part]
        batch = {name: np.repeat(array, len(at), axis=0) for name, array in arrays.items()}
        batch["windows"][np.arange(len(at)), at] = CODES[letters[part]]
        found[part] = model.predict_arrays(batch, "logits", _BATCH)[:, columns]
    return found - base
