"""What the benchmarks share: taking turns, describing the machine, and tables."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def progress(text: str) -> None:
    """Tell on stderr what goes on."""
    print(text, file=sys.stderr, flush=True)


def rate(amount: float, function: Callable[[], object]) -> Callable[[], float]:
    """Return a function that does something and returns how much it did a second."""

    def measure() -> float:
        start = time.perf_counter()
        function()
        return amount / (time.perf_counter() - start)

    return measure


def alternate(contenders: Mapping[str, Callable[[], float]], rounds: int) -> Result:
    """Measure several things in turn, so that all meet the same state of the machine.

    Parameters
    ----------
    contenders
        Functions that measure once and return a rate, by name. Each is called once
        more before the first round, to warm up.
    rounds
        How often each is measured.

    Returns
    -------
    dict
        ``rates``: of each contender, the spread of its rates; ``ratios``: of each
        pair, the spread of the quotients within a round.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, measure in contenders.items():
            measured = measure()
            progress(f"  {f'round {number}' if number else 'warm-up'}: {name}: {measured:.4g}")
            if number:
                rates[name].append(measured)
    return {
        "rounds": rounds,
        "rates": {name: spread(values) for name, values in rates.items()},
        "ratios": {
            ratio_name(a, b): spread([x / y for x, y in zip(rates[a], rates[b], strict=True)])
            for a, b in combinations(rates, 2)
        },
    }


def ratio_name(a: str, b: str) -> str:
    """Return under which name `alternate` keeps a ratio."""
    return f"{a} / {b}"


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the smallest and the largest of some values."""
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def requirement(what: str, least: float, reached: float) -> Result:
    """Return the part of a result that says what is required, and whether it is met."""
    return {"what": what, "at_least": least, "reached": reached, "met": reached >= least}


def in_words(required: Result) -> str:
    """Return a requirement as a sentence of Markdown."""
    verdict = "met" if required["met"] else "**not met**"
    return (
        f"Required: {required['what']}, at least {required['at_least']:,}; "
        f"reached {required['reached']:,}: {verdict}."
    )


def figure(values: Mapping[str, float]) -> str:
    """Return a spread as a cell of a table."""
    return "{median:,} ({min:,} to {max:,})".format(**values)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine() -> Result:
    """Describe the machine and what runs on it."""
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "os": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("tensorflow", "keras", "numpy")},
    }


def _first(path: str, field: str) -> str | None:
    file = Path(path)
    for line in file.read_text().splitlines() if file.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return None
