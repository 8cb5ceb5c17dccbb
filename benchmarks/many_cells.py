"""Many cells: imputing a thousand, killed in the middle and gone on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import child, made_up
from benchmarks.common import Result, in_words, killed, progress, prose, requirement

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable

TITLE = "Many cells: imputing with the local module"
PLACE = "DEEPCPG_TF_MANY_CELLS"
"""Cells and sites other than these, for a smaller or larger run: ``100x200000``."""

CELLS, SITES, CHROMOSOMES = 1000, 1_000_000, 10
TYPES, COVERED, APART = 6, 0.05, 100
KILLED_AFTER = 60.0
LEAST = 300_000


def run() -> Result:
    """Measure."""
    asked = os.environ.get(PLACE, f"{CELLS}x{SITES}").split("x")
    cells, sites = int(asked[0]), int(asked[1])
    from deepcpg_tf import chromosome_split, train, write_table
    from deepcpg_tf.training.settings import TrainingSettings

    with made_up.working_folder() as folder:
        genome, data, model, out = (
            folder / name for name in ("genome.fa", "cells.h5ad", "local", "imputed.parquet")
        )
        progress(f"  making {cells:,} cells with {sites:,} sites")
        table = made_up_cells(cells, sites, genome)
        write_table(table, data)
        split = partial(chromosome_split, train=["chr1", "chr2"], validation=["chr3"])
        start = time.perf_counter()
        train(
            data,
            model,
            split=split,
            module="local",
            settings=TrainingSettings.of_module("local", epochs=3),
            entries=500_000,
        )
        training = time.perf_counter() - start
        progress(f"  trained in {training:.0f} s")
        command = [sys.executable, "-m", "deepcpg_tf", "impute", str(model), str(data)]
        command += ["--genome", str(genome), "--out", str(out)]
        killed_after = killed(command, KILLED_AFTER)
        left = len(list(out.parent.glob(f".{out.name}.scan/*.npz")))
        progress(f"  killed after {killed_after:.0f} s, {left} parts were there")
        done = subprocess.run(
            [sys.executable, child.__file__, *command], check=True, stdout=subprocess.PIPE
        )
        measured = json.loads(done.stdout)
        values = cells * sites
        result = {
            "cells": cells,
            "sites": sites,
            "observed": int(table.calls.nnz),
            "training_seconds": training,
            "killed_after_seconds": killed_after,
            "parts_left": left,
            "seconds": measured["seconds"],
            "entries_a_second": values / (killed_after + measured["seconds"]),
            "peak_gigabytes": measured["peak_bytes"] / 1e9,
            "bytes": out.stat().st_size,
        }
        progress(f"  {result}")
        what = "entries imputed and written a second, the kill included"
        return result | {"requirement": requirement(what, LEAST, result["entries_a_second"])}


def made_up_cells(cells: int, sites: int, genome: Path) -> MethylationTable:
    """Return cells of several types, and write their genome: a CG every 100 bases, no other."""
    import numpy as np
    import scipy.sparse

    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.data.table_reference import reference_of
    from deepcpg_tf.genome.reference import Genome

    random = np.random.default_rng(0)
    each = sites // CHROMOSOMES
    letters = np.frombuffer(b"ATTGATAATGTATGAATTAGTTAAGATTTA", np.uint8)
    with genome.open("w") as file:
        for chromosome in range(CHROMOSOMES):
            bases = np.resize(letters, each * APART)
            bases[APART // 2 :: APART], bases[APART // 2 + 1 :: APART] = ord("C"), ord("G")
            file.write(f">chr{chromosome + 1}\n{bases.tobytes().decode()}\n")
    of_type = random.integers(0, TYPES, cells)
    covered = COVERED * random.lognormal(0, 0.4, cells)
    rows, columns, states = [], [], []
    for start in range(0, sites, 10_000):
        count = min(10_000, sites - start)
        stretches = np.repeat(random.beta(0.3, 0.3, (-(-count // 20), TYPES)), 20, axis=0)[:count]
        seen = random.random((count, cells)) < covered
        row, column = np.nonzero(seen)
        up = random.random(len(row)) < 0.03 + 0.94 * stretches[row, of_type[column]]
        rows.append(row + start)
        columns.append(column)
        states.append(np.where(up, 1, -1).astype(np.int8))
    places = (np.concatenate(rows), np.concatenate(columns))
    calls = scipy.sparse.csr_array((np.concatenate(states), places), shape=(sites, cells))
    reference = Genome(genome)
    names = tuple(reference.lengths)
    return MethylationTable(
        tuple(f"cell{i:05}" for i in range(cells)),
        names,
        np.repeat(np.arange(CHROMOSOMES, dtype=np.int32), each),
        np.tile(np.arange(each, dtype=np.int64) * APART + APART // 2, CHROMOSOMES),
        calls,
        reference_of(reference, names),
    )


def report(result: Result) -> str:
    """Return the section of the report."""
    return "\n\n".join(
        [
            prose(
                f"{result['cells']:,} made-up cells of {TYPES} types and {result['sites']:,} sites "
                f"({result['observed']:,} observed entries) were imputed by `deepcpg-tf impute` "
                f"into Parquet: {result['entries_a_second']:,.0f} entries a second, with the "
                f"features, the network and the writing. It was killed after "
                f"{result['killed_after_seconds']:.0f} s, with parts done: {result['parts_left']}, "
                f"and went on for {result['seconds']:.0f} s; it held "
                f"{result['peak_gigabytes']:.1f} GB at most. The module was trained on 500,000 "
                f"entries in {result['training_seconds']:.0f} s."
            ),
            prose(in_words(result["requirement"])) + "\n",
        ]
    )
