"""Build a wheel, install it into an empty environment, and try it there.

The environment has what a plain ``pip install deepcpg-tf`` brings and nothing of the source
tree; what needs an extra must say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
LEGACY = ROOT / "tests" / "fixtures" / "legacy" / "keras1-distributed"
EXTRAS = ("ai-edge-litert", "matplotlib", "onnx", "onnxruntime", "pybigtools", "tf2onnx")

# That the numbers are right is what the tests show; this is that they come out at all.
CLOSE = """
import sys
import numpy as np
found = np.loadtxt(sys.argv[1], skiprows=1)[:, 1:]
expected = np.load(sys.argv[2])["prob"]
assert found.shape == expected.shape and np.abs(found - expected).max() < 1e-5
"""


def main() -> None:
    """Build, install, try."""
    shutil.rmtree(DIST, ignore_errors=True)
    build = [sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = DIST.glob("*.whl")
    (source,) = DIST.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
        _try(wheel, folder / "env" / "bin", folder)
    print(f"{wheel.relative_to(ROOT)}, {source.relative_to(ROOT)}: work in an empty environment")


def _try(wheel: Path, programs: Path, folder: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    clean["DEEPCPG_TF_HOME"] = str(folder / "home")

    def call(program: str, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(programs / program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=folder, env=clean, capture_output=True, text=True, check=False
        )
        if done.returncode != code:
            sys.exit(f"{' '.join(command)}: code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    call("python", "-m", "pip", "install", "--quiet", wheel)
    call("python", "-m", "pip", "check")
    there = {line.split("==")[0] for line in call("python", "-m", "pip", "freeze").stdout.split()}
    if present := there.intersection(EXTRAS):
        sys.exit(f"expected nothing of the extras, found {', '.join(sorted(present))}")
    assert "Usage" in call("deepcpg-tf", "--help").stdout
    version = wheel.name.split("-")[1]
    assert call("deepcpg-tf", "--version").stdout == f"deepcpg-tf {version}\n"
    files = ("--model-json", LEGACY / "model.json", "--weights", LEGACY / "model_weights.h5")
    call("deepcpg-tf", "convert", *files, "--out", "model")
    call(
        "deepcpg-tf", "predict", "model", "--sequences", LEGACY / "sequences.txt", "--out", "p.tsv"
    )
    call("python", "-c", CLOSE, "p.tsv", LEGACY / "expected.npz")
    refused = call("deepcpg-tf", "export", "model", "--out", "exported", code=2).stderr
    assert "none: pip install 'deepcpg-tf[export]'" in refused, refused
    assert not (folder / "exported").exists()


if __name__ == "__main__":
    main()
