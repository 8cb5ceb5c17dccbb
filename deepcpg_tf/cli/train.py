"""``deepcpg-tf train``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcpg_tf.cli.options import Debug, check_files
from deepcpg_tf.cli.split_options import (
    Fractions,
    SplitName,
    Test,
    Train,
    Validation,
    chosen_split,
)
from deepcpg_tf.cli.training_progress import TrainingProgress

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Examples
    from deepcpg_tf.data.splits import Split
    from deepcpg_tf.models.base import MethylationModel
    from deepcpg_tf.training.settings import TrainingSettings


def train(
    data: Annotated[
        list[Path],
        typer.Argument(help="A table (.h5ad), or data files of the original.", metavar="DATA..."),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.", metavar="DIR")],
    genome: Annotated[
        Path | None, typer.Option(help="The reference of a table.", metavar="FASTA")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="CnnL1h128 … CnnL3h256 (default: CnnL2h128).")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Fine-tune this model instead.", metavar="MODEL"),
    ] = None,
    freeze: Annotated[
        str, typer.Option(help="With --from: none, first-conv or backbone.", metavar="WHAT")
    ] = "none",
    split: SplitName = None,
    train_on: Train = None,
    validation: Validation = None,
    test: Test = None,
    fractions: Fractions = None,
    epochs: Annotated[int, typer.Option(help="Epochs at most.")] = 30,
    patience: Annotated[int, typer.Option(help="Epochs without improvement before it stops.")] = 5,
    batch_size: Annotated[int, typer.Option(help="Sites in a step.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Of Adam, in the first epoch.")] = 1e-4,
    decay: Annotated[float, typer.Option(help="Factor of the learning rate an epoch.")] = 0.975,
    l1: Annotated[float, typer.Option(help="L1 of the kernels.")] = 1e-4,
    l2: Annotated[float, typer.Option(help="L2 of the kernels.")] = 1e-4,
    dropout: Annotated[float, typer.Option(help="Dropout after the dense layer.")] = 0.0,
    class_weights: Annotated[
        bool, typer.Option(help="Balance the two classes in each cell.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    jit: Annotated[str, typer.Option(help="XLA: auto, on or off.")] = "auto",
    devices: Annotated[int, typer.Option(help="GPUs (or CPUs) to share each batch.")] = 1,
    cache: Annotated[
        bool, typer.Option("--cache", help="Hold the genome in memory: for slow disks.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write logs for TensorBoard here.", metavar="DIR")
    ] = None,
    debug: Debug = False,
) -> None:
    """Train a model on methylation profiles of single cells, or fine-tune one.

    The defaults are those of the original program. Killed at any moment, the same
    command goes on from the last epoch. DIR is a preset that every command reads,
    with the history, a learning curve and the provenance.
    """
    from deepcpg_tf.errors import ConfigError, OutputError
    from deepcpg_tf.training.settings import TrainingSettings

    check_files(*data)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OutputError(f"{out}: expected a new folder, found that it is there already")
    settings = TrainingSettings(
        learning_rate=learning_rate,
        decay=decay,
        batch_size=batch_size,
        epochs=epochs,
        patience=patience,
        l1=l1,
        l2=l2,
        class_weights=class_weights,
        seed=seed,
        precision=precision,
        jit=jit,
        devices=devices,
    )
    if tensorboard is not None and find_spec("tensorboard") is None:
        raise ConfigError(
            "--tensorboard: expected the package tensorboard, found none: pip install tensorboard"
        )
    if start is not None and architecture is not None:
        raise ConfigError("input: expected --architecture or --from, received both")
    if start is None and freeze != "none":
        raise ConfigError("--freeze: expected --from MODEL with it, received none")

    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    from deepcpg_tf.data.examples import digest, open_examples
    from deepcpg_tf.models.registry import load_model
    from deepcpg_tf.training.finetune import freeze as freeze_layers
    from deepcpg_tf.training.step import make_strategy, prepare_devices
    from deepcpg_tf.training.trainer import Parts
    from deepcpg_tf.training.trainer import train as train_model

    prepare_devices(settings.devices)
    strategy = make_strategy(settings.devices)
    source = None if start is None else load_model(start)
    reads = None if source is None else source.reads
    examples = open_examples(data, genome, reads)
    parts = chosen_split(
        split=split,
        train=train_on,
        validation=validation,
        test=test,
        fractions=fractions,
    )(examples)
    with strategy.scope():
        model = _make_model(examples, settings, architecture, dropout, source)
    examples.prepare(hold=cache)
    freeze_layers(model, freeze)
    _tell_start(examples, parts, settings)
    identity = _identity(model, digest(examples), parts, settings, start, freeze)
    model.provenance = _provenance(identity, data, genome)
    state = out.resolve().parent / f".{out.name}.training"
    with TrainingProgress(settings.epochs, tensorboard) as watcher:
        history = train_model(
            model,
            examples,
            Parts(parts.train, parts.validation),
            settings,
            strategy,
            state=state,
            identity=identity,
            watcher=watcher,
        )
    _write(model, out, state, history)
    print(f"{out}: {len(history)} epochs{_best(history)}")


def _make_model(
    examples: Examples,
    settings: TrainingSettings,
    architecture: str | None,
    dropout: float,
    source: MethylationModel | None,
) -> MethylationModel:
    import keras

    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.models.registry import new_model
    from deepcpg_tf.training.finetune import take_over

    keras.utils.set_random_seed(settings.seed)
    if source is not None:
        own = source.config.with_cells(examples.cells).with_dropout(dropout)
        model = new_model(own, settings.precision)
        heads = take_over(model, source)
        print(
            f"{len(heads.kept)} of {len(examples.cells)} cells keep their heads, "
            f"{len(heads.new)} get new ones",
            file=sys.stderr,
        )
        return model
    config = DeepCpgDnaConfig.from_architecture(
        architecture or "CnnL2h128",
        cells=list(examples.cells),
        sequence_length=examples.reads.named("windows").shape[0],
        hidden_dropout=dropout,
    )
    return new_model(config, settings.precision)


def _tell_start(examples: Examples, parts: Split, settings: TrainingSettings) -> None:
    text = f"{len(parts.train):,} sites to train on, {len(parts.validation):,} to validate"
    print(f"{text}, {len(examples.cells)} cells", file=sys.stderr)
    if not len(parts.validation):
        print(
            f"no validation: all {settings.epochs} epochs are run, nothing stops them early, the "
            "last weights are kept, and how well they do on unseen sites is not known",
            file=sys.stderr,
        )


def _identity(
    model: MethylationModel,
    data_digest: str,
    parts: Split,
    settings: TrainingSettings,
    start: str | None,
    freeze: str,
) -> dict[str, Any]:
    """Return what decides about the result, other than the versions of libraries."""
    import dataclasses
    import hashlib

    return {
        "architecture": model.config.to_dict(),
        "data": data_digest,
        "split": {
            name: {"sites": len(part), "sha256": hashlib.sha256(part.tobytes()).hexdigest()}
            for name, part in zip(parts._fields, parts, strict=True)
        },
        "settings": dataclasses.asdict(settings),
        "from": start,
        "freeze": freeze,
    }


def _provenance(
    identity: Mapping[str, Any], data: list[Path], genome: Path | None
) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    import deepcpg_tf

    return {
        "format": "trained by deepcpg_tf",
        "command": shlex.join(["deepcpg-tf", *sys.argv[1:]]),
        "files": [str(path.resolve()) for path in data],
        "genome": None if genome is None else str(genome.resolve()),
        **{name: value for name, value in identity.items() if name != "architecture"},
        "versions": {
            "deepcpg_tf": deepcpg_tf.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
    }


def _write(
    model: MethylationModel,
    out: Path,
    state: Path,
    history: list[dict[str, float]],
) -> None:
    import shutil

    from deepcpg_tf.training.curve import write_figure, write_history
    from deepcpg_tf.weights.preset_folder import save_folder

    model.provenance = {**model.provenance, "kept": _best_row(history)}

    def add(folder: Path) -> None:
        write_history(history, folder)
        write_figure(history, folder)

    save_folder(model.checkpoint(), out, add)
    shutil.rmtree(state)


def _best_row(history: list[dict[str, float]]) -> dict[str, float]:
    return min(history, key=lambda row: row.get("validation_loss", -row["epoch"]))


def _best(history: list[dict[str, float]]) -> str:
    row = _best_row(history)
    if "validation_loss" not in row:
        return f", the weights of the last kept, loss {row['loss']:.4f}"
    return (
        f", the weights of epoch {row['epoch']} kept: validation loss "
        f"{row['validation_loss']:.4f}, mean AUC {row['validation_auc']:.4f}"
    )
