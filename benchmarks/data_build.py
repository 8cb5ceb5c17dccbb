"""``deepcpg-tf data build``: lines of a profile a second, and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import child, made_up
from benchmarks.common import Result, alternate, figure, progress, prose, spread, table

TITLE = "Building a table from a profile"
LINES, ROUNDS = 5_000_000, 3


def run() -> Result:
    """Measure."""
    with made_up.working_folder() as folder:
        progress("  making up a genome and a profile")
        genome, profile = folder / "genome.fa", folder / "cell.cov.gz"
        sites = made_up.write_genome(genome)
        made_up.write_profile(profile, sites, LINES)
        peaks: list[float] = []

        def build() -> float:
            measured = _build(profile, genome, folder / "table.h5ad")
            peaks.append(measured["peak_bytes"] / 2**20)
            return LINES / measured["seconds"]

        result = alternate({"lines": build}, ROUNDS)
        return {
            "lines": LINES,
            "compressed_megabytes": round(profile.stat().st_size / 1e6, 1),
            "genome_megabases": len(made_up.CHROMOSOMES) * made_up.BASES / 1e6,
            "sites_on_genome": sum(map(len, sites)),
            **result,
            "peak_mebibytes": spread(peaks[1:]),
            "peak_mebibytes_encoding_the_genome": round(peaks[0]),
        }


def _build(profile: Path, genome: Path, table: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "deepcpg_tf", "data", "build"]
    options = ["--profiles", profile, "--genome", genome, "--out", table]
    done = subprocess.run(
        [sys.executable, child.__file__, *command, *map(str, options)],
        check=True,
        stdout=subprocess.PIPE,
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def report(result: Result) -> str:
    """Return the section of the report."""
    rows = [
        ("lines a second", figure(result["rates"]["lines"])),
        ("peak of memory, MiB", figure(result["peak_mebibytes"])),
        (
            "the same while the genome is encoded",
            f"{result['peak_mebibytes_encoding_the_genome']:,}",
        ),
    ]
    what = (
        "`deepcpg-tf data build` as a command, from its start to its end, on one profile of a "
        f"cell: Bismark coverage of {result['lines']:,} lines, cytosines of both strands, gzip "
        f"({result['compressed_megabytes']:,} MB), over a made-up genome of "
        f"{result['genome_megabases']:g} megabases with {result['sites_on_genome']:,} CpG sites. "
        "The genome was encoded by a run before, which is not counted."
    )
    return f"""\
{prose(what)}

{table(("", ""), rows)}
"""
