"""What verbs are given: models, genomes and files, by name or as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.cpg import cpg_part
from deepcpg_tf.errors import ConfigError, InputError, OutputError
from deepcpg_tf.extras import require
from deepcpg_tf.files import check_writable, what_is_there
from deepcpg_tf.genome.names import shown_names
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.progress import Progress

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Data
    from deepcpg_tf.data.neighbours import NeighbourReader
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.scan.local import LocalEngine

PathLike: TypeAlias = str | Path
ModelLike: TypeAlias = "str | Path | MethylationModel"
"""A published preset, a folder with a model, or a model."""

GenomeLike: TypeAlias = str | Path | Genome
"""A FASTA file, a folder of them, or a genome."""


def open_model(model: ModelLike) -> MethylationModel:
    """Return a model, loaded if need be; TensorFlow is imported without its noise."""
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    from deepcpg_tf.models.registry import load_model

    return load_model(model) if isinstance(model, str | Path) else model


def name_of(model: ModelLike) -> str:
    """Return what a model is called: its preset's or folder's name, without the path."""
    return Path(model).resolve().name if isinstance(model, str | Path) else str(model.name)


def open_genome(genome: GenomeLike) -> Genome:
    """Return a genome, opened if need be."""
    return genome if isinstance(genome, Genome) else Genome(genome)


def open_table(table: PathLike | MethylationTable) -> MethylationTable:
    """Return a methylation table, read if need be."""
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.data.table_file import read_table

    return table if isinstance(table, MethylationTable) else read_table(Path(table))


def open_neighbours(
    config: ModuleConfig, table: PathLike | MethylationTable | None, genome: Genome | None
) -> NeighbourReader | None:
    """Return what reads the neighbours that a module needs; None where it needs none.

    Raises
    ------
    InputError
        When the module reads neighbours, and there is no table or genome; or there is a
        table, and it reads none.
    TableError
        When the table lacks a cell, or has another reference.
    """
    from deepcpg_tf.data.neighbours import neighbours_of

    if cpg_part(config) is None and table is not None:
        raise InputError(
            f"table: expected none with a {config.module} module, which reads no neighbouring "
            "sites, received one"
        )
    if cpg_part(config) is not None and genome is None:
        raise InputError(
            f"model: expected a dna module with windows alone, received a {config.module} "
            "module, which predicts sites of a genome, next to those of a table"
        )
    held = None if table is None or genome is None else open_table(table).on(genome)
    return neighbours_of(config, held)


def tell_of_none_observed(
    neighbours: NeighbourReader | LocalEngine, chromosomes: Sequence[str], progress: Progress
) -> None:
    """Say on which chromosomes no site has a neighbour."""
    observed = neighbours.observed_chromosomes
    without = [name for name in chromosomes if name not in observed]
    if without:
        progress.tells(
            f"{len(without)} of {len(chromosomes)} chromosomes have no observed site in the table, "
            f"so that all neighbours there are missing: {shown_names(without)}"
        )


def paths_of(files: PathLike | Sequence[PathLike], *, folders: bool = False) -> list[Path]:
    """Return one or several files as paths.

    Parameters
    ----------
    files
        The files.
    folders
        Whether they may be folders, too.

    Raises
    ------
    InputError
        When one of them is not there, or there is none.
    """
    paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    if not paths:
        raise InputError("files: expected at least one, received none")
    check_files(*(path for path in paths if not (folders and path.is_dir())))
    return paths


def check_files(*paths: Path | None) -> None:
    """Refuse input files that are not there, before anything is computed.

    Raises
    ------
    InputError
    """
    for path in paths:
        if path is not None and not path.is_file():
            raise InputError(f"{path}: expected a file, found {what_is_there(path)}")


def check_other_than(out: Path | None, *inputs: object) -> None:
    """Refuse to write over an input, by whatever name, or to replace a folder that holds one.

    Parameters
    ----------
    out
        What is going to be written, if any.
    inputs
        Files, folders with a model, and genomes, by name or opened; others are passed over.

    Raises
    ------
    OutputError
    """
    if out is None or not out.exists():
        return
    for given in inputs:
        path = given.path if isinstance(given, Genome) else given
        if not isinstance(path, str | Path) or not Path(path).exists():
            continue  # a preset's name, or what is in memory
        if any(out.samefile(file) for file in (Path(path), *_model_files(Path(path)))):
            raise OutputError(f"{out}: expected another file than the input, received the same")
        if out.is_dir() and Path(path).resolve().is_relative_to(out.resolve()):
            raise OutputError(
                f"{out}: expected a folder without the input, received that of {path}"
            )


def _model_files(path: Path) -> list[Path]:
    """Return the files in the folder of a model that a result could be called like."""
    from deepcpg_tf.weights.preset_folder import WEIGHTS_FILE, is_preset_folder

    return [path / WEIGHTS_FILE] if is_preset_folder(path) else list(path.glob("*.h5"))


def check_new(out: Path) -> None:
    """Refuse a folder that holds anything, or is worked in.

    Raises
    ------
    OutputError
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OutputError(
            f"{out}: expected a new folder, found that it is there already; choose another, or "
            "remove it"
        )
    if Path.cwd().is_relative_to(out.resolve()):
        raise OutputError(f"{out}: expected a folder other than the one worked in")


def check_report(folder: Path) -> None:
    """Refuse a folder that a report cannot be written into.

    Raises
    ------
    OutputError
        When it is no folder, holds a model, or cannot be written to.
    DeepCpgError
        When what draws figures is not installed.
    """
    from deepcpg_tf.weights.preset_folder import is_preset_folder

    if folder.is_file():
        raise OutputError(f"{folder}: expected the name of a folder to write, received a file")
    if is_preset_folder(folder):
        raise OutputError(f"{folder}: expected a folder for a report, found one of a model")
    check_writable(folder, inside=True)
    require("matplotlib", extra="plots")


def trained_on(model: MethylationModel, data: Data, sites: npt.NDArray[np.int64]) -> list[str]:
    """Return on which chromosomes of some sites a model was trained, if on these data."""
    from deepcpg_tf.data.examples import digest
    from deepcpg_tf.data.splits import chromosomes_of
    from deepcpg_tf.data.targets import examples_of

    match model.provenance:
        case {"data": before, "split": {"train": {"chromosomes": [*names]}}}:
            both = [name for name in chromosomes_of(data, sites) if name in names]
            if both and before == digest(examples_of(data, model.config)):
                return both
    return []


def columns_of(cells: tuple[str, ...], data: Data) -> list[int]:
    """Return where data have some cells.

    Raises
    ------
    ConfigError
        When they lack one.
    """
    missing = [cell for cell in cells if cell not in data.cells]
    if missing:
        raise ConfigError(
            f"data: expected the model's cells ({', '.join(cells)}), "
            f"found no {', '.join(missing)} among {', '.join(data.cells)}"
        )
    return [data.cells.index(cell) for cell in cells]
