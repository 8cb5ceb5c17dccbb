"""The peer's environment and process: PyTorch is never installed beside this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.common import progress

_FOLDER = Path(__file__).parent
_ENVIRONMENT = _FOLDER / ".peer"
# In this order: what needs PyTorch then takes the one that is there.
_PACKAGES = ("torch==2.13.0", "multimolecule==0.2.2")


def _python() -> Path:
    """Return the Python of the peer's environment, which is made if need be."""
    python = _ENVIRONMENT / "bin" / "python"
    ready = _ENVIRONMENT / f".ready-{'-'.join(_PACKAGES)}"
    if not ready.exists():
        progress(f"  installing {' and '.join(_PACKAGES)} into {_ENVIRONMENT}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        for package in _PACKAGES:
            subprocess.run([*install, package], check=True, stdout=sys.stderr)
        ready.touch()
    return python


class Peer:
    """A process of the peer, waiting for questions.

    Parameters
    ----------
    script
        The name of its program in this folder.
    arguments
        Those of the program.

    Attributes
    ----------
    about : dict
        Versions, threads, and the size of the model.
    """

    def __init__(self, script: str, *arguments: object) -> None:
        command = (_python(), _FOLDER / script, *arguments)
        self._process = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self._answer()

    def seconds(self, **question: object) -> float:
        """Return how long it took to do what was asked.

        Raises
        ------
        RuntimeError
            When the peer failed.
        """
        assert self._process.stdin
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer = self._answer()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return float(answer["seconds"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
