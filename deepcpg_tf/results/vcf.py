"""Annotated VCF: the records of a file, with keys of INFO that hold their effects.

Header and records stay as they are, letter by letter, but for these keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import pysam

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, atomic_files, check_writable
from deepcpg_tf.genome.variants import Account, Record, VcfFile
from deepcpg_tf.genome.vcf import COLUMNS, ENCODING, ENCODING_ERRORS, quiet_htslib

ENDINGS = (".vcf.gz", ".vcf")
"""Compressed by bgzip with an index beside, and plain."""

_INDEXES = (".tbi", ".csi")
_MOST_OF_TBI = 1 << 29  # bases of a chromosome
_LINES_AT_ONCE = 4096
_INFO = re.compile("##INFO=<ID=([^,>]+)").match


class Annotation(NamedTuple):
    """The effect of one ALT.

    Attributes
    ----------
    logit_change
        Mean over cells of the change of the logit, at the kept site where the L2 norm of these
        changes is largest; None, or not a number, without kept sites.
    site
        0-based position of the C of that site.
    l2
        L2 norm over cells of these changes.
    kept, lost, gained
        Numbers of sites that both alleles have, or one of them.
    reason
        Why it was not scored, in a word; then nothing else counts.
    """

    logit_change: float | None = None
    site: int | None = None
    l2: float | None = None
    kept: int | None = None
    lost: int | None = None
    gained: int | None = None
    reason: str = ""


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class _Key(NamedTuple):
    name: str
    type: str
    description: str
    text: Callable[[Annotation], str]


def _number(value: float | None) -> str:
    return "." if value is None or not math.isfinite(value) else f"{value:.6g}"


_KEYS = (
    _Key(
        "DCPG_DLOGIT",
        "Float",
        "Change of the logit of methylation by the ALT at DCPG_SITE, mean over cells",
        lambda own: _number(own.logit_change),
    ),
    _Key(
        "DCPG_SITE",
        "Integer",
        "Position of the C of the CpG that both alleles have and whose logit changes most",
        lambda own: "." if own.site is None else str(own.site + 1),
    ),
    _Key(
        "DCPG_L2",
        "Float",
        "L2 norm over cells of the change of the logit at DCPG_SITE",
        lambda own: _number(own.l2),
    ),
    _Key(
        "DCPG_KEPT",
        "Integer",
        "Number of CpGs nearby that both alleles have",
        lambda own: "." if own.kept is None else str(own.kept),
    ),
    _Key(
        "DCPG_LOST",
        "Integer",
        "Number of CpGs nearby that only REF has",
        lambda own: "." if own.lost is None else str(own.lost),
    ),
    _Key(
        "DCPG_GAINED",
        "Integer",
        "Number of CpGs nearby that only the ALT has",
        lambda own: "." if own.gained is None else str(own.gained),
    ),
    _Key(
        "DCPG_WHY",
        "String",
        "Why the ALT was not scored",
        lambda own: own.reason or ".",
    ),
)
_PREFIX = "DCPG_"
KEYS = tuple(key.name for key in _KEYS)
"""The keys of INFO, each with a value an ALT."""


def check_annotated(path: Path, account: Account | None = None) -> None:
    """Refuse a place where an annotated file cannot be written, before anything is computed.

    Parameters
    ----------
    path
        Its name ends with one of `ENDINGS`.
    account
        What is in the file that will be annotated, once this is known.

    Raises
    ------
    OutputError
        When it ends otherwise, its folder cannot be written to, or it needs an index and the
        records are not in order.
    """
    if not path.name.endswith(ENDINGS):
        raise OutputError(
            f"{path}: expected a name that ends with {' or '.join(ENDINGS)}, received {path.name}"
        )
    if path.is_dir():
        raise OutputError(f"{path}: expected the name of a file to write, received a folder")
    check_writable(path)
    if account is not None and account.unsorted and path.name.endswith(".gz"):
        raise OutputError(
            f"{path}: expected records of {account.path} in order of position, chromosome by "
            f"chromosome, as the index of a compressed file needs them; record {account.unsorted} "
            "is not: sort them (bcftools sort), or write .vcf, which has no index"
        )


def annotate(source: VcfFile, out: Path, annotations: Iterable[Annotation]) -> None:
    """Write the records of a file with what their ALTs do.

    Keys of earlier runs are replaced. Records that were not chosen are not written, and one
    without ALT (`.`) gets no key.

    Parameters
    ----------
    source
        The file of variants.
    out
        Where to write: ``.vcf.gz`` is compressed by bgzip and gets an index beside it (``.tbi``, or
        ``.csi`` where a chromosome is too long for that), ``.vcf`` is plain text.
    annotations
        One for each item of `Record.alts`, in order.

    Raises
    ------
    OutputError
        As `check_annotated`.
    VariantError
        As `VcfFile.records`.
    ValueError
        When there are more or fewer annotations than ALTs.
    """
    check_annotated(out)
    lines = _lines(source, annotations)
    if out.name.endswith(".vcf"):
        with atomic_file(out) as partial, partial.open("wb") as file:
            _write(file, lines)
        return
    out = out.resolve()  # what a link points to is replaced, not the link
    indexes = [f"{out.name}{ending}" for ending in _INDEXES]
    with atomic_files(out.parent, indexes) as stage:
        staged = stage / out.name
        with quiet_htslib():
            try:
                with pysam.BGZFile(str(staged), "wb") as file:
                    end = _write(file, lines)
            except OSError as error:
                if error.errno is not None:
                    raise
                raise OutputError(f"{out}: cannot write there (is the disk full?)") from error
            try:
                _index(staged, end)
            except (OSError, ValueError) as error:
                raise OutputError(f"{out}: cannot make its index: {error}") from None
        # An index of what is no longer there would be worse than none.
        for name in indexes:
            (out.parent / name).unlink(missing_ok=True)


def _index(path: Path, end: int) -> None:
    """Make an index of a file whose records end there at most, but for what INFO says."""
    if end <= _MOST_OF_TBI:
        try:
            pysam.tabix_index(str(path), preset="vcf", keep_original=True)
        except (OSError, ValueError):  # an END beyond
            path.with_name(f"{path.name}.tbi").unlink(missing_ok=True)
        else:
            return
    pysam.tabix_index(str(path), preset="vcf", csi=True, keep_original=True)


def _lines(source: VcfFile, annotations: Iterable[Annotation]) -> Iterator[tuple[str, int]]:
    """Yield lines to write, each with the end of its REF."""
    *header, columns = source.header
    for line in header:
        match = _INFO(line)
        if match is None or match[1] not in KEYS:
            yield line, 0
    for key in _KEYS:
        about = f'Number=A,Type={key.type},Description="{key.description}"'
        yield f"##INFO=<ID={key.name},{about}>", 0
    yield columns, 0
    given = iter(annotations)
    for record, line in source.records_and_lines():
        own = list(islice(given, len(record.alts)))
        if len(own) < len(record.alts):
            raise ValueError(f"record {record.number}: expected an annotation for each ALT")
        yield _annotated(line, own if record.alts != (".",) else []), _end(record)
    if next(given, None) is not None:
        raise ValueError("expected as many annotations as ALTs, received more")


def _annotated(line: str, annotations: Sequence[Annotation]) -> str:
    *before, info, after = (*line.split("\t", len(COLUMNS)), "")[: len(COLUMNS) + 1]
    entries = [] if info == "." else info.split(";")
    if _PREFIX in info:
        entries = [entry for entry in entries if entry.partition("=")[0] not in KEYS]
    for key in _KEYS:
        values = [key.text(own) for own in annotations]
        if values.count(".") < len(values):
            entries.append(f"{key.name}={','.join(values)}")
    columns = (*before, ";".join(entries) or ".")
    return "\t".join((*columns, after) if after else columns)


def _end(record: Record) -> int:
    return record.position + len(record.ref)


def _write(file: _Sink, lines: Iterator[tuple[str, int]]) -> int:
    """Write lines, and return the largest end of a record."""
    largest = 0
    while some := list(islice(lines, _LINES_AT_ONCE)):
        text = "".join(f"{line}\n" for line, _ in some)
        file.write(text.encode(ENCODING, ENCODING_ERRORS))
        largest = max(largest, *(end for _, end in some))
    return largest
