"""The pictures of what a base does, made with the commands that a user would type.

    python docs/pictures.py docs/pictures

A DNA module with windows of 201 bases is trained on made-up cells, every second of which keeps
the sites near a motif unmethylated. What the motif is, is then read out of the model three
times: by its filters, by every substitution in a window, and by variants all around a site.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.image import imread
from simulate import MOTIF, simulate

from deepcpg_tf import (
    DeepCpgDnaConfig,
    DeepCpgDnaForSequencePrediction,
    Genome,
    build_table,
    read_table,
    write_table,
)
from deepcpg_tf.genome.sequence import one_hot

CHROMOSOMES = {"chr1": 2_000_000, "chr2": 200_000}
APART, REACH = 300, 40
"""Bases between motifs, on average, and how far from a site one matters."""

CELLS = tuple(f"cell_{number + 1}" for number in range(8))
SENSITIVE = CELLS[::2]
"""Cells whose sites near the motif are unmethylated."""

WINDOW, EPOCHS, LEARNING_RATE = 201, 6, 1e-3

SHOWN = 6
"""Filters that are drawn."""

AROUND = 60
"""Bases on either side of the site that variants are drawn of."""


def main(folder: Path, chromosomes: Mapping[str, int] = CHROMOSOMES) -> None:
    """Draw ``motifs.png``, ``mutagenesis.png`` and ``effects.png`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        train(place, chromosomes)
        chromosome, position = site_near_motif(Genome(place / "genome.fa"))
        draw_motifs(place, folder / "motifs.png")
        draw_mutagenesis(place, chromosome, position, folder / "mutagenesis.png")
        draw_effects(place, chromosome, position, folder / "effects.png")


def run(place: Path, *arguments: str) -> None:
    """Show a command and run it."""
    print(f"$ deepcpg-tf {' '.join(arguments)}", flush=True)
    subprocess.run([Path(sys.executable).parent / "deepcpg-tf", *arguments], check=True, cwd=place)


def train(place: Path, chromosomes: Mapping[str, int]) -> None:
    """Make cells up, and train a DNA module of short windows on them, with Keras alone."""
    import keras

    simulate(
        place,
        chromosomes=chromosomes,
        cells=CELLS,
        covered=1,
        motifs_apart=APART,
        reach=REACH,
    )
    profiles = [place / f"{cell}.cov.gz" for cell in CELLS]
    genome = Genome(place / "genome.fa")
    table = build_table(profiles, genome, place / "cells.h5ad", min_cells=len(CELLS))
    config = DeepCpgDnaConfig.from_architecture("CnnL1h128", cells=CELLS, sequence_length=WINDOW)
    keras.utils.set_random_seed(0)
    model = DeepCpgDnaForSequencePrediction(config)
    name = table.chromosomes[0]
    sites = np.flatnonzero(table.chromosome_ids == 0)
    windows = one_hot(genome.windows(name, table.positions[sites], length=WINDOW))
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE), keras.losses.BinaryCrossentropy(from_logits=True)
    )
    model.fit(windows, table.labels(sites), batch_size=128, epochs=EPOCHS, verbose=2)
    model.save_to_preset(place / "model")


def site_near_motif(genome: Genome) -> tuple[str, int]:
    """Return a CpG of the last chromosome that has one motif near, and no other CpG by it."""
    name = tuple(genome.lengths)[-1]
    letters = np.array([*"ATGCN"])[np.asarray(genome.codes(name))]
    text = "".join(letters)
    starts = [i for i in range(AROUND, len(text)) if text.startswith(MOTIF, i)]
    for start in starts:
        site = text.find("CG", start + len(MOTIF) + 5, start + REACH)
        near = text[site - AROUND : site + AROUND]
        if site > 0 and near.count(MOTIF) == 1 and near.count("CG") == 1:
            return name, site
    raise SystemExit(f"{name}: expected a CpG near {MOTIF}, found none")


def draw_motifs(place: Path, out: Path) -> None:
    """Draw the logos of the filters that predictions lean on most."""
    table = read_table(place / "cells.h5ad")
    write_table(table.select(np.flatnonzero(table.chromosome_ids == 1)), place / "others.h5ad")
    data = ("others.h5ad", "--genome", "genome.fa")
    run(place, "motifs", "model", *data, "--out", "motifs")
    filters = pl.read_csv(place / "motifs" / "filters.tsv", separator="\t")
    best = filters.filter(pl.col("sites") > 0).head(SHOWN)
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, row in zip(figure.subplots(2, SHOWN // 2).flat, best.to_dicts(), strict=False):
        axes.imshow(imread(place / "motifs" / "logos" / f"{row['filter']}.png"))
        axes.set_title(f"{row['filter']}: {1000 * row['importance']:.1f} ‰", fontsize=9)
        axes.set_axis_off()
    figure.suptitle(
        "Logos of the most important filters; log-loss gained by silencing them", fontsize=10
    )
    figure.savefig(out, dpi=80)


def draw_mutagenesis(place: Path, chromosome: str, position: int, out: Path) -> None:
    """Draw all substitutions around one site, for the cells that the motif matters to."""
    (place / "site.bed").write_text(f"{chromosome}\t{position}\t{position + 2}\n")
    where = ("--sites", "site.bed", "--genome", "genome.fa", "--cells", ",".join(SENSITIVE))
    run(place, "mutagenesis", "model", *where, "--out", "ism.npz", "--plot", "windows")
    (picture,) = (place / "windows").glob("*.png")
    out.write_bytes(picture.read_bytes())


def draw_effects(place: Path, chromosome: str, position: int, out: Path) -> None:
    """Score every SNV around a site, and draw what it does to the site in both kinds of cells."""
    write_variants(place, chromosome, position)
    genome = ("--genome", "genome.fa")
    run(place, "effects", "model", "--vcf", "snvs.vcf", *genome, "--out", "effects.tsv")
    rows = pl.read_csv(place / "effects.tsv", separator="\t").filter(
        (pl.col("site") == position) & (pl.col("class") == "kept")
    )
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    axes = figure.subplots()
    at = rows["position"].to_numpy() - position
    kinds = (SENSITIVE, tuple(cell for cell in CELLS if cell not in SENSITIVE))
    for cells, colour, marker in zip(kinds, ("#D55E00", "#0072B2"), ("o", "x"), strict=True):
        values = rows.select(f"{cell}_dlogit" for cell in cells).to_numpy().mean(axis=1)
        label = f"cells {', '.join(cell.removeprefix('cell_') for cell in cells)}"
        axes.plot(at, values, marker, color=colour, ms=4, label=label)
    letters = motif_near(Genome(place / "genome.fa"), chromosome, position)
    axes.axvspan(letters - 0.5, letters + len(MOTIF) - 0.5, color="#E8E8E8", label=MOTIF)
    axes.axvline(0, color="#4D4D4D", lw=0.8)
    axes.set(xlabel="bases from the C of the CpG", ylabel="Δ logit of the site")
    axes.set_title(
        f"All single-base variants around the CpG at {chromosome}:{position}", loc="left"
    )
    axes.legend(frameon=False, ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=80)


def write_variants(place: Path, chromosome: str, position: int) -> None:
    """Write all single-base variants around a site as VCF."""
    codes = np.asarray(Genome(place / "genome.fa").codes(chromosome))
    lines = ["##fileformat=VCFv4.3", f"##contig=<ID={chromosome}>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for at in range(position - AROUND, position + AROUND + 1):
        ref = "ATGC"[codes[at]]
        lines += [
            f"{chromosome}\t{at + 1}\t.\t{ref}\t{alt}\t.\t.\t." for alt in "ACGT" if alt != ref
        ]
    (place / "snvs.vcf").write_text("\n".join(lines) + "\n")


def motif_near(genome: Genome, chromosome: str, position: int) -> int:
    """Return where the motif begins, in bases from a site."""
    codes = np.asarray(genome.codes(chromosome))[position - AROUND : position + AROUND]
    return "".join(np.array([*"ATGCN"])[codes]).find(MOTIF) - AROUND


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
