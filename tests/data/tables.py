"""Profiles and tables made by hand."""

import gzip
from pathlib import Path

import numpy as np

from deepcpg_tf.data.build import table_of_profiles
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.account import Account
from deepcpg_tf.profiles.read import ChromosomeLabels, Profile
from tests.conftest import DATA

RUN = DATA / "original-run"
LEGACY_FILES = sorted((RUN / "data").glob("*.h5"))
GENOME = DATA / "genome" / "mini.fa"


def profile(cell, /, path=None, **sites):
    """Make a profile; sites are given as chromosome={position: label}."""
    path = Path(path or f"{cell}.tsv")
    return Profile(
        cell,
        path,
        {
            chromosome: ChromosomeLabels(
                np.array(sorted(labels), np.int64),
                np.array([labels[position] for position in sorted(labels)], np.int8),
            )
            for chromosome, labels in sites.items()
        },
        Account(path, "deepcpg"),
    )


def profiles_of_the_run():
    """Read the three TSV profiles of the original's run, line by line."""
    for path in sorted((RUN / "cpg").iterdir()):
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        sites = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                chromosome, position, value = line.split("\t")[:3]
                labels = sites.setdefault(chromosome.removeprefix("chr"), {})
                labels[int(position) - 1] = round(float(value))
        yield profile(path.name.split(".")[0], path, **sites)


def small_table(tmp_path) -> MethylationTable:
    """Three cells and six sites on two chromosomes, the first of which is X."""
    path = tmp_path / "small.fa"
    path.write_text(">X\nCGCGCGCGCG\n>1\nACGACGACGA\n>2\nCGCG\n")
    genome = Genome(path)
    cells = [
        profile("b", **{"1": {1: 1, 4: 0}, "X": {8: 1}}),
        profile("a", **{"1": {4: 1}, "X": {2: 0, 8: 0}}),
        profile("c", **{"1": {7: 1}, "X": {0: 1, 2: 1}}),
    ]
    return table_of_profiles(cells, genome)


SMALL_SITES = [("X", 0), ("X", 2), ("X", 8), ("1", 1), ("1", 4), ("1", 7)]
SMALL_LABELS = [[-1, -1, 1], [-1, 0, 1], [1, 0, -1], [1, -1, -1], [0, 1, -1], [-1, -1, 1]]
