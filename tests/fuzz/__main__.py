"""Tries every reader with damaged files: ``python -m tests.fuzz --minutes 60``.

Each target has its turn in a process of its own, with limits of time and memory, again and
again until time is up. What fails is kept in a folder: the files, and the traceback; one
example for each kind of failure.
"""

import argparse
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.engine import Fault, example
from tests.fuzz.targets import TARGETS
from tests.fuzz.turns import keep, turn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--target", choices=TARGETS, action="append", help="by default all")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"), metavar="FOLDER")
    arguments = parser.parse_args()
    names = arguments.target or list(TARGETS)
    end = time.monotonic() + 60 * arguments.minutes
    context = multiprocessing.get_context("spawn")
    os.environ["POLARS_MAX_THREADS"] = "1"
    done: Counter[str] = Counter()
    print(f"seed {arguments.seed}; failures go to {arguments.out}")
    while time.monotonic() < end:
        for name in names:
            if time.monotonic() >= end:
                break
            with tempfile.TemporaryDirectory() as text:
                folder = Path(text)
                task = (name, arguments.seed, done[name], arguments.out, folder)
                process = context.Process(target=turn, args=task)
                process.start()
                process.join()
                if not (folder / "index").exists():
                    sys.exit(f"{name}: could not be started")
                index = int((folder / "index").read_text())
                done[name] = index + 1
                if process.exitcode:
                    stuck = (folder / "stuck").read_text() or "killed, without a word"
                    kind = "Hang" if stuck.startswith("Timeout") else "Crash"
                    place = re.search(r"(\w+)\.py\", line \d+ in (\w+)", stuck)
                    key = "-".join((kind, *(place.groups() if place else ()), name))
                    files = example(
                        name, TARGETS[name], TARGETS[name].seeds(), arguments.seed, index
                    )
                    keep(arguments.out, Fault(key, stuck), name, arguments.seed, index, files)
            print(f"{name}: {done[name]} examples", flush=True)
    print(f"{sum(done.values())} examples of {len(names)} targets")
    failures = sorted(arguments.out.iterdir()) if arguments.out.is_dir() else []
    for failure in failures:
        found = [json.loads(line) for line in (failure / "found.jsonl").read_text().splitlines()]
        where = ", ".join(sorted({one["target"] for one in found}))
        print(f"{failure.name}: {len(found)} times, in {where}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
