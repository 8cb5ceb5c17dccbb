"""A scan of a genome, region by region, which can be cut off and go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scipy.special import expit

from deepcpg_tf.genome.intervals import Annotation
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.resume import arithmetic, owned_folder, remove_owned, versions
from deepcpg_tf.scan.regions import Region, sites_of
from deepcpg_tf.scan.shards import Shard

if TYPE_CHECKING:
    from deepcpg_tf.scan.engine import ScanEngine


@contextmanager
def scan(
    engine: ScanEngine,
    genome: Genome,
    regions: Sequence[Region],
    *,
    within: Annotation | None,
    out: Path,
    identity: Mapping[str, Any],
    progress: Progress = SILENT,
) -> Iterator[Iterator[Shard]]:
    """Predict the sites of regions, and yield them to be written as one.

    Each region is a shard in a folder beside `out` as soon as it is done. The same call
    after a cut goes on with those that are missing, and ends with the same result; once
    the block that this opens has ended without an error, the folder is removed.

    Parameters
    ----------
    engine, genome, within
        As for `scan_region`.
    regions
        Where, in the order of the result.
    out
        The result that is going to be written.
    identity
        What decides about the result, beside the versions and arithmetic of what computes it.
    progress
        Who is told of the sites done.

    Yields
    ------
    iterator of Shard
        One of each region, in order, read one at a time.

    Raises
    ------
    OutputError
        When another process is at it, an unfinished scan of something else is there,
        or the folder cannot be written to.
    """
    state = out.resolve().parent / f".{out.name}.scan"
    identity = {**identity, **versions(), **arithmetic()}
    with owned_folder(state, identity, out), ThreadPoolExecutor(1) as writer:
        paths = [state / f"{i:06}.npz" for i in range(len(regions))]
        saving = []
        for region, path in zip(regions, paths, strict=True):
            if path.exists():
                progress.advances(len(Shard.load(path).positions))
                continue
            shard = scan_region(engine, genome, region, within, progress)
            # One is written while the next is computed.
            saving.append(writer.submit(shard.save, path))
            if len(saving) > 1:
                saving.pop(0).result()
        for future in saving:
            future.result()
        yield map(Shard.load, paths)
        remove_owned(state)


def scan_region(
    engine: ScanEngine,
    genome: Genome,
    region: Region,
    within: Annotation | None = None,
    progress: Progress = SILENT,
) -> Shard:
    """Predict every CpG site of a region; nothing but the arguments decides about it.

    Parameters
    ----------
    engine
        The model.
    genome
        The reference.
    region
        Where.
    within
        Only sites in these intervals, where given.
    progress
        Who is told of the sites done.
    """
    positions = sites_of(genome, region, within)
    logits = engine.logits(genome.codes(region.chromosome), positions, progress)
    return Shard(region.chromosome, positions, expit(logits))
