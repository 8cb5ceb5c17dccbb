"""One example of a target: its files, how they are read, and what was wrong with that."""

import random
import shutil
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from deepcpg_tf.errors import DeepCpgError
from tests.fuzz.containers import damage, packed

Files = dict[str, bytes]
"""The content of files, by their names."""

ROOT = Path(__file__).parents[2]
_OURS = (str(ROOT / "deepcpg_tf"), str(ROOT / "tests"))


class Target(NamedTuple):
    """A reader.

    ``seeds`` returns good examples. ``read`` reads a folder with the files of an example,
    and holds what was read against another way of reading it. Names of files in
    ``packs`` may come plain, as gzip or as bgzip.
    """

    seeds: Callable[[], list[Files]]
    read: Callable[[Path], object]
    packs: tuple[str, ...] = ()


class Fault(NamedTuple):
    """What went wrong: a name that tells faults apart, and the traceback."""

    key: str
    text: str


class NonsenseError(AssertionError):
    """A reader took what is none, or read something else than is there."""


def example(
    name: str,
    target: Target,
    seeds: list[Files],
    seed: int,
    index: int,
    *,
    raw_hdf5: bool = True,
) -> Files:
    """Return the files of one example; the first ones are the good ones as they are."""
    rng = random.Random(f"{name}/{seed}/{index}")
    files = dict(seeds[index] if index < len(seeds) else rng.choice(seeds))
    if index >= len(seeds):
        if len(files) > 1 and rng.random() < 0.03:
            del files[rng.choice(list(files))]
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            which = rng.choice(list(files))
            files[which] = damage(which, files[which], rng, raw_hdf5=raw_hdf5)
    for which in target.packs:
        if which in files:
            files[which] = packed(files[which], rng)
            if files[which][:2] == b"\x1f\x8b" and rng.random() < 0.2:
                files[which] = damage(which, files[which], rng)
    return files


def try_example(target: Target, files: Files, folder: Path) -> Fault | None:
    """Write the files of an example, read them, and return what went wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", UserWarning)  # what is said to users
            target.read(folder)
    except DeepCpgError as error:
        message = str(error)
        return None if message and "\n" not in message else _fault(error, "Message")
    except Exception as error:
        return _fault(error, type(error).__name__)
    return None


def _fault(error: Exception, kind: str) -> Fault:
    frames = traceback.extract_tb(error.__traceback__)
    inner = [frame for frame in frames if frame.filename.startswith(_OURS)]
    inner = [f for f in inner if not f.filename.endswith("fuzz/engine.py") and f.name != "expect"]
    where = inner[-1] if inner else frames[-1]
    module = Path(where.filename).with_suffix("")
    module = module.relative_to(ROOT) if module.is_relative_to(ROOT) else Path(module.name)
    line = f"-{where.lineno}" if kind == "NonsenseError" else ""
    key = f"{kind}-{'.'.join(module.parts)}-{where.name}{line}".replace("<", "").replace(">", "")
    return Fault(key, "".join(traceback.format_exception(error)))


def examples(name: str, target: Target, seed: int, start: int = 0) -> Iterator[tuple[int, Files]]:
    """Yield examples with their numbers, without end."""
    seeds = target.seeds()
    index = start
    while True:
        yield index, example(name, target, seeds, seed, index)
        index += 1
