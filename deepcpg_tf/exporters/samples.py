"""The windows that calibrate int8, and those on which artefacts are compared."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.data.examples import digest, open_examples
from deepcpg_tf.data.training_data import recall
from deepcpg_tf.errors import DeepCpgError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import C_CODE, G_CODE, N_CODE, encode_windows, letters_of_codes
from deepcpg_tf.prediction.sources import FastaFile, SiteFile, Source

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Examples
    from deepcpg_tf.models.base import MethylationModel

CALIBRATION_WINDOWS = 256
PARITY_WINDOWS = 1024

_PARITY_AT_LEAST = 512
_POOL = 2048
_AT_EACH_END = 192
_WITH_N = 64
_ONE_IN_WITH_N = 4

Codes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int8]


class Drawn(NamedTuple):
    """Windows as ASCII codes, uint8 [n, length], and where they are from.

    ``labels`` (int8 [n, cells], -1 missing) go with those for parity; None where no
    label is known.
    """

    source: str
    calibration: Codes
    parity: Codes
    labels: Labels | None

    def rounding_windows(self) -> Codes:
        """Return codes of the windows that calibrate, some of them with runs of N."""
        letters = [row.tobytes().decode() for row in self.calibration]
        windows = encode_windows(letters, self.calibration.shape[1])
        windows[::_ONE_IN_WITH_N] = _put_n(windows[::_ONE_IN_WITH_N], np.random.default_rng(1))
        return windows


class _Pool(NamedTuple):
    source: str
    windows: Codes
    labels: Labels | None = None


def draw_windows(
    model: MethylationModel,
    calibration: Path | None = None,
    genome: Path | None = None,
) -> Drawn:
    """Draw windows, always the same ones.

    Those for parity are not among those for calibration; they have the smallest and
    largest probabilities in what they are drawn from, N, and lower case.

    Parameters
    ----------
    model
        The model.
    calibration
        FASTA with a window a record; with a genome, sites or a methylation table; or a data
        file of the original program. By default the windows are those of the data that the
        model was trained on, where it still is on this machine, and otherwise generated.
    genome
        The reference of the sites or the table.

    Raises
    ------
    DeepCpgError
        When the file cannot be read, or does not go with the model.
    """
    rng = np.random.default_rng(0)
    if calibration is not None:
        pool = _read(model, calibration, genome, rng)
    else:
        pool = _from_training(model, rng) or _generated(model, rng, _POOL)
    if len(pool.windows) < CALIBRATION_WINDOWS + _PARITY_AT_LEAST:
        pool = _fill_up(pool, _generated(model, rng, CALIBRATION_WINDOWS + PARITY_WINDOWS))
    calibrating, compared = _choose(model.predict_windows(pool.windows).mean(axis=1), rng)
    windows = pool.windows[compared]
    windows[:_WITH_N] = _put_n(windows[:_WITH_N], rng)
    labels = None if pool.labels is None else pool.labels[compared]
    if labels is not None:
        labels[:_WITH_N] = -1  # they are no longer the windows that the labels are of
    letters = letters_of_codes(windows)
    letters[1::4] |= ord("a") - ord("A")
    return Drawn(pool.source, letters_of_codes(pool.windows[calibrating]), letters, labels)


def _fill_up(pool: _Pool, generated: _Pool) -> _Pool:
    """Return a pool as large as the generated one, with all windows of the other."""
    more = len(generated.windows) - len(pool.windows)
    labels = pool.labels
    if labels is not None:
        labels = np.concatenate([labels, np.full((more, labels.shape[1]), -1, np.int8)])
    windows = np.concatenate([pool.windows, generated.windows[:more]])
    return _Pool(f"{pool.source} and {more} generated", windows, labels)


def _choose(
    probabilities: npt.NDArray[np.float32], rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the indices of windows to calibrate and to compare on.

    In both are windows of the smallest and largest probabilities: calibrated on
    others alone, int8 would clip them.
    """
    order = np.argsort(probabilities, kind="stable")
    ends = np.concatenate([order[:_AT_EACH_END], order[-_AT_EACH_END:]])
    others = rng.permutation(order[_AT_EACH_END:-_AT_EACH_END])
    calibrating = np.concatenate([ends[::3], others])[:CALIBRATION_WINDOWS]
    compared = np.setdiff1d(np.arange(len(order)), calibrating)
    others = rng.permutation(np.setdiff1d(compared, ends))
    compared = np.concatenate([np.intersect1d(compared, ends), others])[:PARITY_WINDOWS]
    return calibrating, rng.permutation(compared)


def _put_n(windows: Codes, rng: np.random.Generator) -> Codes:
    """Return windows with a run of N at either end or anywhere, and one of nothing else."""
    windows = windows.copy()
    length = windows.shape[1]
    for i, window in enumerate(windows):
        run = int(rng.integers(1, length // 2))
        start = (0, length - run, int(rng.integers(length - run)))[i % 3]
        window[start : start + run] = N_CODE
    windows[0] = N_CODE
    return windows


def _generated(model: MethylationModel, rng: np.random.Generator, n: int) -> _Pool:
    """Return windows from poor to rich in C and G, with a CG in the middle."""
    (length,) = model.reads.named("windows").shape
    is_cg = rng.random((n, length)) < rng.uniform(0.3, 0.7, (n, 1))
    windows = rng.integers(0, 2, (n, length), np.uint8) + 2 * is_cg.astype(np.uint8)
    windows[:, length // 2], windows[:, length // 2 + 1] = C_CODE, G_CODE
    return _Pool("generated", windows)


def _read(
    model: MethylationModel, path: Path, genome: Path | None, rng: np.random.Generator
) -> _Pool:
    if h5py.is_hdf5(path):
        examples = open_examples([path], genome, model.config)
        return _of_examples(model, examples, f"{path.name}, {len(examples.positions)} sites", rng)
    (length,) = model.reads.named("windows").shape
    source: Source = (
        FastaFile(path, length) if genome is None else SiteFile(path, Genome(genome), length)
    )
    source.check()
    windows = np.concatenate([batch.windows for batch in source.batches()])
    chosen = rng.permutation(len(windows))[:_POOL]
    return _Pool(f"{path.name}, {len(windows)} windows", windows[chosen])


def _from_training(model: MethylationModel, rng: np.random.Generator) -> _Pool | None:
    """Return windows of the data that the model was trained on, if it is there and unchanged."""
    data = recall(model.digest())
    if data is None:
        return None
    try:
        examples = open_examples(data.files, data.genome, model.config)
        if digest(examples) != data.digest:
            return None
        return _of_examples(model, examples, "the training data", rng)
    except DeepCpgError as error:
        message = f"the training data cannot be read, windows are generated: {error}"
        warnings.warn(message, stacklevel=2)
        return None


def _of_examples(
    model: MethylationModel, examples: Examples, source: str, rng: np.random.Generator
) -> _Pool:
    """Return windows with the labels of those of the model's cells that are there."""
    chosen = rng.permutation(len(examples.positions))[:_POOL]
    found = examples.labels(chosen)
    labels = np.full((len(chosen), len(model.cells)), -1, np.int8)
    for column, cell in enumerate(model.cells):
        if cell in examples.cells:
            labels[:, column] = found[:, examples.cells.index(cell)]
    known = (labels >= 0).any()
    return _Pool(source, examples.arrays(chosen)["windows"], labels if known else None)
