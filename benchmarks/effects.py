"""Variant effects: a VCF scored with a full-size module, killed in the middle and gone on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import child, made_up
from benchmarks.common import Result, in_words, killed, progress, prose, requirement

TITLE = "Variant effects"
PLACE = "DEEPCPG_TF_EFFECTS"
"""Variants and bases other than these, for a smaller or larger run: ``2000x2000000``."""

VARIANTS, BASES, CHROMOSOMES = 100_000, 50_000_000, 5
GC, CPGS_KEPT = 0.42, 0.25
KINDS = {"substitution": 0.85, "deletion": 0.07, "insertion": 0.06, "bases": 0.02}
KILLED_AFTER = 60.0
LEAST = 3000
_LINE = 100
_LETTERS = np.frombuffer(b"ACGT", np.uint8)


def run() -> Result:
    """Measure."""
    asked = os.environ.get(PLACE, f"{VARIANTS}x{BASES}").split("x")
    variants, bases = int(asked[0]), int(asked[1])
    import pyarrow.compute
    import pyarrow.parquet

    with made_up.working_folder() as folder:
        genome, vcf, model, out = (
            folder / name for name in ("genome.fa", "v.vcf", "model", "x.parquet")
        )
        progress(f"  making {variants:,} variants on {bases:,} bases")
        write_variants(write_genome(genome, bases), vcf, variants)
        _write_model(model)
        command = [sys.executable, "-m", "deepcpg_tf", "effects", str(model), "--vcf", str(vcf)]
        command += ["--genome", str(genome), "--out", str(out)]
        killed_after = killed(command, KILLED_AFTER * variants / VARIANTS + 5)
        left = len(list(folder.glob(f".{out.name}.effects/*.npz")))
        progress(f"  killed after {killed_after:.0f} s, {left} parts were there")
        done = subprocess.run(
            [sys.executable, child.__file__, *command], check=True, stdout=subprocess.PIPE
        )
        measured = json.loads(done.stdout)
        columns = ["chromosome", "site", "class"]
        table = pyarrow.parquet.read_table(out, columns=columns).drop_null()
        classes = {
            one["values"]: one["counts"]
            for one in pyarrow.compute.value_counts(table["class"]).to_pylist()
        }
        of_reference = table.filter(pyarrow.compute.not_equal(table["class"], "gained"))
        unique = of_reference.group_by(["chromosome", "site"]).aggregate([]).num_rows
        windows = classes.get("kept", 0) + classes.get("gained", 0) + unique
        seconds = killed_after + measured["seconds"]
        result = {
            "variants": variants,
            "bases": bases,
            "kept": classes.get("kept", 0),
            "lost": classes.get("lost", 0),
            "gained": classes.get("gained", 0),
            "sites_of_reference": unique,
            "killed_after_seconds": killed_after,
            "parts_left": left,
            "seconds": measured["seconds"],
            "variants_a_second": variants / seconds,
            "windows_a_second": windows / seconds,
            "peak_gigabytes": measured["peak_bytes"] / 1e9,
            "bytes": out.stat().st_size,
        }
        progress(f"  {result}")
        what = "windows of both alleles a second, with reading, writing and the kill"
        return result | {"requirement": requirement(what, LEAST, result["windows_a_second"])}


def write_genome(path: Path, bases: int) -> list[np.ndarray]:
    """Write a genome with as few CpGs as a mammal's, and return its chromosomes as letters."""
    rng = np.random.default_rng(0)
    each = bases // CHROMOSOMES // _LINE * _LINE
    chromosomes = []
    with path.open("wb") as file:
        for number in range(CHROMOSOMES):
            shares = [(1 - GC) / 2, GC / 2, GC / 2, (1 - GC) / 2]
            letters = _LETTERS[np.searchsorted(np.cumsum(shares), rng.random(each, np.float32))]
            cpgs = np.flatnonzero((letters[:-1] == ord("C")) & (letters[1:] == ord("G")))
            letters[cpgs[rng.random(len(cpgs)) >= CPGS_KEPT]] = ord("T")
            lines = np.full((each // _LINE, _LINE + 1), ord("\n"), np.uint8)
            lines[:, :_LINE] = letters.reshape(-1, _LINE)
            file.write(f">{number + 1}\n".encode() + lines.tobytes())
            chromosomes.append(letters)
    return chromosomes


def write_variants(chromosomes: list[np.ndarray], path: Path, variants: int) -> None:
    """Write a VCF of variants in random places, most of them of one base."""
    rng = np.random.default_rng(1)
    with path.open("w") as file:
        file.write("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for number, letters in enumerate(chromosomes, 1):
            count = variants // CHROMOSOMES
            places = np.sort(rng.choice(len(letters) - 100, count, replace=False))
            kinds = rng.choice(list(KINDS), count, p=list(KINDS.values()))
            sizes = rng.geometric(0.3, count)
            for place, kind, size in zip(places.tolist(), kinds, sizes.tolist(), strict=True):
                here = letters[place : place + size + 1].tobytes().decode()
                new = _LETTERS[rng.integers(0, 4, size + 1)].tobytes().decode()
                match kind:
                    case "substitution":
                        ref, alt = here[0], next(one for one in new + "ACGT" if one != here[0])
                    case "deletion":
                        ref, alt = here, here[0]
                    case "insertion":
                        ref, alt = here[0], here[0] + new[1:]
                    case _:
                        ref = here
                        alt = new if new != here else new[:-1] + "AC"[new[-1] == "A"]
                file.write(f"{number}\t{place + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n")


def _write_model(path: Path) -> None:
    """Save a module of the published size with random weights."""
    from deepcpg_tf.configs.dna import DeepCpgDnaConfig
    from deepcpg_tf.models.registry import new_model

    new_model(DeepCpgDnaConfig()).save_to_preset(path)


def report(result: Result) -> str:
    """Return the section of the report."""
    return "\n\n".join(
        [
            prose(
                f"{result['variants']:,} made-up variants (85% of one base, 13% insertions and "
                f"deletions) on a made-up genome of {result['bases']:,} bases with as few CpGs as "
                f"a mammal's were scored by `deepcpg-tf effects` into Parquet with a CnnL2h128 of "
                f"18 cells: {result['kept']:,} sites kept, {result['lost']:,} lost, "
                f"{result['gained']:,} gained; {result['variants_a_second']:,.0f} variants and "
                f"{result['windows_a_second']:,.0f} windows of an allele a second. It was killed "
                f"after {result['killed_after_seconds']:.0f} s, with parts done: "
                f"{result['parts_left']}, and went on for {result['seconds']:.0f} s; it held "
                f"{result['peak_gigabytes']:.1f} GB at most."
            ),
            prose(in_words(result["requirement"])) + "\n",
        ]
    )
