"""Letters of chromosomes, from a FASTA file or from a folder with a file a chromosome."""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pysam

from deepcpg_tf.cache import cache_folder, file_key, note_use, writing_to_cache
from deepcpg_tf.errors import GenomeError
from deepcpg_tf.files import atomic_file, check_bgzip, is_gzip, what_is_there
from deepcpg_tf.genome.names import natural_order

_BYTES_AT_ONCE = 1 << 20
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
        """Return a name for what is made of the files; see `deepcpg_tf.cache.file_key`."""


class FastaReference:
    """A FASTA file of any number of records, plain or bgzip, with random access.

    Raises
    ------
    GenomeError
        When the file is missing, no FASTA, damaged, or compressed with plain gzip, or two
        records have the same name.
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
        """Return a name for what is made of the files; see `deepcpg_tf.cache.file_key`."""
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
            check_bgzip(path)
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
        """Return a name for what is made of the files; see `deepcpg_tf.cache.file_key`."""
        return file_key(*self._files.values())


def _open_fasta(path: Path) -> pysam.FastaFile:
    if not path.is_file():
        raise GenomeError(f"{path}: expected a FASTA file, found {what_is_there(path)}")
    if is_gzip(path) and not _is_bgzip(path):
        raise GenomeError(
            f"{path}: expected FASTA that is plain or compressed with bgzip, received plain gzip, "
            f"which has no random access; decompress it: gunzip -k {path.name}"
        )
    try:
        check_bgzip(path)
    except EOFError as error:
        raise GenomeError(f"{path}: expected whole FASTA, but {error}") from None
    # htslib prints to stderr what we say in one line of our own.
    verbosity = pysam.set_verbosity(0)
    try:
        fai, gzi = _index(path)
        try:
            return _indexed(path, fai, gzi)
        except (OSError, ValueError):
            fai.unlink()  # damaged in the cache
            return _indexed(path, *_index(path))
    except (OSError, ValueError, EOFError, zlib.error, pysam.SamtoolsError):
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


def _index(path: Path) -> tuple[Path, Path]:
    """Return the .fai and .gzi of a FASTA file in the cache, made if need be.

    Those beside the file are not looked at: nothing tells that they are of what it holds now.
    """
    stem = cache_folder() / "fasta-indexes" / file_key(path)
    fai, gzi = Path(f"{stem}.fai"), Path(f"{stem}.gzi")
    if fai.is_file():
        note_use(fai)
        return fai, gzi
    with tempfile.TemporaryDirectory() as folder:
        new_fai, new_gzi = Path(folder, "fai"), Path(folder, "gzi")
        pysam.faidx(str(path), "--fai-idx", str(new_fai), "--gzi-idx", str(new_gzi))
        _check_names(path)
        with writing_to_cache():
            fai.parent.mkdir(parents=True, exist_ok=True)
            for new, final in ((new_gzi, gzi), (new_fai, fai)):
                if new.exists():
                    with atomic_file(final) as partial:
                        shutil.copyfile(new, partial)
    return fai, gzi


def _check_names(path: Path) -> None:
    """Refuse two records of one name: an index has the first alone."""
    records: dict[bytes, int] = {}
    for record, name in enumerate(_record_names(path), 1):
        first = records.setdefault(name, record)
        if first != record:
            raise GenomeError(
                f"{path}: expected a name of its own for each record, received "
                f"{name.decode(errors='replace')!r} for records {first} and {record}"
            )


def _record_names(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as file:
        rest = b"\n"
        for block in iter(lambda: file.read(_BYTES_AT_ONCE), b""):
            block = rest + block
            at = block.find(b">")
            while at >= 0 and (end := block.find(b"\n", at)) >= 0:
                if block[at - 1 : at] == b"\n":
                    yield (block[at + 1 : end].split(maxsplit=1) or [b""])[0]
                at = block.find(b">", end)
            # The line that is not whole, or what may come before the next one.
            rest = block[-1:] if at < 0 else block[at - 1 :]
