"""All endings hold the same, read back by the libraries that their readers use."""

import gzip
from collections.abc import Callable
from typing import Any, NamedTuple

import anndata
import h5py
import numpy as np
import polars as pl
import pybigtools
import pytest

from deepcpg_tf.results.contents import Contents, Kind
from deepcpg_tf.results.registry import FORMATS, write_results
from deepcpg_tf.scan.shards import Shard

CELLS = ("b", "a", "c d")
LENGTHS = {"chr2": 3_000, "chr10": 5_000, "chrM": 900}
SITES = {"chr2": 300, "chr10": 411, "chrM": 1}
KINDS = (Kind.PREDICTED, Kind.IMPUTED)


class Found(NamedTuple):
    """Sites by chromosome and position, sorted, with values and labels (-1 missing) by cell."""

    sites: list[tuple[str, int]]
    values: Any
    observed: Any = None
    labels: Any = None
    probabilities: Any = None


def shards(kind):
    rng = np.random.default_rng(7)
    for chromosome, n in SITES.items():
        positions = np.cumsum(rng.integers(2, 10, n)).astype(np.int64)
        probabilities = rng.random((n, len(CELLS)), np.float32)
        labels = rng.integers(-1, 2, probabilities.shape).astype(np.int8)
        labels[:, 2] = -1  # a cell that the table lacks
        yield Shard(chromosome, positions, probabilities, labels if kind is Kind.IMPUTED else None)


def of_table(frame, scale):
    sites = list(zip(frame["chromosome"].to_list(), frame["position"].to_list(), strict=True))
    flags = [f"{cell}_observed" for cell in CELLS]
    observed = frame.select(flags).to_numpy() if flags[0] in frame.columns else None
    return Found(sites, frame.select(CELLS).to_numpy() / scale, observed)


def of_parquet(path, scale=1):
    return of_table(pl.read_parquet(path), scale)


def of_tsv(path, scale=1):
    return of_table(pl.read_csv(path, separator="\t"), scale)


def of_h5ad(path):
    table = anndata.read_h5ad(path)
    table = table[list(CELLS)]
    sites = list(
        zip(table.var["chromosome"].astype(str), table.var["position"].tolist(), strict=True)
    )
    if "observed" not in table.layers:
        assert not table.layers
        return Found(sites, table.X.T)
    np.testing.assert_array_equal(table.X, table.layers["imputed"])
    calls = table.layers["observed"].toarray().T
    labels = np.select([calls == 1, calls == -1], [1, 0], -1)
    return Found(sites, table.X.T, calls != 0, labels, table.layers["probability"].T)


def of_h5(path):
    with h5py.File(path) as file:
        names = [f"chr{name}" for name in file["chromo"].asstr()[:]]
        sites = list(zip(names, (file["pos"][:] - 1).tolist(), strict=True))
        values, labels = (
            np.stack([file[f"{group}/cpg/{cell}"][:] for cell in CELLS], axis=1)
            for group in ("preds", "outputs")
        )
        if "probability" not in file:
            assert (labels == -1).all()
            return Found(sites, values)
        beside = np.stack([file[f"probability/cpg/{cell}"][:] for cell in CELLS], axis=1)
        return Found(sites, values, labels >= 0, labels, beside)


def of_bigwig(path):
    by_cell = []
    for cell in CELLS:
        file = pybigtools.open(str(path / f"{cell}.bw"))
        by_cell.append([(name, *one) for name in LENGTHS for one in file.records(name)])
    return of_tracks(by_cell)


def of_bedgraph(path):
    by_cell = []
    for cell in CELLS:
        text = gzip.decompress((path / f"{cell}.bedGraph.gz").read_bytes())
        frame = pl.read_csv(text, separator="\t", has_header=False, skip_rows=1)
        by_cell.append(frame.rows())
    return of_tracks(by_cell)


def of_tracks(by_cell):
    sites = [[row[:2] for row in rows] for rows in by_cell]
    assert all(one == sites[0] for one in sites)
    assert all(end == start + 2 for rows in by_cell for _, start, end, _ in rows)
    return Found(sites[0], np.array([[row[3] for row in rows] for rows in by_cell]).T)


READERS: dict[str, Callable[..., Found]] = {
    ".parquet": of_parquet,
    ".tsv": of_tsv,
    ".tsv.gz": of_tsv,
    ".h5ad": of_h5ad,
    ".h5": of_h5,
    ".bigwig": of_bigwig,
    ".bedgraph": of_bedgraph,
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_endings_hold_the_same(tmp_path, kind):
    contents = Contents(CELLS, tuple(LENGTHS), tuple(LENGTHS.values()), kind)
    found = {}
    for ending, read in READERS.items():
        write_results(tmp_path / f"a{ending}", contents, shards(kind))
        found[ending] = read(tmp_path / f"a{ending}")
    assert set(found) == {one.ending for one in FORMATS if kind in one.kinds}
    first = found[".parquet"]
    assert len(first.sites) == sum(SITES.values())
    for ending, one in found.items():
        assert one.sites == first.sites, ending
        # Six digits in bedGraph, read back as float32; elsewhere the same float32.
        atol = 6e-7 if ending == ".bedgraph" else 0
        np.testing.assert_allclose(
            one.values.astype(np.float32), first.values, rtol=0, atol=atol, err_msg=ending
        )
    if kind is Kind.PREDICTED:
        assert all(one.observed is None for one in found.values())
        return
    telling = [one for one in found.values() if one.observed is not None]
    assert len(telling) == 5
    for one in telling:
        np.testing.assert_array_equal(one.observed, first.observed)
    assert first.observed[:, :2].any()
    assert not first.observed[:, 2].any()
    h5ad, h5 = found[".h5ad"], found[".h5"]
    np.testing.assert_array_equal(h5.labels, h5ad.labels)
    np.testing.assert_array_equal(h5.probabilities, h5ad.probabilities)
    for one in found.values():  # the state where there is one, else the probability
        np.testing.assert_array_equal(one.values[first.observed], h5.labels[first.observed])
    np.testing.assert_array_equal(h5.values[~first.observed], h5.probabilities[~first.observed])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".parquet", ".tsv", ".tsv.gz"])
def test_thousandths_are_the_same_to_half_of_one(tmp_path, kind, ending):
    contents = Contents(CELLS, tuple(LENGTHS), tuple(LENGTHS.values()), kind)
    write_results(tmp_path / "whole.parquet", contents, shards(kind))
    whole = of_parquet(tmp_path / "whole.parquet")
    path = tmp_path / f"a{ending}"
    write_results(path, contents._replace(thousandths=True), shards(kind))
    found = READERS[ending](path, 1000)
    assert found.sites == whole.sites
    assert np.abs(found.values - whole.values).max() <= 5e-4
    if kind is Kind.IMPUTED:
        np.testing.assert_array_equal(found.observed, whole.observed)
        assert set(found.values[found.observed]) == {0, 1}
