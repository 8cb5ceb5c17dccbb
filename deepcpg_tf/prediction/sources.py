"""Where windows come from: letters, a text file, FASTA, or sites on a genome.

A source is read twice: once to check it whole, so that an error in the last line
shows before hours of computing, and once to predict it. Only one batch of it is
in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import SequenceError
from deepcpg_tf.files import reading_text
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import encode_windows
from deepcpg_tf.genome.sites import CpgCount, Sites, count_cpgs, read_sites

_BATCH_SIZE = 4096


Keys = dict[str, list[str] | npt.NDArray[np.int64]]


class Batch(NamedTuple):
    """Some windows, with the columns that tell which they are.

    ``windows`` is uint8 [n, length]; each column of ``keys`` has n values: ``id``,
    or ``chromosome``, ``position`` (0-based, of the forward-strand C) and ``strand``.
    """

    keys: Keys
    windows: npt.NDArray[np.uint8]


class Source(Protocol):
    """Windows in a fixed order."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the columns that tell which they are."""

    def check(self) -> int:
        """Read everything, raise at the first fault, and return the number of windows."""

    def batches(self) -> Iterator[Batch]:
        """Yield the windows."""


class _Letters:
    """Windows as letters, each with a name; subclasses say where they are read from."""

    keys: tuple[str, ...] = ("id",)

    def __init__(self, length: int) -> None:
        self.length = length

    def _records(self) -> Iterator[tuple[str, str, str]]:
        """Yield id, letters and what an error calls the record."""
        raise NotImplementedError

    def check(self) -> int:
        return sum(len(batch.windows) for batch in self.batches())

    def batches(self) -> Iterator[Batch]:
        records = self._records()
        while chunk := list(islice(records, _BATCH_SIZE)):
            ids, letters, names = ([*column] for column in zip(*chunk, strict=True))
            yield Batch({"id": ids}, encode_windows(letters, self.length, names))


class OneSequence(_Letters):
    """A single window given as letters; its id is 1."""

    def __init__(self, sequence: str, length: int) -> None:
        super().__init__(length)
        self.sequence = sequence

    def _records(self) -> Iterator[tuple[str, str, str]]:
        yield "1", self.sequence, "sequence"


class SequenceFile(_Letters):
    """A text file with a window a line, plain or gzipped; ids are the line numbers.

    Parameters
    ----------
    path
        The file. Empty lines at its end are ignored.
    length
        Letters that each window must have.
    """

    def __init__(self, path: str | Path, length: int) -> None:
        super().__init__(length)
        self.path = Path(path)

    def _records(self) -> Iterator[tuple[str, str, str]]:
        number, empty = 0, 0
        with reading_text(self.path, SequenceError) as file:
            for number, line in enumerate(file, 1):
                letters = line.strip()
                if not letters:
                    empty = empty or number
                    continue
                if empty:
                    raise SequenceError(
                        f"{self.path}, line {empty}: expected a window of {self.length} "
                        "letters, received an empty line"
                    )
                yield str(number), letters, f"{self.path}, line {number}"
        if number == 0 or empty == 1:
            raise SequenceError(f"{self.path}: expected a window a line, found none")


class FastaFile(_Letters):
    """A FASTA file with a window a record: plain, gzip or bgzip; ids are record names.

    Parameters
    ----------
    path
        The file.
    length
        Letters that each window must have.
    """

    def __init__(self, path: str | Path, length: int) -> None:
        super().__init__(length)
        self.path = Path(path)

    def _records(self) -> Iterator[tuple[str, str, str]]:
        number, name = 0, ""
        lines: list[str] = []
        with reading_text(self.path, SequenceError) as file:
            for line_number, line in enumerate(file, 1):
                text = line.strip()
                if line.startswith(";") and not number:  # a comment of early FASTA
                    continue
                if line.startswith(">"):
                    if number:
                        yield name, "".join(lines), self._where(number, name)
                    number, lines = number + 1, []
                    name = next(iter(text[1:].split()), str(number))
                    if '"' in name:
                        raise SequenceError(
                            f"{self._where(number, name)}: expected a name without quotation marks"
                        )
                elif text and not number:
                    received = "FASTQ" if text.startswith("@") else repr(text[:60])
                    raise SequenceError(
                        f"{self.path}, line {line_number}: expected FASTA, whose first record "
                        f"begins with '>', received {received}"
                    )
                else:
                    lines.append(text)
        if number == 0:
            raise SequenceError(f"{self.path}: expected FASTA with a window a record, found none")
        yield name, "".join(lines), self._where(number, name)

    def _where(self, number: int, name: str) -> str:
        return f"{self.path}, record {number} ({name})"


class SiteFile:
    """Sites on a genome, whose windows are cut around them.

    Parameters
    ----------
    path
        BED, or chromosome and 1-based position; see `deepcpg_tf.genome.sites.read_sites`.
    genome
        The reference.
    length
        Bases of a window.
    require_cpg
        Whether a site that is no CG is an error.

    Attributes
    ----------
    cpgs : CpgCount or None
        How many sites lie on a CG, once `check` has read them.
    """

    keys: tuple[str, ...] = ("chromosome", "position", "strand")

    def __init__(
        self, path: str | Path, genome: Genome, length: int, *, require_cpg: bool = False
    ) -> None:
        self.path = Path(path)
        self.genome = genome
        self.length = length
        self.require_cpg = require_cpg
        self.cpgs: CpgCount | None = None

    def check(self, require: str | None = None) -> int:
        """Read all sites, raise at the first fault, and return their number.

        `require` says why a site that is no CG is an error, where `require_cpg` does not.
        """
        if self.require_cpg:
            require = "as `require_cpg` asks"
        self.cpgs = count_cpgs(self.path, self.genome, require=require)
        return self.cpgs.sites

    def batches(self) -> Iterator[Batch]:
        """Yield the windows around the sites, in the order of the file."""
        for sites in read_sites(self.path, self.genome):
            windows = np.empty((len(sites), self.length), np.uint8)
            for reference, indices in sites.groups():
                windows[indices] = self.genome.windows(
                    reference, sites.positions[indices], self.length
                )
            # Many sites are read at once, so that unsorted ones change the chromosome
            # rarely; they are handed on in smaller batches, so that results come soon.
            for part in batch_slices(len(sites)):
                yield Batch(keys_of_sites(sites, part), windows[part])


def batch_slices(rows: int) -> Iterator[slice]:
    """Yield slices of some rows, each a batch."""
    for start in range(0, rows, _BATCH_SIZE):
        yield slice(start, start + _BATCH_SIZE)


def keys_of_sites(sites: Sites, part: slice) -> Keys:
    """Return the columns that tell which sites they are."""
    return {
        "chromosome": sites.chromosomes[part],
        "position": sites.positions[part],
        "strand": sites.strands[part],
    }
