"""What ``regions`` writes, and whether its intervals hold, on made-up cells."""

import re

import anndata
import h5py
import numpy as np
import pytest
from scipy.special import expit

from deepcpg_tf import read_table, summarise_regions, write_table
from deepcpg_tf.data import calls
from deepcpg_tf.errors import TableError
from deepcpg_tf.regions import sources
from tests.regions import made_up
from tests.regions.test_layers import plain_posterior, plain_residuals, plain_smoothed

SIZE = 10_000
ALL = ("chr1", "chr2", "chr3", "chr4")


class Lines:
    def __init__(self):
        self.lines = []

    def begins(self, *_):
        pass

    def advances(self, _):
        pass

    def tells(self, line):
        self.lines.append(line)


@pytest.fixture(scope="module")
def data():
    return made_up.chromosomes(np.random.default_rng(0))


@pytest.fixture(scope="module")
def labels(data):
    rng = np.random.default_rng(1)
    return [np.where(made_up.observed(rng, one, 0.1), one.states, -1) for one in data]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data, labels):
    """``cells.h5ad``, and ``imputed.h5ad`` by what all cells have in common."""
    path = tmp_path_factory.mktemp("regions")
    write_table(made_up.table_of(data, labels), path / "cells.h5ad")
    common = [np.broadcast_to(expit(0.7 * one.common), one.states.shape) for one in data]
    made_up.write_imputed(path / "imputed.h5ad", data, labels, common)
    return path


def truth_of(data, chromosome, var, table=None):
    """Return the true share of regions, [cells, regions], of the sites that are in a table."""
    (one,) = [one for one in data if one.name == chromosome]
    positions, states = one.positions, one.states
    if table is not None:
        own = table.positions[table.chromosome_ids == table.chromosomes.index(chromosome)]
        kept = np.isin(positions, own)
        positions, states = positions[kept], states[kept]
    return np.stack(
        [
            states[(positions >= start) & (positions < end)].mean(axis=0)
            for start, end in zip(var["start"], var["end"], strict=True)
        ],
        axis=1,
    )


def held(data, path, chromosomes, table=None):
    """Return the share of true values within the intervals, and the root of squared errors."""
    result = anndata.read_h5ad(path)
    inside, off = [], []
    for chromosome in chromosomes:
        own = result[:, result.var["chromosome"] == chromosome]
        true = truth_of(data, chromosome, own.var, table)
        some = own.layers["observed"] > 0
        within = (own.layers["low"] <= true + 1e-6) & (true <= own.layers["high"] + 1e-6)
        inside.append(within[some])
        off.append((own.layers["mean"] - true)[some])
    return np.concatenate(inside).mean(), np.sqrt((np.concatenate(off) ** 2).mean())


def test_intervals_of_a_table_hold(folder, data, tmp_path):
    told = Lines()
    done = summarise_regions(folder / "cells.h5ad", tmp_path / "r.h5ad", bins="10kb", progress=told)
    assert done.fitted_by == "calls"
    assert 0.88 < done.coverage.held < 0.92
    table = read_table(folder / "cells.h5ad")
    assert 0.88 < held(data, tmp_path / "r.h5ad", ALL, table)[0] < 0.92
    (line,) = told.lines
    assert re.fullmatch(
        r"intervals fitted by calls on chr\d, chr\d, chr\d, chr\d; (88|89|90|91)\.\d% of [\d,]+ "
        r"hold where they are fitted on the other half of these \(nominal 90%\)",
        line,
    )


@pytest.mark.parametrize(("share", "size"), [(0.3, "5kb"), (0.1, "10kb"), (0.05, "20kb")])
def test_intervals_of_other_tables_hold(tmp_path, share, size):
    """On chromosomes that they were not fitted on."""
    rng = np.random.default_rng(1)
    data = made_up.chromosomes(rng, number=8, cells=24)
    labels = [np.where(made_up.observed(rng, one, share), one.states, -1) for one in data]
    table = made_up.table_of(data, labels)
    fitted = [one.name for one in data[::2]]
    summarise_regions(table, tmp_path / "r.h5ad", bins=size, held_out=fitted)
    others = [one.name for one in data[1::2]]
    assert 0.88 < held(data, tmp_path / "r.h5ad", others, table)[0] < 0.92


def test_intervals_of_probabilities_hold(folder, data, tmp_path):
    """Which know nothing of the neighbours, and so err as at observed sites elsewhere."""
    out = tmp_path / "r.h5ad"
    done = summarise_regions(folder / "imputed.h5ad", out, bins="10kb")
    assert done.fitted_by == "observed states"
    assert 0.88 < done.coverage.held < 0.92
    about = anndata.read_h5ad(out).uns["regions"]
    assert sorted(about["fitted_on"]) == [*ALL]
    assert about["half"].tolist() == [1, 1, 2, 2]
    assert about["held"] == done.coverage.held
    assert 0.88 < held(data, out, ALL)[0] < 0.92


@pytest.fixture(scope="module")
def of_neighbours(tmp_path_factory, data, labels):
    """Files imputed by what reads neighbours: all calls, and with a fifth of the reads hidden."""
    path, rng = tmp_path_factory.mktemp("neighbours"), np.random.default_rng(2)
    hidden = [
        np.where(made_up.observed(rng, one, 0.2), -1, own)
        for one, own in zip(data, labels, strict=True)
    ]
    for name, own in (("all.h5ad", labels), ("some.h5ad", hidden)):
        made_up.write_imputed(path / name, data, own, made_up.of_neighbours(data, own))
    return path


HELD_OUT = ("chr2", "chr3", "chr4")  # the predictor was trained on chr1


def test_hidden_calls_tell_how_predictions_from_neighbours_err(
    folder, data, of_neighbours, tmp_path
):
    """Observed states do not: they were predicted from each other."""
    told = Lines()
    done = summarise_regions(
        of_neighbours / "some.h5ad",
        tmp_path / "r.h5ad",
        bins="10kb",
        hidden=folder / "cells.h5ad",
        held_out=["2", "3", "4"],
        progress=told,
    )
    assert done.fitted_by == "hidden states"
    assert 0.87 < done.coverage.held < 0.93
    found = anndata.read_h5ad(tmp_path / "r.h5ad")
    # What was hidden counts as observed, which makes intervals a little wide.
    assert 0.87 < held(data, tmp_path / "r.h5ad", HELD_OUT)[0] < 0.95
    assert found.layers["observed"].sum() == read_table(folder / "cells.h5ad").calls.nnz


def test_predictions_from_neighbours_without_hidden_calls(
    monkeypatch, data, of_neighbours, tmp_path
):
    """By errors at observed states, intervals would hold half of the time; it is noticed."""
    told, out = Lines(), tmp_path / "r.h5ad"
    arguments = (of_neighbours / "all.h5ad", out)
    done = summarise_regions(*arguments, bins="10kb", held_out=HELD_OUT, progress=told)
    assert done.fitted_by == "calls"
    assert told.lines[0].startswith("errors at observed states cancel out")
    assert 0.88 < held(data, out, HELD_OUT)[0] < 0.96
    monkeypatch.setattr("deepcpg_tf.regions.fitting.opposed", lambda errors: False)
    summarise_regions(*arguments, bins="10kb", held_out=HELD_OUT)
    assert held(data, out, HELD_OUT)[0] < 0.6


def test_imputation_is_nearer_to_the_truth_and_its_intervals_narrower(
    folder, data, of_neighbours, tmp_path
):
    for name, path in (("a", folder / "cells.h5ad"), ("b", of_neighbours / "all.h5ad")):
        summarise_regions(path, tmp_path / f"{name}.h5ad", bins="10kb")
    table = read_table(folder / "cells.h5ad")
    assert (
        held(data, tmp_path / "b.h5ad", HELD_OUT)[1]
        < 0.95 * held(data, tmp_path / "a.h5ad", HELD_OUT, table)[1]
    )


def dense(file, folder):
    """Return positions and labels [sites, cells] of chr1."""
    table = read_table(folder / file)
    first = table.chromosome_ids == 0
    return table.positions[first], table.labels(np.flatnonzero(first))


def test_what_is_written(folder, tmp_path):
    summarise_regions(folder / "cells.h5ad", tmp_path / "r.h5ad", bins="10kb")
    found = anndata.read_h5ad(tmp_path / "r.h5ad")
    assert found.obs_names.tolist() == list(read_table(folder / "cells.h5ad").cells)
    assert found.var_names.is_unique
    assert found.var_names[:2].tolist() == ["chr1:0-10000", "chr1:10000-20000"]
    assert found.var["chromosome"].cat.categories.tolist() == ["chr1", "chr2", "chr3", "chr4"]
    assert found.X.dtype == np.float32
    assert np.isfinite(found.X).all()
    positions, labels = dense("cells.h5ad", folder)
    signed = np.where(labels < 0, 0, 2 * labels - 1)
    means = plain_smoothed(positions, signed)
    layers = {name: np.asarray(values) for name, values in found.layers.items()}
    for i, region in enumerate(found.var_names[:20]):
        start, end = map(int, region.partition(":")[2].split("-"))
        within = (positions >= start) & (positions < end)
        part = labels[within]
        np.testing.assert_array_equal(layers["sites"][:, i], within.sum())
        np.testing.assert_array_equal(layers["observed"][:, i], (part >= 0).sum(axis=0))
        np.testing.assert_array_equal(layers["methylated"][:, i], (part == 1).sum(axis=0))
        expected = plain_residuals(signed[within], means[within])
        np.testing.assert_allclose(layers["shrunken_residual"][:, i], expected, atol=1e-6)
    counts = (layers["methylated"].astype(float), layers["observed"].astype(float))
    np.testing.assert_allclose(layers["posterior_fraction"], plain_posterior(*counts), rtol=1e-5)
    nothing = layers["observed"] == 0
    assert nothing.any()
    for name in ("mean", "low", "high"):
        np.testing.assert_array_equal(np.isnan(layers[name]), nothing)
    assert (layers["evidence"][nothing] == 0).all()
    np.testing.assert_array_equal(found.X[~nothing], layers["mean"][~nothing])
    low, mean, high = (layers[name][~nothing] for name in ("low", "mean", "high"))
    assert (low <= high).all()
    assert ((low <= mean + 1e-6) & (mean <= high + 1e-6)).mean() > 0.99
    raw = layers["methylated"] / np.maximum(layers["sites"], 1)
    assert (layers["low"][~nothing] >= raw[~nothing] - 1e-6).all()
    assert (layers["evidence"] <= layers["sites"] + 1e-3).all()


def test_imputed_cells_have_all_regions(folder, labels, tmp_path):
    summarise_regions(folder / "imputed.h5ad", tmp_path / "r.h5ad", bins="10kb")
    found = anndata.read_h5ad(tmp_path / "r.h5ad")
    for values in (found.X, *(found.layers[name] for name in ("mean", "low", "high", "evidence"))):
        assert np.isfinite(values).all()
    np.testing.assert_array_equal(found.X, found.layers["mean"])
    with h5py.File(folder / "imputed.h5ad") as file:
        positions = file["var/position"][:]
        first = np.arange(len(positions)) < np.flatnonzero(np.diff(positions) < 0)[0] + 1
        values = file["X"][:, :][:, first & (positions < SIZE)]
    np.testing.assert_allclose(found.X[:, 0], values.mean(axis=1), rtol=1e-5)
    assert found.layers["observed"].sum() == sum((own >= 0).sum() for own in labels)


def same(one, other):
    with h5py.File(one) as a, h5py.File(other) as b:
        names = list(a["layers"])
        assert names == list(b["layers"])
        for name in names:
            np.testing.assert_allclose(
                a[f"layers/{name}"][:], b[f"layers/{name}"][:], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("file", ["cells.h5ad", "imputed.h5ad"])
def test_the_same_in_small_pieces(monkeypatch, folder, tmp_path, file):
    """Of sites, of cells, and of regions to write."""
    summarise_regions(folder / file, tmp_path / "a.h5ad", bins="10kb")
    monkeypatch.setattr("deepcpg_tf.results.regions._REGIONS", 7)
    monkeypatch.setattr("deepcpg_tf.results.regions._CELLS", 3)
    summarise_regions(folder / file, tmp_path / "b.h5ad", bins="10kb")
    same(tmp_path / "a.h5ad", tmp_path / "b.h5ad")
    shapes = []
    pieces = calls.labels_of_calls

    def noted(values):
        shapes.append(values.shape)
        return pieces(values)

    monkeypatch.setattr(sources, "labels_of_calls", noted)
    monkeypatch.setattr(sources, "SITES", 900)
    monkeypatch.setattr(sources, "_ENTRIES", 3_000)
    monkeypatch.setattr("deepcpg_tf.regions.fitting.fit", lambda *_: np.array([0.1, 0.1, 0.1, 0]))
    summarise_regions(folder / file, tmp_path / "b.h5ad", bins="10kb")
    assert max(np.prod(shape) for shape in shapes) <= 3_000 + 1_400
    monkeypatch.setattr(sources, "SITES", 1 << 16)
    summarise_regions(folder / file, tmp_path / "a.h5ad", bins="10kb")
    same(tmp_path / "a.h5ad", tmp_path / "b.h5ad")


def test_intervals_of_a_bed_file(folder, data, tmp_path):
    bed = tmp_path / "genes.bed"
    bed.write_text(
        "chr2\t20000\t60000\tb\n1\t0\t30000\ta\n1\t10000\t50000\tc\n1\t0\t30000\tagain\n"
        "chr3\t5\t5\tempty\nchr9\t0\t1000\n"
    )
    told = Lines()
    done = summarise_regions(
        folder / "imputed.h5ad", tmp_path / "r.h5ad", regions=bed, progress=told
    )
    assert (done.regions, done.without_sites) == (3, 1)
    found = anndata.read_h5ad(tmp_path / "r.h5ad")
    names = ["chr1:0-30000", "chr1:10000-50000", "chr2:20000-60000"]
    assert found.var_names.tolist() == names
    assert found.var["name"].tolist() == ["a,again", "c", "b"]
    for i, (one, start, end) in enumerate(
        [(data[0], 0, 30_000), (data[0], 10_000, 50_000), (data[1], 20_000, 60_000)]
    ):
        within = (one.positions >= start) & (one.positions < end)
        np.testing.assert_array_equal(found.layers["sites"][:, i], within.sum())


def test_one_chromosome_is_not_checked(data, labels, tmp_path):
    table = made_up.table_of(data[:1], labels[:1])
    told = Lines()
    done = summarise_regions(table, tmp_path / "r.h5ad", bins="10kb", progress=told)
    assert done.coverage.outcomes == 0
    assert told.lines[-1].endswith("not checked: there is nothing to check on another chromosome")


def test_probabilities_that_are_not_calibrated_are_told(data, labels, tmp_path):
    shifted = [np.full(one.states.shape, 0.3) for one in data]
    made_up.write_imputed(tmp_path / "i.h5ad", data, labels, shifted)
    told = Lines()
    summarise_regions(tmp_path / "i.h5ad", tmp_path / "r.h5ad", bins="10kb", progress=told)
    assert any(line.startswith("the probabilities are not calibrated") for line in told.lines)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("no layer", "received one without layers/probability"),
        ("nan", "expected probabilities, 0 to 1, in layers/probability, received nan on chr"),
        ("order", "expected different sites, sorted by chromosome and position"),
        ("values", r"expected 1, -1 and 0 \(missing\) in layers/observed"),
        ("shape", "expected layers/observed, sparse, of 20 cells and"),
        ("dense", "expected layers/observed, sparse, of 20 cells and"),
    ],
)
def test_imputed_files_that_are_none(folder, tmp_path, change, expected):
    path = tmp_path / "i.h5ad"
    path.write_bytes((folder / "imputed.h5ad").read_bytes())
    with h5py.File(path, "r+") as file:
        match change:
            case "no layer":
                del file["layers/probability"]
            case "nan":
                file["layers/probability"][3, 5] = np.nan
            case "order":
                file["var/position"][7] = 0
            case "values":
                file["layers/observed/data"][0] = 5
            case "shape":
                file["layers/observed"].attrs["shape"] = (20, 3)
            case "dense":
                del file["layers/observed"]
                file["layers/observed"] = np.zeros((20, 3))
    with pytest.raises(TableError, match=expected):
        summarise_regions(path, tmp_path / "r.h5ad", bins="10kb")
    assert not (tmp_path / "r.h5ad").exists()


def test_an_imputed_file_cut_with_anndata(folder, tmp_path):
    whole = anndata.read_h5ad(folder / "imputed.h5ad")
    some = whole[:7, whole.var["chromosome"] != "chr2"].copy()
    some.layers["observed"] = some.layers["observed"].tocsr()
    some.write_h5ad(tmp_path / "some.h5ad")
    summarise_regions(tmp_path / "some.h5ad", tmp_path / "r.h5ad", bins="10kb")
    found = anndata.read_h5ad(tmp_path / "r.h5ad")
    assert found.n_obs == 7
    assert set(found.var["chromosome"]) == {"chr1", "chr3", "chr4"}
