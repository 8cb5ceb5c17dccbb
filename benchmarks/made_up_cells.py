"""Made-up cells whose sequence and neighbours both tell something: each module, two means."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import made_up
from benchmarks.common import Result, in_words, prose, requirement, table
from benchmarks.imputation import compare, shown
from benchmarks.predictors import Local, Module, OtherCells, OwnNeighbours, Predictor

sys.path.append(str(Path(__file__).parents[1] / "docs"))
from simulate import MOTIF, simulate

TITLE = "What neighbours and sequence tell: made-up cells"
CHROMOSOMES = {"chr1": 8_000_000, "chr2": 500_000, "chr3": 1_000_000}
CELLS, COVERED, BETWEEN_WEAK = 8, 0.2, 0.4
TRAIN, VALIDATION, TEST = "chr1", "chr2", "chr3"
DNA, CPG, JOINT = "CnnL1h128", "RnnL1", "JointL1h512"
LOCAL, LOCAL_DNA = "local", f"local with {DNA}"
NEIGHBOURS, MAX_DISTANCE = 20, 5000
SEEDS = (0, 1, 2)
EPOCHS, LEARNING_RATE, DROPOUT = 3, 1e-3, 0.4
JOINED = {JOINT: (DNA, CPG), LOCAL_DNA: (DNA, LOCAL)}


def run() -> Result:
    """Measure."""
    from deepcpg_tf import TrainingSettings, build_table, chromosome_split, read_table

    with made_up.working_folder() as out:
        genome, data = out / "genome.fa", out / "cells.h5ad"
        names = [f"cell_{number + 1}" for number in range(CELLS)]
        simulate(
            out, chromosomes=CHROMOSOMES, cells=names, covered=COVERED, between_weak=BETWEEN_WEAK
        )
        build_table([out / f"{name}.cov.gz" for name in names], genome, data)
        cells = read_table(data)
        split = chromosome_split(cells, train=[TRAIN], validation=[VALIDATION], test=[TEST])
        settings = TrainingSettings(
            class_weights=False, l1=0, l2=0, epochs=EPOCHS, learning_rate=LEARNING_RATE
        )
        dna = Module(out, settings, genome=genome, architecture=DNA, dropout=DROPOUT)
        cpg = Module(
            out, settings, architecture=CPG, neighbours=NEIGHBOURS, max_distance=MAX_DISTANCE
        )
        joint = Module(
            out,
            settings,
            genome=genome,
            joins=(dna, cpg),
            architecture=JOINT,
            dropout=DROPOUT,
        )
        predictors: list[Predictor] = [
            OwnNeighbours(),
            OtherCells(),
            dna,
            cpg,
            joint,
            Local(out),
            Local(out, genome=genome, dna=dna),
        ]
        result = shown(compare(cells, split, predictors, seeds=SEEDS), groups=False)
    return {"sites": len(cells), **result, "requirement": _required(result)}


def _required(result: Result) -> Result:
    """Return how far what joins two modules is above both, in widths of seeds."""
    aucs = {name: scores["auc"] for name, scores in _scores(result).items()}
    widest = max(auc["max"] - auc["min"] for auc in aucs.values())
    gains = [
        aucs[name]["min"] - max(aucs[part]["max"] for part in parts)
        for name, parts in JOINED.items()
    ]
    what = (
        f"times the widest spread of a module over seeds, by which the worst {JOINT} and the worst "
        f"{LOCAL_DNA} are above the best of what they join (all entries)"
    )
    return requirement(what, 1, min(gains) / widest)


def _scores(result: Result) -> Result:
    return {
        row["predictor"]: row["scores"]["all"]
        for row in result["rows"]
        if row["protocol"] == "hidden entries"
    }


def report(result: Result) -> str:
    """Return the section of the report."""
    bases = ", ".join(f"{name} ({length:,} bases)" for name, length in CHROMOSOMES.items())
    what = (
        f"Made up by `docs/simulate.py`, {bases}, {CELLS} cells, each with {COVERED:.0%} of the "
        "sites observed. Sequence: CpG islands are unmethylated; other sites are methylated, less "
        f"so between two weak bases (A or T), and hardly near {MOTIF} in every second cell. "
        "Neighbours: in each cell other stretches of some thousand bases have lost their "
        f"methylation, which nothing in the sequence tells. Trained on {TRAIN}, at most "
        f"{EPOCHS} epochs (local: as is usual), stopped on {VALIDATION}, tested on {TEST}; each "
        f"observed entry is predicted with its own state hidden. {CPG} reads {NEIGHBOURS} "
        f"neighbours in each cell; {JOINT} joins the two modules of the same seed, which "
        f"stay as they are, and {LOCAL_DNA} reads the embedding of that DNA module. Dropout before "
        f"the embeddings of {DNA} and {JOINT} is {DROPOUT}. Figures are the median of "
        f"{len(SEEDS)} seeds, with the smallest and the largest."
    )
    rows = [
        (name, *(_shown(of[score]) for score in ("auc", "cell_auc")), f"{of['ece']['median']:.4f}")
        for name, of in _scores(result).items()
    ]
    header = ("", "AUROC x 100, all entries", "mean of the cells", "ECE")
    return f"{prose(what)}\n\n{table(header, rows)}\n\n{in_words(result['requirement'])}\n"


def _shown(score: Result) -> str:
    median, least, most = (100 * score[name] for name in ("median", "min", "max"))
    return f"{median:.2f}" if least == most else f"{median:.2f} ({least:.2f} to {most:.2f})"
