"""How well missing states are imputed: one harness for all that imputes.

``python -m benchmarks imputation DATA --train … --validation … --test … --out FOLDER``
compares predictors on a table (`.h5ad`), a folder of profiles with their ``genome.fa``, or a
matrix a chromosome (`.npz`: int8 [sites, cells], 1, 0, and -1 missing, a row every 100 bases).
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import made_up
from benchmarks.common import LackingError, Result, machine, progress, prose, spread, table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from benchmarks.hiding import Hidden
    from benchmarks.predictors import Predictor
    from deepcpg_tf.data.splits import Split
    from deepcpg_tf.data.table import MethylationTable

SEEDS = (0, 1, 2)
_APART, _FIRST = 100, 50  # bases between rows of a matrix; where the first lies
_SHOWN = ("auc", "cell_auc", "worst_auc", "ap", "mcc", "tpr", "tnr", "ece", "brier")
_HEADER = ("AUROC", "cells", "worst cell", "AP", "MCC", "TPR", "TNR", "ECE", "Brier")
_ABOUT = ("protocol", "predictor", "train_entries", "seeds")
_PERCENT = {"auc", "cell_auc", "worst_auc", "ap", "mcc", "tpr", "tnr"}


def read_data(path: Path, chromosomes: Sequence[str], folder: Path) -> MethylationTable:
    """Read a table, a matrix, or a folder of profiles; of a matrix the chromosomes named.

    Raises
    ------
    DeepCpgError
        When it cannot be read.
    """
    from deepcpg_tf import build_table, read_table

    if path.is_dir():
        return build_table(sorted(path.glob("*.tsv.gz")), path / "genome.fa", folder / "built.h5ad")
    return _read_matrix(path, chromosomes) if path.suffix == ".npz" else read_table(path)


def _read_matrix(path: Path, chromosomes: Sequence[str]) -> MethylationTable:
    import hashlib

    import numpy as np
    import scipy.sparse

    from deepcpg_tf.data.calls import calls_of_labels
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.data.table_reference import Checksum, Reference
    from deepcpg_tf.errors import TableError

    with np.load(path) as matrix:
        if lacking := [name for name in chromosomes if name not in matrix.files]:
            raise TableError(
                f"{path}: expected the chromosomes {', '.join(chromosomes)}, found none called "
                f"{', '.join(lacking)} among {', '.join(matrix.files)}"
            )
        states = {name: matrix[name] for name in matrix.files if name in chromosomes}
    lengths = [len(of_one) for of_one in states.values()]
    calls = calls_of_labels(np.concatenate(list(states.values())))
    positions = [_FIRST + _APART * np.arange(length, dtype=np.int64) for length in lengths]
    nothing = hashlib.sha256(b"no bases").hexdigest()
    checksums = {
        name: Checksum(_APART * (length + 1), nothing)
        for name, length in zip(states, lengths, strict=True)
    }
    return MethylationTable(
        tuple(f"Ca{cell + 1:02}" for cell in range(calls.shape[1])),
        tuple(states),
        np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        np.concatenate(positions),
        scipy.sparse.csr_array(calls),
        Reference.of("rows", checksums),
    )


def compare(
    data: MethylationTable,
    split: Split,
    predictors: Sequence[Predictor],
    *,
    seeds: Sequence[int] = SEEDS,
    entries: Sequence[float] = (),
) -> Result:
    """Fit predictors, and score what they predict in both protocols.

    Parameters
    ----------
    data
        The table.
    split
        Sites to train, to validate and to test on, of different chromosomes.
    predictors
        Those to compare.
    seeds
        Each predictor that depends on one is fitted with each.
    entries
        Observed entries to train on, at random sites of the chromosomes to train on; by
        default all, once.

    Returns
    -------
    dict
        ``rows``: of each predictor, number of entries to train on (0 for all) and protocol,
        the ``scores`` of groups of entries with their spread over seeds, the ``standard_error``
        of the AUROC of the first seed, and what it is below the best, with the standard error
        of that; ``left_out``: lines on those that lack something.

    Raises
    ------
    SplitError
        When two parts share a chromosome: that is no test.
    """
    from benchmarks.hiding import (
        ALONE,
        ENTRIES,
        STRETCHES,
        check_split,
        draw_sites,
        hide_alone,
        hide_entries,
        hide_stretches,
    )

    check_split(data, split)
    stretches = hide_stretches(data, split.test)
    protocols = {
        ENTRIES: hide_entries(data, split.test),
        STRETCHES: stretches,
        ALONE: hide_alone(data, stretches),
    }
    rows: list[Result] = []
    left_out: list[str] = []
    for predictor in predictors:
        for number in entries or (0,):
            found: dict[str, list[Result]] = {name: [] for name in protocols}
            try:
                for seed in seeds if predictor.seeded else (0,):
                    sites = split.train
                    if number:
                        sites = draw_sites(data, sites, number, seed)
                    start = time.perf_counter()
                    predictor.fit(data, sites, split.validation, seed)
                    fitted = time.perf_counter() - start
                    predicted = {
                        id(seen): _predict(predictor, seen, split.test)
                        for seen in (data, stretches.table)
                    }
                    for name, hidden in protocols.items():
                        made, seconds = predicted[id(hidden.table)]
                        one = {
                            "fit_s": fitted,
                            "predicted_a_s": made.size / seconds,
                            **_score(hidden, made, split.test),
                        }
                        found[name].append(one)
                        auc = 100 * one["groups"]["all"]["auc"]
                        progress(f"  {predictor.name}, seed {seed}, {name}: AUROC {auc:.2f}")
            except LackingError as error:
                left_out.append(str(error))
                progress(f"  left out: {error}")
                break
            rows += [_row(predictor, number, name, of) for name, of in found.items()]
    for name in protocols:
        _compare_to_best([row for row in rows if row["protocol"] == name])
    return {
        "cells": len(data.cells),
        "entries": {name: len(hidden.truth) for name, hidden in protocols.items()},
        "rows": rows,
        "left_out": left_out,
    }


def _predict(
    predictor: Predictor, data: MethylationTable, sites: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], float]:
    """Return what is predicted of all entries of some sites, and in how many seconds."""
    start = time.perf_counter()
    predicted = predictor.predict(data, sites)
    return predicted, time.perf_counter() - start


def _score(
    hidden: Hidden, predicted: npt.NDArray[np.float32], sites: npt.NDArray[np.int64]
) -> Result:
    """Score what was predicted of the entries that are hidden."""
    import numpy as np

    from benchmarks.imputation_scores import bootstrap, score_groups

    probabilities = predicted[np.searchsorted(sites, hidden.sites), hidden.cells]
    return {
        "groups": score_groups(hidden, probabilities),
        "draws": bootstrap(hidden, probabilities),
    }


def _row(predictor: Predictor, number: float, protocol: str, of_seeds: list[Result]) -> Result:
    """Put the seeds of a predictor together."""
    groups = {
        group: {
            name: spread([one["groups"][group][name] for one in of_seeds], 7)
            for name in of_seeds[0]["groups"][group]
        }
        for group in of_seeds[0]["groups"]
    }
    return {
        "predictor": predictor.name,
        "train_entries": number,
        "protocol": protocol,
        "seeds": len(of_seeds) if predictor.seeded else 0,
        "scores": groups,
        "standard_error": float(of_seeds[0]["draws"].std(ddof=1)),
        "draws": of_seeds[0]["draws"],
        "fit_s": spread([one["fit_s"] for one in of_seeds]),
        "predicted_a_s": spread([one["predicted_a_s"] for one in of_seeds]),
    }


def _compare_to_best(rows: list[Result]) -> None:
    """Add how far each is below the best, of the first seed, with the standard error."""
    draws = [row.pop("draws") for row in rows]
    medians = [row["scores"]["all"]["auc"]["median"] for row in rows]
    for row, own, median in zip(rows, draws, medians, strict=True):
        best = max(range(len(rows)), key=medians.__getitem__)
        row["below_best"] = medians[best] - median
        row["below_best_error"] = float((draws[best] - own).std(ddof=1))


def shown(result: Result, *, groups: bool) -> Result:
    """Return of a comparison what is shown: of groups of entries the AUROC alone, or nothing."""
    rows = [
        {
            **row,
            "scores": {
                group: of if group == "all" else {name: of[name] for name in ("n", "auc")}
                for group, of in row["scores"].items()
                if groups or group == "all"
            },
        }
        for row in result["rows"]
    ]
    return {**result, "rows": rows}


def write(result: Result, folder: Path) -> None:
    """Write ``imputation.tsv``, ``imputation.md`` and ``imputation.json`` into a folder.

    The result is that of `compare` with ``machine`` and ``settings``, two mappings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "imputation.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow((*_ABOUT, "group", "score", "median", "min", "max"))
        for row in result["rows"]:
            about = (row["protocol"], row["predictor"], f"{row['train_entries']:g}", row["seeds"])
            for group, scores in row["scores"].items():
                for name, of in scores.items():
                    rows.writerow((*about, group, name, of["median"], of["min"], of["max"]))
            for name in ("standard_error", "below_best", "below_best_error"):
                rows.writerow((*about, "all", f"auc_{name}", *(f"{row[name]:.4g}",) * 3))
    (folder / "imputation.json").write_text(json.dumps(result, indent=2) + "\n")
    machines = table(("machine", ""), result["machine"].items())
    settings = table(("settings", ""), result["settings"].items())
    text = f"# Imputation\n\n{machines}\n\n{settings}\n\n{report_tables(result)}"
    (folder / "imputation.md").write_text(text)


def report_tables(result: Result) -> str:
    """Return the tables of a comparison, in Markdown."""
    what = (
        "Each observed entry of the chromosomes to test on is predicted without its own state "
        "(hidden entries), or with a run of ten neighbouring observed entries of its cell, one run "
        "in ten, taken out of the table (hidden stretches; the same entries each hidden alone tell "
        "what that costs). AUROC, average precision, MCC, TPR and "
        "TNR times 100; MCC, TPR and TNR at 0.5; ECE of 15 bins of equal width. All but *cells* "
        "(the mean of the AUROCs of cells) and *worst cell* are of all entries together. The "
        "median of the seeds, with the smallest and the largest. The standard error (SE) is of the "
        "first seed's AUROC, by drawing blocks of 500 neighbouring sites; *below best* is to the "
        "best of the table, with the SE of that difference."
    )
    parts = [prose(what)]
    for protocol, number in result["entries"].items():
        rows = [row for row in result["rows"] if row["protocol"] == protocol]
        if not rows:
            continue
        parts.append(f"### {protocol.capitalize()}: {number:,}")
        header = ("", "trained on", *_HEADER, "SE", "below best", "fit, s", "predicted a second")
        parts.append(table(header, map(_of_all, rows)))
        groups = [name for name in rows[0]["scores"] if name != "all"]
        of_groups = [
            (
                _name(row),
                *(_shown("auc", row["scores"].get(group, {}).get("auc")) for group in groups),
            )
            for row in rows
        ]
        sizes = [rows[0]["scores"][group]["n"]["median"] for group in groups]
        names = [f"{group} ({size:,.0f})" for group, size in zip(groups, sizes, strict=True)]
        parts.append("AUROC of groups of entries, with their number:")
        parts.append(table(("", *names), of_groups))
    parts += [f"Left out: {line}." for line in result["left_out"]]
    return "\n\n".join(parts) + "\n"


def _of_all(row: Result) -> tuple[str, ...]:
    scores = row["scores"]["all"]
    return (
        row["predictor"],
        _number(row["train_entries"]),
        *(_shown(name, scores[name]) for name in _SHOWN),
        f"{100 * row['standard_error']:.2f}",
        f"{100 * row['below_best']:.2f} ± {100 * row['below_best_error']:.3f}",
        f"{row['fit_s']['median']:.1f}",
        f"{row['predicted_a_s']['median']:,.0f}",
    )


def _name(row: Result) -> str:
    entries = f", {_number(row['train_entries'])}" if row["train_entries"] else ""
    return f"{row['predictor']}{entries}"


def _number(entries: float) -> str:
    return f"{entries:,.0f}" if entries else "all"


def _shown(name: str, of: Mapping[str, float] | None) -> str:
    if of is None:
        return ""
    scale, digits = (100, 2) if name in _PERCENT else (1, 4)
    median, least, most = (f"{scale * of[key]:.{digits}f}" for key in ("median", "min", "max"))
    return median if least == most else f"{median} ({least} to {most})"


def make_predictors(
    names: Sequence[str],
    folder: Path,
    *,
    genome: Path | None = None,
    neighbours: int = 20,
    max_distance: int = 1000,
    epochs: int = 3,
    dropout: float = 0.4,
    trees: int = 1000,
    without: Sequence[str] = (),
) -> list[Predictor]:
    """Make predictors by name, of `NAMES`.

    Parameters
    ----------
    names
        Which; DNA, CpG and Joint modules are put before what joins them.
    folder
        Where models are put that are trained.
    genome
        For what reads DNA.
    neighbours, max_distance
        What CpG and Joint modules read of each cell.
    epochs
        Of the modules, each at a tenth of the learning rate before.
    dropout
        Before the embeddings of DNA and Joint modules.
    trees
        Of CatBoost's models.
    without
        Groups of numbers, each left out of `local` once more.
    """
    from benchmarks import predictors as known
    from deepcpg_tf import TrainingSettings

    settings = TrainingSettings(
        class_weights=False,
        l1=0,
        l2=0,
        epochs=epochs,
        learning_rate=1e-3,
        decay=0.1,
        batch_size=128,
    )
    cpg = known.Module(
        folder, settings, architecture="RnnL1", neighbours=neighbours, max_distance=max_distance
    )
    dna = known.Module(folder, settings, genome=genome, architecture="CnnL1h128", dropout=dropout)
    joint = known.Module(
        folder,
        settings,
        genome=genome,
        joins=(dna, cpg),
        architecture="JointL1h512",
        dropout=dropout,
    )
    of_name: dict[str, Callable[[], list[Predictor]]] = {
        "cell-mean": lambda: [known.CellMean()],
        "other-cells": lambda: [known.OtherCells()],
        "own-neighbours": lambda: [known.OwnNeighbours()],
        "camelia": lambda: [known.Camelia(trees)],
        "cpg": lambda: [cpg],
        "dna": lambda: [dna],
        "joint": lambda: [joint],
        "local-unseen": lambda: [known.Unseen(folder)],
        "local": lambda: [
            known.Local(folder),
            *([known.Local(folder, genome=genome, dna=dna)] if genome and "dna" in names else []),
            *(known.Local(folder, without=[group]) for group in without),
        ],
    }
    return [one for name in NAMES if name in names for one in of_name[name]()]


NAMES = (
    "cell-mean",
    "other-cells",
    "own-neighbours",
    "camelia",
    "cpg",
    "dna",
    "joint",
    "local",
    "local-unseen",
)
_READ_DNA = ("dna", "joint")


def main(arguments: Sequence[str]) -> None:
    """Compare predictors as the command line says, and write the tables."""
    from deepcpg_tf import DeepCpgError

    asked = _parser().parse_args(arguments)
    names = asked.predictors or [name for name in NAMES if asked.genome or name not in _READ_DNA]
    settings = {name: _text(value) for name, value in vars(asked).items() if name != "out"}
    settings |= {"data": asked.data.name, "genome": asked.genome.name if asked.genome else "none"}
    try:
        if asked.out.exists():
            raise DeepCpgError(f"out: expected a new folder, found {asked.out} there already")
        result = _run(
            asked.data,
            {name: getattr(asked, name) for name in ("train", "validation", "test")},
            names,
            seeds=asked.seeds,
            entries=asked.entries,
            genome=asked.genome,
            neighbours=asked.neighbours,
            max_distance=asked.max_distance,
            epochs=asked.epochs,
            trees=asked.trees,
            without=asked.without,
        )
    except DeepCpgError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    write({"machine": machine(), "settings": settings, **result}, asked.out)
    progress(f"written: {asked.out}")


def _run(
    path: Path,
    chromosomes: Mapping[str, Sequence[str]],
    names: Sequence[str],
    *,
    seeds: Sequence[int] = SEEDS,
    entries: Sequence[float] = (),
    **how: Any,
) -> Result:
    from deepcpg_tf import chromosome_split

    with made_up.working_folder() as folder:
        data = read_data(path, [name for part in chromosomes.values() for name in part], folder)
        split = chromosome_split(data, **chromosomes)
        predictors = make_predictors(names, folder, **how)
        return compare(data, split, predictors, seeds=seeds, entries=entries)


def _parser() -> argparse.ArgumentParser:
    def names(text: str) -> list[str]:
        return text.split(",")

    def known(text: str) -> list[str]:
        if unknown := set(names(text)) - set(NAMES):
            raise argparse.ArgumentTypeError(
                f"expected some of {', '.join(NAMES)}, received {', '.join(sorted(unknown))}"
            )
        return names(text)

    def integers(text: str) -> list[int]:
        return [int(one) for one in names(text)]

    def numbers(text: str) -> list[float]:
        return [float(one) for one in names(text)]

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks imputation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    for part in ("train", "validation", "test"):
        parser.add_argument(
            f"--{part}", type=names, required=True, metavar="CHR,…", help="whole chromosomes"
        )
    parser.add_argument("--out", type=Path, required=True, help="a new folder for the tables")
    parser.add_argument("--genome", type=Path, help="for what reads DNA")
    parser.add_argument("--predictors", type=known, metavar="NAME,…", help=", ".join(NAMES))
    parser.add_argument("--seeds", type=integers, default=list(SEEDS), metavar="N,…")
    parser.add_argument(
        "--entries",
        type=numbers,
        default=[],
        metavar="N,…",
        help="a learning curve: train on so many",
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="GROUP", help="ablations of local"
    )
    parser.add_argument("--neighbours", type=int, default=20, help="of CpG and Joint modules")
    parser.add_argument("--max-distance", type=int, default=1000, help="of CpG and Joint modules")
    parser.add_argument("--epochs", type=int, default=3, help="of our modules")
    parser.add_argument("--trees", type=int, default=1000, help="of CatBoost's models")
    return parser


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    return str(value)
