"""The reference genome as codes, and windows cut from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError, SequenceError
from deepcpg_tf.genome.fasta import FastaFile, FastaFolder, Letters
from deepcpg_tf.genome.names import find_name, shown_names
from deepcpg_tf.genome.sequence import N_CODE, encode

_C_CODE, _G_CODE = 3, 2
_PIECE = 1 << 20


class Genome:
    """A reference genome, read one chromosome at a time.

    Positions are 0-based everywhere. The index that random access to a FASTA file
    needs is the one beside it (``.fai``) when it is up to date; otherwise one is
    made in the cache folder.

    Parameters
    ----------
    path
        A FASTA file of any number of records, plain or bgzip; or a folder with a
        file a chromosome, called ``*.chromosome.N.fa`` or ``*.chromosome.N.fa.gz``
        (plain, gzip or bgzip), as the original took. The chromosomes of a folder
        are called by the N of its files.

    Attributes
    ----------
    lengths : mapping of str to int
        Bases of each chromosome, in the order of the file; in a folder, those with
        a number come first. There, a length is found by reading its file, once,
        when it is first asked for.

    Raises
    ------
    GenomeError
        When the file is missing, no FASTA, damaged, or compressed with plain gzip;
        when the folder has no chromosome, or two files of the same one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._letters: Letters = (
            FastaFolder(self.path) if self.path.is_dir() else FastaFile(self.path)
        )
        lengths = self._letters.lengths()
        self.lengths: Mapping[str, int] = (
            _LazyLengths(self._letters.names, lambda name: len(self.codes(name)))
            if lengths is None
            else lengths
        )
        self._loaded: tuple[str, npt.NDArray[np.uint8]] | None = None

    def resolve(self, name: str) -> str:
        """Return the genome's own name of a chromosome; see `deepcpg_tf.genome.names`.

        Raises
        ------
        GenomeError
            When the genome has no such chromosome, or several that the name may mean.
        """
        found = find_name(name, self.lengths)
        if found is None:
            name = name if len(name) <= 60 else f"{name[:60]}..."
            raise GenomeError(
                f"chromosome {name!r}: expected one of {self.path.name} "
                f"({shown_names(list(self.lengths))})"
            )
        return found

    def codes(self, chromosome: str) -> npt.NDArray[np.uint8]:
        """Return a whole chromosome as codes; the last one asked for stays in memory.

        Parameters
        ----------
        chromosome
            Its name, with or without ``chr``.

        Returns
        -------
        ndarray of uint8, shape (bases,)

        Raises
        ------
        GenomeError
            When there is none of that name, or its letters cannot be read.
        """
        chromosome = self.resolve(chromosome)
        if self._loaded is None or self._loaded[0] != chromosome:
            self._loaded = None
            self._loaded = (chromosome, self._read(chromosome))
        return self._loaded[1]

    def _read(self, chromosome: str) -> npt.NDArray[np.uint8]:
        letters = self._letters.read(chromosome)
        codes = np.empty(len(letters), np.uint8)
        try:
            # In pieces, because encoding takes several times the memory of its letters.
            for start in range(0, len(letters), _PIECE):
                codes[start : start + _PIECE] = encode(letters[start : start + _PIECE])
        except SequenceError:
            where = f"{self._letters.file(chromosome)}: chromosome {chromosome}"
            try:
                encode(letters, where)
            except SequenceError as error:
                raise GenomeError(str(error)) from None
        return codes

    def windows(
        self, chromosome: str, positions: npt.NDArray[np.int64], length: int
    ) -> npt.NDArray[np.uint8]:
        """Cut the windows with the given positions in their middle.

        Parameters
        ----------
        chromosome
            Its name, with or without ``chr``.
        positions : ndarray of integers, shape (n,)
            0-based positions of the forward-strand C of each site.
        length
            Bases of a window, odd: window ``reference[p - length // 2 : p + length // 2 + 1]``.

        Returns
        -------
        ndarray of uint8, shape (n, length)
            Codes; bases off the chromosome are N.

        Raises
        ------
        GenomeError
            When there is no such chromosome, a position is not on it, or `length` is even.
        """
        if length < 1 or length % 2 == 0:
            raise GenomeError(f"length: expected an odd number of bases, received {length}")
        codes = self.codes(chromosome)
        positions = np.asarray(positions, np.int64)
        check_positions(positions, np.full(len(positions), len(codes)), lambda i: chromosome)
        starts = positions - length // 2
        inside = (starts >= 0) & (starts + length <= len(codes))
        windows = np.full((len(positions), length), N_CODE, np.uint8)
        if inside.any():
            views = np.lib.stride_tricks.sliding_window_view(codes, length)
            windows[inside] = views[starts[inside]]
        for i in np.flatnonzero(~inside):
            first, last = max(starts[i], 0), min(starts[i] + length, len(codes))
            windows[i, first - starts[i] : last - starts[i]] = codes[first:last]
        return windows

    def is_cg(self, chromosome: str, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return whether the reference reads CG at each position.

        Parameters
        ----------
        chromosome
            Its name, with or without ``chr``.
        positions : ndarray of integers, shape (n,)
            0-based; a position off the chromosome is no CG.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        codes = self.codes(chromosome)
        positions = np.asarray(positions, np.int64)
        result = np.zeros(len(positions), bool)
        on = (positions >= 0) & (positions + 1 < len(codes))
        at = positions[on]
        result[on] = (codes[at] == _C_CODE) & (codes[at + 1] == _G_CODE)
        return result


def check_positions(
    positions: npt.NDArray[np.int64],
    bases: npt.NDArray[np.int64],
    chromosome: Callable[[int], str],
) -> None:
    """Refuse positions that are not on their chromosome.

    Parameters
    ----------
    positions : ndarray of int64, shape (n,)
        0-based.
    bases : ndarray of int64, shape (n,)
        Lengths of their chromosomes.
    chromosome
        Gives the chromosome of the position with an index.

    Raises
    ------
    GenomeError
        At the first position that is not on its chromosome.
    """
    wrong = np.flatnonzero((positions < 0) | (positions >= bases))
    if wrong.size:
        first = int(wrong[0])
        raise GenomeError(
            f"chromosome {chromosome(first)}: expected positions from 0 to {bases[first] - 1}, "
            f"received {positions[first]}"
        )


class _LazyLengths(Mapping[str, int]):
    """Names that are known, with lengths that are found one by one when asked for."""

    def __init__(self, names: tuple[str, ...], measure: Callable[[str], int]) -> None:
        self._names = dict.fromkeys(names)
        self._measure = measure
        self._found: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._found:
            self._found[name] = self._measure(name)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
