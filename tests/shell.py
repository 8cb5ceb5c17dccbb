"""Shell blocks of the documentation, run by bash, with ``deepcpg-tf`` in this process.

Bash does what it does with quotes, patterns and pipes; each ``deepcpg-tf`` that it starts is
a small program that has this process run the command line with its arguments, in its
folder, on its standard output and error. That saves loading TensorFlow for each.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

_PROGRAM = """\
#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    text = json.dumps([os.getcwd(), sys.argv[1:]]).encode()
    socket.send_fds(server, [len(text).to_bytes(8, "big") + text], [1, 2])
    sys.exit(server.recv(1)[0])
"""


def blocks(language: str, text: str = README) -> list[str]:
    """Return the blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_shell(script: str, folder: Path, *programs: Path, here: bool = True) -> str:
    """Run a script in a folder, and return what it printed.

    Parameters
    ----------
    script
        What bash runs; a command that fails ends it, and the test.
    folder
        Where it begins.
    programs
        Folders whose programs come first.
    here
        Whether ``deepcpg-tf`` is this process, or a process each time.
    """
    own = folder / ".programs"
    own.mkdir(exist_ok=True)
    path = os.pathsep.join(map(str, [own, *programs, Path(sys.executable).parent]))
    environment = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    with socket.socket(socket.AF_UNIX) as server, (folder / ".printed").open("w+") as printed:
        # Addresses of sockets are short, folders of tests are not.
        address = f"/tmp/deepcpg-tf-{os.getpid()}"
        with _listening(server, address):
            if here:
                program = own / "deepcpg-tf"
                program.write_text(_PROGRAM.format(python=sys.executable, address=address))
                program.chmod(0o755)
            shell = subprocess.Popen(
                ["bash", "-c", f"set -eu\n{script}"],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
            )
            while shell.poll() is None:
                with contextlib.suppress(TimeoutError):
                    _serve(server.accept()[0])
        printed.seek(0)
        text = printed.read()
    assert shell.returncode == 0, text
    return text


@contextlib.contextmanager
def _listening(server: socket.socket, address: str) -> Iterator[None]:
    Path(address).unlink(missing_ok=True)
    server.bind(address)
    try:
        server.listen()
        server.settimeout(0.05)
        yield
    finally:
        Path(address).unlink()


def _serve(client: socket.socket) -> None:
    """Run the command line as a program asks for it, and answer with its exit code."""
    from deepcpg_tf.cli.app import main

    with client, pytest.MonkeyPatch.context() as patch:
        client.setblocking(True)
        data, descriptors, _, _ = socket.recv_fds(client, 1 << 20, 2)
        while len(data) < 8 + int.from_bytes(data[:8], "big"):
            data += client.recv(1 << 20)
        folder, arguments = json.loads(data[8:])
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["deepcpg-tf", *arguments])
        with os.fdopen(descriptors[0], "w") as out, os.fdopen(descriptors[1], "w") as err:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        client.sendall(bytes([code]))
