"""Memory of writing the results of a whole genome, by each ending."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import child, made_up
from benchmarks.common import Result, in_words, progress, prose, table

if TYPE_CHECKING:
    from deepcpg_tf.scan.shards import Shard

TITLE = "Memory of results"
SITES, CELLS = 28_000_000, 25  # a human genome's, and those of the largest published variant
CHROMOSOMES, SHARD = 25, 36_000  # sites of 4 megabases
APART = 110  # bases from a site to the next, as in a human genome
MOST_GIB = 2.5


def run() -> Result:
    """Measure."""
    from deepcpg_tf.results.contents import Kind
    from deepcpg_tf.results.registry import FORMATS

    runs: list[Result] = []
    for chosen in FORMATS:
        if Kind.IMPUTED in chosen.kinds:  # which takes the most: labels beside probabilities
            progress(f"  {chosen.ending}")
            runs.append({"ending": chosen.ending} | _measure(chosen.ending))
    peak = max(run["peak_bytes"] for run in runs) / 2**30
    return {
        "sites": SITES,
        "cells": CELLS,
        "runs": runs,
        "requirement": {
            "what": "GiB at the peak, for every ending",
            "at_most": MOST_GIB,
            "reached": peak,
            "met": peak < MOST_GIB,
        },
    }


def _measure(ending: str) -> Result:
    """Write in a process of its own; return its seconds, its peak of memory, and the size."""
    with made_up.working_folder() as folder:
        out = folder / f"all{ending}"
        command = [sys.executable, "-m", "benchmarks.results_memory", str(out)]
        done = subprocess.run(
            [sys.executable, child.__file__, *command],
            check=True,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        measured: Result = json.loads(done.stdout)
        files = out.iterdir() if out.is_dir() else [out]
        measured["bytes"] = sum(file.stat().st_size for file in files)
        shutil.rmtree(out) if out.is_dir() else out.unlink()
    return measured


def _shards() -> Iterator[Shard]:
    """Make up the shards of a genome, one at a time, as a scan reads them from disk."""
    import numpy as np

    from deepcpg_tf.scan.shards import Shard

    rng = np.random.default_rng(0)
    for chromosome in range(CHROMOSOMES):
        start = 0
        share = SITES // CHROMOSOMES
        for first in range(0, share, SHARD):
            n = min(SHARD, share - first)
            positions = start + np.cumsum(rng.integers(2, 2 * APART, n))
            start = int(positions[-1])
            values = rng.random((n, CELLS), np.float32)
            labels = (rng.integers(0, 10, values.shape, np.int8) - 8).clip(-1)
            yield Shard(f"chr{chromosome + 1}", positions, values, labels)


def _write(out: Path) -> None:
    from deepcpg_tf.results.contents import Contents, Kind
    from deepcpg_tf.results.registry import write_results

    names = tuple(f"chr{i + 1}" for i in range(CHROMOSOMES))
    lengths = (2 * APART * SITES // CHROMOSOMES,) * CHROMOSOMES
    cells = tuple(f"cell_{i + 1}" for i in range(CELLS))
    contents = Contents(cells, names, lengths, Kind.IMPUTED)
    write_results(out, contents, _shards())


def report(result: Result) -> str:
    """Return the section of the report."""
    what = (
        f"The results of {result['sites']:,} CpG sites, as many as a human genome has, in "
        f"{result['cells']} cells: {result['sites'] * result['cells'] * 4 / 2**30:.1f} GiB of "
        "probabilities, made up. Each ending is written in a process of its own, from shards "
        "that come one by one, without TensorFlow; imputed, with labels of a fifth of the sites. "
        f"{result.get('note', '')}"
    )
    header = ("ending", "peak of memory, MiB", "seconds", "GiB on disk")
    rows = [
        (
            f"`{found['ending']}`",
            f"{found['peak_bytes'] / 2**20:,.0f}",
            f"{found['seconds']:,.0f}",
            f"{found['bytes'] / 2**30:.1f}",
        )
        for found in result["runs"]
    ]
    return f"{prose(what)}\n\n{table(header, rows)}\n\n{in_words(result['requirement'])}\n"


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
