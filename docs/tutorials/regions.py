"""Cell types from the levels of regions, with and without imputation, and where that hurts.

Forty made-up cells of three types, one of them rare, are observed at 10% and then at 1% of
their CpGs. Regions of 10 kb are summarised from the calls alone and from an imputed file, and
the cells are clustered; and what imputation makes of the rare type is compared with the truth.

    python docs/tutorials/regions.py

The clustering is scikit-learn's, which is there. In scanpy it is, on the same file:

    adata = sc.read_h5ad("regions.h5ad")
    sc.pp.pca(adata, n_comps=5)
    sc.pp.neighbors(adata)
    sc.tl.leiden(adata)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import anndata
import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from deepcpg_tf import (
    TrainingSettings,
    build_table,
    chromosome_split,
    hide_table,
    impute,
    summarise_regions,
    train,
    write_table,
)

TYPES = np.repeat([0, 1, 2], [20, 14, 6])
"""The type of each cell; the last one is rare."""

CHROMOSOMES, LENGTH, APART = ("chr1", "chr2", "chr3", "chr4"), 1_000_000, 100
REGION = 10_000
OF_A_TYPE, OF_THE_RARE = 0.15, 0.1
"""Share of regions in which a type has another level than all others."""

READ = 200  # bases that are observed together
HIDDEN = 0.2  # of the reads, to fit intervals on

Numbers = npt.NDArray[np.float64]


class Cells(NamedTuple):
    """Made-up cells on one chromosome: states [cells, sites], and which regions are the rare's."""

    positions: npt.NDArray[np.int64]
    states: npt.NDArray[np.bool_]
    of_the_rare: npt.NDArray[np.bool_]


def make(rng: np.random.Generator) -> dict[str, Cells]:
    """Make up cells: levels of regions by type, and stretches of 2 kb that a cell has otherwise."""
    result = {}
    for name in CHROMOSOMES:
        positions = np.unique(rng.integers(1, LENGTH // 2 - 1, LENGTH // APART)) * 2
        regions = LENGTH // REGION
        level = np.where(rng.random(regions) < 0.25, 0.15, 0.8) * np.ones((3, 1))
        other = rng.random((3, regions)) < np.array([[OF_A_TYPE], [OF_A_TYPE], [OF_THE_RARE]])
        level = np.where(other, 0.95 - level, level)
        own = level[TYPES][:, positions // REGION]
        stretches = rng.random((len(TYPES), LENGTH // 2_000)) < 0.15
        own = np.where(stretches[:, positions // 2_000], 0.95 - own, own)
        alone = other[2] & ~other[0] & ~other[1]
        result[name] = Cells(positions, rng.random(own.shape) < own, alone)
    return result


def write_genome(path: Path, cells: dict[str, Cells]) -> None:
    """Write a genome whose only CGs are the sites."""
    with path.open("w") as file:
        for name, own in cells.items():
            letters = np.full(LENGTH, "A")
            letters[own.positions], letters[own.positions + 1] = "C", "G"
            file.write(f">{name}\n{''.join(letters)}\n")


def write_profiles(
    folder: Path, cells: dict[str, Cells], coverage: float, rng: np.random.Generator
) -> list[Path]:
    """Write what reads show of each cell, and return the files."""
    paths = [folder / f"cell{i:02}_type{kind}.tsv" for i, kind in enumerate(TYPES)]
    for i, path in enumerate(paths):
        with path.open("w") as file:
            for name, own in cells.items():
                seen = (rng.random(LENGTH // READ) < coverage)[own.positions // READ]
                for position, state in zip(own.positions[seen], own.states[i, seen], strict=True):
                    file.write(f"{name}\t{position + 1}\t{state:d}\n")
    return paths


def imputed(table: Path, genome: Path, folder: Path) -> Path:
    """Impute a table with a local module that is trained on two of the chromosomes.

    Any module will do in its place.
    """
    train(
        table,
        folder / "model",
        split=lambda sites: chromosome_split(sites, train=["chr1"], validation=["chr2"]),
        module="local",
        settings=TrainingSettings.of_module("local", epochs=15),
    )
    impute(folder / "model", table, genome, folder / "imputed.h5ad")
    return folder / "imputed.h5ad"


def truth(cells: dict[str, Cells], regions: anndata.AnnData) -> Numbers:
    """Return the true share of all sites, [cells, regions]."""
    result = []
    for name, start in zip(regions.var["chromosome"], regions.var["start"], strict=True):
        own = cells[name]
        result.append(own.states[:, own.positions // REGION == start // REGION].mean(axis=1))
    return np.stack(result, axis=1)


class Outcome(NamedTuple):
    """How near regions are to the truth.

    ``agreement`` is the adjusted Rand index of clusters and types, ``error`` the root mean
    square of mean - truth, and ``held`` the share of 90% intervals with the truth in them, both
    where there is a mean. ``rare`` is how far the rare type lies from the others in the
    regions that tell it apart, as a part of how far it truly does, and ``spread`` the same of
    the standard deviation between cells of one type, which differ by chance as well.
    """

    agreement: float
    error: float
    held: float
    rare: float
    spread: float


def judge(path: Path, cells: dict[str, Cells]) -> Outcome:
    """Cluster the cells of a file of regions, and compare it with the truth."""
    regions = anndata.read_h5ad(path)
    true, mean = truth(cells, regions), np.asarray(regions.layers["mean"], np.float64)
    levels = np.asarray(regions.X, np.float64)  # with what is expected where there is no mean
    reduced = PCA(5, random_state=0).fit_transform(levels)
    clusters = KMeans(3, n_init=20, random_state=0).fit_predict(reduced)
    some = np.isfinite(mean)
    inside = (regions.layers["low"] <= true + 1e-6) & (true <= regions.layers["high"] + 1e-6)
    rare = np.array(
        [
            cells[name].of_the_rare[start // REGION]
            for name, start in zip(regions.var["chromosome"], regions.var["start"], strict=True)
        ]
    )

    def apart(values: Numbers) -> Numbers:
        return np.asarray(values[TYPES == 2].mean(axis=0) - values[TYPES != 2].mean(axis=0))[rare]

    def spread(values: Numbers) -> float:
        return float(np.mean([values[kind == TYPES].std(axis=0) for kind in range(3)]))

    sign = np.sign(apart(true))
    return Outcome(
        float(adjusted_rand_score(TYPES, clusters)),
        float(np.sqrt(((mean - true)[some] ** 2).mean())),
        float(inside[some].mean()),
        float(np.mean(apart(levels) * sign) / np.mean(apart(true) * sign)),
        spread(levels) / spread(true),
    )


def main(folder: Path) -> dict[tuple[float, str], Outcome]:
    """Compare regions of calls alone and of imputed files, and return what came out."""
    rng = np.random.default_rng(0)
    cells = make(rng)
    write_genome(folder / "genome.fa", cells)
    result = {}
    for coverage in (0.1, 0.01):
        place = folder / f"{coverage:.0%}"
        place.mkdir()
        profiles = write_profiles(place, cells, coverage, rng)
        table = build_table(profiles, folder / "genome.fa")
        write_table(table, place / "cells.h5ad")

        # From calls alone.
        summarise_regions(place / "cells.h5ad", place / "calls.h5ad", bins="10kb")
        result[coverage, "calls"] = judge(place / "calls.h5ad", cells)

        # With imputation. Some reads are hidden from it, to see how far off it is.
        hide_table(table, place / "shown.h5ad", share=HIDDEN, stretch=READ, seed=0)
        file = imputed(place / "shown.h5ad", folder / "genome.fa", place)
        summarise_regions(
            *(file, place / "imputed-regions.h5ad"),
            bins="10kb",
            hidden=place / "cells.h5ad",
            held_out=["chr3", "chr4"],
        )
        result[coverage, "imputed"] = judge(place / "imputed-regions.h5ad", cells)
    print("                  types  error  90% of     rare type  spread within")
    print("coverage  from    found         intervals  kept       types kept")
    for (coverage, source), one in result.items():
        print(
            f"{coverage:8.0%}  {source:7} {one.agreement:5.2f}  {one.error:.3f}  {one.held:9.0%}  "
            f"{one.rare:9.0%}  {one.spread:13.0%}"
        )
    return result


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
