"""Run the benchmarks, all or those named: ``python -m benchmarks [NAME...]``.

``python -m benchmarks imputation DATA ...`` compares on data of one's own; see its ``--help``.

The figures go into ``results/<machine>.json``, where those of other benchmarks stay as
they are, each with its date, and from there into ``README.md``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import date
from importlib import import_module
from pathlib import Path

from benchmarks import imputation
from benchmarks.common import LackingError, Result, machine, progress, prose, table

NAMES = (
    "startup",
    "sequences",
    "pipeline",
    "training",
    "modules",
    "made_up_cells",
    "hcc_cells",
    "many_cells",
    "effects",
    "data_build",
    "exports",
    "scan",
    "genome",
    "mutagenesis",
    "results_memory",
)
FOLDER = Path(__file__).parent


def main() -> None:
    """Measure, keep the figures, and fail where a requirement is not met."""
    if sys.argv[1:2] == ["imputation"] and sys.argv[2:]:
        imputation.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names or NAMES
    if unknown := set(names).difference(NAMES):
        parser.error(f"expected some of {', '.join(NAMES)}, received {', '.join(sorted(unknown))}")
    missed = []
    for name in names:
        progress(f"{name} ...")
        try:
            result = import_module(f"benchmarks.{name}").run()
        except LackingError as error:
            progress(f"  left out: {error}")
            continue
        progress(f"written: {_keep(name, result)}")
        if not result.get("requirement", {"met": True})["met"]:
            missed.append(name)
    if missed:
        sys.exit(f"requirement not met: {', '.join(missed)}")


def _keep(name: str, result: Result) -> Path:
    """Write one section into today's file, and the report anew."""
    about = machine()
    title = re.sub(r"[^a-z0-9]+", "-", f"{about['processor']} {about['cores']} cores".lower())
    path = FOLDER / "results" / f"{title.strip('-')}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    result = {"measured": date.today().isoformat(), **result}
    sections = {section: kept[section] for section in NAMES if section in kept} | {name: result}
    results = {"machine": about} | {
        section: sections[section] for section in NAMES if section in sections
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    (FOLDER / "README.md").write_text(_readme(path, results))
    return path


def _readme(path: Path, results: Result) -> str:
    names = ", ".join(f"`{name}`" for name in NAMES)
    how = (
        f"`make bench` measures, and writes this page from [its results](results/{path.name}). "
        f"`python -m benchmarks NAME...` measures anew only what is named: {names}."
    )
    imputing = (
        "`python -m benchmarks imputation DATA --train chr1 --validation chr2 --test chr3 --out "
        "FOLDER` compares what imputes on a table, a folder of profiles or a matrix of one's own; "
        "`--help` tells more. CaMelia's method is left out where CatBoost is not installed, which "
        "nothing else needs: `pip install --no-deps catboost graphviz plotly`."
    )
    figures = (
        "What is compared takes turns in the same run: a round of each, and again. Figures are the "
        "median of the rounds, with the smallest and the largest; a ratio is taken within each "
        "round. A round to warm up is not counted. All data are made up."
    )
    about = table(("machine", ""), results["machine"].items())
    parts = [f"# Benchmarks\n\n{prose(how)}\n\n{prose(imputing)}\n\n{prose(figures)}\n\n{about}\n"]
    for name in NAMES:
        module = import_module(f"benchmarks.{name}")
        text = f"Not measured there: `python -m benchmarks {name}`.\n"
        if name in results:
            text = f"Measured on {results[name]['measured']}.\n\n{module.report(results[name])}"
        parts.append(f"## {module.TITLE}\n\n{text}")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
