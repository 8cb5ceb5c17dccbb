"""A small made-up genome, and cells whose methylation depends on sequence and neighbourhood.

Sites in CpG islands are unmethylated. Elsewhere they are methylated, but for the
sites near a motif, which half of the cells keep unmethylated, and for stretches of some
thousand bases, others in each cell, which nothing in the sequence tells.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

MOTIF = "TTGACATA"
CHROMOSOMES = {"chr1": 500_000, "chr2": 150_000, "chr3": 150_000}
CELLS = ("cell_A", "cell_B", "cell_C", "cell_D")
ISLAND, ISLAND_SPACING = 1_500, 15_000
MOTIF_SPACING, MOTIF_REACH = 1_500, 150
STRETCH, STRETCHES_APART = 4_000, 12_000  # bases, on average
COVERED = 0.5
METHYLATED = 0.9
READS = 3


def simulate(
    folder: Path,
    seed: int = 0,
    *,
    chromosomes: Mapping[str, int] = CHROMOSOMES,
    cells: Sequence[str] = CELLS,
    covered: float = COVERED,
    between_weak: float = METHYLATED,
    motifs_apart: int = MOTIF_SPACING,
    reach: int = MOTIF_REACH,
) -> None:
    """Write ``genome.fa`` and a Bismark coverage file for each cell.

    `covered` is the share of sites that a cell is measured at, and `between_weak` the
    probability of methylation between two weak bases (A or T), where it is another.
    Motifs are so many bases apart, on average, and matter to sites within their `reach`.
    """
    rng = np.random.default_rng(seed)
    lines: dict[str, list[str]] = {cell: [] for cell in cells}
    with (folder / "genome.fa").open("w") as genome:
        for name, length in chromosomes.items():
            letters = _chromosome(rng, length, motifs_apart)
            genome.write(f">{name}\n{letters}\n")
            positions = np.array([i for i in range(length - 1) if letters[i : i + 2] == "CG"])
            for i, cell in enumerate(cells):
                own = 0 if i % 2 else reach
                probability = _methylation(positions, letters, between_weak, own)
                in_stretch = _stretches(rng, length)[positions]
                probability[in_stretch] = np.minimum(probability[in_stretch], 0.1)
                lines[cell] += _reads(rng, name, positions, probability, covered)
    for cell, rows in lines.items():
        with gzip.open(folder / f"{cell}.cov.gz", "wt") as file:
            file.writelines(rows)


def _chromosome(rng: np.random.Generator, length: int, motifs_apart: int) -> str:
    """Return a sequence poor in CG, with islands rich in it and motifs all over."""
    codes = rng.choice(4, size=length, p=[0.3, 0.2, 0.2, 0.3])
    pairs = np.flatnonzero((codes[:-1] == 1) & (codes[1:] == 2))
    lost = pairs[rng.random(len(pairs)) < 0.75]
    codes[lost + 1] = 0
    for start in range(ISLAND_SPACING // 2, length - ISLAND, ISLAND_SPACING):
        codes[start : start + ISLAND] = rng.choice(4, size=ISLAND, p=[0.18, 0.32, 0.32, 0.18])
    letters = np.array([*"ACGT"])[codes]
    for start in rng.integers(0, length - len(MOTIF), length // motifs_apart):
        letters[start : start + len(MOTIF)] = [*MOTIF]
    return "".join(letters)


def _methylation(
    positions: npt.NDArray[np.int64], letters: str, between_weak: float, reach: int
) -> npt.NDArray[np.float64]:
    is_weak = np.isin(np.array([*letters, "N", "N"]), ["A", "T"])
    probability = np.full(len(positions), METHYLATED)
    probability[is_weak[positions - 1] & is_weak[positions + 2]] = between_weak
    if reach:
        motifs = [i for i in range(len(letters)) if letters.startswith(MOTIF, i)]
        near = np.searchsorted(motifs, positions - reach)
        ahead = np.append(motifs, 1 << 40)[near]
        probability[ahead <= positions + reach] = 0.1
    in_island = (positions - ISLAND_SPACING // 2) % ISLAND_SPACING < ISLAND
    probability[in_island & (positions >= ISLAND_SPACING // 2)] = 0.05
    return probability


def _stretches(rng: np.random.Generator, length: int) -> npt.NDArray[np.bool_]:
    """Return which bases lie in stretches that have lost their methylation."""
    lost = np.zeros(length, bool)
    start = rng.exponential(STRETCHES_APART)
    while start < length:
        end = start + rng.exponential(STRETCH)
        lost[int(start) : int(end)] = True
        start = end + rng.exponential(STRETCHES_APART)
    return lost


def _reads(
    rng: np.random.Generator,
    name: str,
    positions: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float64],
    share: float,
) -> list[str]:
    """Return lines of a coverage file: a cell has one state, which its reads show."""
    rows = []
    states = rng.random(len(positions)) < probability
    covered = rng.random(len(positions)) < share
    for position, state in zip(positions[covered], states[covered], strict=True):
        reads = 1 + rng.integers(READS)
        methylated, unmethylated = (reads, 0) if state else (0, reads)
        percent = 100.0 * state
        rows.append(
            f"{name}\t{position + 1}\t{position + 1}\t{percent:g}\t{methylated}\t{unmethylated}\n"
        )
    return rows
