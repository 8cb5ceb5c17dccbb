"""``.bigwig``: a folder with a BigWig file for each cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import OutputError
from deepcpg_tf.results.columns import Stretch, keep_columns
from deepcpg_tf.results.contents import Contents, Format, Kind
from deepcpg_tf.results.names import file_names
from deepcpg_tf.scan.shards import Shard

Interval = tuple[str, int, int, float]


def _write(path: Path, contents: Contents, shards: Iterable[Shard]) -> None:
    lengths = dict(zip(contents.chromosomes, contents.lengths, strict=True))
    names = file_names(contents.cells, ".bw")
    with keep_columns(path, shards) as columns:
        if not len(columns):
            raise OutputError("BigWig: expected sites to write, received none")
        for i, name in enumerate(names):
            if all(np.isnan(stretch.values).all() for stretch in columns.cell(i)):
                raise OutputError(
                    f"{name}: expected sites to write, received none with enough confidence; "
                    "BigWig has no empty files"
                )
            _write_file(path / name, lengths, columns.cell(i))


def _write_file(path: Path, lengths: dict[str, int], stretches: Iterator[Stretch]) -> None:
    """Write one file, and make sure of it: the library only prints what goes wrong."""
    import pybigtools

    failures: list[BaseException] = []
    sites = 0

    def intervals() -> Iterator[Interval]:
        nonlocal sites
        try:
            for stretch in stretches:
                known = ~np.isnan(stretch.values)
                sites += int(known.sum())
                yield from _intervals(
                    stretch.chromosome, stretch.positions[known], stretch.values[known]
                )
        except BaseException as error:
            failures.append(error)

    pybigtools.open(str(path), "w").write(lengths, intervals())
    if failures:
        raise failures[0]
    try:
        file = pybigtools.open(str(path))
        covered = file.info()["summary"]["basesCovered"]
        file.close()
    except pybigtools.BBIReadError:
        covered = 0
    if covered != 2 * sites:
        raise OutputError(f"{path.name}: cannot write all of it: is there room on the disk?")


def _intervals(
    chromosome: str, positions: npt.NDArray[np.int64], values: npt.NDArray[np.float32]
) -> Iterator[Interval]:
    """Return the two bases of each site as an interval: 0-based, half-open."""
    return zip(
        repeat(chromosome, len(positions)),
        positions.tolist(),
        (positions + 2).tolist(),
        values.tolist(),
        strict=True,
    )


BIGWIG = Format(
    ".bigwig",
    frozenset({Kind.PREDICTED, Kind.IMPUTED}),
    lambda path, contents: None,  # every cell gets a name of its own
    _write,
    folder=True,
    package="pybigtools",
)
