"""The codes of a genome as a file: any chromosome at any time, in bounded memory.

A genome is encoded once into one file of the cache folder, whose name is a checksum of
the FASTA files: a byte a base, one chromosome after the other; then, as JSON, their
names, lengths and SHA-256 checksums; then the length of that JSON in 8 bytes.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.cache import bound, cache_folder, make_room, note_use, writing_to_cache
from deepcpg_tf.errors import GenomeError, SequenceError
from deepcpg_tf.files import atomic_file, parse_json
from deepcpg_tf.genome.fasta import Letters
from deepcpg_tf.genome.pieces import Pieces
from deepcpg_tf.genome.sequence import encode

_TAIL = 8
_BASES_AT_ONCE = 1 << 20


class CodeFile:
    """The codes of a genome in the cache; see `encoded`.

    Several threads may read at the same time.

    Attributes
    ----------
    lengths : dict of str to int
        Bases of each chromosome.
    offsets : dict of str to int
        Where each chromosome starts in the file, in bytes.
    checksums : dict of str to str
        SHA-256 of the codes of each chromosome.
    pieces : Pieces
        The file, for reading here and there.
    """

    def __init__(self, path: Path) -> None:
        self.pieces = Pieces(path)
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = int.from_bytes(self._map[-_TAIL:], "little")
        index = parse_json(self._map[-_TAIL - size : -_TAIL])
        names, lengths = index["names"], index["lengths"]
        ends = np.cumsum(lengths).tolist()
        if sum(lengths) + size + _TAIL != len(self._map):
            raise ValueError("it is damaged")
        self.lengths: dict[str, int] = dict(zip(names, lengths, strict=True))
        self.offsets: dict[str, int] = dict(zip(names, [0, *ends[:-1]], strict=True))
        self.checksums: dict[str, str] = dict(zip(names, index["sha256"], strict=True))
        self._mapped = ""

    def chromosome(self, name: str) -> npt.NDArray[np.uint8]:
        """Return a whole chromosome, uint8 [bases], read-only."""
        if name != self._mapped and hasattr(mmap, "MADV_DONTNEED"):
            # What was read counts as memory of this process until it is given back.
            self._map.madvise(mmap.MADV_DONTNEED)
        self._mapped = name
        return np.frombuffer(self._map, np.uint8, self.lengths[name], self.offsets[name])


def encoded(letters: Letters) -> CodeFile:
    """Return the codes of a genome, encoded if that was not done before.

    Parameters
    ----------
    letters
        The genome.

    Raises
    ------
    GenomeError
        When a chromosome cannot be read, or the files have changed since.
    OutputError
        When the cache cannot be written to.
    """
    path = cache_folder() / "codes" / letters.opened
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # none, or a damaged one
        note_use(path)
        return CodeFile(path)
    bound()  # is an error now, if it is none
    with writing_to_cache():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as partial:
            _encode(letters, partial)
            if letters.key() != letters.opened:
                raise GenomeError(
                    f"{letters.path}: expected a genome that stays as it is, "
                    "found it changed since it was opened"
                )
            opened = CodeFile(partial)
    make_room(path)
    return opened


def _encode(letters: Letters, path: Path) -> None:
    lengths, checksums = [], []
    with path.open("wb") as file:
        for name in letters.names:
            codes = _read(letters, name)
            lengths.append(len(codes))
            checksums.append(hashlib.sha256(codes.data).hexdigest())
            file.write(codes.data)
        index = {"names": letters.names, "lengths": lengths, "sha256": checksums}
        tail = json.dumps(index).encode()
        file.write(tail + len(tail).to_bytes(_TAIL, "little"))


def _read(letters: Letters, chromosome: str) -> npt.NDArray[np.uint8]:
    text = letters.read(chromosome)
    codes = np.empty(len(text), np.uint8)
    try:
        # In pieces, because encoding takes several times the memory of its letters.
        for start in range(0, len(text), _BASES_AT_ONCE):
            part = slice(start, start + _BASES_AT_ONCE)
            codes[part] = encode(text[part])
    except SequenceError:
        where = f"{letters.file(chromosome)}: chromosome {chromosome}"
        try:
            encode(text, where)
        except SequenceError as error:
            raise GenomeError(str(error)) from None
    return codes
