"""A scan from a model and a genome to one file of results, which can be cut off and go on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepcpg_tf.errors import OutputError
from deepcpg_tf.genome.intervals import Annotation
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.scan.regions import Region
from deepcpg_tf.scan.shards import Results, Shard, scan_region

if TYPE_CHECKING:
    from deepcpg_tf.scan.engine import ScanEngine

_IDENTITY, _LOCK = "identity.json", "lock"


def scan(
    engine: ScanEngine,
    genome: Genome,
    regions: Sequence[Region],
    *,
    within: Annotation | None,
    state: Path,
    identity: Mapping[str, Any],
    write: Callable[[Results], None],
    advance: Callable[[int], object] = lambda sites: None,
) -> None:
    """Predict the sites of regions and write them as one.

    Each region is a shard in the folder `state` as soon as it is done; the same call
    after a cut goes on with those that are missing, and ends with the same result.

    Parameters
    ----------
    engine, genome, within
        As for `scan_region`.
    regions
        Where, in the order of the result.
    state
        Folder for the shards, removed in the end.
    identity
        What decides about the result.
    write
        Given chromosome and shard of every region, in order, writes the result.
    advance
        Called with the number of sites done, those of an earlier call included.

    Raises
    ------
    OutputError
        When another process is at it, an unfinished scan of something else is there,
        or the folder cannot be written to.
    """
    with _own_folder(state, identity), ThreadPoolExecutor(1) as writer:
        paths = [state / f"{i:06}.npz" for i in range(len(regions))]
        saving = []
        for region, path in zip(regions, paths, strict=True):
            if path.exists():
                advance(len(Shard.load(path).positions))
                continue
            shard = scan_region(engine, genome, region, within, advance)
            # One is written while the next is computed.
            saving.append(writer.submit(shard.save, path))
            if len(saving) > 1:
                saving.pop(0).result()
        for future in saving:
            future.result()
        write(
            (region.chromosome, Shard.load(path))
            for region, path in zip(regions, paths, strict=True)
        )
        shutil.rmtree(state)


@contextmanager
def _own_folder(state: Path, identity: Mapping[str, Any]) -> Iterator[None]:
    """Hold the folder of a scan against other processes, for as long as this one lives."""
    out = state.name.removeprefix(".").removesuffix(".scan")
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = os.open(state / _LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise OutputError(f"{state}: cannot write there: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OutputError(
                f"{state.parent / out}: expected nothing else to write it, found another run"
            ) from None
        _check_identity(state, identity)
        yield
    finally:
        os.close(lock)


def _check_identity(state: Path, identity: Mapping[str, Any]) -> None:
    path, text = state / _IDENTITY, json.dumps(identity, indent=2, sort_keys=True)
    if not path.exists():
        path.write_text(text)
    elif path.read_text() != text:
        before, now = json.loads(path.read_text()), json.loads(text)
        other = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        raise OutputError(
            f"{state}: expected the unfinished run to have the same {', '.join(other)}; "
            "repeat that command, or remove the folder to begin anew"
        )
