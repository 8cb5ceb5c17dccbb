"""Training on methylation profiles of single cells, and fine-tuning."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.calibration import Calibration
from deepcpg_tf.configs.local import LocalConfig
from deepcpg_tf.configs.names import JOINT, LOCAL
from deepcpg_tf.errors import ConfigError, OutputError, SplitError, TrainingError
from deepcpg_tf.extras import require
from deepcpg_tf.files import check_writable, sha256
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.resume import arithmetic, held_folder, remove_owned, versions
from deepcpg_tf.training.logs import logger
from deepcpg_tf.training.settings import TrainingSettings
from deepcpg_tf.workflows.beginning import Beginning, check_module, chosen_outputs
from deepcpg_tf.workflows.opening import (
    ModelLike,
    PathLike,
    check_new,
    name_of,
    open_model,
    paths_of,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Examples
    from deepcpg_tf.data.splits import Split, Splitter
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.training.state import Row


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
    module: str | None = None,
    architecture: str | None = None,
    outputs: Sequence[str] | None = None,
    bulk: Sequence[PathLike] = (),
    neighbours: int | None = None,
    max_distance: int | None = None,
    dna_module: ModelLike | None = None,
    cpg_module: ModelLike | None = None,
    train_parts: str | None = None,
    entries: int | None = None,
    similar_cells: int | None = None,
    groups: Sequence[str] | None = None,
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
        The reference of a table, for a module that reads DNA.
    module
        ``"dna"`` (the default), ``"cpg"``, ``"joint"`` or ``"local"``.
    architecture
        One of the module's: CnnL1h128 to CnnL3h256, RnnL1, RnnL2 or FcAvg; of a joint module
        also JointL0, JointL1h512 to JointL3h512, with + between them. The default is
        ``"CnnL2h128+RnnL1+JointL2h512"``, or what is of the module in it.
    outputs
        What to predict: ``"cells"``, and statistics over those that were observed at a site
        (``"mean"``, ``"var"``, ``"cat_var"``, ``"cat2_var"``, ``"diff"``, ``"mode"``,
        ``"entropy"``), in a window around it (``"win_stats/1001/mean"`` …), or levels of
        methylation of many cells at once (``"bulk/NAME"``). The default is the cells, or what
        `start` predicts.
    bulk
        Profiles of these, beside a table; NAME is that of the file, as of cells.
    neighbours
        Observed neighbours of a site that a CpG module reads in each cell, half of them on
        each side; by default 50, or as many as data files of the original have.
    max_distance
        Base pairs from which a distance counts as 1; by default 25,000.
    dna_module, cpg_module
        Both or none: models whose modules a Joint module joins, instead of new ones.
    train_parts
        With these: ``"joint"`` (the default), only what joins them is trained, with the
        heads, or ``"all"``.
    entries
        Of a local module: observed entries to train on, at most; by default 5,000,000.
    similar_cells
        Of a local module: cells that a cell is compared with, at most; by default 32.
    groups
        Of a local module: groups of features to read, some of
        `deepcpg_tf.configs.local.GROUPS`; by default all.
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
    bulks = paths_of(bulk) if bulk else []
    settings = TrainingSettings.of_module(module) if settings is None else settings
    if module == LOCAL and settings.class_weights:
        raise ConfigError(
            "class_weights: expected none with a local module, whose one output is of all cells "
            "(TrainingSettings.of_module has its defaults), received True"
        )
    reference = None if genome is None else Path(genome)
    _check(out, start, freeze, dropout, tensorboard)
    chosen = None if outputs is None else chosen_outputs(outputs)
    module = check_module(
        module=module,
        architecture=architecture,
        neighbours=neighbours,
        max_distance=max_distance,
        dna_module=dna_module,
        cpg_module=cpg_module,
        train_parts=train_parts,
        entries=entries,
        similar_cells=similar_cells,
        groups=groups,
        start=start,
    )
    state = out.resolve().parent / f".{out.name}.training"
    # Before anything is read: who comes second is not to work in vain.
    with held_folder(state, out) as begin:
        check_new(out)
        from deepcpg_tf.quiet import import_tensorflow

        import_tensorflow()
        import keras

        from deepcpg_tf.data.bulk import check_predicted
        from deepcpg_tf.data.examples import digest
        from deepcpg_tf.data.opening import open_data
        from deepcpg_tf.data.splits import chromosomes_of
        from deepcpg_tf.data.targets import examples_of
        from deepcpg_tf.data.training_data import TrainingData, remember
        from deepcpg_tf.training.finetune import freeze as freeze_layers
        from deepcpg_tf.training.step import make_strategy, prepare_devices
        from deepcpg_tf.training.trainer import Parts, train_model
        from deepcpg_tf.workflows.local import MOST_ENTRIES, is_local, local_entries

        prepare_devices(settings.devices)  # before a model is loaded, which computes
        source = None if start is None else open_model(start)
        if source is not None and is_local(source):
            raise ConfigError(
                "start: expected a dna, cpg or joint module, received a local module, which "
                "imputes other cells as it is, or is trained anew"
            )
        strategy = make_strategy(settings.devices)
        beginning = Beginning(
            module=module,
            architecture=architecture,
            outputs=chosen,
            start=source,
            dna=None if dna_module is None else open_model(dna_module),
            cpg=None if cpg_module is None else open_model(cpg_module),
            dropout=dropout,
            neighbours=neighbours,
            max_distance=max_distance,
            similar_cells=similar_cells,
            groups=groups,
        )
        opened = open_data(files, reference, bulks)
        parts = split(opened)
        if not len(parts.train):
            raise SplitError("train: expected chromosomes to train on, received none")
        config = beginning.config(opened, parts.train)
        check_predicted(bulks, config.outputs)
        examples = examples_of(opened, config)
        data_digest = digest(examples)
        keras.utils.set_random_seed(settings.seed)
        with strategy.scope():
            model, told = beginning.model(config, settings.precision)
        if module == JOINT and beginning.parts and train_parts in (None, JOINT):
            freeze = "parts"
        freeze_layers(model, freeze)
        trained_on = Parts(parts.train, parts.validation)
        if isinstance(config, LocalConfig):
            most = MOST_ENTRIES if entries is None else entries
            drawn = local_entries(opened, model, trained_on, most, settings.seed, progress)
            examples, trained_on = drawn, Parts(drawn.train, drawn.validation)
        origins = examples.origins()
        decided = {
            "data": data_digest,
            "split": {
                name: {
                    "sites": len(part),
                    "chromosomes": chromosomes_of(opened, part),
                    "sha256": hashlib.sha256(part.tobytes()).hexdigest(),
                }
                for name, part in zip(parts._fields, parts, strict=True)
            },
            "settings": dataclasses.asdict(settings),
            "from": None if source is None else source.digest(),
            "parts": {name: one.digest() for name, one in beginning.parts.items()},
            "freeze": freeze,
        }
        if isinstance(config, LocalConfig):
            decided["entries"] = {
                name: len(part) for name, part in zip(trained_on._fields, trained_on, strict=True)
            }
        begin(
            {
                "architecture": model.config.to_dict(),
                **decided,
                **origins,
                "versions": versions(),
                **arithmetic(),
            }
        )
        for line in (*told, *_lines_of_start(config, parts, settings)):
            progress.tells(line)
        examples.prepare(hold=cache)
        log = logger(None if tensorboard is None else Path(tensorboard))
        with _telling_of_memory(settings):
            history = train_model(
                model,
                examples,
                trained_on,
                settings,
                strategy,
                state=state,
                progress=progress,
                on_epoch=log,
            )
        if settings.class_weights and config.cells:
            calibration = Calibration.of_counts(config.cells, history.classes)
            model.config = model.config.with_calibration(calibration)
        model.provenance = {
            "format": "trained by deepcpg_tf",
            "files": [_described(file) for file in (*files, *bulks)],
            "genome": None if reference is None else _reference(reference, origins, examples),
            "neighbours": origins.get("neighbours"),
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
    start: ModelLike | None,
    freeze: str,
    dropout: float,
    tensorboard: PathLike | None,
) -> None:
    check_new(out)
    check_writable(out)
    require("matplotlib", extra="plots")
    if tensorboard is not None:
        require("tensorboard", extra="tensorboard")
        if Path(tensorboard).is_file():
            raise OutputError(f"tensorboard: expected a folder, received the file {tensorboard}")
    if start is None and freeze != "none":
        raise ConfigError("freeze: expected `start` with it, a model to begin with, received none")
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout: expected at least 0 and below 1, received {dropout}")


def _lines_of_start(
    config: ModuleConfig, parts: Split, settings: TrainingSettings
) -> Iterator[str]:
    yield (
        f"{len(parts.train):,} sites to train on, {len(parts.validation):,} to validate, "
        f"{len(config.cells)} cells" + "".join(f", {name}" for name in config.outputs)
    )
    if not len(parts.validation):
        yield (
            f"no validation: all {settings.epochs} epochs are run, nothing stops them early, the "
            "last weights are kept, and how well they do on unseen sites is not known"
        )


def _described(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def _reference(genome: Path, origins: Mapping[str, str], examples: Examples) -> dict[str, Any]:
    """Return name and checksum of the reference: that of its sequence, as tables have it."""
    # A module that reads no windows has the reference for its table, which was held against it.
    digest = origins.get("genome") or Genome(genome).digest(examples.chromosomes)
    return {"name": genome.resolve().name, "digest": digest}


def _origin(start: ModelLike, source: MethylationModel) -> dict[str, str]:
    return {"name": name_of(start), "digest": source.digest()}


def _write(model: MethylationModel, out: Path, history: list[Row]) -> None:
    from deepcpg_tf.training.curve import write_figure, write_history
    from deepcpg_tf.weights.preset_folder import save_folder

    def add(folder: Path) -> None:
        write_history(history, folder)
        write_figure(history, folder)

    save_folder(model.checkpoint(), out, add)


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
