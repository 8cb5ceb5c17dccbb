"""Tries every reader with damaged files: ``python -m tests.fuzz --minutes 60``.

Each target has its turn in a process of its own, with limits of time and memory, again and
again until time is up. What fails is kept in a folder: the files, and the traceback; one
example for each kind of failure.
"""

import argparse
import faulthandler
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.engine import Fault, Files, example, examples, try_example
from tests.fuzz.targets import TARGETS

SECONDS_A_TURN = 20
SECONDS_AN_EXAMPLE = 20
MEMORY = 2 << 30  # more than a process has when it starts


def _limit_memory() -> None:
    statm = Path("/proc/self/statm")
    if statm.exists():  # elsewhere, the system does not hold to the limit
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def turn(name: str, seed: int, start: int, out: Path, folder: Path) -> None:
    """Try examples of a target for a while, in a process of its own."""
    os.environ["DEEPCPG_TF_HOME"] = str(folder / "home")
    target = TARGETS[name]
    stream = examples(name, target, seed, start)
    end = time.monotonic() + SECONDS_A_TURN
    with (folder / "stuck").open("w") as stuck:
        faulthandler.enable(stuck)
        limited = False
        while time.monotonic() < end:
            index, files = next(stream)
            (folder / "index").write_text(str(index))
            faulthandler.dump_traceback_later(SECONDS_AN_EXAMPLE, exit=True, file=stuck)
            fault = try_example(target, files, folder / "example")
            faulthandler.cancel_dump_traceback_later()
            if not limited:  # once all is imported
                _limit_memory()
                limited = True
            if fault:
                keep(out, fault, name, seed, index, files)
            if index % 500 == 499:
                shutil.rmtree(folder / "home", ignore_errors=True)


def keep(out: Path, fault: Fault, name: str, seed: int, index: int, files: Files) -> None:
    """Keep a failure, with its files if it is the first of its kind, or has smaller ones."""
    folder = out / fault.key
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "found.jsonl").open("a") as found:
        found.write(json.dumps({"target": name, "seed": seed, "index": index}) + "\n")
    if (folder / "traceback.txt").exists():
        return
    (folder / "traceback.txt").write_text(fault.text, errors="backslashreplace")
    for path, content in files.items():
        (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / path).write_bytes(content)


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
                    files = example(
                        name, TARGETS[name], TARGETS[name].seeds(), arguments.seed, index
                    )
                    fault = Fault(f"{kind}-{name}", stuck)
                    keep(arguments.out, fault, name, arguments.seed, index, files)
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
