"""The name of a cell, from that of its file."""

from __future__ import annotations

import re
from pathlib import Path

from deepcpg_tf.errors import ProfileError

# What programs append to the name of a sample, each as often as it is there. Bismark's own
# `_pe` is taken away beside another ending of Bismark only: it may end any name.
_ENDING = re.compile(
    r"(?<=.)("
    # Compression and formats.
    r"\.(gz|bgz|bz2|xz|tsv|txt|csv|bed|bedmethyl|bedgraph|bdg|bg|cov|zero|allc)"
    # Bismark's coverage and reports, and bedGraphs of MethylDackel.
    r"|(_pe)?\.bismark|\.c(g|p|x)+_report|\.merged_cpg_evidence|\.nome(\.(cpg|gpc))?|_cpg"
    # Bismark's alignments, as they are, merged and without duplicates.
    r"|(_pe)?(\.multiple)?\.deduplicated|_bismark(_(bt2|hisat2|mm2))?(_(pe|se))?"
    # Trim Galore.
    r"|_trimmed|_val_[12]"
    r")$",
    re.IGNORECASE,
)


def cell_name(path: Path, pattern: str | None = None) -> str:
    """Return the name of a cell.

    Parameters
    ----------
    path
        Its file.
    pattern
        A regular expression that is searched for in the name of the file: its first group,
        or all that it matches, is the cell. By default the cell is the name of the file
        without what compression, formats, Bismark and Trim Galore append: ``c1`` of
        ``c1_trimmed_bismark_bt2.deduplicated.bismark.cov.gz``.

    Raises
    ------
    ProfileError
        When the pattern is no regular expression, or gives no name.
    """
    name = path.name
    if pattern is not None:
        return found_name(name, pattern, path)
    while (shorter := _ENDING.sub("", name)) != name:
        name = shorter
    return name


def found_name(name: str, pattern: str, path: Path) -> str:
    """Return what a pattern finds in the name of a file, or of a cell in the file `path`.

    Raises
    ------
    ProfileError
        When the pattern is no regular expression, or finds nothing.
    """
    found = _compiled(pattern).search(name)
    cell = (found[1] if found.re.groups else found[0]) if found else None
    if not cell:
        raise ProfileError(
            f"{path}: expected the name of a cell where `cell_name` has it, {pattern!r}, "
            f"received {name!r}"
        )
    return cell


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ProfileError(
            f"cell_name: expected a regular expression, received {pattern!r}: {error}"
        ) from None
