"""Regions that the sites of a methylation table are counted in: of a BED file, or bins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import AnnotationError, GenomeError, InputError
from deepcpg_tf.files import reading_text
from deepcpg_tf.genome.names import find_name, shown_names

_UNITS = {"": 1, "k": 1000, "m": 1_000_000}
_SIZE = re.compile(r"([0-9]{1,12})(k|m|)b?", re.IGNORECASE)
_SKIPPED = ("#", "track", "browser")


class Regions(NamedTuple):
    """Regions, each with a name of its own.

    ``chromosomes`` are their names, of which ``chromosome_ids`` [regions] are indices;
    ``starts`` and ``ends`` (int64 [regions]) are 0-based and half-open.
    """

    name: str
    chromosomes: tuple[str, ...]
    chromosome_ids: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    ids: list[str]


def bins(size: str | int, lengths: Mapping[str, int]) -> Regions:
    """Cut chromosomes into bins, the last of each as long as what is left.

    They are named as ALLCools does: ``chr1_0``, ``chr1_1`` …, and together ``chrom100k``.

    Parameters
    ----------
    size
        Bases, such as ``100kb`` or 100000.
    lengths
        Bases of each chromosome.

    Raises
    ------
    InputError
        When it is no size.
    """
    found = _SIZE.fullmatch(str(size))
    bases = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if not bases:
        raise InputError(f"bins: expected a number of bases, such as 100kb, received {size!r}")
    starts = [np.arange(0, length, bases, dtype=np.int64) for length in lengths.values()]
    ends = [
        np.minimum(own + bases, length)
        for own, length in zip(starts, lengths.values(), strict=True)
    ]
    short = f"{bases // 1000}k" if bases % 1000 == 0 else str(bases)
    return Regions(
        f"chrom{short}",
        tuple(lengths),
        np.repeat(np.arange(len(lengths)), [len(own) for own in starts]),
        np.concatenate(starts),
        np.concatenate(ends),
        [
            f"{chromosome}_{i}"
            for chromosome, own in zip(lengths, starts, strict=True)
            for i in range(len(own))
        ],
    )


def read_regions(path: Path, lengths: Mapping[str, int]) -> Regions:
    """Read regions, which may overlap, from a BED file in its order.

    Parameters
    ----------
    path
        Chromosome, start, end, and if there is a fourth column, names that differ; otherwise
        they are called by the name of the file and their number, from 0.
    lengths
        The chromosomes of a table, by the names of which those of the file are found. Regions
        on others are left out.

    Raises
    ------
    AnnotationError
        When the file is missing, has a line that is none, or no region on these chromosomes.
    """
    name = re.sub(r"\W+", "_", path.name.split(".")[0]) or "regions"
    rows: list[tuple[int, int, int, str]] = []
    others: dict[str, None] = {}
    index = {chromosome: i for i, chromosome in enumerate(lengths)}
    found: dict[str, str | None] = {}
    number = named = 0
    try:
        with reading_text(path, AnnotationError) as file:
            for line, text in enumerate(file, 1):
                if not text.strip() or text.startswith(_SKIPPED):
                    continue
                fields = text.rstrip("\r\n").split("\t")
                start, end = _interval(path, line, fields)
                if fields[0] not in found:
                    found[fields[0]] = find_name(fields[0], lengths)
                own = found[fields[0]]
                named += len(fields) > 3
                if own is None:
                    others[fields[0]] = None
                else:
                    ids = fields[3] if len(fields) > 3 else f"{name}_{number}"
                    rows.append((index[own], start, end, ids))
                number += 1
    except OSError as error:
        raise AnnotationError(f"{path}: cannot read it: {error.strerror or error}") from None
    except GenomeError as error:
        raise AnnotationError(f"{path}: {error}") from None
    if not rows:
        raise AnnotationError(
            f"{path}: expected intervals on the chromosomes of the table "
            f"({shown_names(list(lengths))}), found {shown_names(list(others)) or 'none'}"
        )
    if named not in (0, number):
        raise AnnotationError(f"{path}: expected a name in all lines or in none, received {named}")
    twice = [one for one, count in Counter(row[3] for row in rows).items() if count > 1]
    if twice:
        raise AnnotationError(
            f"{path}: expected names that differ in column 4, received {twice[0]!r} several times"
        )
    columns = np.array([row[:3] for row in rows], np.int64)
    return Regions(
        name,
        tuple(lengths),
        columns[:, 0],
        columns[:, 1],
        columns[:, 2],
        [row[3] for row in rows],
    )


def _interval(path: Path, line: int, fields: list[str]) -> tuple[int, int]:
    try:
        start, end = int(fields[1]), int(fields[2])
        right = 0 <= start <= end < 2**63
    except (IndexError, ValueError):
        right = False
    if not right:
        shown = "\t".join(fields)[:80]
        raise AnnotationError(
            f"{path}, line {line}: expected the BED columns chromosome, start, end (whole numbers, "
            f"start not above end), received {shown!r}"
        )
    return start, end
