"""A small table of cells whose neighbouring sites, and whose cells, agree."""

import numpy as np
import scipy.sparse

from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import Checksum, Reference

CHROMOSOMES = ("chr1", "chr2", "chr3")


def make_table(sites=200, cells=5, observed=0.4, seed=0):
    """Return a table with so many sites on each of three chromosomes."""
    rng = np.random.default_rng(seed)
    n = sites * len(CHROMOSOMES)
    level = np.repeat(rng.random(n // 10 + 1) < 0.6, 10)[:n]
    states = level[:, None] ^ (rng.random((n, cells)) < 0.1)
    calls = np.where(states, 1, -1) * (rng.random((n, cells)) < observed)
    return MethylationTable(
        tuple(f"c{i}" for i in range(cells)),
        CHROMOSOMES,
        np.repeat(np.arange(len(CHROMOSOMES), dtype=np.int32), sites),
        np.tile(np.cumsum(rng.integers(2, 200, sites)), len(CHROMOSOMES)),
        scipy.sparse.csr_array(calls.astype(np.int8)),
        Reference.of("made up", {name: Checksum(10**6, "0" * 64) for name in CHROMOSOMES}),
    )
