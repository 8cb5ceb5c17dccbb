"""A turn of one target in a process of its own, and what is kept of its failures."""

import faulthandler
import json
import os
import resource
import shutil
import time
from pathlib import Path

from tests.fuzz.engine import Fault, Files, examples, try_example
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
