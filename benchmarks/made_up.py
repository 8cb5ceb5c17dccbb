"""Made-up data of realistic size: a genome, a table of methylation, and a profile."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from deepcpg_tf.data.examples import Examples

CHROMOSOMES = ("1", "2", "3", "4", "5")
BASES = 10_000_000  # of a chromosome
SITES, CELLS, OBSERVED, METHYLATED = 500_000, 18, 0.3, 0.65
_LINE = 100  # letters in a line of FASTA
_CACHE = "DEEPCPG_TF_HOME"


@contextmanager
def working_folder() -> Iterator[Path]:
    """Give a folder for a while, with the cache inside: the user's own stays as it is."""
    before = os.environ.get(_CACHE)
    with TemporaryDirectory(prefix="deepcpg_tf-benchmark-") as name:
        os.environ[_CACHE] = str(Path(name) / "cache")
        try:
            yield Path(name)
        finally:
            del os.environ[_CACHE]
            if before is not None:
                os.environ[_CACHE] = before


def write_genome(path: Path) -> list[npt.NDArray[np.int64]]:
    """Write a genome of random bases; return the positions of each chromosome's CpG sites."""
    rng = np.random.default_rng(0)
    sites = []
    with path.open("wb") as file:
        for name in CHROMOSOMES:
            letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, BASES, np.uint8)]
            lines = np.full((BASES // _LINE, _LINE + 1), ord("\n"), np.uint8)
            lines[:, :_LINE] = letters.reshape(-1, _LINE)
            file.write(f">{name}\n".encode() + lines.tobytes())
            sites.append(np.flatnonzero((letters[:-1] == ord("C")) & (letters[1:] == ord("G"))))
    return sites


def make_examples(folder: Path) -> Examples:
    """Make a table and a genome in a folder, and open them as training does."""
    import scipy.sparse

    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.data.opening import open_examples
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.data.table_file import write_table
    from deepcpg_tf.data.table_reference import reference_of
    from deepcpg_tf.genome.reference import Genome

    genome, path = folder / "genome.fa", folder / "cells.h5ad"
    rng = np.random.default_rng(1)
    share = SITES // len(CHROMOSOMES)
    positions = [np.sort(rng.choice(sites, share, replace=False)) for sites in write_genome(genome)]
    calls = np.where(rng.random((SITES, CELLS)) < METHYLATED, 1, -1).astype(np.int8)
    calls[rng.random((SITES, CELLS)) >= OBSERVED] = 0
    table = MethylationTable(
        tuple(f"cell_{number + 1}" for number in range(CELLS)),
        CHROMOSOMES,
        np.repeat(np.arange(len(CHROMOSOMES), dtype=np.int32), share),
        np.concatenate(positions),
        scipy.sparse.csr_array(calls),
        reference_of(Genome(genome), CHROMOSOMES),
    )
    write_table(table, path)
    return open_examples([path], genome, DeepCpgDnaConfig())


def write_profile(path: Path, sites: list[npt.NDArray[np.int64]], lines: int) -> None:
    """Write a Bismark coverage file, gzip: random ones of the cytosines of both strands."""
    import polars as pl

    rng = np.random.default_rng(2)
    cytosines = [np.stack([of_one, of_one + 1], axis=1).ravel() for of_one in sites]
    chromosome = np.repeat(np.arange(len(cytosines)), [len(of_one) for of_one in cytosines])
    chosen = np.sort(rng.choice(len(chromosome), lines, replace=False))
    position = np.concatenate(cytosines)[chosen] + 1
    reads = rng.geometric(0.5, lines)
    methylated = rng.binomial(reads, METHYLATED)
    profile = pl.DataFrame(
        {
            "chromosome": np.array(CHROMOSOMES)[chromosome[chosen]],
            "start": position,
            "end": position,
            "percent": 100 * methylated / reads,
            "methylated": methylated,
            "unmethylated": reads - methylated,
        }
    )
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(profile.write_csv(separator="\t", include_header=False).encode())
