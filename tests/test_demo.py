"""What ``make demo`` shows."""

import shutil
import subprocess
import sys

import pytest

from tests.shell import ROOT


@pytest.mark.full
def test_demo(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    command = [sys.executable, "docs/demo.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "chr3, which the model has not seen" in done.stdout
    assert (tmp_path / "demo" / "exported" / "manifest.json").is_file()
