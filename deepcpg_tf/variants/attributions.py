"""What each base of a window contributes to a prediction, by one of four methods.

docs/attributions.md defines them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import ConfigError
from deepcpg_tf.genome.sequence import encode_tokens, letters_of_codes, one_hot
from deepcpg_tf.inputs import Arrays, take
from deepcpg_tf.models.registry import load_model
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.variants.graphs import Graphs
from deepcpg_tf.variants.mutagenesis import (
    CODES,
    LETTERS,
    Mutagenist,
    check_model,
    chosen_cells,
)
from deepcpg_tf.variants.shuffles import shuffled_windows
from deepcpg_tf.variants.targets import Summary, Target

if TYPE_CHECKING:
    from deepcpg_tf.models.base import MethylationModel

Method = Literal["gradient", "integrated-gradients", "deeplift", "mutagenesis"]

_BATCH = 64

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Attributions:
    """What the bases of windows contribute.

    Parameters
    ----------
    values : ndarray of float32, shape (n, length, 4)
        What the method gives for A, C, G and T at each position: the gradient; for
        mutagenesis the difference that the letter makes in place of the one there; for
        the other methods the contribution that the letter would have there (hypothetical).
    tokens : ndarray of uint8, shape (n, length)
        The windows as ASCII letters.
    outputs : ndarray of float32, shape (n,)
        What is explained: mean or variance over the cells.
    references : ndarray of float32, shape (n,)
        Its mean over the shuffles of each window, which `scores` start from; NaN where a
        method has none.
    method, summary
        As asked for.
    cells
        Names of the cells that `outputs` are of.
    """

    values: Floats
    tokens: Codes
    outputs: Floats
    references: Floats
    method: Method
    summary: Summary
    cells: tuple[str, ...]

    @property
    def hypothetical(self) -> Floats:
        """Scores of all letters, float32 [n, length, 4], such as TF-MoDISco reads.

        Gradients and mutagenesis are centred over the letters, as only differences between
        letters are learnt (Majdandzic et al., 2023). The others are those of `values`.
        """
        if self.method in ("gradient", "mutagenesis"):
            centred: Floats = self.values - self.values.mean(axis=2, keepdims=True)
            return centred
        return self.values

    @property
    def one_hot(self) -> Floats:
        """The windows as float32 [n, length, 4]; N is a row of zeros."""
        return one_hot(encode_tokens(self.tokens))[..., CODES]

    @property
    def scores(self) -> Floats:
        """Scores of the letters that are there, float32 [n, length]; 0 at N."""
        scores: Floats = (self.one_hot * self.hypothetical).sum(axis=2)
        return scores

    @property
    def remainders(self) -> Floats:
        """What scores miss of the difference to the references, float32 [n].

        0 but for rounding with deeplift; with integrated-gradients also what the steps miss.
        """
        return self.outputs - self.references - self.scores.sum(axis=1)


def attributions(
    model: MethylationModel | str | Path,
    arrays: Arrays,
    *,
    method: Method = "gradient",
    summary: Summary = "mean",
    cells: Sequence[str] | None = None,
    shuffles: int = 20,
    steps: int = 16,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Attributions:
    """Tell what each base of some windows contributes to the prediction.

    Parameters
    ----------
    model
        One that reads windows (`load_model`), or its preset or folder.
    arrays
        What it reads, as `predict_arrays` takes it: ``windows`` or ``tokens``, and for a
        Joint module ``state`` and ``dist``, which stay as they are.
    method
        ``"gradient"`` of the mean or variance of probabilities, as the original's
        ``dcpg_snp.py``. The others explain the mean or variance of logits:
        ``"integrated-gradients"`` and ``"deeplift"`` (rescale rule) against shuffles that
        keep dinucleotides, and ``"mutagenesis"``, the difference that each substitution makes.
    summary
        ``"mean"`` or ``"var"``, over cells.
    cells
        Names of the cells to explain, in any order; by default all.
    shuffles
        References of each window.
    steps
        Points between a reference and its window, of integrated gradients.
    seed
        Of the shuffles, at least 0.
    progress
        Who is told.

    Returns
    -------
    Attributions

    Raises
    ------
    InputError
        When the model reads no windows, has no heads, or the arrays are not what it reads.
    ConfigError
        When an argument is none of what is expected.
    """
    loaded = load_model(model) if isinstance(model, str | Path) else model
    explainer = Explainer(
        loaded,
        method=method,
        summary=summary,
        cells=cells,
        shuffles=shuffles,
        steps=steps,
        seed=seed,
    )
    own = loaded.own_arrays(arrays)
    progress.begins("attributing", loaded.reads.check(own), "windows")
    return explainer.explain(own, progress)


class Explainer:
    """Explains windows of a model; parameters and errors are those of `attributions`."""

    def __init__(
        self,
        model: MethylationModel,
        *,
        method: Method = "gradient",
        summary: Summary = "mean",
        cells: Sequence[str] | None = None,
        shuffles: int = 20,
        steps: int = 16,
        seed: int = 0,
    ) -> None:
        check_model(model)
        _check_choice("method", method, get_args(Method))
        _check_choice("summary", summary, get_args(Summary))
        _check_least("shuffles", shuffles, 1)
        _check_least("steps", steps, 1)
        _check_least("seed", seed, 0)
        self.cells, columns = chosen_cells(model, cells)
        every = np.arange(len(model.cells)) if columns is None else columns
        if summary == "var" and len(self.cells) < 2:
            raise ConfigError("summary: expected mean of a single cell, received var")
        self.model, self.method, self.summary = model, method, summary
        self._columns = every.tolist()
        self._mutagenist = Mutagenist(model, cells=self.cells) if method == "mutagenesis" else None
        self._shuffles, self._steps, self._seed = shuffles, steps, seed
        self._graphs = Graphs(
            Target(model, self._columns, summary, probabilities=method == "gradient")
        )

    @property
    def has_references(self) -> bool:
        """Whether scores add up to the difference to references."""
        return self.method in ("integrated-gradients", "deeplift")

    def explain(self, arrays: Arrays, progress: Progress = SILENT) -> Attributions:
        """Explain what the model `reads`; `progress` hears of windows that are done."""
        ways: dict[Method, Callable[[Arrays], _Part]] = {
            "gradient": self._gradient,
            "integrated-gradients": self._integrated,
            "deeplift": self._rescaled,
            "mutagenesis": self._substituted,
        }
        sites, length = arrays["windows"].shape
        values = np.empty((sites, length, len(LETTERS)), np.float32)
        outputs, references = np.empty((2, sites), np.float32)
        batch = _BATCH if self._mutagenist is None else self._mutagenist.batch
        for start in range(0, sites, batch):
            part = slice(start, start + batch)
            values[part], outputs[part], references[part] = ways[self.method](take(arrays, part))
            progress.advances(len(outputs[part]))
        return Attributions(
            values,
            letters_of_codes(arrays["windows"]),
            outputs,
            references,
            self.method,
            self.summary,
            self.cells,
        )

    def _gradient(self, arrays: Arrays) -> _Part:
        one_hot, beside = self._graphs.read(arrays)
        outputs, gradient = self._graphs.gradient(one_hot, beside)
        return _Part(_letters(gradient.numpy()), outputs.numpy(), np.nan)

    def _integrated(self, arrays: Arrays) -> _Part:
        own, beside = self._graphs.read(arrays)
        outputs = self._graphs.value(own, beside).numpy()

        def of(reference: Floats) -> _Multipliers:
            total = np.zeros(own.shape)
            for step in range(self._steps):
                share = np.float32((step + 0.5) / self._steps)
                between = reference + share * (own - reference)
                total += self._graphs.gradient(between, beside)[1].numpy()
            start = self._graphs.value(reference, beside).numpy()
            return _Multipliers(outputs, start, total / self._steps)

        return self._against_shuffles(arrays["windows"], of)

    def _rescaled(self, arrays: Arrays) -> _Part:
        own, beside = self._graphs.read(arrays)

        def of(reference: Floats) -> _Multipliers:
            found = self._graphs.rescaled(own, reference, beside)
            return _Multipliers(*(one.numpy() for one in found))

        return self._against_shuffles(arrays["windows"], of)

    def _against_shuffles(self, windows: Codes, of: Callable[[Floats], _Multipliers]) -> _Part:
        """Return the mean contributions of letters, in place of those of each shuffle."""
        shuffled = shuffled_windows(windows, self._shuffles, self._seed)
        total: Any = 0.0
        start: Any = 0.0
        for i in range(self._shuffles):
            reference = self._graphs.one_hot(shuffled[:, i])
            found = of(reference)
            total += found.bases - (reference * found.bases).sum(axis=2, keepdims=True)
            start += found.reference.astype(np.float64)
        return _Part(_letters(total / self._shuffles), found.own, start / self._shuffles)

    def _substituted(self, arrays: Arrays) -> _Part:
        assert self._mutagenist is not None
        differences = self._mutagenist.values(arrays)
        logits = self.model.predict_arrays(arrays, "logits")[:, self._columns]
        if self.summary == "mean":
            return _Part(differences.mean(axis=-1), logits.mean(axis=-1), np.nan)
        # Of z + d less that of z, without the cancellation.
        spread = (logits - logits.mean(axis=-1, keepdims=True))[:, None, None]
        values = differences.var(axis=-1) + 2 * (spread * differences).mean(axis=-1)
        return _Part(values, logits.var(axis=-1), np.nan)


class _Part(NamedTuple):
    """Values [n, length, 4], outputs [n] and those of references [n] of some windows."""

    values: npt.NDArray[Any]
    outputs: npt.NDArray[Any]
    references: npt.NDArray[Any] | float


class _Multipliers(NamedTuple):
    """Outputs [n] of windows and of references, and multipliers [n, length, channels]."""

    own: npt.NDArray[Any]
    reference: npt.NDArray[Any]
    bases: npt.NDArray[Any]


def _letters(channels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return channels of a model as A, C, G, T."""
    return channels[..., CODES]


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigError(f"{name}: expected one of {', '.join(choices)}, received {value!r}")


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name}: expected at least {least}, received {value}")
