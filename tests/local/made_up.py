"""Made-up tables for the tests of the local module, and its features written out plainly."""

import numpy as np
import scipy.sparse

from deepcpg_tf.configs.local import (
    KERNELS,
    NEAREST,
    NEAREST_WITH_ROWS,
    RESIDUAL_KERNELS,
    ROW_KERNELS,
    ROWS_AROUND,
)
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import Reference
from deepcpg_tf.local.grid import REACH


def made_up_table(sites=(150, 90, 40), cells=5, density=0.4, seed=0):
    """Return a table of clustered sites whose states go with their neighbours and cells."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(len(sites)), sites).astype(np.int32)
    gaps = np.where(rng.random(len(ids)) < 0.03, 70_000, rng.geometric(1 / 90, len(ids)) + 1)
    positions = np.cumsum(gaps)
    level = np.repeat(rng.random(-(-len(ids) // 8)), 8)[: len(ids), None]
    states = np.where(rng.random((len(ids), cells)) < (0.15 + 0.7 * (level > 0.5)), 1, -1)
    seen = rng.random(states.shape) < density * rng.uniform(0.3, 1.5, (len(ids), 1))
    calls = scipy.sparse.csr_array((states * seen).astype(np.int8))
    calls.eliminate_zeros()
    names = tuple(f"chr{i + 1}" for i in range(len(sites)))
    cell_names = tuple(f"cell{i}" for i in range(cells))
    positions -= np.repeat([positions[ids == i][0] for i in range(len(sites))], sites)
    reference = Reference("made up", "0")
    return MethylationTable(cell_names, names, ids, positions, calls, reference)


def with_calls(table, dense):
    """Return a table with other calls, dense [sites, cells]."""
    import dataclasses

    calls = scipy.sparse.csr_array(dense.astype(np.int8))
    calls.eliminate_zeros()
    return dataclasses.replace(table, calls=calls)


def plain_features(positions, calls, context, position, cell):
    """Return the features of one entry by name, from dense calls [sites, cells] around it.

    The entry itself is hidden first; all is then written out, one sum after the other.
    """
    calls = calls.astype(float)
    here = positions == position
    row = calls[here][0] if here.any() else np.zeros(calls.shape[1])
    row = np.where(np.arange(len(row)) == cell, 0, row)
    seen_rows = np.abs(calls).sum(axis=1) > 0
    other = seen_rows & ~here
    at, states = positions[other], calls[other]
    own, apart = states[:, cell], np.abs(at - position)
    found = {}

    def log(count):
        return 0.35 * np.log1p(count)

    for bp in KERNELS:
        near = np.exp(-apart / bp)
        sums, counts = near @ own, near @ np.abs(own)
        found[f"own_mean_{bp}"] = sums / (counts + 0.2)
        found[f"own_count_{bp}"] = log(counts)
        sums, counts = (near @ states).sum(), (near @ np.abs(states)).sum()
        found[f"around_mean_{bp}"] = sums / (counts + 0.2)
        found[f"around_count_{bp}"] = log(counts)
    found["site_mean"] = row.sum() / (np.abs(row).sum() + 0.5)
    found["site_count"] = log(np.abs(row).sum())
    weights = context.weights.toarray()[cell]
    evidence, strength = weights @ row, np.abs(weights) @ np.abs(row)
    found["similar_evidence"] = 0.2 * evidence
    found["similar_mean"] = evidence / (strength + 1)
    found["similar_count"] = log(strength)
    found["cell_mean"] = context.means[cell]
    found["cell_coverage"] = 0.3 * np.log(context.coverage[cell] + 1e-4)
    totals, numbers = states.sum(axis=1), np.abs(states).sum(axis=1)
    residual = np.abs(own) * (own - (totals - own) / numbers)
    several = numbers > 1
    spread = np.where(several, 1 - (totals / numbers) ** 2, 0)
    for bp in RESIDUAL_KERNELS:
        near = np.exp(-apart / bp)
        found[f"residual_{bp}"] = (near @ residual) / (near @ np.abs(own) + 0.5)
        found[f"variability_{bp}"] = (near @ spread) / (near @ several + 0.2)
    left, right = np.flatnonzero(at < position)[::-1], np.flatnonzero(at > position)
    balance, both = states @ row, np.abs(states) @ np.abs(row)
    balance -= own * row[cell]
    beside = np.zeros(len(at), bool)
    beside[left[:64]] = beside[right[:64]] = True
    prior = context.concordance[np.floor(np.log2(np.maximum(apart, 1))).astype(int)]
    odds = np.log(((both + balance) / 2 + 2 * prior) / ((both - balance) / 2 + 2 - 2 * prior))
    for bp in ROW_KERNELS:
        near = np.exp(-apart / bp) * beside
        found[f"agreement_evidence_{bp}"] = 0.2 * (near * odds) @ own
        wide = np.rint(64 * np.exp(-apart / (4 * bp)) * beside) / 64
        sums, counts = (wide * balance) @ own, (wide * both) @ np.abs(own)
        found[f"agreement_mean_{bp}"] = sums / (counts + 1)
        found[f"agreement_count_{bp}"] = log(counts)
    for side, rows in (("left", left), ("right", right)):
        for i in range(ROWS_AROUND):
            there = i < len(rows)
            total, number = (totals[rows[i]], numbers[rows[i]]) if there else (0, 0)
            found[f"row_{side}_{i + 1}_mean"] = total / (number + 0.5)
            found[f"row_{side}_{i + 1}_count"] = log(number)
        mine = [j for j in rows if own[j] and apart[j] <= REACH]
        for i in range(NEAREST):
            name = f"{side}_{i + 1}"
            there = i < len(mine)
            found[f"{name}_state"] = own[mine[i]] if there else 0
            found[f"{name}_distance"] = 0.1 * np.log1p(apart[mine[i]]) if there else 1.2
            if i < NEAREST_WITH_ROWS:
                j = mine[i] if there else 0
                others = (totals[j] - own[j]) / (numbers[j] - 0.5)
                agreement = own[j] * balance[j] / (both[j] + 1) * beside[j]
                found[f"{name}_others"] = others if there else 0
                found[f"{name}_agreement"] = agreement if there else 0
    return found
