"""Motifs of others to compare with: MEME's files, and JASPAR as a package brings it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import InputError
from deepcpg_tf.extras import require
from deepcpg_tf.files import reading_text

JASPAR = "jaspar"
"""What stands for JASPAR in the place of a file."""

_LETTERS = 4
# How far frequencies may be from one together: files have them rounded.
_ROUNDED = 0.02


class KnownMotif(NamedTuple):
    """A motif of a database: ``values`` are frequencies of A, C, G, T, float64 [width, 4]."""

    name: str
    other_name: str
    values: npt.NDArray[np.float64]


def read_meme(path: Path) -> list[KnownMotif]:
    """Read the motifs of a file in MEME's format, version 4 or later, plain or compressed.

    Raises
    ------
    InputError
        When it is none, or holds no motifs of DNA.
    """
    with reading_text(path, InputError) as file:
        motifs = list(_parse(path, iter(enumerate(file, 1))))
    if not motifs:
        raise InputError(
            f"{path}: expected motifs in MEME's format (MEME version 4, then MOTIF lines with a "
            "letter-probability matrix each), found none"
        )
    return motifs


def _parse(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[KnownMotif]:
    is_meme = False
    named: tuple[int, list[str]] | None = None
    in_scores = False  # of a log-odds matrix, which a file may have beside
    for number, line in lines:
        words = line.split()
        where = f"{path}, line {number}"
        if not words:
            continue
        if not is_meme:
            if words[:2] != ["MEME", "version"]:
                raise InputError(
                    f"{where}: expected 'MEME version 4', received {line.strip()[:60]!r}"
                )
            is_meme = True
        elif words[0] == "ALPHABET=" and "".join(words[1:]) != "ACGT":
            raise InputError(f"{where}: expected the alphabet ACGT, received {words[1:2]}")
        elif words[0] == "MOTIF":
            if named is not None:
                raise InputError(f"{path}, line {named[0]}: expected a letter-probability matrix")
            if len(words) < 2:
                raise InputError(f"{where}: expected a name after MOTIF, received none")
            named, in_scores = (number, words[1:]), False
        elif words[0] == "log-odds":
            in_scores = True
        elif words[0] == "letter-probability":
            if named is None:
                raise InputError(f"{where}: expected a MOTIF before its matrix, received none")
            name, *others = named[1]
            yield KnownMotif(name, " ".join(others), _matrix(path, number, words, lines))
            named, in_scores = None, False
        elif not in_scores and len(words) == _LETTERS and _numbers(words):
            raise InputError(
                f"{where}: expected frequencies in a matrix alone, as many as its header says, "
                f"received {line.strip()[:60]!r}"
            )
    if named is not None:
        raise InputError(
            f"{path}, line {named[0]}: expected a letter-probability matrix of this motif, found "
            "the end of the file"
        )


def _matrix(
    path: Path, number: int, header: list[str], lines: Iterator[tuple[int, str]]
) -> npt.NDArray[np.float64]:
    """Return the matrix below its header: as many rows as that says, or up to an empty line."""
    width = None
    if "w=" in header[:-1]:
        text = header[header.index("w=") + 1]
        if not text.isdecimal() or not int(text):
            raise InputError(f"{path}, line {number}: expected w= a width, received {text!r}")
        width = int(text)
    found: list[list[float]] = []
    for number, line in lines:
        words = line.split()
        if not words and (width is None or not found):
            if found:
                break
            continue
        row = _numbers(words)
        if len(row) != _LETTERS or min(row) < 0 or not abs(sum(row) - 1) <= _ROUNDED:
            raise InputError(
                f"{path}, line {number}: expected the frequencies of A, C, G and T, which are 1 "
                f"together, received {line.strip()[:60]!r}"
            )
        found.append(row)
        if len(found) == width:
            break
    if not found or (width is not None and len(found) < width):
        raise InputError(
            f"{path}: expected {width or 'some'} rows of a matrix, found {len(found)} before the "
            "end of the file"
        )
    values = np.array(found)
    result: npt.NDArray[np.float64] = values / values.sum(axis=1, keepdims=True)
    return result


def _numbers(words: list[str]) -> list[float]:
    """Return words as numbers; none where one is no number."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def jaspar_motifs() -> list[KnownMotif]:
    """Return the motifs of vertebrates in JASPAR's collection CORE, the newest of each.

    They are those of the newest release that the installed pyjaspar brings.

    Raises
    ------
    MissingPackageError
        When it is not installed.
    """
    require("pyjaspar", extra="jaspar")
    from pyjaspar import jaspardb

    opened = jaspardb()
    try:
        found = opened.fetch_motifs(collection="CORE", tax_group=["vertebrates"])
    finally:
        opened.conn.close()
    result = []
    for motif in found:
        counts = np.array([motif.counts[letter] for letter in "ACGT"], np.float64).T
        result.append(KnownMotif(motif.matrix_id, motif.name, counts / counts.sum(1)[:, None]))
    return result
