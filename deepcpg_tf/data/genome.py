"""The reference genome as codes, and windows cut from it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pysam

from deepcpg_tf.cache import cache_folder, writing_to_cache
from deepcpg_tf.errors import GenomeError, SequenceError
from deepcpg_tf.files import is_gzip
from deepcpg_tf.sequence import N_CODE, encode

_C_CODE, _G_CODE = 3, 2
_MITOCHONDRION = {"M": "MT", "MT": "M"}


class Genome:
    """A FASTA file, plain or bgzip, read one chromosome at a time.

    Positions are 0-based everywhere. The index that random access needs is the
    one beside the file (``.fai``) when it is up to date; otherwise one is made in
    the cache folder.

    Parameters
    ----------
    path
        FASTA file of any number of records.

    Attributes
    ----------
    lengths : mapping of str to int
        Bases of each chromosome, in the order of the file.

    Raises
    ------
    GenomeError
        When the file is missing, no FASTA, damaged, or compressed with plain gzip.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._fasta = _open_fasta(self.path)
        self.lengths: Mapping[str, int] = dict(
            zip(self._fasta.references, self._fasta.lengths, strict=True)
        )
        self._loaded: tuple[str, npt.NDArray[np.uint8]] | None = None

    def resolve(self, name: str) -> str:
        """Return the genome's own name of a chromosome, with or without ``chr``.

        Raises
        ------
        GenomeError
            When the genome has no such chromosome.
        """
        bare = name.removeprefix("chr")
        for stem in (bare, _MITOCHONDRION.get(bare, bare)):
            for candidate in (name, stem, f"chr{stem}"):
                if candidate in self.lengths:
                    return candidate
        raise self._unknown(name)

    def _unknown(self, name: str) -> GenomeError:
        names = list(self.lengths)
        shown = ", ".join(names[:5]) + (f", … ({len(names)} in all)" if len(names) > 5 else "")
        return GenomeError(f"chromosome {name!r}: expected one of {self.path.name} ({shown})")

    def codes(self, chromosome: str) -> npt.NDArray[np.uint8]:
        """Return a whole chromosome as codes; the last one asked for stays in memory.

        Parameters
        ----------
        chromosome
            A name as in `lengths`.

        Returns
        -------
        ndarray of uint8, shape (bases,)

        Raises
        ------
        GenomeError
            When there is none of that name, or its letters cannot be read.
        """
        if chromosome not in self.lengths:
            raise self._unknown(chromosome)
        if self._loaded is None or self._loaded[0] != chromosome:
            self._loaded = None
            self._loaded = (chromosome, self._read(chromosome))
        return self._loaded[1]

    def _read(self, chromosome: str) -> npt.NDArray[np.uint8]:
        try:
            letters = self._fasta.fetch(chromosome)
        except (OSError, ValueError) as error:
            raise GenomeError(
                f"{self.path}: cannot read chromosome {chromosome}: {error}"
            ) from None
        if len(letters) != self.lengths[chromosome]:
            raise GenomeError(
                f"{self.path}: chromosome {chromosome}: expected {self.lengths[chromosome]} bases, "
                f"read {len(letters)}: the file is damaged, or not the one that was indexed"
            )
        try:
            return encode(letters, f"chromosome {chromosome}")
        except SequenceError as error:
            raise GenomeError(f"{self.path}: {error}") from None

    def windows(
        self, chromosome: str, positions: npt.NDArray[np.int64], length: int
    ) -> npt.NDArray[np.uint8]:
        """Cut the windows with the given positions in their middle.

        Parameters
        ----------
        chromosome
            A name as in `lengths`.
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
        self._check_positions(chromosome, positions)
        windows = np.full((len(positions), length), N_CODE, np.uint8)
        starts = positions - length // 2
        inside = (starts >= 0) & (starts + length <= len(codes))
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
            A name as in `lengths`.
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

    def _check_positions(self, chromosome: str, positions: npt.NDArray[np.int64]) -> None:
        bases = self.lengths[chromosome]
        wrong = positions[(positions < 0) | (positions >= bases)]
        if wrong.size:
            raise GenomeError(
                f"chromosome {chromosome}: expected positions from 0 to {bases - 1}, "
                f"received {wrong[0]}"
            )


def _open_fasta(path: Path) -> pysam.FastaFile:
    if not path.is_file():
        raise GenomeError(f"{path}: expected a FASTA file, found none there")
    if is_gzip(path) and not _is_bgzip(path):
        raise GenomeError(
            f"{path}: expected FASTA that is plain or compressed with bgzip, received plain gzip, "
            f"which has no random access; decompress it: gunzip -k {path.name}"
        )
    # htslib prints to stderr what we say in one line of our own.
    verbosity = pysam.set_verbosity(0)
    try:
        fai, gzi = _index(path)
        compressed_index = str(gzi) if is_gzip(path) else None
        return pysam.FastaFile(
            str(path), filepath_index=str(fai), filepath_index_compressed=compressed_index
        )
    except (OSError, ValueError, pysam.SamtoolsError):
        raise GenomeError(
            f"{path}: expected FASTA (records of a line '>name' and lines of letters, all but the "
            "last of one width), received something else or a damaged file"
        ) from None
    finally:
        pysam.set_verbosity(verbosity)


def _is_bgzip(path: Path) -> bool:
    """Tell bgzip: gzip with an extra field called BC in each block (SAM specification, 4.1)."""
    with path.open("rb") as file:
        header = file.read(14)
    return len(header) == 14 and bool(header[3] & 4) and header[12:14] == b"BC"


def _index(path: Path) -> tuple[Path, Path]:
    """Return the .fai and .gzi of a FASTA file, making them in the cache if need be."""
    changed = path.stat().st_mtime_ns
    beside = [Path(f"{path}{ending}") for ending in (".fai", ".gzi")]
    needed = beside if is_gzip(path) else beside[:1]
    if all(file.is_file() and file.stat().st_mtime_ns >= changed for file in needed):
        return beside[0], beside[1]
    identity = f"{path.resolve()} {path.stat().st_size} {changed}"
    stem = cache_folder() / "fasta-indexes" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    fai, gzi = Path(f"{stem}.fai"), Path(f"{stem}.gzi")
    if not fai.is_file():
        with writing_to_cache():
            fai.parent.mkdir(parents=True, exist_ok=True)
            folder = tempfile.mkdtemp(dir=fai.parent)
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, folder)
            new_fai, new_gzi = Path(folder, "fai"), Path(folder, "gzi")
            pysam.faidx(str(path), "--fai-idx", str(new_fai), "--gzi-idx", str(new_gzi))
            if new_gzi.exists():
                new_gzi.replace(gzi)
            new_fai.replace(fai)
    return fai, gzi
