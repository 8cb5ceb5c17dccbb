"""Made-up cells whose sequence and neighbours both tell something: each module, two means."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import accuracy, made_up
from benchmarks.accuracy import Scores
from benchmarks.common import Result, in_words, progress, prose, requirement

sys.path.append(str(Path(__file__).parents[1] / "docs"))
from simulate import MOTIF, simulate

TITLE = "What neighbours and sequence tell: made-up cells"
CHROMOSOMES = {"chr1": 8_000_000, "chr2": 500_000, "chr3": 1_000_000}
CELLS, COVERED, BETWEEN_WEAK = 8, 0.2, 0.4
TRAIN, VALIDATION, TEST = ("chr1",), ("chr2",), ("chr3",)
DNA, CPG, JOINT = "CnnL1h128", "RnnL1", "JointL1h512"
NEAR: dict[str, Any] = {"neighbours": 20, "max_distance": 5000}
EPOCHS, LEARNING_RATE, DROPOUT = 3, 1e-3, 0.4


def run() -> Result:
    """Measure."""
    from deepcpg_tf import build_table, chromosome_split

    split = partial(chromosome_split, train=TRAIN, validation=VALIDATION, test=TEST)
    scores: dict[str, list[Scores]] = {DNA: [], CPG: [], JOINT: []}
    runs = []
    with made_up.working_folder() as out:
        genome, data = out / "genome.fa", out / "cells.h5ad"
        names = [f"cell_{number + 1}" for number in range(CELLS)]
        simulate(
            out, chromosomes=CHROMOSOMES, cells=names, covered=COVERED, between_weak=BETWEEN_WEAK
        )
        built = build_table([out / f"{name}.cov.gz" for name in names], genome, data)
        found = accuracy.baselines(data, split)
        progress(f"  {found}")
        for seed in accuracy.SEEDS:
            settings = accuracy.plain_settings(seed, epochs=EPOCHS, learning_rate=LEARNING_RATE)
            places = {name: out / f"{name}-{seed}" for name in scores}
            how: dict[str, dict[str, Any]] = {
                DNA: {"genome": genome, "dropout": DROPOUT},
                CPG: NEAR,
                JOINT: {
                    "genome": genome,
                    "dropout": DROPOUT,
                    "dna_module": places[DNA],
                    "cpg_module": places[CPG],
                },
            }
            for name, more in how.items():
                own, took = accuracy.trained(
                    data, split, places[name], architecture=name, settings=settings, **more
                )
                scores[name].append(own)
                runs.append({"model": name, "seed": seed, **took})
    others = [*scores[DNA], *scores[CPG], *found.values()]
    gain = accuracy.least_gain(scores[JOINT], others)
    return {
        "sites": len(built),
        "scores": {**found, **{name: accuracy.spreads(of) for name, of in scores.items()}},
        "runs": runs,
        "requirement": requirement(
            f"times the widest spread of a module over seeds, by which the worst {JOINT} is above "
            "the best of all others (all entries)",
            1,
            gain / max(map(accuracy.width, scores.values())),
        ),
    }


def report(result: Result) -> str:
    """Return the section of the report."""
    bases = ", ".join(f"{name} ({length:,} bases)" for name, length in CHROMOSOMES.items())
    what = (
        f"Made up by `docs/simulate.py`, {bases}, {CELLS} cells, each with {COVERED:.0%} of the "
        "sites observed. Sequence: CpG islands are unmethylated; other sites are methylated, less "
        f"so between two weak bases (A or T), and hardly near {MOTIF} in every second cell. "
        "Neighbours: in each cell other stretches of some thousand bases have lost their "
        f"methylation, which nothing in the sequence tells. Trained on {', '.join(TRAIN)}, at most "
        f"{EPOCHS} epochs, stopped on {', '.join(VALIDATION)}, tested on {', '.join(TEST)}; each "
        f"observed entry is predicted with its own state hidden. {CPG} reads {NEAR['neighbours']} "
        f"neighbours in each cell; {JOINT} joins the two other modules of the same seed, which "
        f"stay as they are. Dropout before the embeddings of {DNA} and {JOINT} is {DROPOUT}. "
        f"Figures are the median of {len(accuracy.SEEDS)} seeds, with the smallest and the largest."
    )
    return (
        f"{prose(what)}\n\n{accuracy.scores_table(result['scores'])}\n\n"
        f"{in_words(result['requirement'])}\n"
    )
