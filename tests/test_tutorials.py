"""What the tutorials show."""

import importlib.util

import pytest

from tests.shell import ROOT


@pytest.mark.full
@pytest.mark.filterwarnings("default")
def test_regions(tmp_path):
    path = ROOT / "docs" / "tutorials" / "regions.py"
    spec = importlib.util.spec_from_file_location("tutorial_of_regions", path)
    assert spec is not None
    tutorial = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tutorial)
    found = tutorial.main(tmp_path)
    calls, imputed = found[0.1, "calls"], found[0.1, "imputed"]
    assert min(calls.agreement, imputed.agreement) > 0.9
    for one in (calls, imputed):
        assert 0.86 < one.held < 0.95
    # Where imputation hurts.
    assert imputed.rare < calls.rare < 1
    assert imputed.spread < calls.spread
    sparse, imputed = found[0.01, "calls"], found[0.01, "imputed"]
    assert imputed.agreement < sparse.agreement - 0.2
    assert imputed.rare < 0.2
    assert min(sparse.held, imputed.held) > 0.8
