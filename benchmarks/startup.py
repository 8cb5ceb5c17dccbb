"""Starts: how long a command takes before its work begins."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import Result, alternate, figure, in_words, prose, rate, requirement, table

TITLE = "Starting"
ROUNDS = 9
REQUIRED = 1  # starts a second
ROOT = Path(__file__).parents[1]
LEGACY = ROOT / "tests" / "fixtures" / "legacy" / "keras1-distributed"
EDGE = ROOT / "export" / "edge" / "deepcpg_edge.py"
OURS = (sys.executable, "-m", "deepcpg_tf")


def starts(*command: str) -> Callable[[], float]:
    """Return a function that runs a command and returns how many a second that would be."""
    return rate(1, lambda: subprocess.run(command, check=True, capture_output=True))


def run() -> Result:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        window = Path(folder) / "window.txt"
        window.write_text((LEGACY / "sequences.txt").read_text().split()[0] + "\n")
        exported = Path(folder) / "exported"
        export = [*OURS, "export", str(LEGACY), "--formats", "tflite", "--out", str(exported)]
        subprocess.run(export, check=True, capture_output=True)
        model = exported / "tflite" / "float32.tflite"
        result = alternate(
            {
                "python": starts(sys.executable, "-c", "pass"),
                "--help": starts(*OURS, "--help"),
                "edge kit, a window": starts(sys.executable, str(EDGE), str(model), str(window)),
                "import tensorflow": starts(sys.executable, "-c", "import tensorflow"),
                "predict, a window": starts(
                    *OURS, "predict", str(LEGACY), "--sequences", str(window)
                ),
            },
            ROUNDS,
        )
    reached = result["rates"]["--help"]["median"]
    return {**result, "requirement": requirement("starts of `--help` a second", REQUIRED, reached)}


def report(result: Result) -> str:
    """Return the section of the report."""
    rows = [
        (f"`{name}`" if name.startswith(("-", "import")) else name, figure(rates))
        for name, rates in result["rates"].items()
    ]
    what = (
        "Each is a process of its own, from its start to its end, with the files that it reads "
        "in the system's cache; the model is that of the tests. `predict` has TensorFlow to import "
        "and a graph to trace."
    )
    return f"""\
{prose(what)}

{table(("", "starts a second"), rows)}

{prose(in_words(result["requirement"]))}
"""
