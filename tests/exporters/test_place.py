"""The folder of an export: who is at it, and what is in it when something goes wrong."""

import errno
import fcntl
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import tensorflow as tf

from deepcpg_tf.errors import ExportError, OutputError
from deepcpg_tf.exporters.bundle import check_export_folder
from deepcpg_tf.exporters.manifest import read_manifest
from deepcpg_tf.exporters.place import LOCK, WORKSPACE, Place, claim, cut_off

OLD = {"manifest.json": "old", "onnx/a": "old", "onnx/b": "old", "saved_model/1/x": "old"}
OLD |= {"parity/1.npz": "old", "tflite/a": "old"}
NEW = {"manifest.json": "new", "onnx/a": "new", "saved_model/2/x": "new", "parity/2.npz": "new"}
PLACED, REMOVED = ["parity/2.npz", "onnx", "saved_model/2"], ["parity/1.npz", "tflite"]
AFTER = {**NEW, "saved_model/1/x": "old"}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def read(folder):
    """Return all files but those of the machinery."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".export")
    }


def publish(out):
    with claim(out) as place:
        write(place.new, NEW)
        place.publish(PLACED, REMOVED, "manifest.json")


@pytest.fixture(params=["new", "earlier"])
def before(request, tmp_path):
    """Return a folder, and what is in it."""
    out = tmp_path / "out"
    if request.param == "earlier":
        write(out, OLD)
    return out, OLD if request.param == "earlier" else {}


def test_all_is_put_in_place(before):
    out, files = before
    publish(out)
    assert read(out) == (AFTER if files else NEW)
    assert {path.name for path in out.iterdir()} == {
        "manifest.json",
        "onnx",
        "parity",
        "saved_model",
    }


def test_what_fails_before_leaves_nothing(before):
    out, files = before
    with pytest.raises(ZeroDivisionError), claim(out) as place:
        write(place.new, NEW)
        raise ZeroDivisionError
    assert out.exists() == bool(files)
    if files:
        assert read(out) == files
        assert not (out / WORKSPACE).exists()
        assert not (out / LOCK).exists()


def test_no_two_at_a_time(before):
    """The second is refused at once, and takes nothing from the first."""
    out, _ = before
    with claim(out) as place:
        write(place.new, NEW)
        with pytest.raises(OutputError, match="out: expected no other export at work there, foun"):
            publish(out)
        place.publish(PLACED, REMOVED, "manifest.json")
    assert read(out)["onnx/a"] == "new"
    publish(out)


def test_no_two_processes_at_a_time(tmp_path):
    out = tmp_path / "out"
    code = f"""
        from pathlib import Path
        from deepcpg_tf.errors import OutputError
        from deepcpg_tf.exporters.place import claim
        try:
            with claim(Path({str(out)!r})):
                print("in")
        except OutputError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with claim(out):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"{out}: expected no other export")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "in\n"
    assert not out.exists()


class Killed(BaseException):
    pass


def every_rename(monkeypatch, error):
    """Yield numbers; with each, the rename of that number fails."""
    real, counted = Path.rename, [0]

    def rename(self, target):
        counted[0] -= 1
        if counted[0] == -1:
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(Path, "replace", rename)
    for number in range(50):
        counted[0] = number
        yield number
        if counted[0] >= 0:
            return
    raise AssertionError


def copies(folder, files):
    """Yield folders with some files."""
    for number in range(50):
        out = folder / f"copy{number}"
        write(out, files)
        yield out


@pytest.mark.parametrize("files", [OLD, {"manifest.json": "old"}])
def test_what_cannot_be_moved_is_undone(tmp_path, monkeypatch, files):
    """Wherever it fails, as where the folder is a mount point that is busy."""
    outs, error = copies(tmp_path, files), OSError(errno.EBUSY, "Device or resource busy")
    tried = 0
    for tried in every_rename(monkeypatch, error):  # noqa: B007
        out = next(outs)
        said = None
        try:
            publish(out)
        except OutputError as refused:
            said = str(refused)
        if said is None:
            break
        assert said.startswith(f"{out}: cannot put the export in place: Device or resource busy;")
        assert read(out) == files
        assert not (out / WORKSPACE).exists()
    assert tried == (8 if files is OLD else 5)


@pytest.mark.parametrize("files", [OLD, {}])
def test_a_kill_in_between(tmp_path, monkeypatch, files):
    """Verify says so; the next export takes back what was not all in place, and goes on."""
    outs = copies(tmp_path, files)
    ends = []
    for _ in every_rename(monkeypatch, Killed()):
        out = next(outs)
        with monkeypatch.context() as patch:
            patch.setattr(Place, "undo", lambda self: None)
            patch.setattr(Place, "clear", lambda self: None)
            try:
                publish(out)
            except Killed:
                ends.append(cut_off(out))
                if cut_off(out):
                    with pytest.raises(ExportError, match="being put in place, or was cut off"):
                        read_manifest(out)
            else:
                assert read(out) == {**files, **NEW} or read(out) == AFTER
                break
        check_export_folder(out)
        with claim(out):
            pass
        assert read(out) == files
        publish(out)
        assert read(out) == (AFTER if files else NEW)
    assert ends == [False, *[True] * (len(ends) - 1)]
    assert len(ends) > 3


def test_a_kill_once_all_is_in_place(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write(out, OLD)

    def killed(self, missing_ok=False):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        patch.setattr(Place, "clear", lambda self: None)
        with pytest.raises(Killed):
            publish(out)
    assert cut_off(out)
    with claim(out):
        pass
    assert read(out) == AFTER
    assert not (out / WORKSPACE).exists()


def test_a_folder_that_cannot_be_renamed_over(tmp_path, monkeypatch):
    """An empty mount point, as a container has it: nothing beside it is touched."""
    out = tmp_path / "out"
    out.mkdir()
    real = Path.rename

    def rename(self, target):
        if out in (self, Path(target)):
            raise OSError(errno.EBUSY, "Device or resource busy")
        assert Path(target).is_relative_to(out)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(Path, "replace", rename)
    publish(out)
    assert read(out) == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.fixture
def mounted(tmp_path):
    """Return an empty file system of a megabyte."""
    out = tmp_path / "mounted"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(out)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"cannot mount here: {error}")
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    yield out
    subprocess.run(["umount", str(out)], check=True)


def test_a_real_mount_point(mounted):
    publish(mounted)
    assert read(mounted) == NEW
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    with pytest.raises(OutputError, match="mounted: cannot write there: Read-only file system"):
        publish(mounted)


def test_a_real_full_disk(mounted):
    """TensorFlow has errors of its own for it."""
    module = tf.Module()
    module.weights = [tf.Variable(tf.zeros(1 << 20))]
    with (
        pytest.raises(OutputError, match="mounted: cannot write there: No space left on device"),
        claim(mounted) as place,
    ):
        tf.saved_model.save(module, str(place.new / "1"))
    assert list(mounted.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("Can't write data (file write failed: error message = 'No space left on device')"),
        tf.errors.ResourceExhaustedError(None, None, "x/data; No space left on device [Op:SaveV2]"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    ],
)
def test_a_full_disk_however_it_is_told(tmp_path, error):
    with (
        pytest.raises(OutputError, match=r"out: cannot write there: [\w ]+$"),
        claim(tmp_path / "out"),
    ):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_memory_that_is_exhausted_is_no_full_disk(tmp_path):
    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    with pytest.raises(tf.errors.ResourceExhaustedError), claim(tmp_path / "out"):
        raise error


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="out: cannot write there: Not a directory"):
        publish(tmp_path / "file" / "out")


def test_a_lock_that_another_run_removes_meanwhile(tmp_path, monkeypatch):
    """Who opened it before must not believe that it holds the folder."""
    out, real, gone = tmp_path / "out", fcntl.flock, []

    def flock(handle, how):
        if not gone:
            gone.append((out / LOCK).unlink())
        return real(handle, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with claim(out):
        assert (out / LOCK).exists()
        with pytest.raises(OutputError, match="expected no other export"):
            publish(out)
