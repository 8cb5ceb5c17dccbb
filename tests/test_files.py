import errno
from pathlib import Path

import pytest

from deepcpg_tf.cache import writing_to_cache
from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, atomic_folder, check_writable


@pytest.mark.parametrize("make", [atomic_file, atomic_folder])
def test_a_full_disk_is_told_with_the_path(tmp_path, make):
    message = r"out: cannot write there: No space left on device"
    with pytest.raises(OutputError, match=message), make(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "a library's own words\nover two lines")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [atomic_file, atomic_folder])
def test_other_errors_pass(tmp_path, make):
    with pytest.raises(FileNotFoundError), make(tmp_path / "out"):
        (tmp_path / "gone").read_text()
    assert list(tmp_path.iterdir()) == []


def test_the_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    with atomic_file(tmp_path / "out") as partial:
        partial.write_text("x")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_is_replaced_whole(tmp_path):
    for name in ("a", "b"):
        with atomic_folder(tmp_path / "out") as new:
            (new / name).write_text(name)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["b"]


@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_signal_leaves_the_old_folder_or_the_new(tmp_path, monkeypatch, number, at):
    """Whenever it comes while the new one takes the place of the old."""
    with atomic_folder(tmp_path / "out") as new:
        (new / "a").touch()
    rename, calls = Path.rename, []

    def interrupted(self, target):
        calls.append(target)
        if at == "after" or len(calls) != number:
            rename(self, target)
        if len(calls) == number:
            raise SystemExit(143)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Path, "rename", interrupted)
        with atomic_folder(tmp_path / "out") as new:
            (new / "b").touch()
    whole = "b" if (number, at) == (2, "after") else "a"
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "out",
        f"out/{whole}",
    ]


def test_the_cache_can_be_moved(home):
    message = f"{home}: cannot write to the cache: .*DEEPCPG_TF_HOME"
    with pytest.raises(OutputError, match=message), writing_to_cache():
        raise OSError(errno.EACCES, "Permission denied")


def test_a_link_stays_and_so_do_permissions(tmp_path):
    target = tmp_path / "target"
    target.write_text("old")
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    with atomic_file(tmp_path / "link") as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("make", "method"), [(atomic_file, "touch"), (atomic_folder, "mkdir")])
def test_a_signal_as_the_place_is_made_leaves_nothing(tmp_path, monkeypatch, make, method):
    done = getattr(Path, method)

    def then_interrupted(path, *arguments, **options):
        done(path, *arguments, **options)
        if path.parent == tmp_path:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, method, then_interrupted)
    with pytest.raises(KeyboardInterrupt), make(tmp_path / "out"):
        pass
    assert not list(tmp_path.iterdir())


def test_whether_a_place_can_be_written_to_is_found_without_a_name(tmp_path, monkeypatch):
    """What is seen there would be lost to a signal."""
    monkeypatch.setattr(Path, "unlink", lambda path: pytest.fail(f"{path} had a name"))
    check_writable(tmp_path / "out")
    assert not list(tmp_path.iterdir())
