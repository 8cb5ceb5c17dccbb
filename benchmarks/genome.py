"""``deepcpg-tf predict --genome``: a whole chromosome, from FASTA to results."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import child, made_up
from benchmarks.common import Result, in_words, progress, prose, requirement, table
from deepcpg_tf.cache import cache_folder

TITLE = "A chromosome, from FASTA to results"
BASES, KEPT, CELLS = 50_000_000, 0.16, 25
ENDINGS = ("parquet", "bigwig")
REQUIRED = 0.85  # of the time is neither reading nor writing


def run() -> Result:
    """Measure."""
    from deepcpg_tf.quiet import import_tensorflow

    import_tensorflow()
    import keras

    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.models.dna import DeepCpgDnaForSequencePrediction

    with made_up.working_folder() as folder:
        progress("  making up a chromosome")
        sites = _write_chromosome(folder / "genome.fa")
        keras.utils.set_random_seed(0)
        config = DeepCpgDnaConfig.from_architecture("CnnL2h128", num_labels=CELLS)
        model = DeepCpgDnaForSequencePrediction(config)
        model.save_to_preset(folder / "model")
        runs = {}
        for ending in ENDINGS:
            runs[ending] = _predict(folder, ending) | {
                "reading_seconds": _reading(folder),
                "writing_seconds": _writing(folder, ending, model.cells),
            }
    share = min(
        1 - (found["reading_seconds"] + found["writing_seconds"]) / found["seconds"]
        for found in runs.values()
    )
    what = "of the time is neither reading nor writing"
    return {
        "megabases": BASES / 1e6,
        "sites": sites,
        "cells": CELLS,
        "runs": runs,
        "requirement": requirement(what, REQUIRED, share),
    }


def _write_chromosome(path: Path) -> int:
    """Write random bases with as few CpG sites as a mammal has; return how many."""
    import numpy as np

    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, BASES, np.uint8)].copy()
    sites = np.flatnonzero((letters[:-1] == ord("C")) & (letters[1:] == ord("G")))
    letters[sites[rng.random(len(sites)) >= KEPT] + 1] = ord("A")
    lines = np.full((BASES // 100, 101), ord("\n"), np.uint8)
    lines[:, :100] = letters.reshape(-1, 100)
    path.write_bytes(b">chr1\n" + lines.tobytes())
    return int(((letters[:-1] == ord("C")) & (letters[1:] == ord("G"))).sum())


def _predict(folder: Path, ending: str) -> dict[str, float]:
    progress(f"  to {ending}")
    shutil.rmtree(cache_folder() / "codes", ignore_errors=True)
    command = [sys.executable, "-m", "deepcpg_tf", "predict", folder / "model"]
    options = ["--genome", folder / "genome.fa", "--out", folder / f"all.{ending}"]
    done = subprocess.run(
        [sys.executable, child.__file__, *map(str, [*command, *options])],
        check=True,
        stdout=subprocess.PIPE,
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _reading(folder: Path) -> float:
    """Return the seconds of encoding the chromosome and finding its sites."""
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.scan.regions import regions_of, sites_of

    shutil.rmtree(cache_folder() / "codes")
    start = time.perf_counter()
    genome = Genome(folder / "genome.fa")
    for region in regions_of(genome, list(genome.lengths)):
        sites_of(genome, region, None)
    return time.perf_counter() - start


def _writing(folder: Path, ending: str, cells: tuple[str, ...]) -> float:
    """Return the seconds of writing as many values."""
    import numpy as np

    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.results.contents import Contents
    from deepcpg_tf.results.registry import write_results
    from deepcpg_tf.scan.regions import regions_of, sites_of
    from deepcpg_tf.scan.shards import Shard, load_shards, save_shards

    genome, rng = Genome(folder / "genome.fa"), np.random.default_rng(0)
    positions = [sites_of(genome, part, None) for part in regions_of(genome, ["chr1"])]
    shards = [Shard("chr1", own, rng.random((len(own), CELLS), np.float32)) for own in positions]
    start = time.perf_counter()
    for i, shard in enumerate(shards):
        save_shards([shard], folder / f"{i}.npz")
    loaded = (one for i in range(len(shards)) for one in load_shards(folder / f"{i}.npz"))
    contents = Contents(cells, tuple(genome.lengths), tuple(genome.lengths.values()))
    write_results(folder / f"again.{ending}", contents, loaded)
    return time.perf_counter() - start


def report(result: Result) -> str:
    """Return the section of the report."""
    what = (
        f"`deepcpg-tf predict MODEL --genome genome.fa --out all.ENDING`, CnnL2h128 with "
        f"{result['cells']} cells, on a made-up chromosome of {result['megabases']:g} megabases "
        f"with {result['sites']:,} CpG sites: the whole command, with the start of TensorFlow and "
        "the encoding of the FASTA. Reading and writing are measured apart, by doing them again; "
        "in the command, writing what is kept of each region overlaps computing."
    )
    header = ("to", "seconds", "sites a second", "peak of memory, MiB", "reading, s", "writing, s")
    rows = [
        (
            f"`.{ending}`",
            f"{found['seconds']:.1f}",
            f"{result['sites'] / found['seconds']:,.0f}",
            f"{found['peak_bytes'] / 2**20:,.0f}",
            f"{found['reading_seconds']:.1f}",
            f"{found['writing_seconds']:.1f}",
        )
        for ending, found in result["runs"].items()
    ]
    return f"{prose(what)}\n\n{table(header, rows)}\n\n{in_words(result['requirement'])}\n"
