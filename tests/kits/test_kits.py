"""What all programs of the kits have in common: input, table, errors."""

from __future__ import annotations

import gzip
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from deepcpg_tf.exporters.artefact import BOUNDS
from tests.kits.conftest import KITS, LENGTH, LETTERS

GOOD = "ACGTN" * 20 + "A"
PROGRAMS = ["edge/deepcpg_edge.py", "onnx/deepcpg_onnx.py", "serving/client.py"]


def fasta(letters, names=None, width=30):
    names = [f"w{i} of a file" for i in range(len(letters))] if names is None else names
    return "".join(
        f">{name}\n" + "".join(f"{window[i : i + width]}\n" for i in range(0, LENGTH, width))
        for name, window in zip(names, letters, strict=True)
    )


def test_the_table(kit, tmp_path, cells, probabilities):
    path = tmp_path / "windows.txt"
    path.write_text("\n".join(LETTERS) + "\n\n")
    header, ids, found = kit.run(path).table()
    assert header == ["id", *cells]
    assert ids == [str(i + 1) for i in range(len(LETTERS))]
    np.testing.assert_allclose(found, probabilities, atol=BOUNDS["float32"])


@pytest.mark.parametrize("form", ["fasta", "gzip", "bgzip", "stdin", "crlf", "letters"])
def test_every_form_of_input(kit, tmp_path, form, probabilities):
    path, stdin = tmp_path / "windows", b""
    text = fasta(LETTERS)
    if form == "fasta":
        path.write_text("\n" + text + "\n")
    elif form == "gzip":
        path.write_bytes(gzip.compress(text.encode()))
    elif form == "bgzip":  # gzip in members
        path.write_bytes(b"".join(gzip.compress(part.encode()) for part in (text[:99], text[99:])))
    elif form == "stdin":
        path, stdin = "-", gzip.compress(text.encode())
    elif form == "crlf":
        path.write_bytes(text.replace("\n", "\r\n").encode())
    else:
        path.write_text(fasta([window.lower().replace("t", "u") for window in LETTERS]))
    _, ids, found = kit.run(path, stdin=stdin).table()
    assert ids == [f"w{i}" for i in range(len(LETTERS))]
    np.testing.assert_allclose(found, probabilities, atol=BOUNDS["float32"])


def test_more_windows_than_a_batch(kit, tmp_path, probabilities):
    path = tmp_path / "windows.txt"
    path.write_text("\n".join(LETTERS * 17))
    _, ids, found = kit.run(path).table()
    assert ids[-1] == str(17 * len(LETTERS))
    np.testing.assert_allclose(found, np.tile(probabilities, (17, 1)), atol=BOUNDS["float32"])


def test_out(kit, tmp_path):
    path, out = tmp_path / "windows.txt", tmp_path / "table.tsv"
    path.write_text("\n".join(LETTERS))
    result = kit.run(path, "--out", out)
    assert result == (0, "", "")
    assert out.read_text() == kit.run(path).out
    assert sorted(tmp_path.iterdir()) == [out, path]


PLAIN = "expected a nucleotide letter (A, C, G, T, U, N or another of IUPAC), received"


# All of them are in tests/fixtures/vectors; here is how a program tells them.
FAULTS = [
    (f"{GOOD}\nACGT\n", "FILE, line 2: expected a window of 101 letters, received 4"),
    (f"{GOOD}\n{GOOD[:50]}X{GOOD[51:]}", f"FILE, line 2, position 51: {PLAIN} 'X'"),
    (f">a\n{GOOD}\n>b\n", "FILE, record 2 (b): expected a window of 101 letters, received 0"),
    (
        gzip.compress(GOOD.encode(), mtime=0)[:20],
        "FILE: cannot be read: Compressed file ended before",
    ),
]


def check_fault(kit, folder, content, message):
    path, out = folder / "windows", folder / "out"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message.replace("FILE", str(path)) in kit.fails(path, "--out", out)
    assert list(folder.iterdir()) == [path]


def test_faults_of_windows(kit, tmp_path):
    for content, message in FAULTS:
        check_fault(kit, tmp_path, content, message)


def test_faults_of_stdin(kit):
    assert "stdin, line 1: expected a window of 101 letters" in kit.fails("-", stdin=b"ACGT")
    assert "stdin: expected FASTA, or a window a line" in kit.fails("-")


def test_faults_of_files(kit, tmp_path):
    path, none = tmp_path / "windows", tmp_path / "none"
    path.write_text(GOOD)
    assert f"{none}: cannot be read: No such file" in kit.fails(none)
    assert f"{tmp_path}: cannot be read: Is a directory" in kit.fails(tmp_path)
    expected = f"{tmp_path}: expected the name of a file to write, received a folder"
    assert expected in kit.fails(path, "--out", tmp_path)
    assert "cannot be written: No such file" in kit.fails(path, "--out", none / "out")


def test_faults_of_arguments(kit):
    assert "the following arguments are required: INPUT (see --help)" in kit.fails()
    assert "unrecognized arguments: --fast" in kit.fails("-", "--fast")


def test_a_reader_that_stops_early(kit, tmp_path):
    """As in ``deepcpg_edge.py … | head -1``: no traceback."""
    path = tmp_path / "windows.txt"
    path.write_text("\n".join(LETTERS * 200))
    with subprocess.Popen(
        [*kit.command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline().startswith(b"id\t")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_a_full_disk(kit, tmp_path):
    path = tmp_path / "windows.txt"
    path.write_text("\n".join(LETTERS))
    with Path("/dev/full").open("w") as full:
        command = [*kit.command, str(path)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    expected = f"{kit.program}: error: stdout: cannot be written: No space left on device\n"
    assert done.stderr == expected


def test_ended_from_outside(kit, tmp_path):
    """While it waits for its input: the temporary copy of it goes too."""
    out = tmp_path / "table.tsv"
    command = [*kit.command, "-", "--out", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(LETTERS[0].encode())
        process.stdin.flush()
        time.sleep(0.5)
        process.terminate()
        # On a busy machine, before it has begun.
        assert process.wait() in (128 + signal.SIGTERM, -signal.SIGTERM)
        assert process.stderr.read() == b""
        process.stdin.close()
    assert list(tmp_path.iterdir()) == []


def test_the_common_lines_are_the_same():
    """Each program is one file; what they have in common is kept equal."""
    pattern = re.compile(r"# ---- Windows and the table.*# ---- The end of what", re.DOTALL)
    common = []
    for program in PROGRAMS:
        (text,) = pattern.findall((KITS / program).read_text())
        common.append(text)
    assert len(set(common)) == 1
