"""What calibrates int8, and on what artefacts are compared: windows, neighbours, or both."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.cpg import DeepCpgCpgConfig, cpg_part
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.data.examples import digest
from deepcpg_tf.data.opening import TableData, open_data, open_examples
from deepcpg_tf.data.training_data import recall
from deepcpg_tf.errors import DeepCpgError, InputError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import C_CODE, G_CODE, N_CODE, encode_tokens, letters_of_codes
from deepcpg_tf.inputs import Arrays, rows, take
from deepcpg_tf.prediction.sources import FastaFile, SiteFile, Source

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Data, Examples
    from deepcpg_tf.models.base import MethylationModel

CALIBRATION_WINDOWS = 256
PARITY_WINDOWS = 1024

_PARITY_AT_LEAST = 512
_POOL = 2048
_AT_EACH_END = 192
_CHANGED = 64
_ONE_IN_WITH_N = 4
_AT_END_OF_CHROMOSOME = 1 / 8

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int8]


class Drawn(NamedTuple):
    """Arrays as artefacts take them, and where they are from.

    They are, of ``tokens`` (windows as ASCII codes, uint8 [n, length]), ``state`` and ``dist``
    (float32 [n, cells, neighbours]), those that the model reads. ``labels`` (int8 [n, cells],
    -1 missing) go with those for parity; None where no label is known.
    """

    source: str
    calibration: Arrays
    parity: Arrays
    labels: Labels | None

    def rounding_arrays(self) -> Arrays:
        """Return what calibrates, as the model reads it, some windows with runs of N."""
        arrays = dict(self.calibration)
        windows = encode_tokens(arrays.pop("tokens"))
        windows[::_ONE_IN_WITH_N] = _put_n(windows[::_ONE_IN_WITH_N], np.random.default_rng(1))
        return {"windows": windows, **arrays}


class _Pool(NamedTuple):
    """Arrays as the model reads them."""

    source: str
    arrays: Arrays
    labels: Labels | None = None


def draw_samples(
    model: MethylationModel,
    calibration: Path | None = None,
    genome: Path | None = None,
) -> Drawn:
    """Draw what a model is exported with, always the same.

    What is for parity is not among what is for calibration; it has the smallest and
    largest probabilities in what it is drawn from, windows with N and in lower case, and
    sites without neighbours, in some cells or all.

    Parameters
    ----------
    model
        The model.
    calibration
        FASTA with a window a record; with a genome, sites; a methylation table, with a genome
        where windows are read; or a data file of the original program. A model that reads
        neighbours takes the last two alone. By default it is the data that the
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
    if rows(pool.arrays) < CALIBRATION_WINDOWS + _PARITY_AT_LEAST:
        pool = _fill_up(pool, _generated(model, rng, CALIBRATION_WINDOWS + PARITY_WINDOWS))
    calibrating, compared = _choose(model.predict_arrays(pool.arrays).mean(axis=1), rng)
    labels = None if pool.labels is None else pool.labels[compared]
    if labels is not None:
        labels[:_CHANGED] = -1  # they are no longer the sites that the labels are of
    found = dict(take(pool.arrays, compared))
    if "windows" in found:
        found["windows"][:_CHANGED] = _put_n(found["windows"][:_CHANGED], rng)
    if (part := cpg_part(model.config)) is not None:
        _put_missing(found["state"][:_CHANGED], found["dist"][:_CHANGED], _means(part), rng)
    given, compare = _as_given(take(pool.arrays, calibrating)), _as_given(found)
    if "tokens" in compare:
        compare["tokens"][1::4] |= ord("a") - ord("A")
    return Drawn(pool.source, given, compare, labels)


def _as_given(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Return what artefacts are given for what a model reads: letters for codes."""
    return {
        "tokens" if name == "windows" else name: letters_of_codes(array)
        if name == "windows"
        else array
        for name, array in arrays.items()
    }


def _fill_up(pool: _Pool, generated: _Pool) -> _Pool:
    """Return a pool as large as the generated one, with all sites of the other."""
    more = rows(generated.arrays) - rows(pool.arrays)
    labels = pool.labels
    if labels is not None:
        labels = np.concatenate([labels, np.full((more, labels.shape[1]), -1, np.int8)])
    arrays = {
        name: np.concatenate([array, generated.arrays[name][:more]])
        for name, array in pool.arrays.items()
    }
    return _Pool(f"{pool.source} and {more} generated", arrays, labels)


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


def _put_missing(state: Floats, dist: Floats, means: Floats, rng: np.random.Generator) -> None:
    """Take away, in place, all neighbours in a third of the cells, and all of the first site."""
    missing = rng.random(state.shape[:2]) < 1 / 3
    missing[0] = True
    state[missing] = np.broadcast_to(means[:, None], state.shape)[missing]
    dist[missing] = 1


def _means(part: DeepCpgCpgConfig) -> Floats:
    """Return what stands for the state of a neighbour that is not there."""
    return np.array(part.state_means or [0.5] * len(part.input_cells), np.float32)


def _generated(model: MethylationModel, rng: np.random.Generator, n: int) -> _Pool:
    """Return sites of all kinds: poor in C and G or rich, methylated or not, covered or not."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    if "windows" in model.reads.names:
        arrays["windows"] = _windows(model.reads.named("windows").shape[0], rng, n)
    if (part := cpg_part(model.config)) is not None:
        arrays |= _neighbours(part, rng, n)
    if isinstance(model.config, LocalConfig):
        arrays |= _entries(model, rng, n)
    return _Pool("generated", arrays)


def _entries(model: MethylationModel, rng: np.random.Generator, n: int) -> dict[str, Floats]:
    """Return numbers of the size that features and embeddings have, some all zero."""
    found = {one.name: rng.normal(0, 0.7, (n, *one.shape)) for one in model.reads}
    for values in found.values():
        values[rng.random(n) < _AT_END_OF_CHROMOSOME] = 0
    return {name: values.astype(np.float32) for name, values in found.items()}


def _windows(length: int, rng: np.random.Generator, n: int) -> Codes:
    """Return windows from poor to rich in C and G, with a CG in the middle."""
    is_cg = rng.random((n, length)) < rng.uniform(0.3, 0.7, (n, 1))
    windows = rng.integers(0, 2, (n, length), np.uint8) + 2 * is_cg.astype(np.uint8)
    windows[:, length // 2], windows[:, length // 2 + 1] = C_CODE, G_CODE
    return windows


def _neighbours(part: DeepCpgCpgConfig, rng: np.random.Generator, n: int) -> dict[str, Floats]:
    """Return states and distances: sites mostly methylated or mostly not, in most cells alike.

    From one neighbour to the next it is hundreds to thousands of bases, the more the less a
    cell is covered; some are beyond the end of a chromosome.
    """
    cells, side = len(part.input_cells), part.neighbours // 2
    levels = rng.beta(0.5, 0.5, (n, 1, 1)) * rng.uniform(0.7, 1, (n, cells, 1))
    state = (rng.random((n, cells, part.neighbours)) < levels).astype(np.float32)
    steps = rng.exponential(10 ** rng.uniform(2, 4, (n, cells, 1, 1)), (n, cells, 2, side)) + 2
    bases = np.minimum(np.floor(steps).cumsum(-1), part.max_distance)
    few = rng.random((n, 1, 2, 1)) < _AT_END_OF_CHROMOSOME
    there = np.where(few, rng.integers(0, side + 1, few.shape), side)
    is_there = np.broadcast_to(np.arange(side) < there, steps.shape)
    dist = np.where(is_there, bases / part.max_distance, 1)

    def in_order(sides: npt.NDArray[Any]) -> npt.NDArray[Any]:  # on the left from far to near
        return np.concatenate([sides[:, :, 0, ::-1], sides[:, :, 1]], axis=-1)

    state = np.where(in_order(is_there), state, _means(part)[:, None])
    return {"state": state.astype(np.float32), "dist": in_order(dist).astype(np.float32)}


def _read(
    model: MethylationModel, path: Path, genome: Path | None, rng: np.random.Generator
) -> _Pool:
    if isinstance(model.config, LocalConfig):
        return _of_entries(model, open_data([path], genome), path.name)
    if h5py.is_hdf5(path):
        examples = open_examples([path], genome, model.config)
        return _of_examples(model, examples, f"{path.name}, {len(examples.positions)} sites", rng)
    if cpg_part(model.config) is not None:
        raise InputError(
            f"calibration: expected a methylation table (.h5ad) or a data file of the original, of "
            f"which a {model.config.module} module reads neighbouring sites, received {path}"
        )
    (length,) = model.reads.named("windows").shape
    source: Source = (
        FastaFile(path, length) if genome is None else SiteFile(path, Genome(genome), length)
    )
    source.check()
    windows = np.concatenate([batch.windows for batch in source.batches()])
    chosen = rng.permutation(len(windows))[:_POOL]
    return _Pool(f"{path.name}, {len(windows)} windows", {"windows": windows[chosen]})


def _from_training(model: MethylationModel, rng: np.random.Generator) -> _Pool | None:
    """Return sites of the data that the model was trained on, if it is there and unchanged."""
    data = recall(model.digest())
    if data is None:
        return None
    try:
        examples = open_examples(data.files, data.genome, model.config)
        if digest(examples) != data.digest:
            return None
        if isinstance(model.config, LocalConfig):
            opened = open_data(data.files, data.genome)
            return _of_entries(model, opened, "the training data")
        return _of_examples(model, examples, "the training data", rng)
    except DeepCpgError as error:
        message = f"the training data cannot be read, samples are generated: {error}"
        warnings.warn(message, stacklevel=2)
        return None


def _of_entries(model: MethylationModel, data: Data, source: str) -> _Pool:
    """Return observed entries of a table, with their labels."""
    from deepcpg_tf.local.entries import Entries
    from deepcpg_tf.scan.local import DnaEmbedder

    assert isinstance(model.config, LocalConfig)
    if not isinstance(data, TableData):
        raise InputError(
            "calibration: expected a methylation table (.h5ad), of which a local module reads, "
            "received data files of the original"
        )
    embed = None
    if model.config.dna is not None:
        if data.genome is None:
            raise InputError("genome: expected the reference of the table, received none")
        embed = DnaEmbedder(model, data.genome)
    every, none = np.arange(len(data.positions)), np.arange(0)
    entries = Entries(data.table, model.config, every, none, most=_POOL, seed=0, embed=embed)
    entries.prepare(hold=True)
    arrays = {name: np.array(array) for name, array in entries.arrays(entries.train).items()}
    number = len(entries.train)
    return _Pool(f"{source}, {number} entries", arrays, entries.labels(entries.train))


def _of_examples(
    model: MethylationModel, examples: Examples, source: str, rng: np.random.Generator
) -> _Pool:
    """Return sites with the labels of those of the model's cells that are there."""
    chosen = rng.permutation(len(examples.positions))[:_POOL]
    found = examples.labels(chosen)
    labels = np.full((len(chosen), len(model.cells)), -1, np.int8)
    for column, cell in enumerate(model.cells):
        if cell in examples.cells:
            labels[:, column] = found[:, examples.cells.index(cell)]
    known = (labels >= 0).any()
    arrays = {name: np.array(array) for name, array in examples.arrays(chosen).items()}
    return _Pool(source, arrays, labels if known else None)
