import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import deepcpg_tf
from deepcpg_tf.errors import OutputError
from deepcpg_tf.resume import arithmetic, check_identity, owned_folder, remove_owned, versions

IDENTITY = {"model": "a", "cells": ("x", "y"), "parts": 3}


def own(folder, identity=IDENTITY):
    return owned_folder(folder, identity, folder.parent / "out.parquet")


def test_a_run_goes_on_where_it_was(tmp_path):
    for _ in range(2):
        with own(tmp_path / "state"):
            (tmp_path / "state" / "work").touch()
    assert json.loads((tmp_path / "state" / "identity.json").read_text())["cells"] == ["x", "y"]


def test_an_error_leaves_the_folder_to_go_on_from(tmp_path):
    with pytest.raises(ZeroDivisionError), own(tmp_path / "state"):
        (tmp_path / "state" / "work").write_text("done")
        raise ZeroDivisionError
    with own(tmp_path / "state"):
        assert (tmp_path / "state" / "work").read_text() == "done"


def test_a_run_without_results_binds_nobody(tmp_path):
    """One that failed at its first step is repeated with other settings."""
    with pytest.raises(ZeroDivisionError), own(tmp_path / "state"):
        (tmp_path / "state" / ".half.partial").touch()
        raise ZeroDivisionError
    assert not (tmp_path / "state").exists()
    (tmp_path / "state").mkdir()  # as a killed one leaves it
    (tmp_path / "state" / "identity.json").write_text('{"model": "b"}')
    with own(tmp_path / "state"):
        (tmp_path / "state" / "work").touch()
    with pytest.raises(OutputError, match="the same"), own(tmp_path / "state", {"model": "b"}):
        pass


def test_all_that_differs_is_named(tmp_path):
    with own(tmp_path):
        (tmp_path / "work").touch()
    other = {"model": "b", "cells": ("x", "y"), "regions": None, "parts": 4}
    message = rf"^{tmp_path}: expected the unfinished run to have the same model, parts; repeat "
    with pytest.raises(OutputError, match=message), own(tmp_path, other):
        pass


def test_what_json_holds_alike_is_the_same(tmp_path):
    check_identity(tmp_path, {"a": [1, 2], "b": {"c": 0.1}}, {"b": {"c": 0.1}, "a": (1, 2)})
    with pytest.raises(OutputError, match="the same a;"):
        check_identity(tmp_path, {"a": [1, 2]}, {"a": [2, 1]})


def test_what_differs_within_is_named(tmp_path):
    before, now = ({"settings": {"seed": seed, "epochs": 3}} for seed in (0, 1))
    with pytest.raises(OutputError, match="the same settings.seed;"):
        check_identity(tmp_path, before, now)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000])
def test_a_damaged_identity_is_told(tmp_path, text):
    (tmp_path / "identity.json").write_text(text)
    (tmp_path / "work").touch()
    message = rf"^{tmp_path}: expected identity.json to say what the .* but .*; remove the folder"
    with pytest.raises(OutputError, match=message), own(tmp_path):
        pass


def test_results_of_nobody_knows_what_are_not_gone_on_with(tmp_path):
    (tmp_path / "work").touch()
    message = rf"^{tmp_path}: expected identity.json to say .* but No such file .*; remove the"
    with pytest.raises(OutputError, match=message), own(tmp_path):
        pass
    assert (tmp_path / "work").exists()


@pytest.mark.parametrize("text", ["", "{"])
def test_a_damaged_identity_of_no_results_is_written_anew(tmp_path, text):
    """As a disk that was full at the start leaves it."""
    (tmp_path / "identity.json").write_text(text)
    with own(tmp_path):
        (tmp_path / "work").touch()
    assert json.loads((tmp_path / "identity.json").read_text())["model"] == "a"


@pytest.mark.parametrize("done", range(4))
def test_killed_while_it_is_removed_nothing_is_left_to_go_on_with(tmp_path, monkeypatch, done):
    """Whatever file it came to: another run does not take what is left for its own."""
    state = tmp_path / "state"

    class Killed(BaseException):
        pass

    def remove_some(path, **_):
        if path.exists():
            for file in sorted(path.iterdir())[:done]:
                file.unlink()
            raise Killed

    with pytest.raises(Killed), monkeypatch.context() as patch, own(state):
        for name in ("a", "b"):
            (state / name).touch()
        patch.setattr(shutil, "rmtree", remove_some)
        remove_owned(state)
    with own(state, {"model": "b"}):
        assert {file.name for file in state.iterdir()} == {"identity.json", "lock"}
        assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_the_next_run_that_has_begun_is_let_be(tmp_path):
    """Between the removal and the end of a run, another may have begun."""
    state = tmp_path / "state"
    with own(state):
        (state / "work").touch()
        remove_owned(state)
        assert list(tmp_path.iterdir()) == []
        with own(state, {"model": "b"}):
            pass
        state.mkdir()
        (state / "lock").touch()
    assert (state / "lock").exists()


def test_another_process_holds_it(tmp_path):
    hold = (
        "import sys, pathlib; from deepcpg_tf.resume import owned_folder\n"
        "with owned_folder(pathlib.Path(sys.argv[1]), {}, pathlib.Path('out')):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", hold, str(tmp_path / "state")]
    message = rf"^{tmp_path}/out.parquet: expected nothing else to write it, found another run$"
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match=message), own(tmp_path / "state", {}):
            pass
        process.kill()
    with own(tmp_path / "state", {}):  # what is dead holds nothing
        pass


def test_a_folder_that_is_removed_while_waited_for(tmp_path, monkeypatch):
    """The lock of a removed folder holds nothing: another is taken."""
    import fcntl

    flock, state = fcntl.flock, tmp_path / "state"
    ended = []

    def remove_first(lock, how):
        if not ended:
            ended.append(True)
            shutil.rmtree(state)  # as the run that held it does in the end
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with own(state):
        assert (state / "lock").exists()
        assert (state / "identity.json").exists()


def test_a_folder_that_is_moved_away_before_it_is_locked(tmp_path, monkeypatch):
    """As the run that held it does in the end, after this one has made or seen it."""
    state, opened, mkdir = tmp_path / "state", os.open, Path.mkdir
    moved, seen = [], []

    def move_first(path, *how):
        if path == state / "lock" and not moved:
            moved.append(state.rename(tmp_path / "aside"))
        return opened(path, *how)

    def gone_meanwhile(self, *how, **options):
        if self == state and not seen:
            seen.append(self)
            raise FileExistsError(errno.EEXIST, "File exists")
        mkdir(self, *how, **options)

    monkeypatch.setattr(os, "open", move_first)
    monkeypatch.setattr(Path, "mkdir", gone_meanwhile)
    with own(state):
        assert {file.name for file in state.iterdir()} == {"identity.json", "lock"}
    assert moved
    assert seen


def test_a_file_system_that_cannot_lock_is_no_other_run(tmp_path, monkeypatch):
    def none(lock, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    message = f"^{tmp_path}/state: cannot be locked: No locks available$"
    with pytest.raises(OutputError, match=message), own(tmp_path / "state"):
        pass


def test_a_disk_that_is_full_at_the_start_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    message = f"^{tmp_path}/state/identity.json: cannot write there: No space left on device$"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match=message), own(tmp_path / "state"):
            pass
    assert list(tmp_path.iterdir()) == []
    with own(tmp_path / "state"):
        pass


def test_a_place_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot write there: File exists"),
        own(tmp_path / "file"),
    ):
        pass


def test_versions_are_those_installed():
    import keras
    import tensorflow as tf

    expected = {"keras": keras.__version__, "tensorflow": tf.__version__}
    assert versions() == {"deepcpg_tf": deepcpg_tf.__version__, **expected}


def test_it_needs_no_tensorflow():
    code = (
        "import sys, deepcpg_tf.resume as r; r.versions(); assert 'tensorflow' not in sys.modules"
    )
    root = Path(deepcpg_tf.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_the_number_of_threads_is_told(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 3}, raising=False)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    assert arithmetic() == {"threads": "3", "onednn": "0"}
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "8")
    assert arithmetic()["threads"] == "8"


@pytest.mark.parametrize(("gpus", "device"), [([], "CPU"), (["GPU:0"], "GPU")])
def test_the_kind_of_device_is_told(monkeypatch, gpus, device):
    config = SimpleNamespace(list_physical_devices={"GPU": gpus}.get)
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    assert arithmetic()["device"] == device


def test_what_the_machine_decides_is_named_with_its_values(tmp_path):
    before = {"threads": "16", "device": "CPU", "seed": 1}
    message = (
        r"the same device \(CPU, now GPU\), seed, "
        r"threads \(16, now 12; TF_NUM_INTRAOP_THREADS sets it\);"
    )
    with pytest.raises(OutputError, match=message):
        check_identity(tmp_path, before, {"threads": "12", "device": "GPU", "seed": 2})
    with pytest.raises(OutputError, match="the same threads;"):
        check_identity(tmp_path, {}, {"threads": "12"})
