"""Variants through the command, against edits of strings and predictions of whole windows."""

import csv
import dataclasses
import gzip
import json
import signal
import subprocess
import sys
import time
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pysam
import pysam.bcftools
import pytest
from scipy.special import expit

from deepcpg_tf import HeadConfig, variant_effects
from deepcpg_tf.errors import ConfigError, InputError, OutputError, VariantError
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
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
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


def test_one_variant_written_in_several_ways(model, tmp_path, run):
    rng = strings.rng(5)
    letters = "".join(rng.choices("ACGT", k=300)) + "AAGCTGATTTCGAACG"
    letters += "".join(rng.choices("ACGT", k=300))
    at = letters.index("AAGCTGATTTCGAACG")
    (tmp_path / "genome.fa").write_text(f">1\n{letters}\n")
    ways = {
        "substitution": [(5, "G", "A"), (4, "TG", "TA"), (2, "GCTG", "GCTA"), (5, "GAT", "AAT")],
        "insertion": [(1, "A", "AGCT"), (2, "GCT", "GCTGCT"), (4, "T", "TGCT"), (5, "G", "GCTG")],
        "deletion": [(6, "AT", "A"), (7, "TT", "T"), (8, "TT", "T")],
    }
    variants: list[Any] = [
        ("1", at + place, *both) for own in ways.values() for place, *both in own
    ]
    assert all(letters[one[1] :].startswith(one[2]) for one in variants)
    (tmp_path / "v.vcf").write_text(vcf(*variants))
    model.save_to_preset(tmp_path / "model")
    where = ["--genome", tmp_path / "genome.fa"]
    run("effects", tmp_path / "model", "--vcf", tmp_path / "v.vcf", *where,
        "--out", tmp_path / "x.tsv")  # fmt: skip
    by_record = list(grouped(rows_of(tmp_path / "x.tsv")).values())
    alone = []
    for i, variant in enumerate(variants):
        (tmp_path / "v.vcf").write_text(vcf(variant))
        run("effects", tmp_path / "model", "--vcf", tmp_path / "v.vcf", *where,
            "--out", tmp_path / f"{i}.tsv")  # fmt: skip
        alone.append(rows_of(tmp_path / f"{i}.tsv"))
    for found in (by_record, alone):
        rest = [
            [[v for k, v in row.items() if k not in ("position", "ref", "alt", "record")]
             for row in rows]
            for rows in found
        ]  # fmt: skip
        for own in ways.values():
            first, *others = (rest.pop(0) for _ in own)
            assert first
            assert all(other == first for other in others)


def test_both_strands(place, model, chromosomes):
    variants = [tuple(one) for one in json.loads((place / "v.json").read_text())[::20]]
    found = variant_effects(model, variants, place / "genome.fa", strands="both")
    windows, expected = [], []
    for name, position, ref, alt in variants:
        edit = strings.minimal(chromosomes[name], position, ref, alt)
        # One base more: the window of the other strand ends there.
        for kind, site, *both in strings.nearby(chromosomes[name], edit, HALF, HALF + 1):
            expected.append((kind, site))
            for window in both:
                windows.append(window)
    turned = str.maketrans("ACGT", "TGCA")
    empty = "N" * (2 * HALF + 2)
    forward = predicted(model, [(one or empty)[:-1] for one in windows])
    backward = predicted(model, [(one or empty)[:0:-1].translate(turned) for one in windows])
    both = ((forward + backward) / 2).reshape(-1, 2, len(model.cells))
    kept = [i for i, kind in enumerate(found.classes) if kind == "kept"]
    theirs = [i for i, (kind, _) in enumerate(expected) if kind == "kept"]
    assert [expected[i][1] for i in theirs] == found.sites[kept].tolist()
    close(found.ref_logits[kept], both[theirs, 0], ATOL)
    close(found.alt_logits[kept], both[theirs, 1], ATOL)
    close(found.values[kept], both[theirs, 1] - both[theirs, 0], 2 * ATOL)
    gained = [i for i, kind in enumerate(found.classes) if kind == "gained"]
    theirs = [i for i, (kind, _) in enumerate(expected) if kind == "gained"]
    close(found.alt_logits[gained].sum(), both[theirs, 1].sum(), ATOL * both[theirs, 1].size)


def by_place(sites):
    return sorted(sites, key=lambda one: one[1])


@pytest.mark.parametrize("name", ["cpg", "joint"])
def test_neighbours_stay(name, tmp_path, run):
    import scipy.sparse

    from deepcpg_tf import MethylationTable, write_table
    from deepcpg_tf.data.neighbours import neighbours_of
    from deepcpg_tf.data.readers import SiteColumns
    from deepcpg_tf.data.table_reference import reference_of

    model = random_weights(new_model(SMALL[name]))
    letters = ("ACGTTACGATTTGCATGCCGTA" * 40)[:800]
    (tmp_path / "genome.fa").write_text(f">1\n{letters}\n")
    genome = Genome(tmp_path / "genome.fa")
    sites = np.array(sorted(strings.sites(letters)))
    calls = np.random.default_rng(0).choice([-1, 0, 1], (len(sites), 2)).astype(np.int8)
    table = MethylationTable(
        model.cells, ("1",), np.zeros(len(sites), np.int32), sites,
        scipy.sparse.csr_array(calls), reference_of(genome, ["1"]),
    )  # fmt: skip
    variants = [("1", 400, letters[400:402], "CG"), ("1", 451, letters[451:453], letters[451]),
                ("1", int(sites[60]) + 1, "G", "T"),
                ("1", int(sites[30]), "C", "CGA")]  # fmt: skip
    found = variant_effects(model, variants, genome, table)
    reader = neighbours_of(model.config, table.on(genome))
    assert reader is not None
    n = 0
    for _, *edit in variants:
        edit = strings.minimal(letters, *edit)
        half = (HALF, HALF) if name == "joint" else (0, 1)
        for kind, site, old, new in by_place(strings.nearby(letters, edit, *half)):
            at = found.sites[n]
            assert (found.classes[n], site) == (kind, site if site is None else at)
            near = reader.arrays(SiteColumns(["1"], np.zeros(1, np.int32), np.array([at])))
            for window, logits in ((old, found.ref_logits[n]), (new, found.alt_logits[n])):
                if window is None:
                    assert np.isnan(logits).all()
                    continue
                arrays = dict(near) | ({"tokens": tokens([window])} if name == "joint" else {})
                expected = model.predict_arrays(arrays, "logits")[0]
                close(logits, expected, tolerances.logits(model.config))
            n += 1
    assert n == len(found.sites) >= 3
    assert set(found.classes) == {"kept", "lost", "gained"}
    with pytest.raises(InputError, match="table: expected a methylation table"):
        variant_effects(model, variants, genome)
    # The same through the command.
    model.save_to_preset(tmp_path / "model")
    write_table(table, tmp_path / "cells.h5ad")
    (tmp_path / "v.vcf").write_text(vcf(*variants))
    result = run("effects", tmp_path / "model", "--vcf", tmp_path / "v.vcf", "--genome",
                 tmp_path / "genome.fa", "--data", tmp_path / "cells.h5ad",
                 "--out", tmp_path / "x.parquet")  # fmt: skip
    assert result.code == 0, result.err
    frame = pd.read_parquet(tmp_path / "x.parquet").dropna(subset="class")
    logits = frame[[f"{cell}_alt_logit" for cell in model.cells]].to_numpy(np.float32)
    np.testing.assert_array_equal(logits, found.alt_logits)


def test_haplotypes_against_strings(place, model, chromosomes, tmp_path, run, monkeypatch):
    monkeypatch.setattr("deepcpg_tf.variants.haplotypes._RECORDS", 8)
    rng = strings.rng(6)
    letters = chromosomes["chr1"]
    variants, end = [], 0
    while (position := end + rng.choice((2, 3, 20, 60, 400))) < len(letters) - 40:
        ref = letters[position : position + rng.choice((0, 1, 1, 2, 12))]
        alt = "".join(rng.choices("ACGT", k=rng.choice((0, 1, 1, 2, 12))))
        edit = strings.minimal(letters, position, ref, alt)
        if edit[0] > end and any(edit[1:]) and letters[edit[0] - 1] != "N":
            place_, ref, alt = edit
            before = letters[place_ - 1]
            genotype = rng.choice(("0|1", "1|0", "1|1", "1/1"))
            variants.append(("chr1", place_ - 1, before + ref, before + alt, genotype))
            end = place_ + len(ref)
    assert len(variants) > 20
    (tmp_path / "v.vcf").write_text(vcf(*variants, samples=("s",)))
    result = run("effects", place / "model", "--vcf", tmp_path / "v.vcf", "--genome",
                 place / "genome.fa", "--sample", "s", "--phased",
                 "--out", tmp_path / "x.tsv", "--out-vcf", tmp_path / "x.vcf")  # fmt: skip
    assert result.code == 0, result.err
    by_record = grouped(rows_of(tmp_path / "x.tsv"))
    assert len(by_record) == len(variants)
    annotated = [line for line in (tmp_path / "x.vcf").read_text().splitlines() if line[0] != "#"]
    assert len(annotated) == len(variants)
    assert all("DCPG_KEPT=" in line for line in annotated)
    carried = {1: "1|0 1|1 1/1", 2: "0|1 1|1 1/1"}
    for haplotype, genotypes in carried.items():
        own = [one for one in variants if one[4] in genotypes.split()]
        edits = [strings.minimal(letters, *one[1:4]) for one in own]
        others = [[other for other in edits if other != edit] for edit in edits]
        alleles = [("chr1", *edit) for edit in edits]
        expected = expected_sites(model, chromosomes, alleles, others)
        for one, theirs in zip(own, expected, strict=True):
            rows = by_record[str(variants.index(one) + 1)]
            rows = [row for row in rows if row["haplotype"] == str(haplotype)]
            if theirs:
                compare(rows, theirs, model.cells)
            else:
                assert [row["reason"] for row in rows] == ["no_cpg"]


def test_which_haplotype_must_be_known(place, chromosomes, tmp_path, run):
    letters = chromosomes["chr1"]

    def changed(position, *more):
        base = letters[position]
        return ("chr1", position, base, "A" if base != "A" else "C", *more)

    places = [i for i in range(0, 3900, 300) if set(letters[i : i + 31]) <= set("ACGT")]
    a, b, c, d = places[:1] + places[2:3] + places[4:5] + places[6:7]
    variants = [
        changed(a, "0/1"), changed(a + 30, "0|1"),
        changed(b, "0/1"),
        changed(c, "1/1"), changed(c + 30, "0/1"),
        changed(d, "0|0"), changed(d + 30, "./."),
    ]  # fmt: skip
    (tmp_path / "v.vcf").write_text(vcf(*variants, samples=("s",)))
    arguments = ["effects", place / "model", "--vcf", tmp_path / "v.vcf", "--genome",
                 place / "genome.fa", "--out", tmp_path / "x.tsv", "--sample", "s"]  # fmt: skip
    result = run(*arguments, "--phased")
    assert result.code == 0, result.err
    rows = rows_of(tmp_path / "x.variants.tsv")
    assert [row["reason"] for row in rows] == [
        "unphased", "unphased", "", "", "", "", "absent", "absent",
    ]  # fmt: skip
    # What is not phased, near what both haplotypes have, is on either: as the genotype has it.
    assert [row["haplotype"] for row in rows] == ["", "", "", "1", "2", "2", "", ""]
    result = run(*arguments)
    assert result.code == 2
    assert "--sample: expected --phased with it" in result.err


def made(arguments, run, *outs):
    """Run a command, and return the bytes of what it wrote."""
    result = run(*arguments)
    assert result.code == 0, result.err
    return [out.read_bytes() for out in outs]


@pytest.fixture
def short_parts(monkeypatch):
    monkeypatch.setattr("deepcpg_tf.variants.haplotypes._RECORDS", 100)


class Cut:
    """Progress that ends the run after some parts of the first stretch of work, or the second."""

    def __init__(self, parts, stretch):
        self.parts, self.stretch, self.lines = parts, stretch, []

    def begins(self, what, total, unit):
        self.stretch -= what in ("scoring variants", "writing")

    def advances(self, units):
        if not self.stretch:
            self.parts -= 1
            if not self.parts:
                raise KeyboardInterrupt

    def tells(self, line):
        self.lines.append(line)


@pytest.mark.parametrize("ending", [".tsv.gz", ".parquet", ".h5ad"])
def test_a_run_that_was_cut_off_goes_on(ending, place, tmp_path, short_parts):
    def call(name, progress):
        (tmp_path / name).mkdir(exist_ok=True)
        outs = [tmp_path / name / f"x{ending}", tmp_path / name / "x.vcf"]
        arguments = [place / "model", place / "v.vcf", place / "genome.fa", outs[0]]
        write_variant_effects(
            *arguments, out_vcf=outs[1], background=place / "v.vcf", progress=progress
        )
        return [path.read_bytes() for path in sorted((tmp_path / name).iterdir())]

    expected = call("whole", Cut(0, 0))
    for parts, stretch in ((3, 1), (7, 1), (2, 2)):
        with pytest.raises(KeyboardInterrupt):
            call("cut", Cut(parts, stretch))
        (state,) = (tmp_path / "cut").iterdir()
        assert state.name == f".x{ending}.effects"
    # One part is damaged, as by a full disk.
    part = sorted(state.glob("*.npz"))[4]
    part.write_bytes(part.read_bytes()[:1000])
    progress = Cut(0, 0)
    assert call("cut", progress) == expected
    assert any("going on with an unfinished run" in line for line in progress.lines)


def test_an_unfinished_run_of_something_else(place, tmp_path, run, short_parts):
    (tmp_path / "v.vcf").write_bytes((place / "v.vcf").read_bytes())
    where = (place / "model", tmp_path / "v.vcf", place / "genome.fa", tmp_path / "x.tsv")
    with pytest.raises(KeyboardInterrupt):
        write_variant_effects(*where, progress=Cut(3, 1))
    with (tmp_path / "v.vcf").open("a") as file:
        file.write("chr1\t1\t.\tA\tT\t.\t.\t.\n")
    with pytest.raises(OutputError, match="expected the unfinished run to have the same vcf"):
        write_variant_effects(*where)


@pytest.mark.full
def test_a_killed_process_goes_on(place, tmp_path):
    command = [sys.executable, "-m", "deepcpg_tf", "effects", place / "model", "--vcf",
               place / "v.vcf", "--genome", place / "genome.fa"]  # fmt: skip
    subprocess.run([*command, "--out", tmp_path / "whole.tsv"], check=True)
    lines = (place / "v.vcf").read_text().splitlines(keepends=True)
    assert len(lines) == 1002
    out = tmp_path / "x.tsv"
    for seconds in (0.2, 0.5, 1.5):
        process = subprocess.Popen([*command, "--out", out])
        deadline = time.monotonic() + 120
        while not (tmp_path / ".x.tsv.effects").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*command, "--out", out], check=True)
    assert out.read_bytes() == (tmp_path / "whole.tsv").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_variants_by_cells(place, model, tmp_path, run):
    arguments = ["effects", place / "model", "--vcf", place / "v.vcf", "--genome",
                 place / "genome.fa"]  # fmt: skip
    made([*arguments, "--out", tmp_path / "x.tsv"], run)
    made([*arguments, "--out", tmp_path / "x.h5ad"], run)
    data = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert tuple(data.var_names) == model.cells
    frame = pd.read_csv(tmp_path / "x.variants.tsv", sep="\t", dtype={"chromosome": str})
    assert data.obs_names.is_unique
    assert list(data.obs) == list(frame)
    for name, column in frame.items():
        own = data.obs[name]
        if name == "reason":
            column = column.fillna("")
        elif column.dtype.kind == "f":
            own, column = own.astype("Float32"), column.astype("Float32")
        assert own.isna().tolist() == column.isna().tolist()
        assert own.dropna().tolist() == column.dropna().tolist()
    rows = grouped(rows_of(tmp_path / "x.tsv"))
    layers = ("ref", "alt", "dlogit", "dp", "ref_logit", "alt_logit")
    assert set(data.layers) == {*layers, "lost", "gained"}
    np.testing.assert_array_equal(data.X, data.layers["dlogit"])
    for i, site in enumerate(frame["site"]):
        own = rows[str(i + 1)]
        for name in layers:
            values = data.layers[name][i]
            if np.isnan(site):
                assert np.isnan(values).all()
                continue
            (row,) = [r for r in own if r["class"] == "kept" and int(r["site"]) == int(site)]
            np.testing.assert_array_equal(
                values, np.float32(values_of([row], name, model.cells)[0])
            )
        for kind, allele in (("lost", "ref"), ("gained", "alt")):
            some = [row for row in own if row["class"] == kind]
            if some:
                mean = values_of(some, allele, model.cells).mean(axis=0)
                close(data.layers[kind][i], mean, tolerances.FUNCTION)
            else:
                assert np.isnan(data.layers[kind][i]).all()


def test_quantiles(place, tmp_path, run):
    lines = (place / "v.vcf").read_text().splitlines(keepends=True)
    (tmp_path / "own.vcf").write_text("".join(lines[:202]))
    result = run("effects", place / "model", "--vcf", tmp_path / "own.vcf", "--genome",
                 place / "genome.fa", "--background", place / "v.vcf",
                 "--out", tmp_path / "x.tsv")  # fmt: skip
    assert result.code == 0, result.err
    run("effects", place / "model", "--vcf", place / "v.vcf", "--genome", place / "genome.fa",
        "--out", tmp_path / "all.tsv")  # fmt: skip
    background = pd.read_csv(tmp_path / "all.variants.tsv", sep="\t")["l2_dlogit"].dropna()
    frame = pd.read_csv(tmp_path / "x.variants.tsv", sep="\t")
    assert len(frame) == 200
    for size, quantile in zip(frame["l2_dlogit"], frame["quantile"], strict=True):
        if np.isnan(size):
            assert np.isnan(quantile)
        else:
            # Rounding tells apart what is equal.
            low = (background < size - 1e-5).mean()
            high = (background < size + 1e-5).mean()
            assert low - 1e-6 <= quantile <= high + 1e-6


def test_annotated_vcf(place, tmp_path, run):
    result = run("effects", place / "model", "--vcf", place / "v.vcf", "--genome",
                 place / "genome.fa", "--out", tmp_path / "x.tsv",
                 "--out-vcf", tmp_path / "x.vcf.gz")  # fmt: skip
    assert result.code == 0, result.err
    assert (tmp_path / "x.vcf.gz.tbi").exists()
    lines = gzip.decompress((tmp_path / "x.vcf.gz").read_bytes()).decode().splitlines()
    records = [line for line in lines if not line.startswith("#")]
    for line, row in zip(records, rows_of(tmp_path / "x.variants.tsv"), strict=True):
        entries = line.split("\t")[7].split(";")
        info = dict(entry.split("=") for entry in entries if "=" in entry)
        assert info.get("DCPG_WHY", "") == row["reason"]
        if row["site"]:
            assert int(info["DCPG_SITE"]) == int(row["site"]) + 1
            assert float(info["DCPG_DLOGIT"]) == pytest.approx(float(row["mean_dlogit"]), rel=1e-5)
            assert float(info["DCPG_L2"]) == pytest.approx(float(row["l2_dlogit"]), rel=1e-5)
        else:
            assert "DCPG_SITE" not in info
        for kind in ("kept", "lost", "gained"):
            assert info[f"DCPG_{kind.upper()}"] == row[kind]


def test_every_record_is_there_with_a_reason(place, chromosomes, tmp_path, run):
    letters = chromosomes["chr1"]
    base = letters[100]
    other = "A" if base != "A" else "C"
    records = [
        ("chr1", 100, base, f"{other},*,<DEL>,{base}[chr1:7[,N{base}"),
        ("chr1", 100, base, "."),
        ("chr1", 100, base, base),
        ("chr1", 100, other, base),
        ("chr1", -1, "N", "A"),
        ("chr1", 5000, "A", "C"),
        ("3", 100, "A", "C"),
        ("chr1", 100, base, base + "ACGT" * 300),
    ]
    (tmp_path / "v.vcf").write_text(vcf(*records))
    arguments = ["effects", place / "model", "--vcf", tmp_path / "v.vcf", "--genome",
                 place / "genome.fa", "--out", tmp_path / "x.tsv"]  # fmt: skip
    result = run(*arguments)
    assert result.code == 2
    assert "(--allow-mismatches leaves such records unscored)" in result.err
    result = run(*arguments, "--allow-mismatches")
    assert result.code == 0, result.err
    rows = rows_of(tmp_path / "x.variants.tsv")
    assert [(row["record"], row["reason"]) for row in rows] == [
        ("1", ""), ("1", "star"), ("1", "symbolic"), ("1", "breakend"), ("1", "letters"),
        ("2", "none"), ("3", "same"), ("4", "reference"), ("5", "off"), ("6", "off"),
        ("7", "contig"), ("8", "long"),
    ]  # fmt: skip
    of_sites = grouped(rows_of(tmp_path / "x.tsv"))
    assert list(of_sites) == [str(i) for i in range(1, 9)]
    assert [(row["class"], row["reason"]) for row in of_sites["7"]] == [("", "contig")]
    assert [row["position"] for row in of_sites["5"]] == ["-1"]


def test_quotation_marks(place, chromosomes, tmp_path, run):
    lines = vcf(("chr1", 100, chromosomes["chr1"][100], '<"D">')).replace("\t.\t", '\ta"b\t', 1)
    (tmp_path / "v.vcf").write_text(lines)
    for ending in ("tsv", "parquet"):
        result = run("effects", place / "model", "--vcf", tmp_path / "v.vcf", "--genome",
                     place / "genome.fa", "--out", tmp_path / f"x.{ending}")  # fmt: skip
        assert result.code == 0, result.err
    (row,) = rows_of(tmp_path / "x.tsv")
    assert (row["id"], row["alt"]) == ("a'b", "<'D'>")
    frame = pd.read_parquet(tmp_path / "x.parquet")
    assert (frame["id"][0], frame["alt"][0]) == ('a"b', '<"D">')


def test_nothing_that_can_be_scored(place, chromosomes, tmp_path, run):
    (tmp_path / "v.vcf").write_text(vcf(("chr1", 100, chromosomes["chr1"][100], "*")))
    for ending in ("tsv", "parquet", "h5ad"):
        result = run("effects", place / "model", "--vcf", tmp_path / "v.vcf", "--genome",
                     place / "genome.fa", "--out", tmp_path / f"x.{ending}")  # fmt: skip
        assert result.code == 0, result.err
        assert "0 of 1 alternative alleles scored at 0 sites" in result.err
    assert [row["reason"] for row in rows_of(tmp_path / "x.tsv")] == ["star"]
    assert pd.read_parquet(tmp_path / "x.parquet")["reason"].tolist() == ["star"]
    assert anndata.read_h5ad(tmp_path / "x.h5ad").obs["reason"].tolist() == ["star"]


def test_records_of_some_places(place, tmp_path, run):
    arguments = ["effects", place / "model", "--vcf", place / "v.vcf", "--genome",
                 place / "genome.fa", "--out", tmp_path / "x.tsv"]  # fmt: skip
    run(*arguments, "--chromosomes", "chr2")
    assert {row["chromosome"] for row in rows_of(tmp_path / "x.tsv")} == {"2"}
    (tmp_path / "r.bed").write_text("1\t1000\t1500\n")
    run(*arguments, "--regions", tmp_path / "r.bed")
    found = rows_of(tmp_path / "x.variants.tsv")
    assert 50 < len(found) < 200
    assert all(1000 - len(row["ref"]) < int(row["position"]) < 1500 for row in found)


BAD = {
    "no such file": (["--vcf", "none.vcf"], "none.vcf: expected a VCF file, found none there"),
    "ending": (["--out", "x.csv"], "x.csv: expected a name ending in .parquet, .tsv, .tsv.gz,"),
    "folder": (["--out", "no/x.tsv"], "x.tsv: expected an existing folder, found no no"),
    "over the input": (["--out-vcf", "v.vcf"], "v.vcf: expected another file than the input"),
    "ending of VCF": (["--out-vcf", "x.bcf"], "expected a name that ends with .vcf.gz or .vcf"),
    "strands": (["--strands", "reverse"], "--strands: expected one of forward, both, received"),
    "sample": (["--sample", "s", "--phased"], "--sample: expected one of those of"),
    "phased": (["--phased"], "--sample: expected the one whose haplotypes to score with --phased"),
    "table": (["--data", "t.h5ad"], "--data: expected none with a dna module"),
    "chromosomes": (["--chromosomes", "9"], "chromosome '9': expected one of genome.fa"),
    "empty": (["--vcf", "empty.vcf"], "empty.vcf: expected records, found none"),
    "no VCF": (["--vcf", "genome.fa"], "genome.fa"),
    "regions": (["--regions", "none.bed"], "none.bed: expected a file, found none there"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, place, model, tmp_path, fails, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(f">1\n{'A' * 2000}CG{'A' * 2000}\n")
    (tmp_path / "v.vcf").write_text(vcf(("1", 2002, "A", "C")))
    (tmp_path / "far.vcf").write_text(vcf(("1", 100, "A", "T")))
    (tmp_path / "empty.vcf").write_text(vcf())
    (tmp_path / "t.h5ad").write_text("")
    more, expected = BAD[case]
    arguments = {"--vcf": "v.vcf", "--genome": "genome.fa", "--out": "x.tsv"}
    pairs = dict(zip(more[::2], more[1::2], strict=False)) if len(more) % 2 == 0 else {}
    flags = more if not pairs else []
    if case == "sample":
        pairs, flags = {"--sample": "s"}, ["--phased"]
    arguments |= pairs
    before = sorted(tmp_path.iterdir())
    options = [one for pair in arguments.items() for one in pair]
    assert expected in fails("effects", place / "model", *options, *flags)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["bcf", "gzip", "bgzip"])
def test_a_file_cut_in_the_middle(kind, place, tmp_path, fails):
    lines = (place / "v.vcf").read_text().splitlines()
    lines[1:1] = ["##contig=<ID=chr1,length=4000>", "##contig=<ID=2,length=900>"]
    plain, path = tmp_path / "v.vcf", tmp_path / f"v.{kind}"
    plain.write_text("\n".join(lines) + "\n")
    if kind == "gzip":
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif kind == "bgzip":
        pysam.tabix_compress(str(plain), str(path))
    else:
        pysam.bcftools.view("-Ob", "-o", str(path), str(plain), catch_stdout=False)
    whole = path.read_bytes()
    for part in (2, 10):
        path.write_bytes(whole[: -len(whole) // part])
        message = fails("effects", place / "model", "--vcf", path, "--genome",
                        place / "genome.fa", "--out", tmp_path / "x.tsv")  # fmt: skip
        assert path.name in message
    assert not (tmp_path / "x.tsv").exists()


def test_a_file_of_another_genome(place, chromosomes, tmp_path, fails):
    letters = strings.random_chromosome(strings.rng(9), 4000)
    variants = [("chr1", i, letters[i], "A") for i in range(0, 3900, 50) if letters[i] in "CGT"]
    (tmp_path / "v.vcf").write_text(vcf(*variants))
    message = fails("effects", place / "model", "--vcf", tmp_path / "v.vcf", "--genome",
                    place / "genome.fa", "--out", tmp_path / "x.tsv")  # fmt: skip
    assert "the file is of another assembly" in message
    assert "(--allow-mismatches leaves such records unscored)" in message


def test_a_background_without_sites(place, tmp_path, run):
    (tmp_path / "genome.fa").write_text(f">1\n{'A' * 2000}CG{'A' * 2000}\n")
    (tmp_path / "v.vcf").write_text(vcf(("1", 2002, "A", "C")))
    (tmp_path / "far.vcf").write_text(vcf(("1", 100, "A", "T")))
    result = run("effects", place / "model", "--vcf", tmp_path / "v.vcf", "--genome",
                 tmp_path / "genome.fa", "--background", tmp_path / "far.vcf",
                 "--out", tmp_path / "x.tsv")  # fmt: skip
    assert result.code == 2
    assert "error: --background: expected variants with CpGs near in " in result.err
    assert not (tmp_path / "x.tsv").exists()


def test_models_that_variants_have_no_effect_with(place):
    variants = [("chr1", 0, "A", "C")]
    local = new_model(SMALL["local"])
    with pytest.raises(InputError, match="model: expected a dna, cpg or joint module"):
        variant_effects(local, variants, place / "genome.fa")
    headless = new_model(dataclasses.replace(DNA, head=HeadConfig(trained=False)))
    with pytest.raises(ConfigError, match="model: expected one with heads"):
        variant_effects(headless, variants, place / "genome.fa")


def test_variants_one_by_one(place, model, chromosomes):
    letters = chromosomes["2"]
    ref = letters[200]
    alt = "A" if ref != "A" else "C"
    found = variant_effects(
        model,
        [("2", 200, ref, alt), ("chr2", 200, alt, ref), ("2", 900, "A", "C"),
         ("2", 0, letters[:2], "N"), ("x", 1, "A", "C"), ("2", 200, ref, ref)],
        place / "genome.fa",
    )  # fmt: skip
    reasons = [variant.reason for variant in found.variants]
    assert reasons == ["", "reference", "off", "letters", "contig", "same"]
    assert set(found.owners) == {0}
    assert found.values.shape == (len(found.sites), len(model.cells))
    np.testing.assert_array_equal(found.ref, expit(found.ref_logits))
    np.testing.assert_array_equal(found.alt, expit(found.alt_logits))
    at: Any = np.int64(200)
    of_numpy = variant_effects(model, [("2", at, ref, alt)], place / "genome.fa")
    np.testing.assert_array_equal(of_numpy.alt, found.alt)
    assert type(of_numpy.variants[0].position) is int
    bad: list[Any] = [("2", "x", "A", "C"), ("2", 5, "", "C"), ("2", 5, "-", "C"), 7, np.eye(4)]
    for wrong in bad:
        with pytest.raises(VariantError, match=r"\Avariants, item 1: expected [^\n]*\Z"):
            variant_effects(model, [wrong], place / "genome.fa")
    with pytest.raises(ConfigError, match="strands"):
        variant_effects(model, [], place / "genome.fa", strands="reverse")
    nothing = variant_effects(model, [], place / "genome.fa")
    assert (len(nothing.variants), len(nothing.sites)) == (0, 0)
