"""Training on methylation profiles of single cells, and fine-tuning."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deepcpg_tf.errors import ConfigError, OutputError, SplitError, TrainingError
from deepcpg_tf.extras import require
from deepcpg_tf.files import check_writable, sha256
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.resume import arithmetic, held_folder, remove_owned, versions
from deepcpg_tf.training.settings import TrainingSettings
from deepcpg_tf.workflows.opening import ModelLike, PathLike, name_of, open_model, paths_of

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Examples
    from deepcpg_tf.data.splits import Split, Splitter
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.training.state import Row

DEFAULT_ARCHITECTURE = "CnnL2h128"


class Trained(NamedTuple):
    """What a training ended with.

    ``history`` has a row an epoch, and ``kept`` is the one whose weights ``model`` has.
    ``folder`` is the preset that was written.
    """

    model: MethylationModel
    history: list[Row]
    kept: Row
    folder: Path


def train(
    data: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    split: Splitter,
    genome: PathLike | None = None,
    architecture: str | None = None,
    start: ModelLike | None = None,
    freeze: str = "none",
    dropout: float = 0.0,
    settings: TrainingSettings | None = None,
    cache: bool = False,
    tensorboard: PathLike | None = None,
    progress: Progress = SILENT,
) -> Trained:
    """Train a model on methylation profiles of single cells, or fine-tune one.

    Killed at any moment, the same call goes on from the last epoch, and ends with the same
    weights.

    Parameters
    ----------
    data
        A table (``.h5ad``), or data files of the original program.
    out
        The folder to write: a preset, with the history and a learning curve. Its
        provenance names the files by name, size and checksum.
    split
        What makes the parts to train and to validate on; see `deepcpg_tf.data.splits`.
    genome
        The reference of a table.
    architecture
        One of `deepcpg_tf.ARCHITECTURES`; by default CnnL2h128.
    start
        A model to fine-tune instead: cells of the same name keep their heads.
    freeze
        With `start`: what stays as it is, ``"none"`` or one of the model's stages.
    dropout
        Rate of dropout before the embedding.
    settings
        How to train; the defaults are the original's.
    cache
        Whether to hold in memory what is read at random.
    tensorboard
        A folder to write logs for TensorBoard into.
    progress
        Who is told.

    Returns
    -------
    Trained

    Raises
    ------
    DeepCpgError
        When a file cannot be read, arguments do not go together, the folder is there
        already, or the training diverges.
    """
    files, out = paths_of(data), Path(out)
    settings = TrainingSettings() if settings is None else settings
    reference = None if genome is None else Path(genome)
    _check(out, architecture, start, freeze, dropout, tensorboard)
    state = out.resolve().parent / f".{out.name}.training"
    # Before anything is read: who comes second is not to work in vain.
    with held_folder(state, out) as begin:
        _check_new(out)
        from deepcpg_tf.quiet import import_tensorflow

        import_tensorflow()
        from deepcpg_tf.data.examples import digest, open_examples
        from deepcpg_tf.data.training_data import TrainingData, remember
        from deepcpg_tf.training.finetune import freeze as freeze_layers
        from deepcpg_tf.training.step import make_strategy, prepare_devices
        from deepcpg_tf.training.trainer import Parts, train_model

        prepare_devices(settings.devices)  # before a model is loaded, which computes
        source = None if start is None else open_model(start)
        strategy = make_strategy(settings.devices)
        examples = open_examples(files, reference, None if source is None else source.reads)
        parts = split(examples)
        if not len(parts.train):
            raise SplitError("train: expected chromosomes to train on, received none")
        with strategy.scope():
            model, told = _make_model(examples, settings, architecture, dropout, source)
        freeze_layers(model, freeze)
        data_digest = digest(examples)
        decided = {
            "data": data_digest,
            "split": {
                name: {"sites": len(part), "sha256": hashlib.sha256(part.tobytes()).hexdigest()}
                for name, part in zip(parts._fields, parts, strict=True)
            },
            "settings": dataclasses.asdict(settings),
            "from": None if source is None else source.digest(),
            "freeze": freeze,
        }
        begin(
            {
                "architecture": model.config.to_dict(),
                **decided,
                **examples.origins(),
                "versions": versions(),
                **arithmetic(),
            }
        )
        for line in (*told, *_lines_of_start(examples, parts, settings)):
            progress.tells(line)
        examples.prepare(hold=cache)
        log = _logger(None if tensorboard is None else Path(tensorboard))
        with _telling_of_memory(settings):
            history = train_model(
                model,
                examples,
                Parts(parts.train, parts.validation),
                settings,
                strategy,
                state=state,
                progress=progress,
                on_epoch=log,
            )
        model.provenance = {
            "format": "trained by deepcpg_tf",
            "files": [_described(file) for file in files],
            "genome": None if reference is None else _reference(reference, examples),
            **decided,
            "from": None if source is None or start is None else _origin(start, source),
            "versions": versions(),
            "kept": history.kept,
        }
        _write(model, out, history.rows)
        remove_owned(state)
    try:
        remember(model.digest(), TrainingData(tuple(files), reference, data_digest))
    except OutputError as error:
        progress.tells(f"an export will not find the training data by itself: {error}")
    return Trained(model, history.rows, history.kept, out)


def _check(
    out: Path,
    architecture: str | None,
    start: ModelLike | None,
    freeze: str,
    dropout: float,
    tensorboard: PathLike | None,
) -> None:
    _check_new(out)
    check_writable(out)
    require("matplotlib", extra="plots")
    if tensorboard is not None:
        require("tensorboard", extra="tensorboard")
        if Path(tensorboard).is_file():
            raise OutputError(f"tensorboard: expected a folder, received the file {tensorboard}")
    if start is not None and architecture is not None:
        raise ConfigError("start: expected it without `architecture`, received both")
    if start is None and freeze != "none":
        raise ConfigError("freeze: expected `start` with it, a model to begin with, received none")
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout: expected at least 0 and below 1, received {dropout}")


def _check_new(out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OutputError(f"{out}: expected a new folder, found that it is there already")
    if Path.cwd().is_relative_to(out.resolve()):
        raise OutputError(f"{out}: expected a folder other than the one worked in")


def _make_model(
    examples: Examples,
    settings: TrainingSettings,
    architecture: str | None,
    dropout: float,
    source: MethylationModel | None,
) -> tuple[MethylationModel, list[str]]:
    """Return the model before training, and what is to be told of it."""
    import keras

    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.models.registry import new_model
    from deepcpg_tf.training.finetune import take_over

    keras.utils.set_random_seed(settings.seed)
    if source is not None:
        own = source.config.with_cells(examples.cells).with_dropout(dropout)
        model = new_model(own, settings.precision)
        heads = take_over(model, source)
        return model, [
            f"{len(heads.kept)} of {len(examples.cells)} cells keep their heads, "
            f"{len(heads.new)} get new ones"
        ]
    config = DeepCpgDnaConfig.from_architecture(
        architecture or DEFAULT_ARCHITECTURE,
        cells=list(examples.cells),
        sequence_length=examples.reads.named("windows").shape[0],
        hidden_dropout=dropout,
    )
    return new_model(config, settings.precision), []


def _lines_of_start(examples: Examples, parts: Split, settings: TrainingSettings) -> Iterator[str]:
    yield (
        f"{len(parts.train):,} sites to train on, {len(parts.validation):,} to validate, "
        f"{len(examples.cells)} cells"
    )
    if not len(parts.validation):
        yield (
            f"no validation: all {settings.epochs} epochs are run, nothing stops them early, the "
            "last weights are kept, and how well they do on unseen sites is not known"
        )


def _described(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def _reference(genome: Path, examples: Examples) -> dict[str, Any]:
    """Return name and checksum of the reference: that of its sequence, as tables have it."""
    return {"name": genome.resolve().name, "digest": examples.origins().get("genome")}


def _origin(start: ModelLike, source: MethylationModel) -> dict[str, str]:
    return {"name": name_of(start), "digest": source.digest()}


def _write(model: MethylationModel, out: Path, history: list[Row]) -> None:
    from deepcpg_tf.training.curve import write_figure, write_history
    from deepcpg_tf.weights.preset_folder import save_folder

    def add(folder: Path) -> None:
        write_history(history, folder)
        write_figure(history, folder)

    save_folder(model.checkpoint(), out, add)


def _logger(folder: Path | None) -> Callable[[Row], object]:
    """Return a function that logs a row for TensorBoard, where a folder is given."""
    if folder is None:
        return lambda row: None
    import tensorflow as tf

    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        writer = tf.summary.create_file_writer(str(folder))

    def log(row: Row) -> None:
        with _writing_to(folder), writer.as_default():
            for name, value in row.items():
                tf.summary.scalar(name, value, step=int(row["epoch"]))
            writer.flush()

    return log


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    import tensorflow as tf

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise OutputError(f"tensorboard: cannot write to {folder}: {reason}") from error


@contextmanager
def _telling_of_memory(settings: TrainingSettings) -> Iterator[None]:
    import tensorflow as tf

    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise TrainingError(
            f"batch_size: expected a step that fits into memory, received {settings.batch_size} "
            "sites; fewer need less"
        ) from None
