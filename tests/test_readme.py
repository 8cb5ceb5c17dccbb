"""The README's examples run as they are written."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_examples(tmp_path):
    """The commands on files that are here, then every example in Python."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (commands,) = [block for block in blocks("sh") if "tests/fixtures" in block]
    path = Path(sys.executable).parent
    shell = f"set -eu; export PATH={path}:$PATH\n{commands}"
    subprocess.run(["bash", "-c", shell], check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "mymodel" / "config.json").is_file()
    code = "\n".join(blocks("python"))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert (tmp_path / "methylation.parquet").stat().st_size > 1000
    assert (tmp_path / "copy" / "weights.h5").is_file()


def test_documented_options_exist():
    for command in ("predict", "convert", "fetch", "train", "evaluate", "data build"):
        arguments = [sys.executable, "-m", "deepcpg_tf", *command.split(), "--help"]
        environment = {"PATH": "", "COLUMNS": "200"}
        text = subprocess.run(arguments, check=True, capture_output=True, env=environment).stdout
        used = set(re.findall(rf"deepcpg-tf {command}[^`\n]*", README))
        options = {option for line in used for option in re.findall(r"--[a-z0-9-]+", line)}
        assert options, command
        for option in options:
            assert option in text.decode(), (command, option)
