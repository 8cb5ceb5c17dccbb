"""The jobs of the tool on small data, with the commands that a user would type.

A tiny but genuine DeepCpG checkpoint, written by Keras 1.2.2, is converted and
predicts the CpG sites of a small genome. Then a model is trained on made-up cells,
evaluated on a chromosome that it has not seen, and exported.
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


def train_and_evaluate() -> None:
    """From coverage files of cells to a trained and evaluated model."""
    console.rule("Cells of your own")
    console.print(
        f"A made-up genome, and {len(CELLS)} cells: CpG islands are unmethylated, other sites "
        f"methylated, but for those near {MOTIF} in every second cell.",
        style="yellow",
    )
    simulate(ROOT / OUT)
    genome = ("--genome", OUT / "genome.fa")
    profiles = [OUT / f"{cell}.cov.gz" for cell in CELLS]
    table, model, evaluation = OUT / "cells.h5ad", OUT / "trained", OUT / "evaluation"
    run("data", "build", "--profiles", *profiles, *genome, "--out", table)
    split = ("--train", "chr1", "--validation", "chr2", "--test", "chr3")
    more = ("--epochs", "6", "--learning-rate", "1e-3")
    run("train", table, *genome, *split, *more, "--out", model)
    run("evaluate", model, table, *genome, *split, "--part", "test", "--out", evaluation)
    shown = Table("cell", *METRICS, title="chr3, which the model has not seen")
    rows = [
        line.split("\t") for line in (ROOT / evaluation / "metrics.tsv").read_text().splitlines()
    ]
    values = {(metric, output): float(value) for metric, output, value in rows[1:]}
    for cell in CELLS:
        shown.add_row(cell, *(f"{values[name, f'cpg/{cell}']:.3f}" for name in METRICS))
    console.print()
    console.print(shown)
    console.print(f"The report: {evaluation / 'report.html'}")


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
    train_and_evaluate()
    export()


if __name__ == "__main__":
    main()
