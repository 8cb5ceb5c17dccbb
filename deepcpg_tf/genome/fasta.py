"""Letters of chromosomes, from a FASTA file or from a folder with a file a chromosome."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Protocol

import pysam

from deepcpg_tf.cache import cache_folder, writing_to_cache
from deepcpg_tf.errors import GenomeError
from deepcpg_tf.files import atomic_file, is_gzip
from deepcpg_tf.genome.names import natural_order

_MEMBER = re.compile(r"[^.].*\.chromosome\.(.+)\.fa(?:\.gz)?")


class Letters(Protocol):
    """Chromosomes by name, in the order of the genome."""

    path: Path
    names: tuple[str, ...]

    def lengths(self) -> dict[str, int] | None:
        """Return the bases of each chromosome, or None when only reading tells."""

    def read(self, chromosome: str) -> str:
        """Return the letters of a chromosome."""

    def file(self, chromosome: str) -> Path:
        """Return the file that holds a chromosome."""

    def key(self) -> str:
        """Return a name for what is derived from the files; see `file_key`."""


class FastaReference:
    """A FASTA file of any number of records, plain or bgzip, with random access.

    Raises
    ------
    GenomeError
        When the file is missing, no FASTA, damaged, or compressed with plain gzip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fasta = _open_fasta(path)
        self.names: tuple[str, ...] = tuple(self._fasta.references)

    def lengths(self) -> dict[str, int]:
        """Return the bases of each chromosome, as the index has them."""
        return dict(zip(self.names, self._fasta.lengths, strict=True))

    def read(self, chromosome: str) -> str:
        """Return the letters of a chromosome."""
        try:
            letters = self._fasta.fetch(chromosome)
        except (OSError, ValueError) as error:
            raise GenomeError(
                f"{self.path}: cannot read chromosome {chromosome}: {error}"
            ) from None
        expected = self._fasta.get_reference_length(chromosome)
        if len(letters) != expected:
            raise GenomeError(
                f"{self.path}: chromosome {chromosome}: expected {expected} bases, "
                f"read {len(letters)}: the file is damaged, or not the one that was indexed"
            )
        return letters

    def file(self, chromosome: str) -> Path:
        """Return the file that holds a chromosome."""
        return self.path

    def key(self) -> str:
        """Return a name for what is derived from the files; see `file_key`."""
        return file_key(self.path)


class FastaFolder:
    """A folder with a FASTA file a chromosome, as the original took: plain, gzip or bgzip.

    A file is called ``*.chromosome.N.fa`` or ``*.chromosome.N.fa.gz``, has one record,
    and is chromosome N whatever the record is called. Chromosomes with a number come
    first, in its order; the others follow in that of the alphabet.

    Raises
    ------
    GenomeError
        When the folder has no such file, or two of the same chromosome.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, Path] = {}
        for file in sorted(path.iterdir()):
            match = _MEMBER.fullmatch(file.name)
            if match is None:
                continue
            chromosome = match[1]
            if chromosome in self._files:
                raise GenomeError(
                    f"{path}: expected one file of chromosome {chromosome}, "
                    f"received {self._files[chromosome].name} and {file.name}"
                )
            self._files[chromosome] = file
        if not self._files:
            raise GenomeError(
                f"{path}: expected a folder with a file a chromosome, called "
                "*.chromosome.N.fa or *.chromosome.N.fa.gz, found none there"
            )
        self.names: tuple[str, ...] = tuple(sorted(self._files, key=natural_order))

    def lengths(self) -> None:
        """Return None: only reading tells."""

    def read(self, chromosome: str) -> str:
        """Return the letters of a chromosome."""
        path = self._files[chromosome]
        try:
            content = gzip.decompress(path.read_bytes()) if is_gzip(path) else path.read_bytes()
        except (OSError, EOFError, zlib.error) as error:
            raise GenomeError(f"{path}: expected FASTA, plain or gzipped, but {error}") from None
        header, _, letters = content.partition(b"\n")
        if not header.startswith(b">") or b">" in letters:
            received = f"{letters.count(b'>') + 1} records" if header[:1] == b">" else "none"
            raise GenomeError(
                f"{path}: expected FASTA with the one record of chromosome {chromosome}, "
                f"received {received}"
            )
        return letters.translate(None, b"\r\n").decode("ascii", "replace")

    def file(self, chromosome: str) -> Path:
        """Return the file that holds a chromosome."""
        return self._files[chromosome]

    def key(self) -> str:
        """Return a name for what is derived from the files; see `file_key`."""
        return file_key(*self._files.values())


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
        beside = _index_beside(path)
        if beside is not None:
            try:
                return _indexed(path, *beside)
            except (OSError, ValueError):
                raise GenomeError(
                    f"{beside[0]}: expected the index of {path.name}, received something else; "
                    "remove it, and one is made in the cache"
                ) from None
        fai, gzi = _cached_index(path)
        try:
            return _indexed(path, fai, gzi)
        except (OSError, ValueError):
            fai.unlink()  # damaged in the cache
            return _indexed(path, *_cached_index(path))
    except (OSError, ValueError, pysam.SamtoolsError):
        raise GenomeError(
            f"{path}: expected FASTA (records of a line '>name' and lines of letters, all but the "
            "last of one width), received something else or a damaged file"
        ) from None
    finally:
        pysam.set_verbosity(verbosity)


def _indexed(path: Path, fai: Path, gzi: Path) -> pysam.FastaFile:
    compressed_index = str(gzi) if is_gzip(path) else None
    fasta = pysam.FastaFile(
        str(path), filepath_index=str(fai), filepath_index_compressed=compressed_index
    )
    if not fasta.references:
        raise ValueError("the index is empty")
    return fasta


def _is_bgzip(path: Path) -> bool:
    """Tell bgzip: gzip with an extra field called BC in each block (SAM specification, 4.1)."""
    with path.open("rb") as file:
        header = file.read(14)
    return len(header) == 14 and bool(header[3] & 4) and header[12:14] == b"BC"


def file_key(*paths: Path) -> str:
    """Return a name for what is derived from files; it changes whenever one of them does."""
    identity = "\n".join(
        f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths
    )
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _index_beside(path: Path) -> tuple[Path, Path] | None:
    """Return the .fai and .gzi beside a FASTA file, if they are there and not older."""
    changed = path.stat().st_mtime_ns
    fai, gzi = Path(f"{path}.fai"), Path(f"{path}.gzi")
    needed = (fai, gzi) if is_gzip(path) else (fai,)
    fresh = all(file.is_file() and file.stat().st_mtime_ns >= changed for file in needed)
    return (fai, gzi) if fresh else None


def _cached_index(path: Path) -> tuple[Path, Path]:
    """Return the .fai and .gzi of a FASTA file in the cache, made if need be."""
    stem = cache_folder() / "fasta-indexes" / file_key(path)
    fai, gzi = Path(f"{stem}.fai"), Path(f"{stem}.gzi")
    if fai.is_file():
        return fai, gzi
    with tempfile.TemporaryDirectory() as folder:
        new_fai, new_gzi = Path(folder, "fai"), Path(folder, "gzi")
        pysam.faidx(str(path), "--fai-idx", str(new_fai), "--gzi-idx", str(new_gzi))
        with writing_to_cache():
            fai.parent.mkdir(parents=True, exist_ok=True)
            for new, final in ((new_gzi, gzi), (new_fai, fai)):
                if new.exists():
                    with atomic_file(final) as partial:
                        shutil.copyfile(new, partial)
    return fai, gzi
