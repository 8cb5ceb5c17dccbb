"""The kits with models that read neighbours, on a table that `data neighbours` wrote."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from deepcpg_tf import SiteFile, predict, read_table, write_neighbours
from deepcpg_tf.exporters.artefact import BOUNDS
from deepcpg_tf.genome.reference import Genome
from tests.kits.conftest import KITS, Kit
from tests.workflows.test_modules import RUN

CELLS = ["c1", "c2", "c3"]
COUNT = 70
FILES = {
    "cpg": ["tflite/float32", "tflite/float16_batch1", "onnx/float32"],
    "joint": ["tflite/float32_batch1", "tflite/float16", "tflite/int8", "onnx/int8"],
}


class Case:
    """An export, a table for it, and what the model predicts of its sites."""

    def __init__(self, folder: Path, name: str, tmp: Path) -> None:
        held = read_table(folder / "cells.h5ad")
        order = np.random.default_rng(0).permutation(len(held))[:COUNT]
        names = np.array(held.chromosomes)[held.chromosome_ids]
        sites = tmp / "sites.txt"
        sites.write_text("".join(f"{names[i]}\t{held.positions[i] + 1}\n" for i in order))
        self.name, self.export = name, folder / f"{name}-export"
        self.table = tmp / "table.tsv.gz"
        given = (folder / name, folder / "cells.h5ad", self.table)
        write_neighbours(*given, sites=sites, genome=RUN / "dna")
        source = SiteFile(sites, Genome(RUN / "dna"), 101)
        found = predict(folder / name, source, table=folder / "cells.h5ad").table.to_pandas()
        self.ids = [f"{names[i]}:{held.positions[i]}" for i in order]
        self.probabilities = found[CELLS].to_numpy()
        self.calibrated = None
        if name == "joint":
            table = folder / "cells.h5ad"
            calibrated = predict(folder / name, source, table=table, calibrated=True).table
            assert calibrated is not None
            self.calibrated = calibrated.to_pandas()[CELLS].to_numpy()
            assert np.abs(self.calibrated - self.probabilities).max() > 0.1

    def check(self, result, bound, expected=None) -> None:
        header, ids, found = result.table()
        assert header == ["id", *CELLS]
        assert ids == self.ids
        expected = self.probabilities if expected is None else expected
        # Of the temperatures, one is below 1.
        np.testing.assert_allclose(found, expected, atol=1.3 * BOUNDS[bound])


@pytest.fixture(scope="module", params=["cpg", "joint"])
def case(request, module_exports, tmp_path_factory):
    return Case(module_exports, request.param, tmp_path_factory.mktemp("neighbours"))


def test_files(case, edge, onnx):
    for name in FILES[case.name]:
        kind, file = name.split("/")
        kit = {"tflite": edge, "onnx": onnx}[kind]
        path = case.export / kind / f"{file}.{kind}"
        bound = file.removesuffix("_batch1")
        case.check(kit.run(path, case.table), bound)
        if case.calibrated is None:
            error = kit.fails(path, case.table, "--calibrated")
            assert "--calibrated: expected an export of a model that keeps what calibrates" in error
            assert f"found no output probabilities_calibrated in {path}" in error
        else:
            case.check(kit.run(path, case.table, "--calibrated"), bound, case.calibrated)


@pytest.fixture(scope="module")
def served(case):
    from tests.kits.serving_stand_in import serving

    with serving("deepcpg", case.export / "saved_model") as addresses:
        yield addresses


def test_a_server(case, served, once):
    """The same table over REST, in an environment with no package at all, and over gRPC."""
    import venv

    python = once("environment-of-rest", venv.create) / "bin" / "python"
    script = str(KITS / "serving" / "client.py")
    rest = Kit("deepcpg_client", (str(python), "-I", script, "--rest", served.rest))
    grpc = Kit("deepcpg_client", (sys.executable, script, "--grpc", served.grpc))
    case.check(rest.run(case.table), "float32")
    assert rest.run(case.table) == grpc.run(case.table)


def test_faults(case, onnx, edge, tmp_path):
    """Windows where a table is expected, and a table of other cells."""
    windows, other = tmp_path / "windows.fa", tmp_path / "other.tsv"
    windows.write_text(f">a\n{'A' * 101}\n")
    other.write_text("chromosome\tposition\twindow\tstate:x\tdist:x\n")
    expected = "expected a table that `deepcpg-tf data neighbours` wrote for this model, with one"
    for kit, file in ((onnx, "onnx/float32.onnx"), (edge, "tflite/float32.tflite")):
        out = tmp_path / "out.tsv"
        for path, column in ((windows, "chromosome"), (other, "state:c1")):
            line = kit.fails(case.export / file, path, "--out", out)
            assert f"{path}: {expected} column '{column}', found 0" in line
        assert not out.exists()


def test_a_table_for_a_model_of_windows(case, onnx, exported):
    line = onnx.fails(exported / "onnx" / "float32.onnx", case.table)
    assert "line 1: expected a window of 101 letters, received" in line
