"""What every base of windows does, into a file and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import ConfigError, OutputError
from deepcpg_tf.extras import require
from deepcpg_tf.files import atomic_files, check_writable
from deepcpg_tf.genome.sequence import letters_of_codes
from deepcpg_tf.prediction.sources import Keys
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.results.names import file_names
from deepcpg_tf.results.substitutions import Layout, Substituted, write_substitutions
from deepcpg_tf.results.windows import check_path
from deepcpg_tf.weights.preset_folder import is_preset_folder
from deepcpg_tf.workflows.inputs import ModelInputs
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    ModelLike,
    PathLike,
    check_files,
    check_other_than,
    open_model,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.variants.mutagenesis import Mutagenist, Summary

PICTURES = 100
"""Windows that pictures are drawn of, at most."""


class Written(NamedTuple):
    """What was written: a file, and of how many windows and cells, and how many pictures."""

    out: Path
    windows: int
    cells: int
    pictures: int


def write_mutagenesis(
    model: ModelLike,
    out: PathLike,
    *,
    sequences: PathLike | None = None,
    sites: PathLike | None = None,
    genome: GenomeLike | None = None,
    table: PathLike | MethylationTable | None = None,
    summary: Sequence[str] | None = None,
    cells: Sequence[str] | None = None,
    plot: PathLike | None = None,
    progress: Progress = SILENT,
) -> Written:
    """Write what every letter does in every place of windows; see `saturation_mutagenesis`.

    Memory does not grow with the number of windows. What is given is read and checked whole
    before anything is computed.

    Parameters
    ----------
    model
        A published preset, a folder with a model, or a model; one that reads windows.
    out
        The file to write, ``.h5ad`` or ``.npz``; docs/mutagenesis.md has the layout of both.
    sequences
        A text file with a window a line.
    sites, genome
        In place of it, sites to cut windows around, and their reference.
    table
        The cells whose neighbouring sites a Joint module reads.
    summary
        Summaries over cells to write, ``mean``, ``var`` and ``l2``; none for all cells.
    cells
        Some of the model's cells; all by default.
    plot
        A folder for a picture of each window, of the mean over the cells, at most 100 of them.
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
    folder = None if plot is None else Path(plot)
    given = (sequences, sites, genome, model, table)
    check_files(*(Path(one) for one in (sequences, sites, table) if isinstance(one, str | Path)))
    for path in (target, folder):
        check_other_than(path, *given)
    check_path(target)
    if folder is not None:
        _check_pictures(folder)
    opened = open_model(model)
    from deepcpg_tf.variants.mutagenesis import Mutagenist, check_summaries

    summaries = tuple(summary or ())
    if len(set(summaries)) < len(summaries):
        raise ConfigError(f"summary: expected different ones, received {', '.join(summaries)}")
    mutagenist = Mutagenist(opened, cells=cells)
    check_summaries(summaries, mutagenist.cells)
    inputs = ModelInputs(opened, sequences=sequences, sites=sites, genome=genome, table=table)
    count = inputs.check(progress)
    (length,) = opened.reads.named("windows").shape
    names = summaries or mutagenist.cells
    layout = Layout(count, length, "summary" if summaries else "cell", names, mutagenist.cells)
    if folder is not None and count > PICTURES:
        progress.tells(f"{folder}: pictures of the first {PICTURES} windows of {count:,}")
    with ExitStack() as stack:
        stage = None if folder is None else stack.enter_context(atomic_files(folder))
        progress.begins("substituting", count, "windows")
        batches = _substituted(
            mutagenist, inputs, cast("tuple[Summary, ...]", summaries), stage, progress
        )
        write_substitutions(target, layout, batches)
    return Written(
        target, count, len(mutagenist.cells), 0 if folder is None else min(count, PICTURES)
    )


def _check_pictures(folder: Path) -> None:
    """Refuse a folder that pictures cannot be drawn into."""
    require("logomaker", "matplotlib", extra="motifs")
    if folder.is_file():
        raise OutputError(f"{folder}: expected the name of a folder to write, received a file")
    if is_preset_folder(folder):
        raise OutputError(f"{folder}: expected a folder for pictures, found one of a model")
    check_writable(folder, inside=True)


def _substituted(
    mutagenist: Mutagenist,
    inputs: ModelInputs,
    summaries: tuple[Summary, ...],
    pictures: Path | None,
    progress: Progress,
) -> Iterator[Substituted]:
    """Yield what is written of all windows, and draw the first of them."""
    from deepcpg_tf.variants.mutagenesis import summarised

    done = 0
    for keys, arrays in inputs.batches(mutagenist.batch):
        values = mutagenist.values(arrays)
        tokens = letters_of_codes(arrays["windows"])
        if pictures is not None:
            for i in range(min(len(values), PICTURES - done)):
                name = _name(keys, i, done + i)
                _draw(pictures, name, arrays["windows"][i], values[i], mutagenist.cells)
        if summaries:
            values = np.stack([summarised(values, one) for one in summaries], axis=-1)
        done += len(values)
        yield Substituted(keys, tokens, values)
        progress.advances(len(values))


def _name(keys: Keys, row: int, number: int) -> str:
    """Return what a window is called in the name of its picture."""
    own = [str(column[row]) for name, column in keys.items() if name != "id"]
    return "_".join([str(number + 1), *own])


def _draw(
    folder: Path,
    name: str,
    codes: npt.NDArray[np.uint8],
    values: npt.NDArray[np.float32],
    cells: tuple[str, ...],
) -> None:
    """Draw one window: the mean over the cells."""
    from deepcpg_tf.evaluation.plots import save_png
    from deepcpg_tf.variants.pictures import substitutions_figure

    which = cells[0] if len(cells) == 1 else f"mean of {len(cells)} cells"
    figure = substitutions_figure(codes, values.mean(axis=-1), f"window {name}, {which}")
    (file,) = file_names([name], ".png")
    save_png(figure, folder / file)
