import gzip
import os
import pty
import subprocess
import sys

import numpy as np
import pytest

from deepcpg_tf.data.build import table_of_profiles
from deepcpg_tf.data.legacy.hdf5 import LegacyData
from deepcpg_tf.data.table_file import read_table, write_table
from deepcpg_tf.genome.reference import Genome
from tests.data.tables import (
    GENOME,
    LEGACY_FILES,
    RUN,
    profile,
    profiles_of_the_run,
    small_table,
)

PROFILES = sorted((RUN / "cpg").iterdir())


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "small.h5ad"
    write_table(small_table(tmp_path), path)
    return path


@pytest.fixture
def wide(tmp_path):
    """A table with one cell and so many sites on each chromosome: 1: 5, 2: 3, 3: 2, 13: 1."""
    counts = {"chr1": 5, "chr2": 3, "chr3": 2, "chr13": 1}
    fasta = tmp_path / "wide.fa"
    fasta.write_text("".join(f">{name}\n{'CG' * n}\n" for name, n in counts.items()))
    sites = {name: {2 * i: 1 for i in range(n)} for name, n in counts.items()}
    write_table(table_of_profiles([profile("a", **sites)], Genome(fasta)), tmp_path / "wide.h5ad")
    return tmp_path / "wide.h5ad"


def assert_same(path, expected):
    found = read_table(path)
    assert (found.cells, found.chromosomes) == (expected.cells, expected.chromosomes)
    assert (found.chromosome_ids == expected.chromosome_ids).all()
    assert (found.positions == expected.positions).all()
    assert (found.calls.toarray() == expected.calls.toarray()).all()
    assert found.reference == expected.reference


@pytest.mark.parametrize("genome", [GENOME, RUN / "dna"])
@pytest.mark.parametrize("form", ["several values", "repeated"])
def test_build(run, tmp_path, genome, form):
    out = tmp_path / "table.h5ad"
    given = ["--profiles", *PROFILES]
    if form == "repeated":
        given = [arg for path in PROFILES for arg in ("--profiles", path)]
    result = run("data", "build", *given, "--genome", genome, "--out", out)
    assert result.code == 0, result.err
    assert result.out == (f"{out}: 2297 sites on 3 chromosomes, 3 cells, 57.6% observed\n")
    accounts = result.err.splitlines()
    assert len(accounts) == 3
    for path, account in zip(PROFILES, accounts, strict=True):
        assert path.name in account
    assert_same(out, table_of_profiles(profiles_of_the_run(), Genome(genome)))


def test_build_with_min_cells(run, tmp_path):
    out = tmp_path / "table.h5ad"
    arguments = ("--genome", GENOME, "--min-cells", 3, "--out", out, "--profiles", *PROFILES)
    assert run("data", "build", *arguments).code == 0
    assert_same(out, table_of_profiles(profiles_of_the_run(), Genome(GENOME), min_cells=3))


def test_build_with_min_coverage_and_format(run, tmp_path):
    (tmp_path / "g.fa").write_text(">1\nACGACGACG\n")
    # Three, one and three reads.
    (tmp_path / "a.cov").write_text("1\t2\t2\t100\t3\t0\n1\t5\t5\t100\t1\t0\n1\t8\t8\t0\t0\t3\n")
    out = tmp_path / "table.h5ad"
    arguments = ("--genome", tmp_path / "g.fa", "--out", out, "--min-coverage", 2)
    result = run("data", "build", "--profiles", tmp_path / "a.cov", *arguments)
    assert result.code == 0, result.err
    table = read_table(out)
    assert table.positions.tolist() == [1, 7]
    assert table.labels(np.arange(2)).tolist() == [[1], [0]]
    line = run("data", "build", "--profiles", tmp_path / "a.cov", *arguments, "--format", "no")
    assert line.code == 2
    assert "'no'" in line.err


def test_build_refuses_before_reading(fails, tmp_path):
    build = ("data", "build", "--genome", GENOME)
    missing = tmp_path / "no.tsv"
    assert "no.tsv: expected a file, found none there" in fails(
        *build, "--profiles", PROFILES[0], missing, "--out", tmp_path / "t.h5ad"
    )
    assert "t.txt: expected a name that ends in .h5ad" in fails(
        *build, "--profiles", PROFILES[0], "--out", tmp_path / "t.txt"
    )
    assert "expected a folder that exists" in fails(
        *build, "--profiles", PROFILES[0], "--out", tmp_path / "no" / "t.h5ad"
    )
    assert "no.fa: expected a FASTA file" in fails(
        *("data", "build", "--genome", tmp_path / "no.fa", "--profiles", PROFILES[0]),
        *("--out", tmp_path / "t.h5ad"),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profiles", "--genome", "x"], "Option '--profiles' expects at least one value"),
        (["--genome", "x", "--profiles"], "Option '--profiles' expects at least one value"),
        (["--genome", "x", "--out", "y"], "Missing option '--profiles'"),
        (["a.tsv", "--genome", "x", "--out", "y", "--profiles", "b"], "unexpected extra argument"),
        (["--genome", "x", "y", "--out", "z", "--profiles", "b"], "unexpected extra argument"),
        (["--profiles", "a", "--genome", "x", "--out", "y", "--min-cells", "0"], "--min-cells"),
    ],
)
def test_build_usage(fails, arguments, message):
    assert message in fails("data", "build", *arguments)


def test_a_cell_twice_is_told_before_anything_is_read(fails, tmp_path):
    (tmp_path / "c1.tsv.gz").write_bytes(gzip.compress(PROFILES[0].read_bytes()))
    arguments = ("--genome", GENOME, "--out", tmp_path / "t.h5ad")
    profiles = (PROFILES[0], tmp_path / "c1.tsv.gz")
    message = fails("data", "build", "--profiles", *profiles, *arguments)
    assert f"received 'c1', the cell of {PROFILES[0]}" in message
    assert not (tmp_path / "t.h5ad").exists()


def test_build_with_names_of_cells(run, fails, tmp_path):
    files = [tmp_path / f"GSM{i}_{path.name}" for i, path in enumerate(PROFILES)]
    for file, path in zip(files, PROFILES, strict=True):
        file.write_bytes(path.read_bytes())
    out = tmp_path / "t.h5ad"
    build = ("data", "build", "--profiles", *files, "--genome", GENOME, "--out", out)
    assert run(*build, "--cell-name", r"_([^.]+)").code == 0
    assert read_table(out).cells == ("c1", "c2", "c3")
    out.unlink()
    message = fails(*build, "--cell-name", "GSM")
    assert f"{files[1]}: expected a cell that no other file has, received 'GSM'" in message
    message = fails(*build, "--cell-name", "GSM[01]")
    assert f"{files[2]}: expected the name of a cell where --cell-name has it" in message
    assert "--cell-name: expected a regular expression" in fails(*build, "--cell-name", "[")
    assert not out.exists()


def test_import_legacy(run, tmp_path):
    out = tmp_path / "table.h5ad"
    result = run("data", "import-legacy", *LEGACY_FILES, "--genome", GENOME, "--out", out)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{out}: 2297 sites on 3 chromosomes, 3 cells, ")
    assert_same(out, table_of_profiles(profiles_of_the_run(), Genome(GENOME)))


def test_import_legacy_of_something_else(fails, tmp_path):
    (tmp_path / "x.h5").write_text("no")
    message = fails(
        *("data", "import-legacy", tmp_path / "x.h5", "--genome", GENOME),
        *("--out", tmp_path / "t.h5ad"),
    )
    assert "x.h5: expected a data file of the original DeepCpG" in message


SHOWN = """\
cell\tchromosome\tsites\tobserved\tcoverage\tmethylation_rate
b\tX\t3\t1\t0.3333\t1.0000
b\t1\t3\t2\t0.6667\t0.5000
a\tX\t3\t2\t0.6667\t0.0000
a\t1\t3\t1\t0.3333\t1.0000
c\tX\t3\t2\t0.6667\t1.0000
c\t1\t3\t1\t0.3333\t1.0000
b\tall\t6\t3\t0.5000\t0.6667
a\tall\t6\t3\t0.5000\t0.3333
c\tall\t6\t3\t0.5000\t1.0000
"""


def test_show(run, table):
    result = run("data", "show", table)
    assert (result.code, result.out, result.err) == (0, SHOWN, "")


def test_show_on_a_terminal(table):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "deepcpg_tf", "data", "show", str(table)]
    subprocess.run(command, check=True, stdout=theirs, env={**os.environ, "COLUMNS": "100"})
    os.close(theirs)
    text = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "\t" not in text
    assert [line.split() for line in text.split("\r\n")][1] == [
        "b",
        "X",
        "3",
        "1",
        "0.3333",
        "1.0000",
    ]
    assert len(text.split("\r\n")) == 11


def test_show_of_something_else(fails):
    assert "deepcpg-tf data import-legacy" in fails("data", "show", LEGACY_FILES[0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--split", "published"],
            "train chr1 5|train chr3 2|validation chr13 1|test chr2 3"
            "|train all 7|validation all 1|test all 3",
        ),
        (
            ["--train", "1,13", "--test", "chr2"],
            "train chr1 5|train chr13 1|test chr2 3|unused chr3 2"
            "|train all 6|test all 3|unused all 2",
        ),
        # 5.5, 2.75 and 2.75 are lacking: chr1, chr2 to validation, chr3 to test; then 0.5,
        # -0.25 and 0.75: chr13 to test.
        (
            ["--fractions", "0.5,0.25,0.25"],
            "train chr1 5|validation chr2 3|test chr3 2|test chr13 1"
            "|train all 5|validation all 3|test all 3",
        ),
    ],
)
def test_split(run, wide, options, expected):
    result = run("data", "split", wide, *options)
    assert (result.code, result.err) == (0, "")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert rows[0] == ["part", "chromosome", "sites", "share"]
    assert "|".join(" ".join(row[:3]) for row in rows[1:]) == expected
    assert [row[3] for row in rows[1:]] == [f"{int(row[2]) / 11:.4f}" for row in rows[1:]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "split: expected --split published, or chromosomes as --train"),
        (["--train", "1", "--test", "1"], "received '1', which is in train"),
        (["--train", "1,4"], "train: expected chromosomes of the data (chr1, chr2, chr3, chr13)"),
    ],
)
def test_split_errors(fails, wide, options, message):
    assert message in fails("data", "split", wide, *options)


def test_share_of_observed_sites():
    """The 57.6% that `data build` tells, counted in the original's files."""
    data = LegacyData(LEGACY_FILES)
    labels = data.labels(np.arange(len(data)))
    assert f"{(labels >= 0).mean():.1%}" == "57.6%"


def test_nothing_heavy_is_imported_for_help():
    code = (
        "import sys; sys.argv = ['deepcpg-tf', 'data', 'build', '--help']\n"
        "from deepcpg_tf.cli.app import main\n"
        "heavy = {'tensorflow', 'numpy', 'scipy', 'anndata', 'polars', 'h5py', 'pysam'}\n"
        "try: main()\n"
        "finally: print(heavy & sys.modules.keys(), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert result.stderr == "set()\n"


def test_a_warning_is_one_line(tmp_path):
    profile = tmp_path / "c1.tsv"
    text = PROFILES[0].read_text().splitlines(keepends=True)
    profile.write_text("".join([text[0], *text]))
    arguments = ("data", "build", "--profiles", profile, "--genome", GENOME)
    command = [sys.executable, "-m", "deepcpg_tf", *arguments, "--out", tmp_path / "t.h5ad"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    first, _ = told.splitlines()
    assert first.startswith("deepcpg-tf: warning: ")
    assert "c1.tsv" in first


def test_build_on_another_assembly(run, fails, tmp_path):
    """The profile is of mini.fa; the genome has a base more on its first chromosome."""
    records = [record.partition("\n") for record in GENOME.read_text().split(">")[1:]]
    letters = {name: text.replace("\n", "") for name, _, text in records}
    letters["1"] = "T" + letters["1"]
    fasta = "".join(f">{name}\n{text}\n" for name, text in letters.items())
    (tmp_path / "other.fa").write_text(fasta)
    arguments = ("data", "build", "--genome", tmp_path / "other.fa", "--out", tmp_path / "t.h5ad")
    message = fails(*arguments, "--profiles", PROFILES[0])
    assert "other.fa, as --min-reference-match asks, received 1: " in message
    assert "is it of another assembly?" in message
    assert not (tmp_path / "t.h5ad").exists()
    done = run(*arguments, "--profiles", PROFILES[0], "--min-reference-match", 0)
    assert done.code == 0
    assert "; on a C or G: " in done.err


def test_filter(run, fails, tmp_path):
    (tmp_path / "g.fa").write_text(">1\nACGACGACG\n")
    (tmp_path / "a.cov").write_text("1\t2\t2\t100\t3\t0\n1\t5\t5\t100\t1\t0\n1\t8\t8\t0\t0\t3\n")
    table, out = tmp_path / "t.h5ad", tmp_path / "f.h5ad"
    build = ("data", "build", "--profiles", tmp_path / "a.cov", "--genome", tmp_path / "g.fa")
    assert run(*build, "--out", table, "--keep-coverage").code == 0
    result = run("data", "filter", table, "--min-coverage", 2, "--out", out)
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{out}: 2 sites on 1 chromosomes, 1 cells, 100.0% observed\n"
    assert run(*build, "--out", tmp_path / "anew.h5ad", "--min-coverage", 2).code == 0
    assert_same(out, read_table(tmp_path / "anew.h5ad"))
    again = ("--out", tmp_path / "no.h5ad")
    message = fails("data", "filter", out, "--min-coverage", 1, *again)
    assert "error: --min-coverage: expected 2 or more, as the table was built with" in message
    message = fails("data", "filter", tmp_path / "anew.h5ad", "--min-coverage", 2, *again)
    assert "anew.h5ad: expected a table with the coverage of each call" in message
    assert "no.txt: expected a file" in fails(
        "data", "filter", "no.txt", "--min-coverage", 2, *again
    )
    assert not (tmp_path / "no.h5ad").exists()


@pytest.mark.parametrize("form", ["methscan", "amethyst", "cpg-transformer"])
def test_export_and_build(run, tmp_path, table, form):
    out, again = tmp_path / "exported", tmp_path / "again.h5ad"
    genome = ["--genome", tmp_path / "small.fa"]
    extra = genome if form == "cpg-transformer" else []
    result = run("data", "export", table, "--format", form, "--out", out, *extra)
    assert (result.code, result.out) == (0, f"{out}: {form}\n"), result.err
    result = run("data", "build", "--profiles", out, *genome, "--out", again)
    assert result.code == 0, result.err
    assert f"exported, b: {form}, 3 sites read, 3 kept" in result.err
    assert_same(again, read_table(table))


def test_cells_of_several_files(run, fails, tmp_path, table):
    genome = ["--genome", tmp_path / "small.fa"]
    assert run("data", "export", table, "--format", "methscan", "--out", tmp_path / "s").code == 0
    one = tmp_path / "d.tsv"
    one.write_text("1\t2\t1\n")
    out = tmp_path / "four.h5ad"
    result = run("data", "build", "--profiles", one, tmp_path / "s", *genome, "--out", out)
    assert result.code == 0, result.err
    assert read_table(out).cells == ("d", "b", "a", "c")
    one.rename(tmp_path / "a.tsv")
    given = ["--profiles", tmp_path / "a.tsv", tmp_path / "s", *genome]
    message = fails("data", "build", *given, "--out", tmp_path / "none.h5ad")
    assert "expected a cell that no other file has, received 'a'" in message
    assert not (tmp_path / "none.h5ad").exists()


def test_export_of_regions(run, fails, tmp_path, table):
    out = tmp_path / "out.mcds"
    command = ["data", "export", table, "--format", "mcds", "--out", out]
    assert fails(*command).startswith("deepcpg-tf: error: --regions, --bins: expected one of the")
    assert "--bins: expected a number of bases" in fails(*command, "--bins", "1x")
    assert run(*command, "--bins", "100kb").code == 0
    assert sorted(file.name for file in out.iterdir()) == [
        ".ALLCools",
        "chrom100k",
        "chrom_sizes.txt",
    ]
    message = fails(
        "data", "build", "--profiles", out, "--genome", GENOME, "--out", tmp_path / "x.h5ad"
    )
    assert "which counts whole regions" in message


def test_a_store_a_base_off(fails, tmp_path):
    table = table_of_profiles(profiles_of_the_run(), Genome(RUN / "dna"))
    write_table(table, tmp_path / "run.h5ad")
    from deepcpg_tf import export_table

    export_table(table, tmp_path / "s", format="methscan")
    message = fails(
        *("data", "build", "--profiles", tmp_path / "s", "--genome", RUN / "dna"),
        *("--format", "methscan-zero", "--out", tmp_path / "x.h5ad"),
    )
    assert message.endswith("read it with the format methscan\n")
