"""What each ending holds, against values computed here; and that none holds it in memory."""

import gzip
import os
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pybigtools
import pytest

import deepcpg_tf
from deepcpg_tf.errors import OutputError
from deepcpg_tf.results import blocks, h5ad
from deepcpg_tf.results.contents import Contents, Kind
from deepcpg_tf.results.registry import FORMATS, write_results
from deepcpg_tf.scan.shards import Shard

CELLS = ("c1", "a cell", "p/q", "ü%")
FILES = ("c1", "a cell", "p%2Fq", "ü%25")
LENGTHS = {"chr1": 90_000, "chrEmpty": 50, "chr2": 40_000, "chrM": 16_000}
ENDINGS = tuple(one.ending for one in FORMATS)
KINDS = (Kind.PREDICTED, Kind.IMPUTED)


def make(kind, seed=0):
    """Return shards, of which one has no site, and all of them as columns."""
    rng = np.random.default_rng(seed)
    shards = []
    for chromosome, first, n in (
        ("chr1", 0, 700),
        ("chr1", 45_000, 801),
        ("chrEmpty", 0, 0),
        ("chr2", 5, 300),
        ("chrM", 9, 1),
    ):
        positions = first + np.cumsum(rng.integers(2, 80, n)).astype(np.int64)
        values = rng.random((n, len(CELLS)), np.float32)
        labels = rng.integers(-1, 2, values.shape).astype(np.int8)
        shards.append(
            Shard(chromosome, positions, values, labels if kind is Kind.IMPUTED else None)
        )
    names = [shard.chromosome for shard in shards for _ in shard.positions]
    positions, probabilities = (
        np.concatenate([getattr(shard, name) for shard in shards])
        for name in ("positions", "probabilities")
    )
    values = probabilities.copy()
    if kind is not Kind.IMPUTED:
        return shards, names, positions, values, probabilities, None
    labels = np.concatenate([shard.labels for shard in shards])
    values[labels == 0], values[labels == 1] = 0, 1
    return shards, names, positions, values, probabilities, labels


def contents(kind, **more):
    return Contents(CELLS, tuple(LENGTHS), tuple(LENGTHS.values()), kind, **more)


@pytest.fixture(params=[1 << 16, 333])
def rows(request, monkeypatch):
    """In one block, and in several."""
    monkeypatch.setattr(blocks, "ROWS", request.param)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".parquet", ".tsv", ".tsv.gz"])
@pytest.mark.parametrize("thousandths", [False, True])
def test_tables(tmp_path, kind, ending, thousandths):
    shards, names, positions, values, _, labels = make(kind)
    path = tmp_path / f"a{ending}"
    write_results(path, contents(kind, thousandths=thousandths), iter(shards))
    observed = [f"{cell}_observed" for cell in CELLS] if labels is not None else []
    if ending == ".parquet":
        found = pl.read_parquet(path)
        types = [pl.UInt16 if thousandths else pl.Float32] * 4 + [pl.Boolean] * len(observed)
        assert found.dtypes == [pl.String, pl.Int64, *types]
    else:
        found = pl.read_csv(path, separator="\t")
    assert found.columns == ["chromosome", "position", *CELLS, *observed]
    assert found["chromosome"].to_list() == names
    assert found["position"].to_list() == positions.tolist()
    expected = np.rint(values * 1000) if thousandths else values
    own = np.stack([found[cell].to_numpy().astype(np.float32) for cell in CELLS], axis=1)
    np.testing.assert_array_equal(own, expected)
    if labels is not None:
        np.testing.assert_array_equal(found.select(observed).to_numpy(), labels >= 0)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("kind", KINDS)
def test_anndata(tmp_path, kind):
    """Equal to what AnnData's own writer makes of the same, down to the types."""
    import anndata
    import pandas as pd
    import scipy.sparse

    shards, names, positions, values, probabilities, labels = make(kind)
    write_results(tmp_path / "a.h5ad", contents(kind), iter(shards))
    index = [f"{name}:{position}" for name, position in zip(names, positions, strict=True)]
    table = anndata.AnnData(
        values.T,
        obs=pd.DataFrame(index=np.array(CELLS, object)),
        var=pd.DataFrame(
            {
                "chromosome": pd.Categorical(names, ["chr1", "chrEmpty", "chr2", "chrM"]),
                "position": positions,
            },
            index=np.array(index, object),
        ),
    )
    if labels is not None:
        stored = np.where(labels < 0, 0, np.where(labels == 1, 1, -1)).astype(np.int8)
        table.layers["observed"] = scipy.sparse.csc_matrix(stored.T)
        table.layers["imputed"] = values.T
        table.layers["probability"] = probabilities.T
        sure = np.maximum(probabilities, 1 - probabilities)
        table.layers["confidence"] = np.where(labels < 0, sure, 1).astype(np.float32).T
    table.write_h5ad(tmp_path / "b.h5ad", compression="gzip")

    with h5py.File(tmp_path / "a.h5ad") as found, h5py.File(tmp_path / "b.h5ad") as expected:
        assert everything(found) == everything(expected)
    found, expected = (anndata.read_h5ad(tmp_path / name) for name in ("a.h5ad", "b.h5ad"))
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    pd.testing.assert_frame_equal(found.var, expected.var)
    np.testing.assert_array_equal(found.X, expected.X)
    assert set(found.layers) == set(expected.layers)
    for name, layer in expected.layers.items():
        own = found.layers[name]
        assert type(own) is type(layer)
        dense = [one.toarray() if scipy.sparse.issparse(one) else one for one in (own, layer)]
        np.testing.assert_array_equal(*dense)


def everything(file):
    """Return types, shapes and attributes of all that is in an HDF5 file, and the values."""
    content: dict[str, object] = {}

    def note(name, item):
        attributes = {key: np.asarray(value).tolist() for key, value in item.attrs.items()}
        content[name] = attributes
        if isinstance(item, h5py.Dataset):
            content[name] = (attributes, item.dtype, item.shape, item[()].tolist())

    for name in file:  # both names of what has two
        note(name, file[name])
        if isinstance(file[name], h5py.Group):
            for below in file[name]:
                note(f"{name}/{below}", file[name][below])
                if isinstance(file[name][below], h5py.Group):
                    for last in file[name][below]:
                        note(f"{name}/{below}/{last}", file[name][below][last])
    return content


def test_anndata_with_more_than_32_bits_count(tmp_path, monkeypatch):
    import anndata

    monkeypatch.setattr(h5ad, "_MOST_IN_INT32", 1000)
    shards, *_, labels = make(Kind.IMPUTED)
    assert (labels >= 0).sum() > 2000
    write_results(tmp_path / "a.h5ad", contents(Kind.IMPUTED), iter(shards))
    with h5py.File(tmp_path / "a.h5ad") as file:
        assert file["layers/observed/indptr"].dtype == np.int64
        assert set(file["layers/observed"]) == {"data", "indices", "indptr"}
    found = anndata.read_h5ad(tmp_path / "a.h5ad").layers["observed"].toarray()
    np.testing.assert_array_equal(found, np.array([-1, 1, 0])[labels.T])


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("kind", KINDS)
def test_the_originals_layout(tmp_path, kind):
    shards, names, positions, values, probabilities, labels = make(kind)
    write_results(tmp_path / "a.h5", contents(kind), iter(shards))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["chromo"].asstr()[:].tolist() == [name.removeprefix("chr") for name in names]
        assert (file["pos"].dtype, file["pos"][:].tolist()) == (np.int32, (positions + 1).tolist())
        for i, cell in enumerate(CELLS):
            np.testing.assert_array_equal(file[f"preds/cpg/{cell}"], values[:, i])
            expected = np.full(len(names), -1) if labels is None else labels[:, i]
            np.testing.assert_array_equal(file[f"outputs/cpg/{cell}"], expected)
            if labels is not None:
                beside = file[f"probability/cpg/{cell}"]
                np.testing.assert_array_equal(beside, probabilities[:, i])
                sure = np.maximum(beside[:], 1 - beside[:])
                sure[labels[:, i] >= 0] = 1
                np.testing.assert_array_equal(file[f"confidence/cpg/{cell}"], sure)
        assert ("probability" in file) == ("confidence" in file) == (labels is not None)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("kind", KINDS)
def test_bigwig(tmp_path, kind):
    shards, names, positions, values, *_ = make(kind)
    write_results(tmp_path / "a.bigwig", contents(kind), iter(shards))
    assert {path.name for path in (tmp_path / "a.bigwig").iterdir()} == {f"{f}.bw" for f in FILES}
    for i, name in enumerate(FILES):
        file = pybigtools.open(str(tmp_path / "a.bigwig" / f"{name}.bw"))
        found = [
            (chromosome, *record)
            for chromosome in ("chr1", "chr2", "chrM")
            for record in file.records(chromosome)
        ]
        rows = zip(names, positions.tolist(), values[:, i].tolist(), strict=True)
        assert found == [(name, at, at + 2, value) for name, at, value in rows]


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("kind", KINDS)
def test_bedgraph(tmp_path, kind):
    shards, names, positions, values, *_ = make(kind)
    write_results(tmp_path / "a.bedgraph", contents(kind), iter(shards))
    folder = tmp_path / "a.bedgraph"
    assert {path.name for path in folder.iterdir()} == {f"{name}.bedGraph.gz" for name in FILES}
    for i, (cell, name) in enumerate(zip(CELLS, FILES, strict=True)):
        first, *lines = gzip.decompress((folder / f"{name}.bedGraph.gz").read_bytes()).splitlines()
        assert first.decode() == f'track type=bedGraph name="{cell}"'
        rows = zip(names, positions.tolist(), values[:, i].tolist(), strict=True)
        expected = [f"{name}\t{at}\t{at + 2}\t{value:.6g}" for name, at, value in rows]
        assert [line.decode() for line in lines] == expected


def unsure():
    """Return one shard, of which some predictions are not sure enough, and what is left."""
    probabilities = np.array([[0.9, 0.2], [0.89, 0.1], [0.1, 0.5], [0.5, 0.11]], np.float32)
    labels = np.array([[-1, 0], [-1, -1], [-1, 1], [1, -1]], np.int8)
    values = np.array([[0.9, 0], [np.nan, 0.1], [0.1, 1], [1, np.nan]], np.float32)
    shard = Shard("chr1", np.array([3, 8, 20, 31]), probabilities, labels, 0.9)
    return shard, values


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("thousandths", [False, True])
def test_what_is_not_sure_is_missing(tmp_path, ending, thousandths):
    shard, values = unsure()
    path, cells = tmp_path / f"a{ending}", ("c1", "c2")
    if thousandths and ending not in (".parquet", ".tsv", ".tsv.gz"):
        return
    own = Contents(cells, ("chr1",), (90,), Kind.IMPUTED, thousandths)
    write_results(path, own, [shard.rows(slice(2)), shard.rows(slice(2, 9))])
    if ending in (".parquet", ".tsv", ".tsv.gz"):
        read = pl.read_parquet if ending == ".parquet" else partial(pl.read_csv, separator="\t")
        frame = read(path)
        assert (
            frame.select(pl.col(cells).is_null()).to_numpy().tolist() == np.isnan(values).tolist()
        )
        found = frame.select(cells).to_numpy() / (1000 if thousandths else 1)
        assert frame["c1_observed"].to_list() == [False, False, False, True]
        if ending == ".tsv" and not thousandths:
            assert path.read_text().splitlines()[2] == "chr1\t8\t\t0.1\tfalse\tfalse"
    elif ending == ".h5ad":
        import anndata

        table = anndata.read_h5ad(path)
        found = table.X.T
        np.testing.assert_array_equal(table.layers["probability"].T, shard.probabilities)
        sure = [[0.9, 1], [0.89, 0.9], [0.9, 1], [1, 0.89]]
        np.testing.assert_array_equal(table.layers["confidence"].T, np.array(sure, np.float32))
    elif ending == ".h5":
        with h5py.File(path) as file:
            found = np.stack([file[f"preds/cpg/{cell}"][:] for cell in cells], axis=1)
            np.testing.assert_array_equal(file["probability/cpg/c1"], shard.probabilities[:, 0])
    else:
        found = np.full(values.shape, np.nan)
        for i, cell in enumerate(cells):
            if ending == ".bigwig":
                records = list(pybigtools.open(str(path / f"{cell}.bw")).records("chr1"))
            else:
                text = gzip.decompress((path / f"{cell}.bedGraph.gz").read_bytes()).decode()
                lines = [line.split("\t") for line in text.splitlines()[1:]]
                records = [(int(start), int(end), float(x)) for _, start, end, x in lines]
            for start, end, value in records:
                assert end == start + 2
                found[shard.positions.tolist().index(start), i] = value
    np.testing.assert_allclose(found, values, rtol=1e-6)


def test_a_track_without_a_sure_site(tmp_path):
    shard, _ = unsure()
    own = Contents(("c1", "c2"), ("chr1",), (90,), Kind.IMPUTED)
    shard = shard.rows(slice(1, 2))
    with pytest.raises(OutputError, match=r"^c1\.bw: expected sites to write, received none with"):
        write_results(tmp_path / "a.bigwig", own, [shard])
    assert list(tmp_path.iterdir()) == []
    write_results(tmp_path / "a.bedgraph", own, [shard])
    text = gzip.decompress((tmp_path / "a.bedgraph" / "c1.bedGraph.gz").read_bytes())
    assert text == b'track type=bedGraph name="c1"\n'


def test_the_track_line_of_an_odd_name(tmp_path):
    shard = Shard("50%s", np.array([3]), np.array([[0.5]], np.float32))
    write_results(tmp_path / "a.bedgraph", Contents(('a"b\nc',), ("50%s",)), [shard])
    (path,) = (tmp_path / "a.bedgraph").iterdir()
    text = gzip.decompress(path.read_bytes()).decode()
    assert text == 'track type=bedGraph name="a\'b c"\n50%s\t3\t5\t0.5\n'


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_shards_are_let_go_of(tmp_path, monkeypatch, ending, kind):
    """However many there are, only a few are in memory at any time."""
    monkeypatch.setattr(blocks, "ROWS", 50)
    alive, most = weakref.WeakSet(), []

    class Array(np.ndarray):
        """One that can be watched: NumPy's own have no weak references."""

    def shards():
        for i in range(60):
            values = np.full((40, len(CELLS)), i / 60, np.float32).view(Array)
            labels = np.zeros(values.shape, np.int8) if kind is Kind.IMPUTED else None
            alive.add(Whole(values))
            most.append(len(alive))
            yield Shard("chr1", np.arange(40) * 2 + 100 * i, values, labels)
            del values, labels

    class Whole:
        def __init__(self, array):
            array.whole = self  # lives as long as the array does, slices of it included

    write_results(tmp_path / f"a{ending}", contents(kind), shards())
    assert len(most) == 60
    assert max(most) <= 4


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failure_leaves_nothing(tmp_path, ending):
    shards = make(Kind.PREDICTED)[0]

    def failing():
        yield shards[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_results(tmp_path / f"a{ending}", contents(Kind.PREDICTED), failing())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_site_at_all(tmp_path, ending):
    path, shards = tmp_path / f"a{ending}", make(Kind.PREDICTED)[0]
    empty = [shard.rows(slice(0)) for shard in shards]
    if ending == ".bigwig":
        with pytest.raises(OutputError, match="BigWig: expected sites to write, received none"):
            write_results(path, contents(Kind.PREDICTED), empty)
        return
    write_results(path, contents(Kind.PREDICTED), empty)
    if ending == ".h5ad":
        import anndata

        assert anndata.read_h5ad(path).shape == (len(CELLS), 0)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    """Here, that no file may be larger; some libraries print it only, or end the process."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from deepcpg_tf.errors import OutputError
from deepcpg_tf.results.contents import Contents
from deepcpg_tf.results.registry import FORMATS, write_results
from deepcpg_tf.scan.shards import Shard

folder, n = Path(sys.argv[1]), 100_000
rng = np.random.default_rng(0)
shards = [Shard("1", np.arange(n) * 3, rng.random((n, 2), np.float32))]
contents = Contents(("a", "b"), ("1",), (4 * n,))
for limit in (100_000, 300_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for one in FORMATS:
        try:
            write_results(folder / f"a{one.ending}", contents, shards)
        except OutputError as error:
            print(error)
"""
    root = Path(deepcpg_tf.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert len(told) == 2 * len(ENDINGS), done.stdout
    assert all("cannot write" in line for line in told)
    assert list(tmp_path.iterdir()) == []
