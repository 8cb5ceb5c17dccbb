"""The reference genome: names and lengths of chromosomes, codes, and windows around sites."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError
from deepcpg_tf.genome.codes import CodeFile, encoded
from deepcpg_tf.genome.fasta import FastaFolder, FastaReference, Letters
from deepcpg_tf.genome.names import find_name, shown_names
from deepcpg_tf.genome.sequence import is_cg
from deepcpg_tf.genome.windows import check_positions, cut_windows


class Genome:
    """A reference genome.

    Positions are 0-based everywhere. The index that random access to a FASTA file
    needs is made in the cache folder; one beside it (``.fai``) is not looked at. Bases
    are encoded into a file there when they are first needed, once for this process and
    later ones; see `deepcpg_tf.genome.codes`. Going from one chromosome to another and
    back then costs next to nothing. Several threads may read at the same time.

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
        a number come first. There, lengths are known once the genome is encoded, which
        is done when one is first asked for.

    Raises
    ------
    GenomeError
        When the file is missing, no FASTA, damaged, or compressed with plain gzip, two
        records have the same name, or one has no letters;
        when the folder has no chromosome, or two files of the same one. What needs
        bases raises it when a chromosome cannot be read, and `OutputError` when the
        cache cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._letters: Letters = (
            FastaFolder(self.path) if self.path.is_dir() else FastaReference(self.path)
        )
        self._lock = threading.Lock()
        self._opened: CodeFile | None = None
        lengths = self._letters.lengths()
        self.lengths: Mapping[str, int] = (
            _LazyLengths(self._letters.names, lambda: self._encoded.lengths)
            if lengths is None
            else lengths
        )

    @property
    def _encoded(self) -> CodeFile:
        with self._lock:
            if self._opened is None:
                self._opened = encoded(self._letters)
            return self._opened

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
        """Return a whole chromosome as codes.

        Parameters
        ----------
        chromosome
            Its name, as `resolve` takes it.

        Returns
        -------
        ndarray of uint8, shape (bases,)
            Read-only, mapped from the file of codes.

        Raises
        ------
        GenomeError
            When there is none of that name.
        """
        return self._encoded.chromosome(self.resolve(chromosome))

    def windows(
        self, chromosome: str, positions: npt.NDArray[np.int64], length: int
    ) -> npt.NDArray[np.uint8]:
        """Cut the windows of sites on one chromosome.

        Parameters
        ----------
        chromosome
            Its name, as `resolve` takes it.
        positions, length
            As for `windows_of`.

        Returns
        -------
        ndarray of uint8, shape (n, length)
            Codes; bases off the chromosome are N.

        Raises
        ------
        GenomeError
            When there is no such chromosome, a position is not on it, or `length` is even.
        """
        self.resolve(chromosome)
        ids = np.zeros(len(positions), np.int64)
        return self.windows_of([chromosome], ids, positions, length)

    def windows_of(
        self,
        chromosomes: Sequence[str],
        chromosome_ids: npt.NDArray[np.integer],
        positions: npt.NDArray[np.int64],
        length: int,
    ) -> npt.NDArray[np.uint8]:
        """Cut the windows of sites in any order of chromosomes.

        Parameters
        ----------
        chromosomes
            Names, as `resolve` takes them.
        chromosome_ids : ndarray of integers, shape (n,)
            Index into `chromosomes` of each site.
        positions : ndarray of integers, shape (n,)
            0-based positions of the forward-strand C of each site.
        length
            Bases of a window, odd; see `deepcpg_tf.genome.windows`.

        Returns
        -------
        ndarray of uint8, shape (n, length)
            Codes; bases off the chromosome are N.

        Raises
        ------
        GenomeError
            When the genome lacks a chromosome of a site, a position is not on its
            chromosome, or `length` is even.
        """
        encoded = self._encoded
        positions = np.asarray(positions, np.int64)
        # A genome may have many more chromosomes than these sites are on.
        used, which = np.unique(chromosome_ids, return_inverse=True)
        names = [self.resolve(chromosomes[i]) for i in used]
        bases = np.array([encoded.lengths[name] for name in names], np.int64)[which]
        offsets = np.array([encoded.offsets[name] for name in names], np.int64)[which]
        check_positions(positions, bases, lambda i: chromosomes[chromosome_ids[i]])
        return cut_windows(encoded.pieces, offsets, bases, positions, length)

    def is_cg(self, chromosome: str, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return whether the reference reads CG at each position.

        Parameters
        ----------
        chromosome
            Its name, as `resolve` takes it.
        positions : ndarray of integers, shape (n,)
            0-based; a position off the chromosome is no CG.

        Returns
        -------
        ndarray of bool, shape (n,)

        Raises
        ------
        GenomeError
            When there is no such chromosome.
        """
        codes = self.codes(chromosome)
        positions = np.asarray(positions, np.int64)
        result = np.zeros(len(positions), bool)
        on = (positions >= 0) & (positions < len(codes) - 1)
        at = positions[on]
        result[on] = is_cg(codes[at], codes[at + 1])
        return result

    def digest(self, chromosomes: Sequence[str]) -> str:
        """Return the SHA-256 checksum of some chromosomes: their names, lengths and codes.

        It depends on the names as they are given here, and not on those of the genome;
        nor on the case of letters.

        Raises
        ------
        GenomeError
            When the genome lacks one of them.
        """
        names = [(name, self.resolve(name)) for name in chromosomes]
        return digest_of(
            (name, self._encoded.lengths[own], self._encoded.checksums[own]) for name, own in names
        )

    def checksum(self, chromosome: str) -> str:
        """Return the SHA-256 checksum of the codes of a chromosome.

        Raises
        ------
        GenomeError
            When the genome lacks it.
        """
        return self._encoded.checksums[self.resolve(chromosome)]

    def hold(self) -> None:
        """Keep the codes that windows are cut from in memory, a byte a base."""
        self._encoded.pieces.hold()


def digest_of(chromosomes: Iterable[tuple[str, int, str]]) -> str:
    """Return the SHA-256 checksum of names, lengths and checksums of chromosomes."""
    result = hashlib.sha256()
    for name, length, checksum in chromosomes:
        result.update(f"{name}\t{length}\t{checksum}\n".encode())
    return result.hexdigest()


class _LazyLengths(Mapping[str, int]):
    """Names that are known, with lengths that are found when the first is asked for."""

    def __init__(self, names: tuple[str, ...], find: Callable[[], Mapping[str, int]]) -> None:
        self._names = dict.fromkeys(names)
        self._find = find

    def __getitem__(self, name: str) -> int:
        if name not in self._names:
            raise KeyError(name)
        return self._find()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
