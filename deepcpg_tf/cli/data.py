"""``deepcpg-tf data``: methylation tables, made, shown and split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepcpg_tf.cli.command import Command, ManyValues
from deepcpg_tf.cli.options import Debug
from deepcpg_tf.cli.progress import shown_progress
from deepcpg_tf.cli.rows import print_rows
from deepcpg_tf.cli.split_options import (
    Fractions,
    SplitName,
    Test,
    Train,
    Validation,
    chosen_split,
)
from deepcpg_tf.profiles import MIN_MATCH

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable

app = typer.Typer(
    name="data",
    help="Make, show and split tables of methylation, and write what models read of them.",
    no_args_is_help=True,
)

_Table = Annotated[Path, typer.Argument(help="A table (.h5ad).", metavar="TABLE")]
_Genome = Annotated[
    Path,
    typer.Option(
        help="The reference: FASTA, plain or bgzip, or a folder of *.chromosome.N.fa[.gz].",
        metavar="FASTA",
    ),
]
_Out = Annotated[Path, typer.Option(help="The table to write (.h5ad).", metavar="FILE")]


@app.command("build", cls=ManyValues)
def build(
    profiles: Annotated[
        list[Path],
        typer.Option(
            help="Methylation profiles, a file a cell; or files of several cells: the folder of "
            "MethSCAn or CpG Transformer, the .h5 of amethyst.",
            metavar="FILE...",
        ),
    ],
    genome: _Genome,
    out: _Out,
    min_coverage: Annotated[
        int, typer.Option(help="Reads that a site must have in a cell.", min=1)
    ] = 1,
    min_cells: Annotated[int, typer.Option(help="Cells that must observe a site.", min=1)] = 1,
    min_reference_match: Annotated[
        float,
        typer.Option(
            help="Share of a file's positions that must be a C or a G of the genome, on each "
            "chromosome; in another assembly about half are.",
            min=0,
            max=1,
        ),
    ] = MIN_MATCH,
    format: Annotated[  # noqa: A002
        str | None,
        typer.Option(help="Format of the profiles (default: told by their content)."),
    ] = None,
    hydroxymethylation: Annotated[
        str,
        typer.Option(
            help="What reads with 5hmC count as, where a format tells them (modkit's): "
            "methylated, ignore or unmethylated.",
            metavar="STATE",
        ),
    ] = "methylated",
    cell_name: Annotated[
        str | None,
        typer.Option(
            help="Finds the cell in the name of its file, or in the name that a file of several "
            "cells gives it: the first group, or the whole match (default: the name of the file "
            "without what formats, Bismark and Trim Galore append; the name that is given).",
            metavar="REGEX",
        ),
    ] = None,
    keep_coverage: Annotated[
        bool,
        typer.Option("--keep-coverage", help="Also keep the reads of each call, for data filter."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Make a table from methylation profiles: sites of the genome by cells.

    What was read, kept and dropped of each file is told on stderr, and kept in the table.
    """
    from deepcpg_tf.workflows.tables import build_table

    with shown_progress() as progress:
        table = build_table(
            profiles,
            genome,
            out,
            min_coverage=min_coverage,
            min_cells=min_cells,
            min_reference_match=min_reference_match,
            format=format,
            hydroxymethylation=hydroxymethylation,
            cell_name=cell_name,
            keep_coverage=keep_coverage,
            progress=progress,
        )
    _tell(out, table)


@app.command("filter", cls=Command)
def filter_(
    table: _Table,
    out: _Out,
    min_coverage: Annotated[
        int, typer.Option(help="Reads that a site must have in a cell.", min=1)
    ],
    min_cells: Annotated[
        int | None,
        typer.Option(help="Cells that must observe a site (default: as for the table).", min=1),
    ] = None,
    debug: Debug = False,
) -> None:
    """Make a table of the calls of another that have more reads, as if it were built anew.

    The table must have been built with --keep-coverage.
    """
    from deepcpg_tf.workflows.tables import filter_table

    _tell(out, filter_table(table, out, min_coverage=min_coverage, min_cells=min_cells))


@app.command("hide", cls=Command)
def hide(
    table: _Table,
    out: _Out,
    share: Annotated[float, typer.Option(help="Of the stretches that a cell has calls in.")] = 0.1,
    stretch: Annotated[int, typer.Option(help="Bases of a stretch.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of what is drawn.", min=0)] = 0,
    debug: Debug = False,
) -> None:
    """Make a table that lacks some calls of another, in whole stretches of each cell.

    Impute it, and evaluate or summarise regions with the whole table, to learn how well what
    is missing is predicted.
    """
    from deepcpg_tf.workflows.tables import hide_table

    _tell(out, hide_table(table, out, share=share, stretch=stretch, seed=seed))


@app.command("import-legacy", cls=Command)
def import_legacy(
    files: Annotated[
        list[Path], typer.Argument(help="Data files of the original (HDF5).", metavar="FILES...")
    ],
    genome: _Genome,
    out: _Out,
    debug: Debug = False,
) -> None:
    """Make a table from data files that the original DeepCpG wrote."""
    from deepcpg_tf.workflows.tables import import_table

    _tell(out, import_table(files, genome, out))


@app.command("export", cls=Command)
def export(
    table: _Table,
    out: Annotated[
        Path, typer.Option(help="The folder, or file of amethyst, to write.", metavar="PATH")
    ],
    format: Annotated[  # noqa: A002
        str,
        typer.Option(
            help="methscan, amethyst, mcds (ALLCools) or cpg-transformer.", metavar="FORMAT"
        ),
    ],
    genome: Annotated[
        Path | None,
        typer.Option(
            help="The reference, which the files of cpg-transformer hold: FASTA, plain or bgzip, "
            "or a folder of it.",
            metavar="FASTA",
        ),
    ] = None,
    regions: Annotated[
        Path | None, typer.Option(help="The regions that mcds counts in.", metavar="BED")
    ] = None,
    bins: Annotated[
        str | None,
        typer.Option(help="Size of the bins that mcds counts in, such as 100kb.", metavar="SIZE"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a table as a file of MethSCAn, amethyst, ALLCools or CpG Transformer.

    data build makes the same table of it again, but for mcds, which counts in regions.
    """
    from deepcpg_tf.workflows.stores import export_table

    export_table(table, out, format=format, genome=genome, regions=regions, bins=bins)
    print(f"{out}: {format}")


@app.command("show", cls=Command)
def show(table: _Table, debug: Debug = False) -> None:
    """Show what each cell of a table holds, by chromosome and in all.

    Coverage is the share of the table's sites that a cell has; the methylation rate
    is the share of these that are methylated.
    """
    from deepcpg_tf.data.summary import summarize
    from deepcpg_tf.data.table_file import read_table

    print_rows(
        ("cell", "chromosome", "sites", "observed", "coverage", "methylation_rate"),
        [
            (*row[:4], f"{row.coverage:.4f}", f"{row.methylation_rate:.4f}")
            for row in summarize(read_table(table))
        ],
    )


@app.command("neighbours", cls=Command)
def neighbours(
    model: Annotated[
        str,
        typer.Argument(help="A folder with a CpG or Joint module.", metavar="MODEL"),
    ],
    table: _Table,
    out: Annotated[
        Path, typer.Option(help="The table to write (.tsv or .tsv.gz).", metavar="FILE")
    ],
    sites: Annotated[
        Path | None,
        typer.Option(
            help="Sites: BED, or chromosome and 1-based position (default: those of the table).",
            metavar="FILE",
        ),
    ] = None,
    genome: Annotated[
        Path | None,
        typer.Option(
            help="The reference, which --sites and a Joint module need: FASTA, plain or bgzip, or "
            "a folder of it.",
            metavar="FASTA",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write what a CpG or Joint module reads of sites, as text for the kits of an export.

    A line a site: its window, where the module reads one, and in each cell the states and
    distances of the neighbouring sites.
    """
    from deepcpg_tf.workflows.neighbours import write_neighbours

    with shown_progress() as progress:
        rows = write_neighbours(model, table, out, sites=sites, genome=genome, progress=progress)
    print(f"{out}: {rows} sites")


@app.command("split", cls=Command)
def split(
    table: _Table,
    split: SplitName = None,
    train: Train = None,
    validation: Validation = None,
    test: Test = None,
    fractions: Fractions = None,
    debug: Debug = False,
) -> None:
    """Show how many sites of which chromosomes would train, validate and test."""
    from deepcpg_tf.data.splits import count_sites
    from deepcpg_tf.data.table_file import read_table

    splitter = chosen_split(
        split=split, train=train, validation=validation, test=test, fractions=fractions
    )
    loaded = read_table(table)
    made = splitter(loaded)
    rows = count_sites(loaded, made)
    totals = {row.part: 0 for row in rows}
    for row in rows:
        totals[row.part] += row.sites
    print_rows(
        ("part", "chromosome", "sites", "share"),
        [(row.part, row.chromosome, row.sites, _share(row.sites, loaded)) for row in rows]
        + [(part, "all", sites, _share(sites, loaded)) for part, sites in totals.items()],
    )


def _share(sites: int, table: MethylationTable) -> str:
    return f"{sites / len(table):.4f}"


def _tell(path: Path, table: MethylationTable) -> None:
    share = table.calls.nnz / (len(table) * len(table.cells))
    print(
        f"{path}: {len(table)} sites on {len(table.chromosomes)} chromosomes, "
        f"{len(table.cells)} cells, {share:.1%} observed"
    )
