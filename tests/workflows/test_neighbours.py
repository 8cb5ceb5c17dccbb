"""What modules read of sites, as text: written, and read again by a kit."""

import gzip
import importlib.util
import io
from dataclasses import replace

import numpy as np
import pytest

from deepcpg_tf import build_table, load_model, read_table, write_neighbours
from deepcpg_tf.data.opening import reader_of
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import encode_tokens
from deepcpg_tf.models.registry import new_model
from deepcpg_tf.workflows import neighbours
from tests.contract.test_models import random_weights
from tests.kits.conftest import KITS
from tests.vectors import NEIGHBOURS, named
from tests.workflows.test_modules import CPG, DNA, JOINT, RUN

PROFILES = [RUN / "cpg" / name for name in ("c1.tsv", "c2.tsv", "c3.tsv.gz")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("neighbours")
    build_table(PROFILES, RUN / "dna", folder / "cells.h5ad")
    for name, config in (("cpg", CPG), ("joint", JOINT), ("dna", DNA)):
        random_weights(new_model(config)).save_to_preset(folder / name)
    return folder


@pytest.fixture(scope="module")
def kit():
    spec = importlib.util.spec_from_file_location("kit", KITS / "onnx" / "deepcpg_onnx.py")
    assert spec is not None
    assert spec.loader is not None
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    return kit


def read(kit, config, path):
    """Return ids and arrays as a kit reads them."""
    length = 101 if "windows" in config.reads.names else None
    part = config.parts["cpg"]
    reads = kit.Reads(length, part.input_cells, 10, part.neighbours_key)
    content = path.read_bytes()
    found = [*kit.Sites(io.BytesIO(content), path.name, reads)]
    shape = (len(found), 3, 10)
    arrays: dict[str, np.ndarray] = {
        kind: np.array([getattr(given, kind) for _, given in found], np.float32).reshape(shape)
        for kind in ("state", "dist")
    }
    if length is not None:
        tokens = np.array([[*given.letters] for _, given in found], np.uint8)
        arrays["windows"] = encode_tokens(tokens)
    return [name for name, _ in found], arrays


@pytest.mark.parametrize("name", ["cpg", "joint"])
def test_every_site_of_a_table(run, folder, kit, tmp_path, name):
    config = load_model(folder / name).config
    out = tmp_path / "sites.tsv.gz"
    given = [] if name == "cpg" else ["--genome", RUN / "dna"]
    done = run("data", "neighbours", folder / name, folder / "cells.h5ad", *given, "--out", out)
    table = read_table(folder / "cells.h5ad")
    assert (done.code, done.out) == (0, f"{out}: {len(table)} sites\n")
    ids, found = read(kit, config, out)
    chromosomes = np.array(table.chromosomes)[table.chromosome_ids]
    assert ids == [f"{c}:{p}" for c, p in zip(chromosomes, table.positions, strict=True)]
    sites = SiteColumns(table.chromosomes, table.chromosome_ids, table.positions)
    genome = Genome(RUN / "dna")
    expected = reader_of(config, genome, table.on(genome)).arrays(sites)
    assert set(found) == set(expected)
    for array in expected:
        np.testing.assert_array_equal(found[array], expected[array])


def test_sites_of_a_file(folder, kit, tmp_path):
    """In its order, whether the table has them or not, by the names that it gives chromosomes."""
    table = read_table(folder / "cells.h5ad")
    path, out = tmp_path / "sites.tsv", tmp_path / "out.tsv"
    own = int(table.positions[table.chromosome_ids == table.chromosomes.index("2")][7])
    path.write_text(f"chr2\t{own + 1}\nchr1\t10\n2\t{own + 2}\t-\n")
    rows = write_neighbours(
        folder / "joint", folder / "cells.h5ad", out, sites=path, genome=RUN / "dna"
    )
    ids, found = read(kit, JOINT, out)
    assert (rows, ids) == (3, [f"chr2:{own}", "chr1:9", f"2:{own}"])
    genome = Genome(RUN / "dna")
    sites = SiteColumns(["1", "2"], np.array([1, 0, 1]), np.array([own, 9, own]))
    expected = reader_of(JOINT, genome, table.on(genome)).arrays(sites)
    for array in expected:
        np.testing.assert_array_equal(found[array], expected[array])


def test_a_table_for_another_model(folder, kit, tmp_path):
    out = tmp_path / "out.tsv"
    write_neighbours(folder / "cpg", folder / "cells.h5ad", out)
    for other in (
        {"max_distance": 500},
        {"state_means": (0.3, 0.5, 0.7)},
        {"input_cells": ("c2", "c1", "c3")},
    ):
        config = replace(CPG, **other)
        with pytest.raises(kit.Fault, match=r"out.tsv, line 2, column 'neighbours': expected "):
            read(kit, config, out)
    read(kit, replace(CPG, layer_names=(), hidden_dropout=0.5), out)


def test_the_same_bytes_again(folder, tmp_path):
    outs = [tmp_path / name for name in ("a.tsv.gz", "b.tsv.gz", "c.tsv")]
    for out in outs:
        write_neighbours(folder / "cpg", folder / "cells.h5ad", out)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert gzip.decompress(outs[0].read_bytes()) == outs[2].read_bytes()


WRITTEN = [case for case in NEIGHBOURS["read"] if case["written"]]


@pytest.mark.parametrize("case", WRITTEN, ids=named(WRITTEN))
def test_numbers_are_written_as_the_vectors_have_them(case):
    rows = [line.split("\t") for line in case["text"].splitlines()]
    for kind in ("state", "dist"):
        texts = neighbours._texts(np.array(case[kind], np.float32))
        for cell, found in zip(case["cells"], texts, strict=True):
            column = rows[0].index(f"{kind}:{cell}")
            assert found == [row[column] for row in rows[1:]]


def test_what_does_not_go_together(fails, folder, tmp_path):
    table, out, sites = folder / "cells.h5ad", tmp_path / "out.tsv", tmp_path / "sites.tsv"
    sites.write_text("1\t2001\n")

    def told(*arguments):
        line = fails("data", "neighbours", *arguments)
        assert not out.exists()
        return line

    expected = "model: expected a cpg or a joint module, which read neighbouring sites, received a"
    assert expected in told(folder / "dna", table, "--out", out)
    expected = "--genome: expected a reference, of which a joint module reads windows, received"
    assert expected in told(folder / "joint", table, "--out", out)
    expected = "--sites: expected --genome with it, received none"
    assert expected in told(folder / "cpg", table, "--sites", sites, "--out", out)
    expected = "out.parquet: expected a name ending in .tsv or .tsv.gz"
    assert expected in told(folder / "cpg", table, "--out", tmp_path / "out.parquet")
    sites.write_text("1\t2001\n1\tx\n")
    given = ("--sites", sites, "--genome", RUN / "dna", "--out", out)
    assert "line 2: expected a whole number as position" in told(folder / "cpg", table, *given)
    sites.write_text("1\t10\nchr1\t11\n")
    line = told(folder / "cpg", table, *given)
    assert "sites.tsv, line 2: expected a CG, as a module asks that reads neighbours, " in line
    assert line.endswith("found GT at chr1, 0-based position 10 (a CG is at -1)\n")
    build_table(PROFILES[:2], RUN / "dna", tmp_path / "two.h5ad")
    expected = "expected the cells whose neighbours the model reads, c1, c2, c3, found none called"
    assert expected in told(folder / "cpg", tmp_path / "two.h5ad", "--out", out)
