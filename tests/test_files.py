import errno

import pytest

from deepcpg_tf.cache import writing_to_cache
from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, atomic_folder


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
