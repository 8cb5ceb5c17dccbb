"""From profiles to metrics, on a genome where a motif decides about methylation."""

import csv

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from deepcpg_tf.genome.sequence import decode

SITES = {"1": 6000, "2": 2000}
MOTIF = [1, 1, 2, 0, 3, 0, 0, 1]
CELLS = ("c1", "c2")


def write_data(folder):
    """Write a genome and profiles; return the AUC that the rule reaches on chromosome 2.

    A site with motifs beside it is methylated, others are not, but for a tenth of the
    calls.
    """
    rng = np.random.default_rng(0)
    records, calls, allowed = [], {cell: [] for cell in CELLS}, {}
    for chromosome, n in SITES.items():
        codes = rng.integers(0, 4, 200 * n + 1200)
        positions = 600 + 200 * np.arange(n)
        has_motif = rng.random(n) < 0.5
        for position in positions[has_motif]:
            for start in (position - 30, position + 20):
                codes[start : start + len(MOTIF)] = MOTIF
        codes[positions], codes[positions + 1] = 3, 2
        records.append(f">{chromosome}\n{decode(codes.astype(np.uint8))}\n")
        for cell in CELLS:
            states = has_motif ^ (rng.random(n) < 0.1)
            allowed[cell] = roc_auc_score(states, has_motif)
            rows = zip(positions + 1, states, strict=True)
            calls[cell] += [f"{chromosome}\t{position}\t{state:d}\n" for position, state in rows]
    (folder / "genome.fa").write_text("".join(records))
    for cell in CELLS:
        (folder / f"{cell}.tsv").write_text("".join(calls[cell]))
    return allowed


@pytest.mark.full
def test_a_trained_model_reaches_what_the_rule_allows(run, tmp_path):
    allowed = write_data(tmp_path)
    table, model, report = (tmp_path / name for name in ("table.h5ad", "model", "report"))
    profiles = [tmp_path / f"{cell}.tsv" for cell in CELLS]
    genome = ("--genome", tmp_path / "genome.fa")
    split = ("--train", "1", "--test", "2")
    fast = ("--architecture", "CnnL1h128", "--epochs", 4, "--learning-rate", "1e-3")
    for arguments in (
        ("data", "build", "--profiles", *profiles, *genome, "--out", table),
        ("train", table, *genome, *split, *fast, "--batch-size", 64, "--cache", "--out", model),
        ("evaluate", model, table, *genome, *split, "--part", "test", "--out", report),
    ):
        result = run(*arguments)
        assert result.code == 0, result.err
    with (report / "metrics.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = {row["output"]: float(row["value"]) for row in rows if row["metric"] == "auc"}
    for cell in CELLS:
        assert found[f"cpg/{cell}"] > allowed[cell] - 0.02
