"""What each base of windows contributes, into a file or a folder for TF-MoDISco."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepcpg_tf.prediction.sources import Keys
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.results.attributions import Layout, check_path
from deepcpg_tf.results.attributions import write_attributions as write
from deepcpg_tf.workflows.inputs import ModelInputs
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    ModelLike,
    PathLike,
    check_files,
    check_other_than,
    name_of,
    open_model,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.variants.attributions import Attributions, Explainer, Method
    from deepcpg_tf.variants.targets import Summary

_WINDOWS = 256


class Written(NamedTuple):
    """What was written: where, of how many windows and cells.

    ``remainder`` is the largest part of a difference that scores do not add up to, and
    ``difference`` the largest difference; None of methods without references.
    """

    out: Path
    windows: int
    cells: int
    remainder: float | None
    difference: float | None


def write_attributions(
    model: ModelLike,
    out: PathLike,
    *,
    sequences: PathLike | None = None,
    sites: PathLike | None = None,
    genome: GenomeLike | None = None,
    table: PathLike | MethylationTable | None = None,
    method: Method = "gradient",
    summary: Summary = "mean",
    cells: Sequence[str] | None = None,
    shuffles: int = 20,
    steps: int = 16,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Written:
    """Write what each base of windows contributes; see `deepcpg_tf.attributions`.

    Memory does not grow with the number of windows. What is given is read and checked whole
    before anything is computed.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model; one that reads windows.
    out
        ``.h5ad``, ``.npz``, or a new folder with what TF-MoDISco reads; docs/attributions.md
        has the layouts.
    sequences
        A text file with a window a line.
    sites, genome
        In place of it, sites to cut windows around, and their reference.
    table
        The cells whose neighbouring sites a Joint module reads.
    method, summary, cells, shuffles, steps, seed
        As of `deepcpg_tf.attributions`.
    progress
        Who is told.

    Returns
    -------
    Written

    Raises
    ------
    DeepCpgError
        When something cannot be read or written, or does not go together.
    """
    target = Path(out)
    check_files(*(Path(one) for one in (sequences, sites, table) if isinstance(one, str | Path)))
    check_other_than(target, sequences, sites, genome, model, table)
    check_path(target)
    opened = open_model(model)
    from deepcpg_tf.variants.attributions import Explainer

    explainer = Explainer(
        opened,
        method=method,
        summary=summary,
        cells=cells,
        shuffles=shuffles,
        steps=steps,
        seed=seed,
    )
    inputs = ModelInputs(opened, sequences=sequences, sites=sites, genome=genome, table=table)
    count = inputs.check(progress)
    (length,) = opened.reads.named("windows").shape
    about: dict[str, Any] = {"model": name_of(model), "method": method, "summary": summary}
    if explainer.has_references:
        about |= {"shuffles": shuffles, "seed": seed}
    if method == "integrated-gradients":
        about["steps"] = steps
    about["cells"] = np.array(explainer.cells)
    largest = _Largest()
    progress.begins("attributing", count, "windows")
    write(target, Layout(count, length, about), _explained(explainer, inputs, largest, progress))
    if not explainer.has_references:
        return Written(target, count, len(explainer.cells), None, None)
    return Written(target, count, len(explainer.cells), largest.remainder, largest.difference)


class _Largest:
    """The largest remainder and difference so far."""

    remainder = difference = 0.0

    def note(self, found: Attributions) -> None:
        self.remainder = max(self.remainder, float(np.abs(found.remainders).max()))
        differences = np.abs(found.outputs - found.references)
        self.difference = max(self.difference, float(differences.max()))


def _explained(
    explainer: Explainer, inputs: ModelInputs, largest: _Largest, progress: Progress
) -> Iterator[tuple[Keys, Attributions]]:
    for keys, arrays in inputs.batches(_WINDOWS):
        found = explainer.explain(arrays, progress)
        largest.note(found)
        yield keys, found
