"""The script that draws the pictures of the README."""

import importlib.util
import sys

import pytest
from matplotlib.image import imread

from tests.shell import README, ROOT

DRAWN = ("motifs", "mutagenesis", "effects")


@pytest.mark.full
@pytest.mark.filterwarnings("default")
def test_it_draws_what_the_readme_shows(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    path = ROOT / "docs" / "pictures.py"
    spec = importlib.util.spec_from_file_location("pictures", path)
    assert spec is not None
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    pictures.main(tmp_path, {"chr1": 60_000, "chr2": 60_000})
    sys.modules.pop("simulate", None)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(DRAWN)
    for name in DRAWN:
        shown = ROOT / "docs" / "pictures" / f"{name}.png"
        assert f"docs/pictures/{name}.png" in README
        height, width, _ = imread(tmp_path / f"{name}.png").shape
        assert (height, width) == imread(shown).shape[:2]
        assert shown.stat().st_size < 200_000
