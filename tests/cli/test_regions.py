"""What ``deepcpg-tf regions`` prints, and its errors of one line."""

import anndata
import numpy as np
import pytest

from deepcpg_tf import write_table
from tests.regions import made_up


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("regions"), np.random.default_rng(0)
    data = made_up.chromosomes(rng, number=2, sites=600, cells=6)
    labels = [np.where(made_up.observed(rng, one, 0.3), one.states, -1) for one in data]
    write_table(made_up.table_of(data, labels), path / "cells.h5ad")
    half = [np.full(one.states.shape, 0.5) for one in data]
    made_up.write_imputed(path / "imputed.h5ad", data, labels, half)
    (path / "other.bed").write_text("chr7\t0\t1000\n")
    (path / "empty.bed").write_text("chr1\t0\t1\n")
    (path / "wrong.bed").write_text("chr1\t10\t1\n")
    (path / "good.bed").write_text("chr1\t0\t5000\tgene\n")
    (path / "text.h5ad").write_text("no\n")
    return path


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("file", ["cells.h5ad", "imputed.h5ad"])
@pytest.mark.parametrize("where", [("--bins", "5kb"), ("--regions", "good.bed")])
def test_regions(run, tmp_path, file, where):
    out = tmp_path / "r.h5ad"
    result = run("regions", file, *where, "--out", out)
    assert result.code == 0, result.err
    found = anndata.read_h5ad(out)
    assert result.out == ""
    assert "intervals fitted by" in result.err
    assert result.err.splitlines()[-1] == f"{out}: {found.n_vars} regions, 6 cells"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("cells.h5ad",), "--regions: expected intervals, or else --bins, received neither"),
        (
            ("cells.h5ad", "--bins", "5kb", "--regions", "good.bed"),
            "--regions: expected intervals, or else --bins, received both",
        ),
        (("cells.h5ad", "--bins", "5k"), "--bins: expected a size as 500, 10kb or 1Mb"),
        (("cells.h5ad", "--bins", "0"), "--bins: expected a size as 500, 10kb or 1Mb"),
        (("cells.h5ad", "--regions", "other.bed"), "expected intervals on the chromosomes asked"),
        (("cells.h5ad", "--regions", "empty.bed"), "expected regions with sites, received 1 with"),
        (("cells.h5ad", "--regions", "wrong.bed"), "wrong.bed, line 1: expected the BED columns"),
        (("cells.h5ad", "--regions", "none.bed"), "none.bed: expected a file, found none there"),
        (("none.h5ad", "--bins", "5kb"), "none.h5ad: expected a file, found none there"),
        (("text.h5ad", "--bins", "5kb"), "text.h5ad: expected a methylation table"),
        (
            ("cells.h5ad", "--bins", "5kb", "--hidden", "cells.h5ad"),
            "--hidden: expected none with a table, which is not imputed",
        ),
        (
            ("imputed.h5ad", "--bins", "5kb", "--hidden", "cells.h5ad"),
            "--hidden: expected calls of sites that were imputed, on the chromosomes to fit on",
        ),
        (
            ("imputed.h5ad", "--bins", "5kb", "--held-out", "1"),
            "--held-out: expected at least two chromosomes",
        ),
        (
            ("imputed.h5ad", "--bins", "5kb", "--held-out", "1,9"),
            "--held-out: expected chromosomes with regions (chr1, chr2), received '9'",
        ),
    ],
)
def test_errors(fails, tmp_path, arguments, expected):
    assert expected in fails("regions", *arguments, "--out", tmp_path / "r.h5ad")
    assert not (tmp_path / "r.h5ad").exists()


@pytest.mark.parametrize("out", ["r.tsv", "cells.h5ad", "none/r.h5ad"])
def test_places(fails, out):
    fails("regions", "cells.h5ad", "--bins", "5kb", "--out", out)


def test_hidden_calls_of_other_cells(fails, folder, tmp_path):
    rng = np.random.default_rng(0)
    data = made_up.chromosomes(rng, number=1, sites=50, cells=2)
    table = made_up.table_of(data, [one.states for one in data])
    write_table(type(table)(("x", "y"), *list(vars(table).values())[1:6]), tmp_path / "o.h5ad")
    line = fails(
        *("regions", "imputed.h5ad", "--bins", "5kb", "--hidden", tmp_path / "o.h5ad"),
        *("--out", tmp_path / "r.h5ad"),
    )
    assert "--hidden: expected a table of some of the imputed cells (cell0" in line
