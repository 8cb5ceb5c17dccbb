"""What the benchmarks share: taking turns, describing the machine, and tables."""

from __future__ import annotations

import os
import platform
import signal
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

Result = dict[str, Any]


class LackingError(Exception):
    """What a benchmark needs and is not there; it is left out."""


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


def spread(values: Sequence[float], digits: int = 4) -> dict[str, float]:
    """Return the median, the smallest and the largest of some values, with so many digits."""
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.{digits}g}") for name, value in figures.items()}


def requirement(what: str, least: float, reached: float) -> Result:
    """Return the part of a result that says what is required, and whether it is met."""
    return {"what": what, "at_least": least, "reached": reached, "met": reached >= least}


def in_words(required: Result) -> str:
    """Return a requirement in a sentence."""
    verdict = "met" if required["met"] else "**not met**"
    bound = "at_least" if "at_least" in required else "at_most"
    return (
        f"Required: {bound.replace('_', ' ')} {number(required[bound])} {required['what']}; "
        f"reached: {number(required['reached'])}; {verdict}."
    )


def prose(text: str) -> str:
    """Return a paragraph of Markdown, wrapped; in a list where it begins with a dash."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def number(value: float) -> str:
    """Return a number with three digits, or as many as it has before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def figure(values: Mapping[str, float]) -> str:
    """Return a spread as a cell of a table."""
    median, least, most = (number(values[name]) for name in ("median", "min", "max"))
    return f"{median} ({least} to {most})"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def killed(command: Sequence[str], seconds: float) -> float:
    """Run a command and kill it after so many seconds; return how long it ran."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return time.perf_counter() - start


def machine() -> Result:
    """Describe the machine and what runs on it."""
    return {
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "instructions": _instructions(),
        "cores": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "os": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("tensorflow", "keras", "numpy")},
    }


def _instructions() -> str:
    """Return which of the instructions that decide about speed the processor has."""
    flags = (_first("/proc/cpuinfo", "flags") or "").split()
    telling = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8")
    return ", ".join(flag for flag in telling if flag in flags) or "unknown"


def _first(path: str, field: str) -> str | None:
    file = Path(path)
    for line in file.read_text().splitlines() if file.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return None
