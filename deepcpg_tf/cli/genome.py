"""``deepcpg-tf impute``, and ``deepcpg-tf predict`` of every CpG of a genome."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from deepcpg_tf.cli.options import Debug, check_files
from deepcpg_tf.errors import ConfigError, GenomeError

Chromosomes = Annotated[
    str | None, typer.Option(help="Every CpG of these chromosomes only: 1,X.", metavar="LIST")
]
Regions = Annotated[
    Path | None, typer.Option(help="Every CpG within these intervals only.", metavar="BED")
]
Thousandths = Annotated[
    bool,
    typer.Option("--thousandths", help="Whole thousandths in tables: smaller than float32."),
]


class Scan(NamedTuple):
    """What a genome-wide command was asked for."""

    model: str
    genome: Path
    out: Path | None
    chromosomes: str | None
    regions: Path | None
    thousandths: bool
    table: Path | None = None


def impute(
    model: Annotated[
        str, typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL")
    ],
    data: Annotated[Path, typer.Argument(help="A table (.h5ad).", metavar="DATA")],
    genome: Annotated[
        Path,
        typer.Option(help="The reference of the table: FASTA, or a folder of it.", metavar="FASTA"),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Write to this: .parquet, .tsv, .tsv.gz, .h5ad, .h5; .bigwig or .bedgraph are "
            "folders with a file a cell.",
            metavar="FILE",
        ),
    ],
    chromosomes: Chromosomes = None,
    regions: Regions = None,
    thousandths: Thousandths = False,
    debug: Debug = False,
) -> None:
    """Complete a table: the observed state where there is one, elsewhere the prediction.

    Every CpG of the genome is written, for each cell of the model; which values were
    observed is told by a column of each cell, or a layer. Killed at any moment, the same
    command goes on.
    """
    check_files(data)
    predict_genome(Scan(model, genome, out, chromosomes, regions, thousandths, data))


def predict_genome(asked: Scan) -> None:
    """Predict every CpG of a genome, or of parts of it, and impute with a table."""
    from deepcpg_tf.quiet import import_tensorflow
    from deepcpg_tf.results.contents import Contents, Kind
    from deepcpg_tf.results.registry import check_path, check_result, write_results

    out = asked.out
    if out is None:
        raise ConfigError("--out: expected a file for the predictions of a genome, received none")
    check_files(asked.regions)
    kind = Kind.PREDICTED if asked.table is None else Kind.IMPUTED
    check_path(out, kind, thousandths=asked.thousandths)
    import_tensorflow()
    from deepcpg_tf.cli.progress import progress
    from deepcpg_tf.data.table_file import read_table
    from deepcpg_tf.genome.intervals import read_annotation
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.models.registry import load_model
    from deepcpg_tf.scan.engine import ScanEngine
    from deepcpg_tf.scan.observed import Observations
    from deepcpg_tf.scan.regions import chosen_chromosomes, regions_of, sites_of
    from deepcpg_tf.scan.run import scan

    model = load_model(asked.model)
    reference = Genome(asked.genome)
    contents = Contents(
        model.cells,
        tuple(reference.lengths),
        tuple(reference.lengths.values()),
        kind,
        asked.thousandths,
    )
    check_result(out, contents)
    within = None if asked.regions is None else read_annotation(asked.regions, reference.lengths)
    observed = None
    if asked.table is not None:
        observed = Observations(read_table(asked.table), reference, model.cells)
    wanted = None if asked.chromosomes is None else asked.chromosomes.split(",")
    names = chosen_chromosomes(reference, wanted)
    parts = list(regions_of(reference, names))
    sites = sum(len(sites_of(reference, part, within)) for part in parts)
    if not sites:
        raise GenomeError(f"{asked.genome}: expected CpG sites to predict, found none")
    identity = {
        "model": model.digest(),
        "reference": reference.digest(names),
        "chromosomes": names,
        "regions": None if within is None else within.digest(),
    }

    with (
        progress("predicting", sites) as advance,
        scan(
            ScanEngine(model),
            reference,
            parts,
            within=within,
            out=out,
            identity=identity,
            advance=advance,
        ) as shards,
    ):
        write_results(out, contents, shards if observed is None else observed.impute(shards))
    told = f"{out}: {sites:,} sites, {len(model.cells)} cells"
    if observed is not None:
        told += f", {observed.shared} of them in the table"
    print(told, file=sys.stderr)
