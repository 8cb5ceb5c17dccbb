"""Methylation tables as files of other programs."""

from __future__ import annotations

from pathlib import Path

from deepcpg_tf.data.stores.amethyst import write_amethyst
from deepcpg_tf.data.stores.cpg_transformer import write_cpg_transformer
from deepcpg_tf.data.stores.mcds import write_mcds
from deepcpg_tf.data.stores.methscan import write_methscan
from deepcpg_tf.data.stores.regions import Regions, read_regions
from deepcpg_tf.data.stores.regions import bins as cut_bins
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import InputError, OutputError, TableError
from deepcpg_tf.files import check_writable
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    PathLike,
    check_files,
    check_other_than,
    open_genome,
    open_table,
)

METHSCAN, AMETHYST, MCDS, CPG_TRANSFORMER = FORMATS = (
    "methscan",
    "amethyst",
    "mcds",
    "cpg-transformer",
)


def export_table(
    table: PathLike | MethylationTable,
    out: PathLike,
    *,
    format: str,  # noqa: A002
    genome: GenomeLike | None = None,
    regions: PathLike | None = None,
    bins: str | int | None = None,
) -> None:
    """Write a methylation table as a file of another program.

    Each call is written as one read. Sites that no cell observes, and the coverage of calls,
    are in none of these formats. `build_table` makes the same table of all of them but MCDS,
    which has counts of regions alone.

    Parameters
    ----------
    table
        A table.
    out
        The file (amethyst) or folder (all others) to write.
    format
        ``methscan``, ``amethyst``, ``mcds`` (ALLCools) or ``cpg-transformer``.
    genome
        The table's reference, which CpG Transformer's files hold.
    regions
        A BED file with the regions to count in, for MCDS.
    bins
        Bases of the bins to count in, such as ``100kb``, for MCDS.

    Raises
    ------
    InputError
        When something is not there, or is not for this format.
    TableError
        When the table cannot be read, or cannot be written in this format.
    AnnotationError, GenomeError
        When the regions or the genome cannot be read, or do not fit the table.
    OutputError
        When there is no place to write to.
    """
    target = Path(out)
    _check(format, genome, regions, bins)
    check_files(None if isinstance(table, MethylationTable) else Path(table))
    check_files(None if regions is None else Path(regions))
    check_other_than(target, table, genome, regions)
    if target.exists() and target.is_dir() == (format == AMETHYST):
        is_, there = ("file", "folder") if format == AMETHYST else ("folder", "file")
        raise OutputError(f"{target}: expected the name of a {is_} to write, received a {there}")
    _check_replaced(target)
    check_writable(target)
    opened = open_table(table)
    if not len(opened) or not opened.cells:
        raise TableError("table: expected cells and sites, received a table without")
    if format == METHSCAN:
        write_methscan(opened, target)
    elif format == AMETHYST:
        write_amethyst(opened, target)
    elif format == MCDS:
        write_mcds(opened, target, _regions(opened, regions, bins))
    elif genome is not None:
        reference = open_genome(genome)
        write_cpg_transformer(opened.on(reference), target, reference)


def _check(
    format_: str,
    genome: GenomeLike | None,
    regions: PathLike | None,
    size: str | int | None,
) -> None:
    if format_ not in FORMATS:
        raise InputError(f"format: expected one of {', '.join(FORMATS)}, received {format_!r}")
    if (genome is None) == (format_ == CPG_TRANSFORMER):
        raise InputError(
            f"genome: expected the reference with {CPG_TRANSFORMER}, whose files have its bases, "
            f"and with no other format, received {'none' if genome is None else 'one'} with "
            f"{format_}"
        )
    given = (regions is not None) + (size is not None)
    if given != (format_ == MCDS):
        raise InputError(
            f"regions, bins: expected one of the two with {MCDS}, whose counts are of regions, and "
            f"none with other formats, received {given or 'none'} with {format_}"
        )


def _check_replaced(target: Path) -> None:
    """Refuse to remove what may be somebody's data."""
    if target.is_dir() and any(target.iterdir()):
        raise OutputError(
            f"{target}: expected a new or an empty folder, received one with files, which would "
            "be removed"
        )


def _regions(table: MethylationTable, regions: PathLike | None, size: str | int | None) -> Regions:
    checksums = table.reference.checksums
    if not checksums:
        raise TableError(
            f"table: expected the lengths of its chromosomes, which {MCDS} holds, received a table "
            "of an earlier release: build it again"
        )
    lengths = {chromosome: checksums[chromosome].length for chromosome in table.chromosomes}
    if regions is not None:
        return read_regions(Path(regions), lengths)
    return cut_bins(size or 0, lengths)
