"""A scan of a genome, region by region, which can be cut off and go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.genome.intervals import Annotation
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import N_CODE
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.resume import arithmetic, owned_folder, remove_owned, versions
from deepcpg_tf.scan.regions import Region, sites_of, together
from deepcpg_tf.scan.shards import Shard, load_shards, save_shards

if TYPE_CHECKING:
    from deepcpg_tf.scan.engine import ScanEngine
    from deepcpg_tf.scan.local import LocalEngine


@contextmanager
def scan(
    engine: ScanEngine | LocalEngine,
    genome: Genome,
    regions: Sequence[Region],
    *,
    within: Annotation | None,
    out: Path,
    identity: Mapping[str, Any],
    progress: Progress = SILENT,
) -> Iterator[Iterator[Shard]]:
    """Predict the sites of regions, and yield them to be written as one.

    Each region, or short chromosomes together, is a file in a folder beside `out` as soon as it
    is done. The same call
    after a cut goes on with those that are missing, and ends with the same result; once
    the block that this opens has ended without an error, the folder is removed.

    Parameters
    ----------
    engine, genome, within
        As for `scan_regions`.
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
        parts = list(together(regions))
        paths = [state / f"{i:06}.npz" for i in range(len(parts))]
        if left := sum(path.exists() for path in paths):
            progress.tells(
                f"going on with an unfinished run: {left} of {len(paths)} parts are there"
            )
        saving = []
        for part, path in zip(parts, paths, strict=True):
            if kept := _kept(path):
                progress.advances(sum(len(shard.positions) for shard in kept))
                continue
            shards = scan_regions(engine, genome, part, within, progress)
            # One is written while the next is computed.
            saving.append(writer.submit(save_shards, shards, path))
            if len(saving) > 1:
                saving.pop(0).result()
        for future in saving:
            future.result()
        yield chain.from_iterable(map(load_shards, paths))
        remove_owned(state)


def _kept(path: Path) -> list[Shard]:
    """Return what a run before has left, or nothing where that is none or damaged."""
    try:
        return load_shards(path)
    except (OSError, ValueError):
        return []


def scan_regions(
    engine: ScanEngine | LocalEngine,
    genome: Genome,
    regions: Sequence[Region],
    within: Annotation | None = None,
    progress: Progress = SILENT,
) -> list[Shard]:
    """Predict every CpG site of regions; nothing but the arguments decides about it.

    Parameters
    ----------
    engine
        The model.
    genome
        The reference.
    regions
        Where: one, or several whole chromosomes, which are computed as one sequence.
    within
        Only sites in these intervals, where given.
    progress
        Who is told of the sites done.

    Returns
    -------
    list of Shard
        One of each region.
    """
    positions = [sites_of(genome, region, within) for region in regions]
    if len(regions) == 1:
        codes, at = genome.codes(regions[0].chromosome), positions[0]
    else:
        # With so many N between them that no window has bases of two.
        apart = np.full(engine.reach, N_CODE, np.uint8)
        sequences = [part for one in regions for part in (genome.codes(one.chromosome), apart)]
        codes = np.concatenate(sequences)
        starts = np.cumsum([0, *(region.end + engine.reach for region in regions)])
        at = np.concatenate(
            [own + start for own, start in zip(positions, starts[:-1], strict=True)]
        )
    names = [region.chromosome for region in regions]
    counts = [len(own) for own in positions]
    ids = np.repeat(np.arange(len(names), dtype=np.int32), counts)
    sites = SiteColumns(names, ids, np.concatenate(positions))
    probabilities = engine.probabilities(codes, at, sites, progress)
    ends = np.cumsum(counts)[:-1]
    return list(map(Shard, names, positions, np.split(probabilities, ends)))
