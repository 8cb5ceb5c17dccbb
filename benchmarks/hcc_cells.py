"""Real cells, without DNA: what imputes them, how much it takes, and what of it matters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import made_up
from benchmarks.common import LackingError, Result, progress, prose, requirement, table
from benchmarks.imputation import compare, make_predictors, read_data, report_tables, shown

if TYPE_CHECKING:
    from deepcpg_tf.data.splits import Split
    from deepcpg_tf.data.table import MethylationTable

TITLE = "Imputation: real cells"
PLACE = "DEEPCPG_TF_HCC"
VALIDATION, TEST, HELD_BACK = "chr5", "chr11", "chr10"
_ALL = [f"chr{name}" for name in (*range(1, 23), "X", "Y")]
TRAIN = [name for name in _ALL if name not in (VALIDATION, TEST, HELD_BACK)]
COMPARED = (
    "cell-mean",
    "other-cells",
    "own-neighbours",
    "camelia",
    "cpg",
    "local",
    "local-unseen",
)
ENTRIES, CURVE, CPG_EPOCHS = 1e6, (1e5, 5e6), 2
FEW = 2e5
"""Entries to train on where groups of features are left out."""

LEAST = 97.4


def run() -> Result:
    """Measure."""
    data, split = open_cells()
    parts = {"compared": compared, "curve": curve, "without": without}
    result: Result = {}
    for name, part in parts.items():
        progress(f"  {name}")
        result[name] = shown(part(data, split), groups=name == "compared")
    return {**result, "requirement": required(result)}


def open_cells() -> tuple[MethylationTable, Split]:
    """Return the matrix, and its chromosomes to train, to validate and to test on."""
    from deepcpg_tf import chromosome_split

    if PLACE not in os.environ:
        raise LackingError(f"expected a matrix a chromosome (.npz) in {PLACE}")
    data = read_data(Path(os.environ[PLACE]), [*TRAIN, VALIDATION, TEST], Path())
    return data, chromosome_split(data, train=TRAIN, validation=[VALIDATION], test=[TEST])


def compared(data: MethylationTable, split: Split) -> Result:
    """Compare all that imputes without DNA, each trained on the same entries."""
    with made_up.working_folder() as folder:
        predictors = make_predictors(COMPARED, folder, epochs=CPG_EPOCHS)
        return compare(data, split, predictors, entries=(ENTRIES,))


def curve(data: MethylationTable, split: Split) -> Result:
    """Train the local module on fewer entries, and on more."""
    with made_up.working_folder() as folder:
        return compare(data, split, make_predictors(("local",), folder), entries=CURVE)


def without(data: MethylationTable, split: Split) -> Result:
    """Train the local module without each group of its features."""
    from deepcpg_tf.configs.local import GROUPS

    with made_up.working_folder() as folder:
        predictors = make_predictors(("local",), folder, without=GROUPS)
        return compare(data, split, predictors, entries=(FEW,), seeds=(0,))


def required(result: Result) -> Result:
    """Return what is required, and reached by the most entries."""
    (most,) = (
        row["scores"]["all"]["auc"]["median"]
        for row in result["curve"]["rows"]
        if row["train_entries"] == max(CURVE) and row["protocol"] == "hidden entries"
    )
    return requirement(f"AUROC x 100 of local on {TEST}, all entries", LEAST, 100 * most)


def report(result: Result) -> str:
    """Return the section of the report."""
    what = (
        "The 25 cells of hepatocellular carcinoma of Hou et al. 2016 (GSE65364), as the authors of "
        "GraphCpG published their matrix: states in the order of the genome, without positions or "
        f"DNA. A row is taken to lie every 100 bases. {TEST} is tested, {VALIDATION} validated, "
        f"{HELD_BACK} is not among these data, and all others are trained on: each predictor on "
        f"the same {ENTRIES:,.0f} observed entries, of sites drawn at random. RnnL1 is DeepCpG's "
        f"CpG module with 20 neighbours in each cell, {CPG_EPOCHS} epochs at learning rates of "
        "0.001 and 0.0001, neither class weights nor regularisation. *Cells never seen* are each "
        "predicted by a network that was trained on other cells alone, four fifths of them. The "
        "machine was busy with other work, so seconds are high."
    )
    less = (
        "The local module without each group of its features, and what it then loses of the AUROC "
        f"(x 100), in both protocols; trained on {FEW:,.0f} entries, with one seed (by seeds it "
        "varies as the table above has it). Groups overlap: what one tells, others tell nearly as "
        "well."
    )
    there = (
        f"The data are not part of the project: {PLACE} names the matrix, int8 [sites, 25] a "
        "chromosome."
    )
    return (
        f"{prose(what)}\n\n{report_tables(result['compared'])}\n"
        f"### The local module by entries trained on\n\n{_curve(result)}\n\n"
        f"### What its features are worth\n\n{prose(less)}\n\n{_losses(result)}\n\n"
        f"{_required(result['requirement'])}\n\n{prose(there)}\n"
    )


def _required(of: Result) -> str:
    verdict = "met" if of["met"] else "**not met**"
    reached = f"reached: {of['reached']:.2f}; {verdict}"
    return prose(f"Required: at least {of['at_least']} {of['what']}; {reached}.")


def _of_local(result: Result, name: str, protocol: str) -> list[Result]:
    return [
        row
        for row in result[name]["rows"]
        if row["protocol"] == protocol and row["predictor"].startswith("local")
    ]


def _curve(result: Result) -> str:
    rows = _of_local(result, "curve", "hidden entries")
    rows += [
        row
        for row in _of_local(result, "compared", "hidden entries")
        if row["predictor"] == "local"
    ]
    rows.sort(key=lambda row: float(row["train_entries"]))
    shown = []
    for row in rows:
        scores = row["scores"]["all"]
        shown.append(
            (
                f"{row['train_entries']:,.0f}",
                row["seeds"],
                *(_auc(scores[name]) for name in ("auc", "cell_auc", "worst_auc")),
                f"{scores['ece']['median']:.4f}",
                f"{row['fit_s']['median']:.0f}",
            )
        )
    return table(("entries", "seeds", "AUROC", "cells", "worst cell", "ECE", "fit, s"), shown)


def _auc(score: Result) -> str:
    median, least, most = (100 * score[name] for name in ("median", "min", "max"))
    return f"{median:.2f} ({least:.2f} to {most:.2f})"


def _losses(result: Result) -> str:
    protocols = ("hidden entries", "hidden stretches")
    found = {
        protocol: {
            row["predictor"].removeprefix("local without "): 100
            * float(row["scores"]["all"]["auc"]["median"])
            for row in _of_local(result, "without", protocol)
        }
        for protocol in protocols
    }
    whole = {protocol: found[protocol].pop("local") for protocol in protocols}
    rows = [("nothing", *(f"{whole[protocol]:.2f}" for protocol in protocols))]
    rows += [
        (group, *(f"{found[protocol][group] - whole[protocol]:+.2f}" for protocol in protocols))
        for group in found[protocols[0]]
    ]
    return table(("without", *protocols), rows)
