"""Letters of chromosomes, from a FASTA file or from a folder with a file a chromosome."""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol, cast

import pysam

from deepcpg_tf.cache import cache_folder, check_unchanged, file_key, note_use, writing_to_cache
from deepcpg_tf.errors import GenomeError
from deepcpg_tf.files import atomic_file, check_bgzip, is_bgzip, is_gzip, what_is_there
from deepcpg_tf.genome.names import natural_order

_BYTES_AT_ONCE = 1 << 20
_SHOWN = 60  # letters of a line
# What lines of letters are of; htslib leaves out all others.
_USUAL = bytes(range(33, 127)) + b" \t\n\v\f\r"
_MEMBER = re.compile(r"[^.].*\.chromosome\.(.+)\.fa(?:\.gz)?")


class Letters(Protocol):
    """Chromosomes by name, in the order of the genome."""

    path: Path
    names: tuple[str, ...]
    opened: str
    """The `key` that it was opened with."""

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
        records have the same name, or one has no letters.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fasta, self.opened = _open_fasta(path)
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
        self.opened = self.key()

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
        header, _, letters = content.replace(b"\r", b"\n").partition(b"\n")
        if not header.startswith(b">") or b">" in letters:
            received = f"{letters.count(b'>') + 1} records" if header[:1] == b">" else "none"
            raise GenomeError(
                f"{path}: expected FASTA with the one record of chromosome {chromosome}, "
                f"received {received}"
            )
        letters = letters.translate(None, b"\n")
        if not letters:
            raise GenomeError(f"{path}: expected letters of chromosome {chromosome}, received none")
        return letters.decode("ascii", "replace")

    def file(self, chromosome: str) -> Path:
        """Return the file that holds a chromosome."""
        return self._files[chromosome]

    def key(self) -> str:
        """Return a name for what is made of the files; see `deepcpg_tf.cache.file_key`."""
        return file_key(*self._files.values())


def _open_fasta(path: Path) -> tuple[pysam.FastaFile, str]:
    """Return a FASTA file, and the key of it from before it was opened."""
    if not path.is_file():
        raise GenomeError(f"{path}: expected a FASTA file, found {what_is_there(path)}")
    if is_gzip(path) and not is_bgzip(path):
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
        key = file_key(path)
        fai, gzi = _index(path, key)
        try:
            return _indexed(path, fai, gzi), key
        except (OSError, ValueError):
            fai.unlink()  # damaged in the cache
            return _indexed(path, *_index(path, key)), key
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


def _index(path: Path, key: str) -> tuple[Path, Path]:
    """Return the .fai and .gzi of a FASTA file in the cache, made if need be.

    Those beside the file are not looked at: nothing tells that they are of what it holds now.
    """
    stem = cache_folder() / "fasta-indexes" / key
    fai, gzi = Path(f"{stem}.fai"), Path(f"{stem}.gzi")
    if fai.is_file():
        note_use(fai)
        return fai, gzi
    with tempfile.TemporaryDirectory() as folder:
        new_fai, new_gzi = Path(folder, "fai"), Path(folder, "gzi")
        pysam.faidx(str(path), "--fai-idx", str(new_fai), "--gzi-idx", str(new_gzi))
        _check_records(path, new_fai)
        check_unchanged(key, path, fault=GenomeError)
        with writing_to_cache():
            fai.parent.mkdir(parents=True, exist_ok=True)
            for new, final in ((new_gzi, gzi), (new_fai, fai)):
                if new.exists():
                    with atomic_file(final) as partial:
                        shutil.copyfile(new, partial)
    return fai, gzi


def _check_records(path: Path, fai: Path) -> None:
    """Refuse two records of one name, and one without letters.

    An index has the first record of a name alone, and none without letters.
    """
    indexed = {line.partition(b"\t")[0] for line in fai.read_bytes().split(b"\n")}
    records: dict[bytes, int] = {}
    for record, name in enumerate(_record_names(path), 1):
        shown = repr(name.decode(errors="replace"))
        first = records.setdefault(name, record)
        if first != record:
            raise GenomeError(
                f"{path}: expected a name of its own for each record, received {shown} for "
                f"records {first} and {record}"
            )
        if name not in indexed:
            raise GenomeError(f"{path}: expected letters in each record, received none in {shown}")


def _record_names(path: Path) -> Iterator[bytes]:
    """Yield the name of each record; refuse other line ends, and bytes that are no letters."""
    has_foreign = False
    with _unpacked(path) as file:
        rest = b"\n"
        for block in iter(lambda: file.read(_BYTES_AT_ONCE), b""):
            has_foreign = has_foreign or bool(block.translate(None, _USUAL))
            block = rest + block
            at = block.find(b">")
            while at >= 0 and (end := block.find(b"\n", at)) >= 0:
                if block[at - 1 : at] == b"\n":
                    header = block[at + 1 : end].rstrip(b"\r")
                    if b"\r" in header:
                        raise GenomeError(
                            f"{path}: expected lines that end in \\n or \\r\\n, received "
                            f"one of {header[:_SHOWN]!r}"
                        )
                    yield re.split(rb"\s", header, maxsplit=1)[0]
                at = block.find(b">", end)
            # The line that is not whole, or what may come before the next one.
            rest = block[-1:] if at < 0 else block[at - 1 :]
    if has_foreign:
        _check_letters(path)


def _check_letters(path: Path) -> None:
    """Refuse bytes in lines of letters that are none, as of a disk that lost what it held."""
    with _unpacked(path) as file:
        for number, line in enumerate(file, 1):
            if not line.startswith(b">") and (foreign := line.translate(None, _USUAL)):
                raise GenomeError(
                    f"{path}, line {number}: expected letters, received the byte "
                    f"0x{foreign[0]:02x}: is the file damaged?"
                )


def _unpacked(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if is_gzip(path) else path.open("rb")
