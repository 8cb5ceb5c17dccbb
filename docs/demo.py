"""The jobs of the tool on small data, with the commands that a user would type.

A tiny but genuine DeepCpG checkpoint, written by Keras 1.2.2, is converted and
predicts the CpG sites of a small genome. Then a DNA module is trained on made-up cells,
joined with one that reads neighbouring sites, evaluated on a chromosome that neither has
seen, and completes the cells; the DNA module is exported.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from simulate import CELLS, MOTIF, simulate

from deepcpg_tf import Genome

ROOT = Path(__file__).resolve().parents[1]
DATA = (ROOT / "tests" / "fixtures").relative_to(ROOT)
CHECKPOINT = DATA / "legacy" / "keras1-distributed"
GENOME = DATA / "genome" / "mini.fa"
OUT = Path("demo")
SHOWN = 8
METRICS = ("auc", "ap", "acc", "tpr", "tnr")

console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)


def run(*arguments: str | Path) -> None:
    """Show a command and run it."""
    words = [str(argument) for argument in arguments]
    console.print(f"\n[bold]$ deepcpg-tf {' '.join(words)}[/bold]", soft_wrap=True)
    subprocess.run([Path(sys.executable).parent / "deepcpg-tf", *words], check=True, cwd=ROOT)


def write_sites(path: Path) -> None:
    """Write every CpG of the genome as BED."""
    genome = Genome(ROOT / GENOME)
    with path.open("w") as file:
        for chromosome, length in genome.lengths.items():
            positions = np.flatnonzero(genome.is_cg(chromosome, np.arange(length)))
            file.writelines(f"{chromosome}\t{p}\t{p + 2}\n" for p in positions)


def show(path: Path) -> None:
    """Print the first rows of a table of predictions."""
    header, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    table = Table(*header, title=f"{path.relative_to(ROOT)}: {len(rows)} sites, the first {SHOWN}")
    for row in rows[:SHOWN]:
        table.add_row(*row[:3], *(f"{float(value):.3f}" for value in row[3:]))
    console.print()
    console.print(table)


def convert_and_predict() -> None:
    """From a legacy checkpoint and sites to a table of probabilities."""
    console.rule("A legacy checkpoint predicts")
    console.print(
        "This is a tiny test model with windows of 101 bases: what it predicts shows how the tool "
        "works, and nothing about biology.",
        style="yellow",
    )
    json, weights = CHECKPOINT / "model.json", CHECKPOINT / "model_weights.h5"
    run("convert", "--model-json", json, "--weights", weights, "--out", OUT / "model")
    write_sites(ROOT / OUT / "sites.bed")
    table = OUT / "methylation.tsv"
    sites = ("--sites", OUT / "sites.bed", "--genome", GENOME)
    run("predict", OUT / "model", *sites, "--out", table)
    show(ROOT / table)
    console.print("Each column is a cell: the probability that the CpG is methylated in it.")


TABLE, REFERENCE = OUT / "cells.h5ad", ("--genome", OUT / "genome.fa")
SPLIT = ("--train", "chr1", "--validation", "chr2", "--test", "chr3")


def train_and_evaluate() -> dict[tuple[str, str], float]:
    """From coverage files of cells to a trained and evaluated model."""
    console.rule("Cells of your own")
    console.print(
        f"A made-up genome, and {len(CELLS)} cells: CpG islands are unmethylated, other sites "
        f"methylated, but for those near {MOTIF} in every second cell, and for stretches that "
        "differ from cell to cell, which the sequence does not tell.",
        style="yellow",
    )
    simulate(ROOT / OUT)
    profiles = [OUT / f"{cell}.cov.gz" for cell in CELLS]
    run("data", "build", "--profiles", *profiles, *REFERENCE, "--out", TABLE)
    more = ("--epochs", "6", "--learning-rate", "1e-3")
    run("train", TABLE, *REFERENCE, *SPLIT, *more, "--out", OUT / "trained")
    shown = Table("cell", *METRICS, title="chr3, which the model has not seen")
    values = evaluated("trained")
    for cell in CELLS:
        shown.add_row(cell, *(f"{values[name, f'cpg/{cell}']:.3f}" for name in METRICS))
    console.print()
    console.print(shown)
    console.print(f"The report: {OUT / 'trained-report' / 'report.html'}")
    return values


def evaluated(model: str) -> dict[tuple[str, str], float]:
    """Evaluate a model on the chromosome kept for that, and return metrics by name and output."""
    report = OUT / f"{model}-report"
    test = ("--part", "test", "--out", report)
    run("evaluate", OUT / model, TABLE, *REFERENCE, *SPLIT, *test)
    lines = (ROOT / report / "metrics.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return {(metric, output): float(value) for metric, output, value in rows}


def join_and_impute(of_dna: dict[tuple[str, str], float]) -> None:
    """From the same cells to a Joint module, and to what was not observed."""
    console.rule("Neighbouring sites as well")
    console.print(
        "A CpG module reads the nearest observed sites in every cell; a Joint module joins it with "
        "the DNA module. What was observed at a site is never among what predicts it."
    )
    near = ("--neighbours", "20", "--max-distance", "5000")
    more = ("--epochs", "3", "--learning-rate", "1e-3")
    run("train", TABLE, *SPLIT, "--module", "cpg", *near, *more, "--out", OUT / "neighbours")
    parts = ("--dna-module", OUT / "trained", "--cpg-module", OUT / "neighbours")
    run("train", TABLE, *REFERENCE, *SPLIT, *parts, *more, "--out", OUT / "joint")
    shown = Table("cell", "DNA module", "CpG module", "Joint module", title="AUC on chr3")
    values = [of_dna, evaluated("neighbours"), evaluated("joint")]
    for cell in CELLS:
        shown.add_row(cell, *(f"{one['auc', f'cpg/{cell}']:.3f}" for one in values))
    console.print()
    console.print(shown)
    run("impute", OUT / "joint", TABLE, *REFERENCE, "--out", OUT / "imputed.h5ad")


def export() -> None:
    """From the trained model to what a server, a phone and ONNX Runtime take."""
    console.rule("To the targets")
    console.print(
        "Each artefact runs in its own runtime and is compared with the model: the largest "
        "difference of a probability, the share of calls that change side of 0.5, the time of a "
        "single window, and windows per second."
    )
    run("export", OUT / "trained", "--out", OUT / "exported")
    console.print(f"The model card: {OUT / 'exported' / 'README.md'}")


def main() -> None:
    """Run the demonstration."""
    shutil.rmtree(ROOT / OUT, ignore_errors=True)
    (ROOT / OUT).mkdir()
    convert_and_predict()
    join_and_impute(train_and_evaluate())
    export()


if __name__ == "__main__":
    main()
