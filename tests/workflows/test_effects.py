"""Variants through the command, against edits of strings and predictions of whole windows."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from deepcpg_tf import load_model, variant_effects
from deepcpg_tf.errors import ConfigError, InputError, VariantError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.workflows.effects import write_variant_effects
from tests import tolerances
from tests.contract.test_models import DNA, SMALL, random_weights
from tests.variants import strings

HALF = DNA.sequence_length // 2
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
ATOL = tolerances.logits(DNA)


def tokens(windows):
    return np.array([[ord(letter) for letter in window] for window in windows], np.uint8)


def predicted(model, windows):
    """Return the logits of windows of letters."""
    if not windows:
        return np.empty((0, len(model.cells)), np.float32)
    return model.predict_arrays({"tokens": tokens(windows)}, "logits")[:, : len(model.cells)]


def vcf(*variants, samples=()):
    """Return a file of chromosome, 0-based position, REF, ALT, and genotypes."""
    names = ("FORMAT", *samples) if samples else ()
    lines = ["\t".join((HEADER, *names))]
    for chromosome, position, ref, alt, *genotypes in variants:
        more = ("GT", *genotypes) if samples else ()
        lines.append(
            "\t".join((chromosome, str(position + 1), ".", ref, alt, ".", ".", ".", *more))
        )
    return "\n".join(lines) + "\n"


def rows_of(path):
    with (gzip.open(path, "rt") if path.suffix == ".gz" else path.open()) as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def model():
    return random_weights(new_model(DNA))


@pytest.fixture(scope="module")
def chromosomes():
    rng = strings.rng(3)
    return {"chr1": strings.random_chromosome(rng, 4000), "2": strings.random_chromosome(rng, 900)}


@pytest.fixture(scope="module")
def place(tmp_path_factory, model, chromosomes):
    """A folder with a model, a genome, and a thousand variants."""
    folder = tmp_path_factory.mktemp("effects")
    model.save_to_preset(folder / "model")
    with (folder / "genome.fa").open("w") as file:
        for name, letters in chromosomes.items():
            file.write(f">{name}\n{letters}\n")
    rng = strings.rng(4)
    variants = []
    for i in range(1000):
        name = "chr1" if i < 800 else "2"
        variants.append((name, *strings.random_variant(rng, chromosomes[name])))
    variants.sort(key=lambda one: (one[0] != "chr1", one[1]))
    (folder / "v.vcf").write_text(vcf(*variants))
    (folder / "v.json").write_text(json.dumps(variants))
    return folder


def test_a_thousand_variants_against_strings(place, model, chromosomes, run):
    result = run(
        "effects", place / "model", "--vcf", place / "v.vcf", "--genome", place / "genome.fa",
        "--out", place / "x.tsv",
    )  # fmt: skip
    assert result.code == 0, result.err
    found = rows_of(place / "x.tsv")
    cells = model.cells
    assert list(found[0])[:12] == [
        "chromosome", "position", "ref", "alt", "site", "class",
        *[f"{cell}_{name}" for cell in cells for name in ("ref", "alt", "dlogit")],
    ]  # fmt: skip
    variants = json.loads((place / "v.json").read_text())
    expected = expected_sites(model, chromosomes, variants)
    kinds = [one["class"] for own in expected for one in own]
    assert min(map(kinds.count, ("kept", "lost", "gained"))) > 50
    by_record = grouped(found)
    assert list(by_record) == [str(i) for i in range(1, len(variants) + 1)]
    for rows, theirs, variant in zip(by_record.values(), expected, variants, strict=True):
        for row in rows:
            own = [row["chromosome"], int(row["position"]), row["ref"], row["alt"]]
            assert own == list(variant)
        if not theirs:
            (row,) = rows
            assert (row["class"], row["site"], row["reason"]) == ("", "", "no_cpg")
            continue
        assert len(rows) == len(theirs)
        compare(rows, theirs, cells)
    summaries = rows_of(place / "x.variants.tsv")
    assert len(summaries) == len(variants)
    for row, theirs in zip(summaries, expected, strict=True):
        compare_summary(row, theirs)


def grouped(rows):
    """Return rows by the record that they are of."""
    found = {}
    for row in rows:
        found.setdefault(row["record"], []).append(row)
    return found


def expected_sites(model, chromosomes, variants, others=None):
    """Return the sites of each variant, by edits of strings, with the logits of both alleles."""
    found, windows = [], []
    for i, (name, position, ref, alt) in enumerate(variants):
        letters = chromosomes[name]
        edit = (position, ref, alt)
        if others is None:
            edit = strings.minimal(letters, *edit)
        own = []
        for kind, site, *both in strings.nearby(
            letters, edit, HALF, HALF, () if others is None else others[i]
        ):
            own.append({"class": kind, "site": site})
            for allele, window in zip(("ref", "alt"), both, strict=True):
                if window is not None:
                    own[-1][allele] = len(windows)
                    windows.append(window)
        found.append(own)
    logits = predicted(model, windows)
    nothing = np.full(len(model.cells), np.nan)
    for one in (one for own in found for one in own):
        for allele in ("ref", "alt"):
            one[allele] = logits[one[allele]] if allele in one else nothing
    return found


def values_of(rows, name, cells):
    return np.array([[float(row[f"{cell}_{name}"] or "nan") for cell in cells] for row in rows])


def compare(rows, expected, cells):
    """Compare the rows of one variant with what is expected."""
    for kind in ("kept", "lost", "gained"):
        own = [row for row in rows if row["class"] == kind]
        # Inserted sites come after others here, in the order of the alternate allele.
        own.sort(key=lambda row: int(row["inserted"] or -1))
        theirs = [one for one in expected if one["class"] == kind]
        theirs.sort(key=lambda one: one["site"] is None)
        assert len(own) == len(theirs)
        if not own:
            continue
        for row, one in zip(own, theirs, strict=True):
            assert (row["inserted"] != "") == (one["site"] is None)
            assert one["site"] in (None, int(row["site"]))
        ref, alt = (np.array([one[name] for one in theirs]) for name in ("ref", "alt"))
        for name, values, atol in (
            ("ref", expit(ref), ATOL / 4),
            ("alt", expit(alt), ATOL / 4),
            ("ref_logit", ref, ATOL),
            ("alt_logit", alt, ATOL),
            ("dlogit", alt - ref, 2 * ATOL),
            ("dp", expit(alt) - expit(ref), ATOL / 2),
        ):
            close(values_of(own, name, cells), values, atol + tolerances.FUNCTION)


def compare_summary(row, expected):
    """Compare the row of a variant as a whole with what is expected."""
    kinds = [one["class"] for one in expected]
    assert [int(row[kind]) for kind in ("kept", "lost", "gained")] == [
        kinds.count(kind) for kind in ("kept", "lost", "gained")
    ]
    kept = [one for one in expected if one["class"] == "kept"]
    if not kept:
        assert row["site"] == row["mean_dlogit"] == row["l2_dlogit"] == row["sd_dlogit"] == ""
        return
    sizes = {one["site"]: np.linalg.norm(one["alt"] - one["ref"]) for one in kept}
    site = int(row["site"])
    error = 2 * ATOL * np.sqrt(len(kept[0]["ref"]))
    assert sizes[site] >= max(sizes.values()) - 2 * error
    (change,) = (one["alt"] - one["ref"] for one in kept if one["site"] == site)
    close(float(row["mean_dlogit"]), change.mean(), error)
    close(float(row["l2_dlogit"]), sizes[site], error)
    close(float(row["sd_dlogit"]), change.std(), error)


def close(found, expected, atol):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
