"""The lines that all kits have: windows, faults and tables, in this process."""

from __future__ import annotations

import importlib.util
import io

import pytest

from tests.kits.conftest import KITS
from tests.vectors import TABLES, WINDOWS, named


@pytest.fixture(
    scope="module", params=["edge/deepcpg_edge.py", "onnx/deepcpg_onnx.py", "serving/client.py"]
)
def program(request):
    path = KITS / request.param
    spec = importlib.util.spec_from_file_location(f"kit_{path.stem}", path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(program, text):
    return [*program.Windows(io.BytesIO(text.encode()), "FILE", WINDOWS["length"])]


@pytest.mark.parametrize("case", WINDOWS["read"], ids=named(WINDOWS["read"]))
def test_windows(program, case):
    found = [(name, letters.decode()) for name, letters in read(program, case["text"])]
    assert found == [*zip(case["ids"], case["letters"], strict=True)]


@pytest.mark.parametrize("case", WINDOWS["faults"], ids=named(WINDOWS["faults"]))
def test_faults(program, case):
    with pytest.raises(program.Fault) as error:
        read(program, case["text"])
    assert str(error.value) == case["message"]


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("case", TABLES, ids=named(TABLES))
def test_tables(program, case, batch, tmp_path):
    rows = iter(case["probabilities"])

    def run(letters):
        assert len(letters) <= batch
        return [next(rows) for _ in letters]

    out = tmp_path / "table.tsv"
    windows = [(name, b"A") for name in case["ids"]]
    program.write_table(out, case["cells"], windows, run, batch)
    assert out.read_text() == case["text"]
