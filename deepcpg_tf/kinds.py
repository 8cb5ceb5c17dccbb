"""What a file is that is no text, told by its first bytes."""

from __future__ import annotations

HEAD = 512
"""Bytes that are enough to tell."""

# Where the bytes are, the bytes, and what they are.
_SIGNATURES = (
    (0, b"\x26\xfc\x8f\x88", "a BigWig file (bigWigToBedGraph makes it text)"),
    (0, b"\x88\x8f\xfc\x26", "a BigWig file (bigWigToBedGraph makes it text)"),
    (0, b"\xeb\xf2\x89\x87", "a BigBed file (bigBedToBed makes it text)"),
    (0, b"\x87\x89\xf2\xeb", "a BigBed file (bigBedToBed makes it text)"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (as .h5, .h5ad and .loom are)"),
    (0, b"PAR1\x15", "a Parquet file"),
    (0, b"ARROW1\0\0", "an Arrow file"),
    (0, b"BAM\1", "a BAM file of reads"),
    (0, b"CRAM\3", "a CRAM file of reads"),
    (0, b"BCF\2", "a BCF file of variants"),
    (0, b"TBI\1", "the index of a file (.tbi)"),
    (0, b"CSI\1", "the index of a file (.csi)"),
    (0, b"\x43\x27\x41\x1a", "a 2bit file (twoBitToFa makes it FASTA)"),
    (0, b"RDX2\n", "a file of R's save()"),
    (0, b"RDX3\n", "a file of R's save()"),
    (0, b"X\n\0\0\0", "a file of R's saveRDS()"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls): save it as text"),
    (0, b"\x28\xb5\x2f\xfd", "a file compressed with zstd: decompress it, unzstd FILE"),
    (0, b"\x04\x22\x4d\x18", "a file compressed with lz4: decompress it, unlz4 FILE"),
    (0, b"\x1f\x9d", "a file compressed with compress: decompress it, gunzip FILE"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it"),
    (0, b"Rar!\x1a\x07", "a RAR archive: unpack it"),
    (257, b"ustar", "a tar archive: unpack it"),
    # Decompressed once already.
    (0, b"\x1f\x8b", "a file compressed twice: decompress it once, gunzip FILE"),
    (4, b"1AY&SY", "a file compressed twice: decompress it once"),
    (0, b"\xfd7zXZ\0", "a file compressed twice: decompress it once"),
)
_WEB_PAGES = (b"<!doctype html", b"<html")
_UTF_16 = "text in UTF-16: make it UTF-8, iconv -f UTF-16 -t UTF-8 FILE"


def kind_of_no_text(head: bytes) -> str | None:
    """Return what a file is, in words, or None when it may be text that is read here.

    Parameters
    ----------
    head
        Its first bytes, `HEAD` or all, decompressed.
    """
    if head.startswith(b"PK\3\4"):
        return _kind_of_zip(head)
    for offset, signature, kind in _SIGNATURES:
        if head.startswith(signature, offset):
            return kind
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _UTF_16
    if head.lstrip().lower().startswith(_WEB_PAGES):
        return "a web page (HTML), perhaps instead of a file to download"
    if b"\0" in head:
        # Of letters and digits, each second byte is zero.
        zeros = [head[first:64:2].count(0) for first in (0, 1)]
        return _UTF_16 if min(zeros) == 0 and max(zeros) * 4 >= len(head[:64]) else "a binary file"
    return None


def _kind_of_zip(head: bytes) -> str:
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return "an Excel workbook (.xlsx): save it as text, separated by tabs"
    if b".npy" in head[:64]:
        return "a NumPy archive (.npz)"
    return "a zip archive: unpack it, unzip FILE"
