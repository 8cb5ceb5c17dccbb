"""Letters to one-hot rows: megabases per second, ours against the usual dictionary look-up.

Both run in turn in one process; the figures are medians.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

from deepcpg_tf.sequence import encode_windows, one_hot

LENGTH, WINDOWS, ROUNDS = 1001, 1000, 9
REQUIRED = 100  # megabases per second
ROWS = dict(zip("ATGC", np.eye(4, dtype=np.float32), strict=True))
ROWS["N"] = np.zeros(4, np.float32)


def ours(windows: list[str]) -> np.ndarray:
    """Encode with this package."""
    return one_hot(encode_windows(windows, LENGTH))


def dictionary(windows: list[str]) -> np.ndarray:
    """Encode letter by letter."""
    return np.array([[ROWS[letter] for letter in window] for window in windows])


def seconds(function: Callable[[list[str]], np.ndarray], windows: list[str]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function(windows)
    return time.perf_counter() - start


def machine() -> str:
    """Describe the machine."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
        if Path("/proc/cpuinfo").exists()
        else iter([platform.processor()]),
        "unknown processor",
    )
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def main() -> None:
    """Measure, print, and keep the figures."""
    rng = np.random.default_rng(0)
    windows = ["".join(rng.choice([*"ACGTN"], LENGTH)) for _ in range(WINDOWS)]
    np.testing.assert_array_equal(ours(windows), dictionary(windows))
    times = [(seconds(ours, windows), seconds(dictionary, windows)) for _ in range(ROUNDS)]
    megabases = LENGTH * WINDOWS / 1e6
    result = {
        "machine": machine(),
        "numpy": np.__version__,
        "megabases": megabases,
        "ours_megabases_per_second": round(megabases / statistics.median(a for a, _ in times), 1),
        "dictionary_megabases_per_second": round(
            megabases / statistics.median(b for _, b in times), 2
        ),
        "ratio": round(statistics.median(b / a for a, b in times), 1),
        "ratio_range": [round(f(b / a for a, b in times), 1) for f in (min, max)],
    }
    print(json.dumps(result, indent=2))
    path = Path(__file__).parent / "results" / f"sequences-{date.today().isoformat()}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    if result["ours_megabases_per_second"] < REQUIRED:
        sys.exit(f"expected at least {REQUIRED} megabases per second")


if __name__ == "__main__":
    main()
