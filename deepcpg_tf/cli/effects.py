"""``deepcpg-tf effects``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deepcpg_tf.cli.options import Debug, Neighbours, names


def effects(
    model: Annotated[
        str, typer.Argument(help="A published preset, or a folder with a model.", metavar="MODEL")
    ],
    vcf: Annotated[
        Path, typer.Option(help="Variants: VCF, plain or compressed, or BCF.", metavar="VCF")
    ],
    genome: Annotated[
        Path,
        typer.Option(help="The reference of the variants: FASTA, or a folder.", metavar="FASTA"),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Write a row a variant and site to this (.parquet, .tsv, .tsv.gz), and a row a "
            "variant beside it (X.variants.tsv); or variants by cells (.h5ad).",
            metavar="FILE",
        ),
    ],
    out_vcf: Annotated[
        Path | None,
        typer.Option(
            help="Write the variants with what they do to this: .vcf.gz (with an index), .vcf.",
            metavar="VCF",
        ),
    ] = None,
    table: Neighbours = None,
    strands: Annotated[
        str,
        typer.Option(
            help="Whether to average each window with its reverse complement.",
            metavar="forward|both",
        ),
    ] = "forward",
    background: Annotated[
        Path | None,
        typer.Option(
            help="Other variants: which share of them changes logits no more than each.",
            metavar="VCF",
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(help="With --phased: whose haplotypes are scored.", metavar="NAME"),
    ] = None,
    phased: Annotated[
        bool,
        typer.Option("--phased", help="Apply all variants of a haplotype of --sample together."),
    ] = False,
    regions: Annotated[
        Path | None,
        typer.Option(help="Only variants with a base in these intervals.", metavar="BED"),
    ] = None,
    chromosomes: Annotated[
        str | None, typer.Option(help="Only variants on these chromosomes: 1,X.", metavar="LIST")
    ] = None,
    allow_mismatches: Annotated[
        bool,
        typer.Option(
            "--allow-mismatches",
            help="Go on where many REFs are not what the genome has; they are not scored.",
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Predict what variants do to the methylation of the CpGs near them.

    Windows are centred on the CpG, not on the variant. A site that both alleles have is kept,
    and has the change of its logit; one that the variant destroys is lost, one that it makes is
    gained, and these have a probability in one allele only. Each ALT counts by itself. Every
    record is in the output, in its order, those that cannot be scored with a reason. Killed at
    any moment, the same command goes on.
    """
    from deepcpg_tf.cli.progress import shown_progress
    from deepcpg_tf.workflows.effects import write_variant_effects

    with shown_progress() as progress:
        done = write_variant_effects(
            model,
            vcf,
            genome,
            out,
            out_vcf=out_vcf,
            table=table,
            strands=strands,
            background=background,
            chromosomes=names(chromosomes),
            regions=regions,
            allow_mismatches=allow_mismatches,
            sample=sample,
            phased=phased,
            progress=progress,
        )
    print(
        f"{done.out}: {done.scored:,} of {done.alts:,} alternative alleles scored at "
        f"{done.sites:,} sites, {done.cells} cells",
        file=sys.stderr,
    )
