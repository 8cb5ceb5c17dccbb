"""Genomes as codes on disk: any chromosome at any time, in bounded memory.

A genome is encoded once into one file of the cache folder, whose name depends on
the FASTA files, their sizes and times of change: a byte a base, one chromosome
after the other; then, as JSON, their names, lengths and SHA-256 checksums; then
the length of that JSON in 8 bytes.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.cache import cache_folder, writing_to_cache
from deepcpg_tf.files import atomic_file
from deepcpg_tf.genome.pieces import Pieces
from deepcpg_tf.genome.reference import Genome, check_positions
from deepcpg_tf.genome.sequence import N_CODE

_TAIL = 8
_N = bytes([N_CODE])


class MappedGenome(Genome):
    """A genome whose codes are a file of the cache, mapped into memory.

    It does all that `Genome` does. Going from one chromosome to another and back
    costs next to nothing once the file is made, in this process and in later ones.

    Parameters
    ----------
    path
        As for `Genome`.

    Attributes
    ----------
    pieces : Pieces
        The file of codes.
    offsets : dict of str to int
        Where each chromosome starts in it, in bytes.

    Raises
    ------
    GenomeError
        As `Genome`, and when any of its chromosomes cannot be read.
    OutputError
        When the cache cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        encoded = self._encoded()
        self.pieces = Pieces(encoded)
        with encoded.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = int.from_bytes(self._map[-_TAIL:], "little")
        index = json.loads(self._map[-_TAIL - size : -_TAIL])
        self.lengths = dict(zip(index["names"], index["lengths"], strict=True))
        self._checksums: dict[str, str] = dict(zip(index["names"], index["sha256"], strict=True))
        ends = np.cumsum(index["lengths"]).tolist()
        self.offsets: dict[str, int] = dict(zip(index["names"], [0, *ends[:-1]], strict=True))
        self._mapped = ""

    def codes(self, chromosome: str) -> npt.NDArray[np.uint8]:
        """Return a whole chromosome as codes, uint8 [bases], read-only."""
        chromosome = self.resolve(chromosome)
        if chromosome != self._mapped and hasattr(mmap, "MADV_DONTNEED"):
            # What was read counts as memory of this process until it is given back.
            self._map.madvise(mmap.MADV_DONTNEED)
        self._mapped = chromosome
        offset = self.offsets[chromosome]
        return np.frombuffer(self._map, np.uint8, self.lengths[chromosome], offset)

    def digest(self, chromosomes: Sequence[str]) -> str:
        """Return the SHA-256 checksum of some chromosomes: their names, lengths and codes.

        It depends on the names as they are given here, with or without ``chr``, and
        not on those of the genome; nor on the case of letters.

        Raises
        ------
        GenomeError
            When the genome lacks one of them.
        """
        digest = hashlib.sha256()
        for name in chromosomes:
            own = self.resolve(name)
            digest.update(f"{name}\t{self.lengths[own]}\t{self._checksums[own]}\n".encode())
        return digest.hexdigest()

    def _encoded(self) -> Path:
        path = cache_folder() / "codes" / self._letters.key()
        if path.is_file():
            return path
        names = self._letters.names
        lengths, checksums = [], []
        with writing_to_cache():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as partial, partial.open("wb") as file:
                for name in names:
                    codes = self._read(name)
                    lengths.append(len(codes))
                    checksums.append(hashlib.sha256(codes.data).hexdigest())
                    file.write(codes.data)
                index = {"names": names, "lengths": lengths, "sha256": checksums}
                tail = json.dumps(index).encode()
                file.write(tail + len(tail).to_bytes(_TAIL, "little"))
        return path


class CodeStore:
    """Windows of sites in any order of chromosomes.

    Parameters
    ----------
    genome
        The reference.
    chromosomes
        Names of chromosomes, with or without ``chr``, that ids stand for.

    Raises
    ------
    GenomeError
        When the genome lacks one of them, or cannot be read.
    OutputError
        When the cache cannot be written to.
    """

    def __init__(self, genome: Genome, chromosomes: Sequence[str]) -> None:
        self.chromosomes = tuple(chromosomes)
        self._genome = genome if isinstance(genome, MappedGenome) else MappedGenome(genome.path)
        names = [self._genome.resolve(name) for name in chromosomes]
        self._lengths = np.array([self._genome.lengths[name] for name in names], np.int64)
        self._offsets = np.array([self._genome.offsets[name] for name in names], np.int64)

    def hold(self) -> None:
        """Keep the whole genome in memory, a byte a base."""
        self._genome.pieces.hold()

    def windows(
        self,
        chromosome_ids: npt.NDArray[np.integer],
        positions: npt.NDArray[np.int64],
        length: int,
    ) -> npt.NDArray[np.uint8]:
        """Cut the windows with the given sites in their middle.

        Several threads may do so at the same time.

        Parameters
        ----------
        chromosome_ids : ndarray of integers, shape (n,)
            Indices into `chromosomes`.
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
            When a position is not on its chromosome.
        """
        positions = np.asarray(positions, np.int64)
        bases = self._lengths[chromosome_ids]
        check_positions(positions, bases, lambda i: self.chromosomes[chromosome_ids[i]])
        starts = positions - length // 2
        firsts = np.maximum(starts, 0)
        lasts = np.minimum(starts + length, bases)
        offsets = firsts + self._offsets[chromosome_ids]
        sizes = lasts - firsts
        windows = self._genome.pieces.read(zip(offsets.tolist(), sizes.tolist(), strict=True))
        for i in np.flatnonzero(sizes < length):
            before, after = firsts[i] - starts[i], starts[i] + length - lasts[i]
            windows[i] = _N * before + windows[i] + _N * after
        return np.frombuffer(bytearray().join(windows), np.uint8).reshape(len(windows), length)
