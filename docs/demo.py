"""The main job on small data, with the commands that a user would type.

A tiny but genuine DeepCpG checkpoint, written by Keras 1.2.2, is converted and
predicts the CpG sites of a small made-up genome.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from deepcpg_tf import Genome

ROOT = Path(__file__).resolve().parents[1]
DATA = (ROOT / "tests" / "data").relative_to(ROOT)
CHECKPOINT = DATA / "legacy" / "keras1-distributed"
GENOME = DATA / "genome" / "mini.fa"
OUT = Path("demo")
SHOWN = 8

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


def main() -> None:
    """Run the demonstration."""
    console.print(
        "This is a tiny test model with random weights and windows of 101 bases: what it predicts "
        "shows how the tool works, and nothing about biology.",
        style="yellow",
    )
    shutil.rmtree(ROOT / OUT, ignore_errors=True)
    (ROOT / OUT).mkdir()
    json, weights = CHECKPOINT / "model.json", CHECKPOINT / "model_weights.h5"
    run("convert", "--model-json", json, "--weights", weights, "--out", OUT / "model")
    write_sites(ROOT / OUT / "sites.bed")
    table = OUT / "methylation.tsv"
    sites = ("--sites", OUT / "sites.bed", "--genome", GENOME)
    run("predict", OUT / "model", *sites, "--out", table)
    show(ROOT / table)
    console.print("Each column is a cell: the probability that the CpG is methylated in it.")


if __name__ == "__main__":
    main()
