import gzip
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pybigtools
import pytest
from scipy.special import expit, logit

from deepcpg_tf import DeepCpgDnaForSequencePrediction
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import decode
from deepcpg_tf.profiles.read import read_profile
from deepcpg_tf.scan import run as scan_run
from deepcpg_tf.scan.regions import REGION, Region, together
from deepcpg_tf.scan.shards import save_shards
from tests import tolerances
from tests.conftest import DATA

RUN = DATA / "original-run"
CELLS = ("c1", "c2", "c3")
ENDINGS = (".parquet", ".tsv", ".tsv.gz", ".bigwig", ".bedgraph")

# A genome of a few thousand bases, in regions of a thousand.
SMALL = (
    "import deepcpg_tf.scan.regions as regions; regions.REGION = 1000;"
    "from deepcpg_tf.cli.app import main; main()"
)


def command(out, *more):
    return ("predict", RUN / "model", "--genome", RUN / "dna", "--out", out, *more)


def full_after_writing(shards, path):
    path.write_bytes(b"")
    raise OSError(28, "No space left on device", str(path))


def small(*arguments):
    return [sys.executable, "-c", SMALL, *map(str, arguments)]


@pytest.fixture(scope="module")
def by_sites():
    """Every CpG, window by window."""
    model = DeepCpgDnaForSequencePrediction.from_preset(RUN / "model")
    genome, parts = Genome(RUN / "dna"), []
    for chromosome, length in genome.lengths.items():
        positions = np.flatnonzero(genome.is_cg(chromosome, np.arange(length)))
        windows = genome.windows(chromosome, positions, model.config.sequence_length)
        found = model.predict_windows(windows)
        values = {cell: found[:, i] for i, cell in enumerate(CELLS)}
        parts.append(pl.DataFrame({"chromosome": chromosome, "position": positions, **values}))
    return pl.concat(parts)


def test_every_cpg(run, tmp_path, by_sites):
    out = tmp_path / "all.parquet"
    result = run(*command(out))
    assert result.code == 0, result.err
    assert result.err == f"{out}: {len(by_sites):,} sites, 3 cells\n"
    found = pl.read_parquet(out)
    assert found.columns == ["chromosome", "position", *CELLS]
    assert found.select("chromosome", "position").equals(by_sites.select("chromosome", "position"))
    np.testing.assert_allclose(
        found.select(CELLS), by_sites.select(CELLS), atol=tolerances.RUN_PROBABILITIES
    )
    assert [path.name for path in tmp_path.iterdir()] == ["all.parquet"]


def test_chromosomes_and_regions(run, tmp_path, by_sites):
    bed, out = tmp_path / "regions.bed", tmp_path / "some.tsv"
    bed.write_text("chr2\t100\t900\nchr1\t50\t200\n")
    assert run(*command(out, "--chromosomes", "chr2", "--regions", bed)).code == 0
    found = pl.read_csv(out, separator="\t", schema_overrides={"chromosome": pl.String})
    expected = by_sites.filter(
        (pl.col("chromosome") == "2") & (pl.col("position") >= 100) & (pl.col("position") < 900)
    )
    assert found["position"].equals(expected["position"])


def test_thousandths(run, fails, tmp_path, by_sites):
    out = tmp_path / "all.parquet"
    assert run(*command(out, "--thousandths")).code == 0
    found = pl.read_parquet(out)
    assert found["c1"].dtype == pl.UInt16
    expected = by_sites.select(CELLS).to_numpy() * 1000
    assert (
        np.abs(found.select(CELLS).to_numpy() - expected).max()
        < 0.5 + 1000 * tolerances.RUN_PROBABILITIES
    )
    message = fails(*command(tmp_path / "all.bigwig", "--thousandths"))
    assert "expected a name ending in .parquet, .tsv, .tsv.gz with thousandths" in message


def test_a_folder_of_bigwigs(run, tmp_path, by_sites):
    out = tmp_path / "all.bigwig"
    assert run(*command(out)).code == 0
    assert sorted(path.name for path in out.iterdir()) == [f"{cell}.bw" for cell in CELLS]
    file = pybigtools.open(str(out / "c2.bw"))
    assert file.chroms() == dict(Genome(RUN / "dna").lengths)
    records = [
        (chromosome, *record)
        for chromosome in ("1", "2", "X")
        for record in file.records(chromosome)
    ]
    assert [(c, start) for c, start, _, _ in records] == list(
        by_sites.select("chromosome", "position").iter_rows()
    )
    np.testing.assert_allclose(
        [record[3] for record in records], by_sites["c2"], atol=tolerances.RUN_PROBABILITIES
    )


def test_bedgraphs_are_read_back(run, tmp_path, by_sites):
    """By the reader of profiles, which makes labels of the values."""
    out = tmp_path / "all.bedgraph"
    assert run(*command(out)).code == 0
    path = out / "c3.bedGraph.gz"
    with gzip.open(path, "rt") as file:
        assert file.readline() == 'track type=bedGraph name="c3"\n'
    sites = read_profile(path, Genome(RUN / "dna"), min_coverage=1).sites
    expected = by_sites.filter(pl.col("c3") != 0.5)
    for chromosome, rows in expected.group_by("chromosome"):
        found = sites[chromosome[0]]
        assert found.positions.tolist() == rows["position"].to_list()
        assert found.labels.tolist() == (rows["c3"] > 0.5).to_list()


@pytest.mark.full
def test_killed_and_resumed_ends_with_the_same_file(tmp_path):
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    subprocess.run(small(*command(whole)), check=True, capture_output=True)
    state = tmp_path / ".out.parquet.scan"
    with subprocess.Popen(small(*command(out)), stderr=subprocess.PIPE) as process:
        while not list(state.glob("0*.npz")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    done = {path.name: path.stat().st_mtime_ns for path in state.glob("0*.npz")}
    assert done
    again = subprocess.run(small(*command(out)), check=True, capture_output=True)
    assert f"going on with an unfinished run: {len(done)} of ".encode() in again.stderr
    assert out.read_bytes() == whole.read_bytes()
    assert not state.exists()


def test_two_runs_on_one_output(fails, tmp_path):
    out = tmp_path / "out.parquet"
    hold = (
        "import fcntl, os, sys, time; os.makedirs(sys.argv[1]);"
        "lock = os.open(sys.argv[1] + '/lock', os.O_RDWR | os.O_CREAT);"
        "fcntl.flock(lock, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", hold, tmp_path / ".out.parquet.scan"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        assert "expected nothing else to write it, found another run" in fails(*command(out))
        process.kill()


def test_an_unfinished_run_of_something_else(fails, tmp_path):
    state = tmp_path / ".out.parquet.scan"
    state.mkdir()
    (state / "identity.json").write_text('{"model": "another"}')
    (state / "000000.npz").touch()
    message = fails(*command(tmp_path / "out.parquet"))
    assert (
        "expected the unfinished run to have the same chromosomes, deepcpg_tf, device, keras, "
        "model, onednn, reference, tensorflow, threads; repeat that command" in message
    )


def test_a_run_of_other_versions_is_not_gone_on_with(fails, tmp_path, monkeypatch):
    """Another release may compute other numbers, and one file would hold both."""
    out, state = tmp_path / "out.parquet", tmp_path / ".out.parquet.scan"
    monkeypatch.setattr(scan_run, "versions", lambda: {"keras": "0.1", "tensorflow": "0.2"})
    with monkeypatch.context() as patch:
        patch.setattr(scan_run, "save_shards", full_after_writing)
        fails(*command(out))
    monkeypatch.setattr(scan_run, "versions", lambda: {"keras": "0.1", "tensorflow": "0.3"})
    assert f"{state}: expected the unfinished run to have the same tensorflow;" in fails(
        *command(out)
    )


def test_short_chromosomes_are_computed_together_and_alike(run, tmp_path, monkeypatch):
    """Hundreds of scaffolds, some without a CpG, some shorter than half a window, one long."""
    rng = np.random.default_rng(0)
    lengths = {f"s{i}": int(n) for i, n in enumerate(rng.integers(1, 400, 120))} | {"none": 300}
    lengths["s60"] = 3000
    bases = {name: "".join(rng.choice(list("ACGT"), n)) for name, n in lengths.items()}
    bases |= {"none": "AT" * 150, "cg": "CG"}
    fasta = tmp_path / "g.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in bases.items()))
    monkeypatch.setattr("deepcpg_tf.scan.regions.REGION", 20_000)
    saved = []

    def save(shards, path):
        saved.append(path)
        save_shards(shards, path)

    monkeypatch.setattr(scan_run, "save_shards", save)
    out = tmp_path / "out.parquet"
    assert run("predict", RUN / "model", "--genome", fasta, "--out", out).code == 0
    assert len(saved) < 12
    found = pl.read_parquet(out)
    model = DeepCpgDnaForSequencePrediction.from_preset(RUN / "model")
    length = model.config.sequence_length
    expected, windows = [], []
    for name, text in bases.items():
        padded = "N" * (length // 2) + text + "N" * (length // 2)
        at = [i for i in range(len(text)) if text[i : i + 2] == "CG"]
        expected += [(name, i) for i in at]
        windows += [padded[i : i + length] for i in at]
    assert found.select("chromosome", "position").rows() == expected
    np.testing.assert_allclose(
        found.select(CELLS), model.predict_sequences(windows), atol=tolerances.RUN_PROBABILITIES
    )


def test_what_is_computed_together():
    def cut(*lengths):
        regions = [
            Region(str(name), start, min(start + REGION, length))
            for name, length in enumerate(lengths)
            for start in range(0, length, REGION)
        ]
        parts = list(together(regions))
        assert [region for part in parts for region in part] == regions
        return [[int(region.chromosome) for region in part] for part in parts]

    assert cut(5 * REGION // 2, 10, 20, REGION, 5) == [[0], [0], [0], [1, 2], [3], [4]]
    assert cut(REGION // 2, REGION // 2, 5) == [[0], [1, 2]]
    assert [len(part) for part in cut(*[1] * 5000)] == [3996, 1004]


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all"])
def test_a_damaged_shard_is_computed_again(run, tmp_path, monkeypatch, content):
    out, state = tmp_path / "out.parquet", tmp_path / ".out.parquet.scan"
    monkeypatch.setattr("deepcpg_tf.scan.regions.REGION", 3000)
    assert run(*command(tmp_path / "whole.parquet")).code == 0
    with monkeypatch.context() as patch:
        patch.setattr("deepcpg_tf.results.registry.write_results", lambda *_: 1 / 0)
        assert run(*command(out)).code == 1
    shards = sorted(state.glob("*.npz"))
    assert len(shards) > 3
    whole = shards[1].read_bytes()
    shards[0].write_bytes(content)
    shards[1].write_bytes(whole[: len(whole) // 2])
    assert run(*command(out)).code == 0
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_shards_of_another_model_are_not_taken_over(run, tmp_path, monkeypatch):
    """A run that was killed while it cleaned up leaves shards: they are nobody's."""
    out = tmp_path / "out.parquet"

    def killed(path, **_):
        if (path / "identity.json").exists():
            (path / "identity.json").unlink()
            raise KeyboardInterrupt

    other = ("predict", DATA / "legacy" / "keras1-distributed", "--genome", RUN / "dna", "--out")
    assert run(*other, tmp_path / "alone.parquet").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        assert run(*command(out)).code == 130
    assert list(tmp_path.glob(".out*/*.npz"))
    assert run(*other, out).code == 0
    assert out.read_bytes() == (tmp_path / "alone.parquet").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_another_number_of_threads_is_not_gone_on_with(fails, tmp_path, monkeypatch):
    out = tmp_path / "out.parquet"
    monkeypatch.setattr(scan_run, "arithmetic", lambda: {"threads": "2"})
    with monkeypatch.context() as patch:
        patch.setattr(scan_run, "save_shards", full_after_writing)
        fails(*command(out))
    monkeypatch.setattr(scan_run, "arithmetic", lambda: {"threads": "4"})
    assert "expected the unfinished run to have the same threads (2, now 4; TF_NUM_" in fails(
        *command(out)
    )


@pytest.mark.parametrize(
    ("out", "more", "message"),
    [
        ("out.xlsx", (), "expected a name ending in .parquet, .tsv, .tsv.gz, .h5ad, .h5, .bigwig"),
        ("none/out.parquet", (), "expected an existing folder"),
        ("out.parquet", ("--chromosomes", "1,9"), "chromosome '9': expected one of dna (1, 2, X)"),
        ("out.parquet", ("--regions", "none.bed"), "none.bed: expected a file, found none there"),
        ("out.parquet", ("--values", "logits"), "--values and --require-cpg: expected --sites"),
    ],
)
def test_what_cannot_be(fails, tmp_path, out, more, message):
    assert message in fails(*command(tmp_path / out, *more))
    assert list(tmp_path.iterdir()) == []


def test_no_output_is_told(fails):
    message = fails("predict", RUN / "model", "--genome", RUN / "dna")
    assert "--out: expected a file for the predictions of a genome" in message


def test_a_corrupt_genome_is_told(fails, tmp_path):
    fasta = tmp_path / "genome.fa"
    fasta.write_text(">1\nACGT\n>2\nAC!T\n")
    message = fails(
        *("predict", RUN / "model", "--genome", fasta, "--out", tmp_path / "out.parquet")
    )
    assert f"{fasta}: chromosome 2, position 3: expected a nucleotide letter" in message
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_told(fails, tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert "cannot write there: Permission denied" in fails(*command(tmp_path / "x.parquet"))
    finally:
        tmp_path.chmod(0o700)


def test_sites_that_lie_close_are_predicted_alike(run, tmp_path, by_sites):
    """In any order, and some of them twice."""
    rows = by_sites.sample(fraction=1.2, with_replacement=True, seed=0)
    sites, out = tmp_path / "sites.tsv", tmp_path / "out.parquet"
    keys = rows.select("chromosome", "position").iter_rows()
    sites.write_text("".join(f"{chromosome}\t{position + 1}\n" for chromosome, position in keys))
    more = ("--sites", sites, "--genome", RUN / "dna", "--out", out)
    assert run("predict", RUN / "model", *more).code == 0
    found = pl.read_parquet(out)
    assert found.select("chromosome", "position").equals(rows.select("chromosome", "position"))
    np.testing.assert_allclose(
        found.select(CELLS), rows.select(CELLS), atol=tolerances.RUN_PROBABILITIES
    )


def test_a_full_disk_is_told(run, tmp_path, monkeypatch):
    def full(shards, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(scan_run, "save_shards", full)
    result = run(*command(tmp_path / "out.parquet"))
    assert result.code == 2
    assert "No space left on device" in result.err


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "table.h5ad"
    profiles = sorted((RUN / "cpg").iterdir())
    arguments = ["data", "build", "--profiles", *profiles, "--genome", RUN / "dna", "--out", path]
    subprocess.run([sys.executable, "-m", "deepcpg_tf", *map(str, arguments)], check=True)
    return path


def impute(table, out):
    return ("impute", RUN / "model", table, "--genome", RUN / "dna", "--out", out)


def expected_labels(by_sites):
    """Return labels [n, cells], -1 where missing, straight from the profiles."""
    labels = {}
    for cell in CELLS:
        (path,) = (RUN / "cpg").glob(f"{cell}.*")
        data = path.read_bytes()
        lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
        for chromosome, position, value in (line.split() for line in lines if line[0] != "#"):
            key = chromosome.removeprefix("chr"), int(position) - 1, cell
            labels[key] = int(float(value) > 0.5)
    keys = by_sites.select("chromosome", "position").iter_rows()
    return np.array([[labels.get((*key, cell), -1) for cell in CELLS] for key in keys])


def calibrated(by_sites):
    """Return what is imputed where nothing was observed: the shares of the table make up for
    the classes that the original balances."""
    labels = expected_labels(by_sites)
    shares = (labels == 1).sum(axis=0) / (labels >= 0).sum(axis=0)
    assert np.abs(shares - 0.5).max() > 0.003
    probabilities = by_sites.select(CELLS).to_numpy().astype(np.float64)
    return expit(logit(probabilities) + logit(shares))


def test_impute(run, tmp_path, by_sites, table):
    out = tmp_path / "imputed.parquet"
    result = run(*impute(table, out))
    assert result.code == 0, result.err
    found = pl.read_parquet(out)
    labels = expected_labels(by_sites)
    assert "undone by the methylated share of each cell, as the data have it; no temp" in result.err
    assert result.err.endswith(
        f"sites, 3 cells, 3 of them in the table; {(labels >= 0).sum():,} of {labels.size:,} "
        "values observed\n"
    )
    assert (labels >= 0).mean() > 0.1
    observed = found.select([f"{cell}_observed" for cell in CELLS]).to_numpy()
    np.testing.assert_array_equal(observed, labels >= 0)
    expected = np.where(labels >= 0, labels, calibrated(by_sites))
    np.testing.assert_allclose(
        found.select(CELLS).to_numpy(), expected, atol=tolerances.RUN_PROBABILITIES
    )


@pytest.mark.parametrize(
    ("of_table", "of_genome"), [(("1", "MT", "X"), ("chr1", "chrM", "chrX")), (("chr1", "M"), "1M")]
)
def test_impute_uses_observations_under_other_names(run, tmp_path, of_table, of_genome):
    """Without chr, and MT for M: as the same genome is called by Ensembl and by UCSC."""
    rng = np.random.default_rng(1)
    sequences = ["".join(rng.choice(list("ACGT"), 300)) + "CG" for _ in of_table]
    for file, names in (("table.fa", of_table), ("genome.fa", of_genome)):
        records = zip(names, sequences, strict=True)
        (tmp_path / file).write_text("".join(f">{name}\n{bases}\n" for name, bases in records))
    (tmp_path / "c2.tsv").write_text("".join(f"{name}\t301\t1\n" for name in of_table))
    table, out = tmp_path / "table.h5ad", tmp_path / "imputed.parquet"
    build = ("data", "build", "--profiles", tmp_path / "c2.tsv", "--genome", tmp_path / "table.fa")
    assert run(*build, "--out", table).code == 0
    command = ("impute", RUN / "model", table, "--genome", tmp_path / "genome.fa", "--out", out)
    result = run(*command)
    assert result.code == 0, result.err
    observed = pl.read_parquet(out).filter("c2_observed")
    assert observed["chromosome"].to_list() == list(of_genome)
    assert observed["position"].to_list() == [300] * len(of_genome)
    assert observed["c2"].to_list() == [1] * len(of_genome)
    assert "as predicted: classes were balanced in training, and the data have not" in result.err


def test_impute_what_is_sure(run, fails, tmp_path, by_sites, table):
    """An unfinished run goes on with another limit: what it has computed is the same."""
    out = tmp_path / "imputed.tsv"
    labels, probabilities = expected_labels(by_sites), calibrated(by_sites)
    sure = np.maximum(probabilities, 1 - probabilities)
    limit = round(float(np.median(sure)), 2)
    clear = np.abs(sure - limit) > tolerances.RUN_PROBABILITIES
    assert run(*impute(table, out), "--min-confidence", limit).code == 0
    found = pl.read_csv(out, separator="\t", schema_overrides={"chromosome": pl.String})
    missing = found.select(pl.col(CELLS).is_null()).to_numpy()
    expected = (labels < 0) & (sure < limit)
    np.testing.assert_array_equal(missing[clear], expected[clear])
    assert 0.2 < missing.mean() < 0.6
    for other in ("0.4", "1.1", "nan"):
        error = fails(*impute(table, tmp_path / "x.tsv"), "--min-confidence", other)
        assert f"--min-confidence: expected 0.5 to 1, received {other}" in error


@pytest.mark.parametrize("more", [(), ("--sites",)], ids=["genome", "sites"])
def test_predict_calibrated(run, fails, tmp_path, by_sites, table, more):
    """Of a model that keeps no shares, with those of the table; without one, that is told."""
    out, sites = tmp_path / "out.parquet", tmp_path / "sites.tsv"
    keys = by_sites.select("chromosome", "position").iter_rows()
    sites.write_text("".join(f"{chromosome}\t{position + 1}\n" for chromosome, position in keys))
    call = command(out, *more, *[sites for _ in more], "--calibrated")
    error = fails(*call)
    assert "--data: expected a table (.h5ad) of the model's cells with --calibrated" in error
    result = run(*call, "--data", table)
    assert result.code == 0, result.err
    assert "undone by the methylated share of each cell, as the data have it" in result.err
    np.testing.assert_allclose(
        pl.read_parquet(out).select(CELLS), calibrated(by_sites), atol=tolerances.RUN_PROBABILITIES
    )
    assert "expected none with a dna module" in fails(*call[:-1], "--data", table)


def test_windows_calibrated(run, fails, tmp_path, by_sites, table):
    row = by_sites.row(7, named=True)
    windows = Genome(RUN / "dna").windows(row["chromosome"], np.array([row["position"]]), 101)
    one = ("predict", RUN / "model", "--sequence", decode(windows[0]), "--calibrated")
    result = run(*one, "--data", table)
    assert result.code == 0, result.err
    found = [float(text) for text in result.out.splitlines()[1].split("\t")[1:]]
    np.testing.assert_allclose(found, calibrated(by_sites)[7], atol=tolerances.RUN_PROBABILITIES)
    error = fails(*one, "--data", table, "--values", "logits")
    assert "--calibrated: expected probabilities with it, received logits" in error
    assert "--data: expected --sites or --genome alone" in fails(*one[:-1], "--data", table)


@pytest.mark.parametrize(("in_bed", "in_genome"), [("MT", "chrM"), ("chrM", "MT")])
def test_regions_under_other_names(run, tmp_path, in_bed, in_genome):
    fasta, bed, out = tmp_path / "g.fa", tmp_path / "a.bed", tmp_path / "out.parquet"
    fasta.write_text(f">1\n{'CG' * 20}\n>{in_genome}\n{'CG' * 20}\n")
    bed.write_text(f"{in_bed}\t10\t13\n")
    command = ("predict", RUN / "model", "--genome", fasta, "--out", out, "--regions", bed)
    assert run(*command).code == 0
    found = pl.read_parquet(out, columns=["chromosome", "position"])
    assert found.rows() == [(in_genome, 10), (in_genome, 12)]


def test_impute_as_anndata(run, tmp_path, by_sites, table):
    import anndata

    out = tmp_path / "imputed.h5ad"
    assert run(*impute(table, out)).code == 0
    found = anndata.read_h5ad(out)
    labels = expected_labels(by_sites).T
    assert list(found.obs_names) == list(CELLS)
    assert found.var["position"].tolist() == by_sites["position"].to_list()
    np.testing.assert_array_equal(found.layers["observed"].toarray(), np.array([-1, 1, 0])[labels])
    probabilities = calibrated(by_sites).T
    np.testing.assert_array_equal(found.layers["imputed"], found.X)
    np.testing.assert_allclose(
        found.layers["probability"], probabilities, atol=tolerances.RUN_PROBABILITIES
    )
    np.testing.assert_allclose(
        found.X, np.where(labels >= 0, labels, probabilities), atol=tolerances.RUN_PROBABILITIES
    )


def test_the_originals_layout(run, tmp_path, by_sites, table):
    import h5py

    out = tmp_path / "imputed.h5"
    assert run(*impute(table, out)).code == 0
    with h5py.File(out) as file:
        assert (file["pos"][:] - 1).tolist() == by_sites["position"].to_list()
        labels = expected_labels(by_sites)[:, 1]
        probabilities = calibrated(by_sites)[:, 1]
        values = np.where(labels >= 0, labels, probabilities)
        sure = np.where(labels >= 0, 1, np.maximum(probabilities, 1 - probabilities))
        expected = {"preds": values, "probability": probabilities, "confidence": sure}
        for group, own in expected.items():
            found = file[f"{group}/cpg/c2"]
            np.testing.assert_allclose(found, own, atol=tolerances.RUN_PROBABILITIES)
        np.testing.assert_array_equal(file["outputs/cpg/c2"], labels)


def test_impute_with_other_cells(fails, tmp_path, table):
    other = DATA / "legacy" / "keras1-distributed"
    message = fails(
        "impute", other, table, "--genome", RUN / "dna", "--out", tmp_path / "x.parquet"
    )
    assert "table: expected some of the model's cells" in message


@pytest.mark.parametrize(
    ("cells", "out", "message"),
    [
        (["position"], "a.parquet", "'position' both for the sites and for cell 'position'"),
        (["x", "y", "x_observed"], "a.tsv", "both for cell 'x' and for cell 'x_observed'"),
        (["a", "a/b"], "a.h5", "received 'a' and 'a/b'"),
    ],
)
def test_cells_of_one_name_are_told_before_anything_is_computed(
    fails, tmp_path, monkeypatch, table, cells, out, message
):
    from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction
    from deepcpg_tf.scan.engine import ScanEngine

    config = DeepCpgDnaConfig(sequence_length=101, cells=(*cells, *CELLS))
    DeepCpgDnaForSequencePrediction(config).save_to_preset(tmp_path / "model")
    monkeypatch.setattr(ScanEngine, "logits", lambda *arguments: 1 / 0)
    genome = ("--genome", RUN / "dna", "--out", tmp_path / out)
    told = fails("impute", tmp_path / "model", table, *genome)
    assert message in told
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_cells_with_slashes_have_files_of_their_own(run, tmp_path):
    from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction

    config = DeepCpgDnaConfig(sequence_length=101, cells=("a/b", "a_b"))
    DeepCpgDnaForSequencePrediction(config).save_to_preset(tmp_path / "model")
    out = tmp_path / "all.bigwig"
    result = run("predict", tmp_path / "model", "--genome", RUN / "dna", "--out", out)
    assert result.code == 0, result.err
    assert {path.name for path in out.iterdir()} == {"a%2Fb.bw", "a_b.bw"}


def test_predict_of_sites_refuses_a_cell_that_is_called_as_a_key(run, tmp_path):
    from deepcpg_tf import DeepCpgDnaConfig, DeepCpgDnaForSequencePrediction

    config = DeepCpgDnaConfig(sequence_length=101, cells=("strand",))
    DeepCpgDnaForSequencePrediction(config).save_to_preset(tmp_path / "model")
    (tmp_path / "sites.tsv").write_text("1\t500\n")
    sites = ("--sites", tmp_path / "sites.tsv", "--genome", RUN / "dna")
    out = tmp_path / "out.parquet"
    result = run("predict", tmp_path / "model", *sites, "--out", out)
    assert result.code == 2
    assert "received 'strand' both for what tells the rows and for the values" in result.err
    assert not out.exists()
