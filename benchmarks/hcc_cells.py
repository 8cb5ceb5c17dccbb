"""Real cells, neighbouring states alone: the CpG module, and two simple means."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from benchmarks import accuracy, made_up
from benchmarks.common import LackingError, Result, in_words, progress, prose, requirement

TITLE = "What neighbours tell: real cells"
PLACE = "DEEPCPG_TF_HCC"
TRAIN, VALIDATION, TEST = ("chr1", "chr2", "chr3", "chr4"), ("chr5",), ("chr11",)
ARCHITECTURE, NEIGHBOURS, MAX_DISTANCE = "RnnL1", 20, 1000
EPOCHS, LEARNING_RATE, DECAY, BATCH = 3, 1e-3, 0.1, 128
LEAST = 95.2


def run() -> Result:
    """Measure."""
    if PLACE not in os.environ:
        raise LackingError(
            f"expected a folder of profiles (*.tsv.gz) and their genome.fa in {PLACE}"
        )
    folder = Path(os.environ[PLACE])
    from deepcpg_tf import build_table, chromosome_split

    split = partial(chromosome_split, train=TRAIN, validation=VALIDATION, test=TEST)
    with made_up.working_folder() as out:
        data = out / "cells.h5ad"
        built = build_table(sorted(folder.glob("*.tsv.gz")), folder / "genome.fa", data)
        found = accuracy.baselines(data, split)
        progress(f"  {found}")
        of_seeds, runs = [], []
        for seed in accuracy.SEEDS:
            settings = accuracy.plain_settings(
                seed,
                epochs=EPOCHS,
                learning_rate=LEARNING_RATE,
                decay=DECAY,
                batch_size=BATCH,
            )
            scores, how = accuracy.trained(
                data,
                split,
                out / f"{ARCHITECTURE}-{seed}",
                module="cpg",
                architecture=ARCHITECTURE,
                neighbours=NEIGHBOURS,
                max_distance=MAX_DISTANCE,
                settings=settings,
            )
            of_seeds.append(scores)
            runs.append(how)
    own = accuracy.spreads(of_seeds)
    reached = float(own["pooled"]["median"])
    return {
        "sites": len(built),
        "scores": {**found, ARCHITECTURE: own},
        "runs": runs,
        "requirement": requirement(f"AUROC x 100 of {ARCHITECTURE}, all entries", LEAST, reached),
    }


def _command() -> str:
    lines = (
        f"deepcpg-tf train cells.h5ad --train {','.join(TRAIN)} --validation {VALIDATION[0]}",
        f"--test {TEST[0]} --architecture {ARCHITECTURE} --neighbours {NEIGHBOURS}",
        f"--max-distance {MAX_DISTANCE} --learning-rate {LEARNING_RATE:g} --decay {DECAY:g}",
        f"--epochs {EPOCHS} --no-class-weights --l1 0 --l2 0 --out neighbours",
    )
    return " \\\n  ".join(lines)


def report(result: Result) -> str:
    """Return the section of the report."""
    validated = "; ".join(
        ", ".join(f"{epoch['validation_auc']:.4f}" for epoch in run["epochs"])
        for run in result["runs"]
    )
    minutes = ", ".join(f"{run['minutes']:.1f}" for run in result["runs"])
    what = (
        "The 25 cells of hepatocellular carcinoma of Hou et al. 2016 (GSE65364), as the authors of "
        "GraphCpG published their matrix: states in the order of the genome, without positions or "
        "DNA. A row is laid out every 100 bases of a made-up genome, so distances tell no more "
        "than the order. Each observed entry is predicted with its own state hidden. "
        f"{ARCHITECTURE} reads {NEIGHBOURS} neighbours in each cell (distances up to "
        f"{MAX_DISTANCE:,} bases), is trained on {', '.join(TRAIN)}, and tested on "
        f"{', '.join(TEST)}; {EPOCHS} epochs, in batches of {BATCH}, at learning rates of "
        f"{', '.join(f'{LEARNING_RATE * DECAY**i:g}' for i in range(EPOCHS))}; neither class "
        "weights nor regularisation. Figures of the module are the median of "
        f"{len(result['runs'])} seeds, with the smallest and the largest."
    )
    how = (
        f"AUC of {', '.join(VALIDATION)} after each epoch, by seed: {validated}. Minutes of "
        f"training: {minutes}."
    )
    there = (
        f"The data are not part of the project: {PLACE} names a folder with the profiles "
        "(`*.tsv.gz`) and `genome.fa`."
    )
    return (
        f"{prose(what)}\n\n{accuracy.scores_table(result['scores'])}\n\n{prose(how)}\n\n"
        f"{in_words(result['requirement'])}\n\n{prose(there)} As a command, the training is\n\n"
        f"```sh\n{_command()}\n```\n"
    )
