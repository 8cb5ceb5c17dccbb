"""``deepcpg-tf train``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Debug
from deepcpg_tf.cli.split_options import (
    Fractions,
    SplitName,
    Test,
    Train,
    Validation,
    chosen_split,
)


def train(
    data: Annotated[
        list[Path],
        typer.Argument(help="A table (.h5ad), or data files of the original.", metavar="DATA..."),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.", metavar="DIR")],
    genome: Annotated[
        Path | None, typer.Option(help="The reference of a table.", metavar="FASTA")
    ] = None,
    bulk: Annotated[
        list[Path] | None,
        typer.Option(
            help="Profiles of many cells at once, for the outputs bulk/NAME.", metavar="PROFILE"
        ),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            help="dna, cpg (neighbouring sites), joint (both), or local (to impute any cells).",
            metavar="MODULE",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="CnnL1h128 … CnnL3h256; RnnL1, RnnL2, FcAvg; JointL0 … JointL3h512; of a joint "
            "module several with + between them (default: CnnL2h128+RnnL1+JointL2h512)."
        ),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            help="What to predict, with , between: cells (alone by default), and of the cells "
            "observed at a site mean, var, cat_var, cat2_var, diff, mode, entropy; "
            "win_stats/LENGTH/mean … of those in a window; bulk/NAME.",
            metavar="NAMES",
        ),
    ] = None,
    neighbours: Annotated[
        int | None,
        typer.Option(help="Observed neighbours of a site to read in each cell (default: 50)."),
    ] = None,
    max_distance: Annotated[
        int | None,
        typer.Option(help="Base pairs from which neighbours are as far (default: 25000)."),
    ] = None,
    dna_module: Annotated[
        str | None,
        typer.Option(help="Join the DNA module of this model ...", metavar="MODEL"),
    ] = None,
    cpg_module: Annotated[
        str | None,
        typer.Option(help="... and the CpG module of this one.", metavar="MODEL"),
    ] = None,
    train_parts: Annotated[
        str | None,
        typer.Option(
            help="With these: joint (what joins them, and the heads; the default) or all.",
            metavar="WHAT",
        ),
    ] = None,
    entries: Annotated[
        int | None,
        typer.Option(help="Of local: observed entries to train on at most (default: 5000000)."),
    ] = None,
    similar_cells: Annotated[
        int | None,
        typer.Option(help="Of local: cells that a cell is compared with at most (default: 32)."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Fine-tune this model instead.", metavar="MODEL"),
    ] = None,
    freeze: Annotated[
        str,
        typer.Option(
            help="With --from: none, backbone, first-conv (dna), shared (cpg) or parts (joint).",
            metavar="WHAT",
        ),
    ] = "none",
    split: SplitName = None,
    train: Train = None,
    validation: Validation = None,
    test: Test = None,
    fractions: Fractions = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs at most (default: 30; of local 12).")
    ] = None,
    patience: Annotated[int, typer.Option(help="Epochs without improvement before it stops.")] = 5,
    batch_size: Annotated[
        int | None, typer.Option(help="Sites in a step (default: 128; of local 512 entries).")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of Adam, in the first epoch (default: 1e-4; of local 2e-3)."),
    ] = None,
    decay: Annotated[
        float | None,
        typer.Option(help="Factor of the learning rate an epoch (default: 0.975; of local 0.7)."),
    ] = None,
    l1: Annotated[
        float | None, typer.Option(help="L1 of the kernels (default: 1e-4; of local 0).")
    ] = None,
    l2: Annotated[
        float | None, typer.Option(help="L2 of the kernels (default: 1e-4; of local 0).")
    ] = None,
    dropout: Annotated[float, typer.Option(help="Dropout before each embedding.")] = 0.0,
    class_weights: Annotated[
        bool | None,
        typer.Option(help="Balance the two classes in each cell (default: yes; of local no)."),
    ] = None,
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
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.training.settings import TrainingSettings
    from deepcpg_tf.workflows.train import train as train_model

    chosen = chosen_split(
        split=split, train=train, validation=validation, test=test, fractions=fractions
    )
    settings = TrainingSettings.of_module(
        module,
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
    with shown_progress() as progress:
        trained = train_model(
            data,
            out,
            split=chosen,
            genome=genome,
            bulk=bulk or [],
            module=module,
            architecture=architecture,
            outputs=None if outputs is None else outputs.split(","),
            neighbours=neighbours,
            max_distance=max_distance,
            dna_module=dna_module,
            cpg_module=cpg_module,
            train_parts=train_parts,
            entries=entries,
            similar_cells=similar_cells,
            start=start,
            freeze=freeze,
            dropout=dropout,
            settings=settings,
            cache=cache,
            tensorboard=tensorboard,
            progress=progress,
        )
    print(f"{out}: {len(trained.history)} epochs{_kept(trained.kept)}")


def _kept(row: Mapping[str, float]) -> str:
    if "validation_loss" not in row:
        return f", the weights of the last kept, loss {row['loss']:.4f}"
    area = f", mean AUC {row['validation_auc']:.4f}" if "validation_auc" in row else ""
    return (
        f", the weights of epoch {row['epoch']} kept: validation loss "
        f"{row['validation_loss']:.4f}{area}"
    )
