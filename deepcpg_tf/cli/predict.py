"""``deepcpg-tf predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from deepcpg_tf.cli.impute import tell_scanned
from deepcpg_tf.cli.options import Calibrated, Chromosomes, Debug, Regions, Thousandths, names
from deepcpg_tf.errors import ConfigError, GenomeError

if TYPE_CHECKING:
    from deepcpg_tf.models.base import Values
    from deepcpg_tf.prediction.sources import Source

_VALUES = ("probabilities", "logits", "embedding")


def predict(
    model: Annotated[
        str,
        typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL"),
    ],
    sequence: Annotated[str | None, typer.Option(help="One window as letters.")] = None,
    sequences: Annotated[
        Path | None, typer.Option(help="A text file with a window a line.", metavar="FILE")
    ] = None,
    fasta: Annotated[
        Path | None, typer.Option(help="A FASTA file with a window a record.", metavar="FILE")
    ] = None,
    sites: Annotated[
        Path | None,
        typer.Option(
            help="Sites to cut windows around: BED, or chromosome and 1-based position.",
            metavar="FILE",
        ),
    ] = None,
    genome: Annotated[
        Path | None,
        typer.Option(
            help="The reference of --sites: FASTA, plain or bgzip, or a folder of it. Without "
            "--sites, every CpG of it is predicted.",
            metavar="FASTA",
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="A table (.h5ad) of the cells whose neighbouring sites a CpG or Joint module "
            "reads, or whose methylated shares --calibrated needs.",
            metavar="TABLE",
        ),
    ] = None,
    chromosomes: Chromosomes = None,
    regions: Regions = None,
    thousandths: Thousandths = False,
    require_cpg: Annotated[
        bool, typer.Option("--require-cpg", help="Refuse a site that is no CG.")
    ] = False,
    calibrated: Calibrated = False,
    values: Annotated[
        str, typer.Option(help="probabilities, logits or embedding.", metavar="WHAT")
    ] = "probabilities",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write to this file: .tsv, .tsv.gz or .parquet (default: TSV to stdout); of every "
            "CpG also .h5ad, .h5, and .bigwig or .bedgraph, folders with a file a cell.",
            metavar="FILE",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Predict windows of DNA or sites of a genome: a row each, a column a cell.

    Windows are as long as the model's (1001 letters for the published ones), with
    the C of the CpG in the middle. The column `position` is 0-based.
    """
    given = {"--sequence": sequence, "--sequences": sequences, "--fasta": fasta, "--sites": sites}
    named = [name for name, value in given.items() if value is not None]
    if genome is not None and not named:
        if values != "probabilities" or require_cpg:
            raise ConfigError("--values and --require-cpg: expected --sites with them")
        _predict_genome(model, genome, out, table, chromosomes, regions, thousandths, calibrated)
        return
    if chromosomes is not None or regions is not None or thousandths:
        raise ConfigError(
            "--chromosomes, --regions and --thousandths: expected with --genome alone, which "
            f"predicts every CpG, received {' and '.join(named) or 'no --genome'}"
        )
    if len(named) != 1:
        raise ConfigError(
            f"input: expected one of {', '.join(given)}, or --genome alone for every CpG, "
            f"received {' and '.join(named) or 'none'}"
        )
    if values not in _VALUES:
        raise ConfigError(f"--values: expected one of {', '.join(_VALUES)}, received {values!r}")
    if sites is not None and genome is None:
        raise GenomeError("--sites: expected --genome FASTA with it, received none")
    if sites is None and (genome is not None or require_cpg):
        raise ConfigError(f"--genome and --require-cpg go with --sites, received {named[0]}")
    if sites is None and table is not None and not calibrated:
        raise ConfigError(f"--data: expected --sites or --genome alone, received {named[0]}")
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.genome.reference import Genome
    from deepcpg_tf.prediction import sources
    from deepcpg_tf.results.registry import check_table
    from deepcpg_tf.workflows.opening import check_files, check_other_than, open_model
    from deepcpg_tf.workflows.predict import STDOUT
    from deepcpg_tf.workflows.predict import predict as predict_source

    check_files(sequences, fasta, sites, table)
    check_other_than(out, sequences, fasta, sites, genome, model, table)
    check_table(out)
    loaded = open_model(model)
    lengths = [one.shape[0] for one in loaded.reads if one.name == "windows"]
    length = lengths[0] if lengths else 1
    source: Source
    if sequence is not None:
        source = sources.OneSequence(sequence, length)
    elif sequences is not None:
        source = sources.SequenceFile(sequences, length)
    elif fasta is not None:
        source = sources.FastaFile(fasta, length)
    else:
        source = sources.SiteFile(
            cast(Path, sites), Genome(cast(Path, genome)), length, require_cpg=require_cpg
        )
    with shown_progress() as progress:
        predict_source(
            loaded,
            source,
            out or STDOUT,
            values=cast("Values", values),
            table=table,
            calibrated=calibrated,
            progress=progress,
        )


def _predict_genome(
    model: str,
    genome: Path,
    out: Path | None,
    table: Path | None,
    chromosomes: str | None,
    regions: Path | None,
    thousandths: bool,
    calibrated: bool,
) -> None:
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.workflows.genome import predict_genome

    if out is None:
        raise ConfigError("--out: expected a file for the predictions of a genome, received none")
    with shown_progress() as progress:
        done = predict_genome(
            model,
            genome,
            out,
            table=table,
            chromosomes=names(chromosomes),
            regions=regions,
            thousandths=thousandths,
            calibrated=calibrated,
            progress=progress,
        )
    tell_scanned(done)
