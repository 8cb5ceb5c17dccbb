"""Downloads against a real server on this machine, the cache, and files put in by hand."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import re
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import pooch
import pytest
import typer
from typer.testing import CliRunner

from deepcpg_tf.cache import cache_folder
from deepcpg_tf.cli import presets as commands
from deepcpg_tf.errors import ConfigError, DeepCpgError, DownloadError, OutputError
from deepcpg_tf.presets import PRESETS, Preset
from deepcpg_tf.weights import download, store

MODEL = b'{"made": "up"}'
WEIGHTS = bytes(range(256)) * 1000
MODEL_NAME = "Tiny_dna-model"
WEIGHTS_NAME = "Tiny_dna-model_weights.h5"
BY_HAND = "deepcpg-tf fetch tiny --from-dir DIR"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


TINY = Preset("tiny", "CnnL2h128", ("a", "b"), "GRCm38", "Tiny_dna", md5(MODEL), md5(WEIGHTS))

Fault = str | int | None


class Mirror(ThreadingHTTPServer):
    """Serves the tiny preset, with a fault for each request of a file in turn."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MirrorHandler)
        self.url = f"http://127.0.0.1:{self.server_port}/files"
        self.contents = {MODEL_NAME: MODEL, WEIGHTS_NAME: WEIGHTS}
        self.faults: dict[str, Iterator[Fault]] = {name: repeat(None) for name in self.contents}
        self.requests: list[str] = []
        self.agents: set[str] = set()
        self.stopped = threading.Event()


class MirrorHandler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.server.agents.add(self.headers["User-Agent"])
        name = self.path.removeprefix("/files/").removesuffix("?download=1")
        if name not in self.server.contents:
            self.send_error(404)
            return
        fault, content = next(self.server.faults[name]), self.server.contents[name]
        if isinstance(fault, int):
            self.send_error(fault)
            return
        if fault == "silent":
            self.server.stopped.wait(30)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        if fault == "stalled":
            self.wfile.flush()
            self.server.stopped.wait(30)
        elif fault != "cut off":
            self.wfile.write(content[half:] if fault is None else bytes(len(content) - half))

    def log_message(self, *args: object) -> None:
        """Keep stderr empty, so that tests can look at what the library prints."""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPCPG_TF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that pooch would have slept between its attempts."""
    seconds: list[float] = []
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=seconds.append))
    return seconds


def files_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def assert_installed(files: store.PresetFiles, home: Path) -> None:
    folder = home / "presets" / "tiny"
    assert files == (folder / MODEL_NAME, folder / WEIGHTS_NAME)
    assert files.model.read_bytes() == MODEL
    assert files.weights.read_bytes() == WEIGHTS
    assert len(files_in(home)) == 2
    assert store.cached(TINY) == files


def assert_one_line(error: pytest.ExceptionInfo[DeepCpgError], *parts: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


class TestFetch:
    def test_downloads_both_files_once(self, mirror: Mirror, home: Path) -> None:
        assert store.cached(TINY) is None
        assert_installed(store.fetch(TINY, base_url=mirror.url), home)
        expected = [f"/files/{name}?download=1" for name in (MODEL_NAME, WEIGHTS_NAME)]
        assert mirror.requests == expected
        assert mirror.agents == {"deepcpg_tf"}
        assert_installed(store.fetch(TINY, base_url=mirror.url), home)
        assert mirror.requests == expected

    def test_accepts_a_base_url_that_ends_in_a_slash(self, mirror: Mirror, home: Path) -> None:
        assert_installed(store.fetch(TINY, base_url=mirror.url + "/"), home)

    def test_the_default_is_the_zenodo_record(self, monkeypatch: pytest.MonkeyPatch) -> None:
        closed = "http://127.0.0.1:9"  # a proxy that is not there: the network stays out of it
        monkeypatch.setenv("HTTPS_PROXY", closed)
        monkeypatch.setenv("https_proxy", closed)
        with pytest.raises(DownloadError) as error:
            store.fetch(TINY)
        url = f"https://zenodo.org/record/1466079/files/{MODEL_NAME}?download=1"
        assert_one_line(error, url, TINY.model_md5, BY_HAND)

    @pytest.mark.parametrize("fault", ["cut off", "corrupt", "stalled", "silent", 500, 503])
    @pytest.mark.parametrize("name", [MODEL_NAME, WEIGHTS_NAME])
    def test_tries_again_after_a_passing_fault(
        self,
        mirror: Mirror,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        fault: Fault,
    ) -> None:
        monkeypatch.setattr(download, "_TIMEOUT", (1, 0.2))
        mirror.faults[name] = chain([fault], repeat(None))
        assert_installed(store.fetch(TINY, base_url=mirror.url), home)
        assert mirror.requests.count(f"/files/{name}?download=1") == 2
        assert len(mirror.requests) == 3

    @pytest.mark.parametrize(
        ("fault", "reason", "attempts"),
        [
            ("cut off", "the connection broke off", 3),
            ("stalled", "Read timed out", 3),
            ("silent", "no answer in time", 3),
            ("corrupt", f"received md5 {md5(WEIGHTS[:128_000] + bytes(128_000))}", 3),
            (500, "HTTP 500 Internal Server Error", 3),
            (404, "HTTP 404 Not Found", 1),
            (403, "HTTP 403 Forbidden", 1),
            (429, "HTTP 429 Too Many Requests", 3),
        ],
    )
    def test_gives_up_on_a_lasting_fault(
        self,
        mirror: Mirror,
        home: Path,
        waits: list[float],
        monkeypatch: pytest.MonkeyPatch,
        fault: Fault,
        reason: str,
        attempts: int,
    ) -> None:
        monkeypatch.setattr(download, "_TIMEOUT", (1, 0.2))
        mirror.faults[WEIGHTS_NAME] = repeat(fault)
        with pytest.raises(DownloadError) as error:
            store.fetch(TINY, base_url=mirror.url)
        url = f"{mirror.url}/{WEIGHTS_NAME}?download=1"
        assert_one_line(error, url, reason, f"expected md5 {TINY.weights_md5}", BY_HAND)
        assert len(mirror.requests) == 1 + attempts
        assert len(waits) == attempts - 1
        assert sum(waits) <= 5
        # The other file is right and stays, and is not asked for when the mirror is mended.
        assert files_in(home) == [f"presets/tiny/{MODEL_NAME}"]
        assert store.cached(TINY) is None
        mirror.faults[WEIGHTS_NAME] = repeat(None)
        mirror.requests.clear()
        assert_installed(store.fetch(TINY, base_url=mirror.url), home)
        assert len(mirror.requests) == 1

    def test_tells_that_a_connection_was_refused(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        url = f"http://127.0.0.1:{port}/files"
        with pytest.raises(DownloadError) as error:
            store.fetch(TINY, base_url=url)
        parts = (f"{url}/{MODEL_NAME}?download=1", "refused", TINY.model_md5, BY_HAND)
        assert_one_line(error, *parts)
        assert files_in(home) == []

    @pytest.mark.skipif(sys.platform != "linux", reason="fills the queue as Linux does")
    def test_does_not_wait_again_for_a_host_that_is_silent(
        self, monkeypatch: pytest.MonkeyPatch, waits: list[float]
    ) -> None:
        monkeypatch.setattr(download, "_TIMEOUT", (0.3, 0.2))
        with contextlib.ExitStack() as stack:
            full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            with pytest.raises(DownloadError) as error:
                store.fetch(TINY, base_url=f"http://127.0.0.1:{full.getsockname()[1]}")
        assert_one_line(error, "no answer in time", TINY.model_md5, BY_HAND)
        assert waits == []

    @pytest.mark.parametrize(
        "base_url", ["", "zenodo.org/files", "ftp://zenodo.org", "file:///tmp", "http://", "http:x"]
    )
    def test_refuses_a_base_url_of_another_kind(self, home: Path, base_url: str) -> None:
        with pytest.raises(DownloadError) as error:
            store.fetch(TINY, base_url=base_url)
        assert_one_line(error, "http://", "https://", f"received {base_url!r}")
        assert not home.exists()

    @pytest.mark.parametrize("base_url", ["http://[::1", "http://a b/files"])
    def test_refuses_a_base_url_without_a_proper_host(
        self, base_url: str, waits: list[float]
    ) -> None:
        with pytest.raises(DownloadError) as error:
            store.fetch(TINY, base_url=base_url)
        assert_one_line(error, base_url)
        assert waits == []

    def test_replaces_a_damaged_file(self, mirror: Mirror, home: Path) -> None:
        files = store.fetch(TINY, base_url=mirror.url)
        files.weights.write_bytes(WEIGHTS[:-1])
        mirror.requests.clear()
        assert_installed(store.fetch(TINY, base_url=mirror.url), home)
        assert mirror.requests == [f"/files/{WEIGHTS_NAME}?download=1"]

    def test_removes_a_damaged_file_that_it_cannot_replace(self, mirror: Mirror) -> None:
        files = store.fetch(TINY, base_url=mirror.url)
        files.weights.write_bytes(WEIGHTS[:-1])
        mirror.faults[WEIGHTS_NAME] = repeat(404)
        with pytest.raises(DownloadError, match="HTTP 404"):
            store.fetch(TINY, base_url=mirror.url)
        assert store.cached(TINY) is None

    def test_others_can_read_the_files(self, mirror: Mirror) -> None:
        for path in store.fetch(TINY, base_url=mirror.url):
            assert path.stat().st_mode & 0o777 == 0o644

    def test_silences_the_logger_of_pooch_for_its_own_time(
        self, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logger = pooch.get_logger()
        log = io.StringIO()
        monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(log)])
        logger.info("before")
        mirror.faults[MODEL_NAME] = chain([500], repeat(None))
        store.fetch(TINY, base_url=mirror.url)
        logger.info("after")
        assert log.getvalue() == "before\nafter\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestProgress:
    def terminal(self, monkeypatch: pytest.MonkeyPatch) -> Terminal:
        # No fixture: between set-up and test pytest puts its own stream there.
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("NO_COLOR", "1")
        return terminal

    @pytest.mark.parametrize("fault", [None, "cut off"])
    def test_shows_each_file_on_a_terminal(
        self, mirror: Mirror, monkeypatch: pytest.MonkeyPatch, fault: Fault
    ) -> None:
        terminal = self.terminal(monkeypatch)
        mirror.faults[WEIGHTS_NAME] = chain([fault], repeat(None))
        store.fetch(TINY, base_url=mirror.url, progress=True)
        shown = terminal.getvalue()
        assert MODEL_NAME in shown
        assert WEIGHTS_NAME in shown
        assert "256.0/256.0 kB" in shown

    def test_starts_each_attempt_from_nothing(
        self, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal = self.terminal(monkeypatch)
        mirror.faults[WEIGHTS_NAME] = repeat("cut off")
        with pytest.raises(DownloadError):
            store.fetch(TINY, base_url=mirror.url, progress=True)
        shown = [float(size) for size in re.findall(r"([0-9.]+)/256\.0 kB", terminal.getvalue())]
        assert 0 < shown[-1] <= 131.1  # half the file, in whole blocks

    @pytest.mark.parametrize(("progress", "stderr"), [(True, io.StringIO), (False, Terminal)])
    def test_is_silent_otherwise(
        self,
        mirror: Mirror,
        monkeypatch: pytest.MonkeyPatch,
        progress: bool,
        stderr: type[io.StringIO],
    ) -> None:
        stream = stderr()
        monkeypatch.setattr("sys.stderr", stream)
        store.fetch(TINY, base_url=mirror.url, progress=progress)
        assert stream.getvalue() == ""


class TestCache:
    @pytest.fixture
    def downloads(self, tmp_path: Path) -> Path:
        return hand_downloaded(tmp_path)

    def test_is_where_the_variable_says(self, home: Path) -> None:
        assert cache_folder() == home

    def test_knows_the_home_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("DEEPCPG_TF_HOME", "~/weights")
        assert cache_folder() == tmp_path / "weights"

    def test_of_a_relative_path_is_absolute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DEEPCPG_TF_HOME", "weights")
        assert cache_folder() == Path.cwd() / "weights"

    @pytest.mark.skipif(sys.platform != "linux", reason="the XDG folders are Linux's")
    @pytest.mark.parametrize("value", [None, ""])
    def test_is_the_users_otherwise(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        if value is None:
            monkeypatch.delenv("DEEPCPG_TF_HOME")
        else:
            monkeypatch.setenv("DEEPCPG_TF_HOME", value)
        assert cache_folder() == tmp_path / "deepcpg_tf"

    @pytest.mark.parametrize("missing", [MODEL_NAME, WEIGHTS_NAME])
    def test_holds_a_preset_only_with_both_files(
        self, home: Path, downloads: Path, missing: str
    ) -> None:
        store.install(TINY, downloads)
        (home / "presets" / "tiny" / missing).unlink()
        assert store.cached(TINY) is None

    @pytest.mark.parametrize("action", ["fetch", "install"])
    @pytest.mark.parametrize("blocked", ["home", "home/presets", "home/presets/tiny"])
    def test_that_cannot_be_written_to_is_named(
        self,
        mirror: Mirror,
        downloads: Path,
        home: Path,
        action: str,
        blocked: str,
    ) -> None:
        obstacle = home.parent / blocked
        obstacle.parent.mkdir(parents=True, exist_ok=True)
        obstacle.touch()
        with pytest.raises(OutputError) as error:
            fill_cache(action, mirror, downloads)
        assert_one_line(error, str(home), "DEEPCPG_TF_HOME")
        assert str(error.value).count("DEEPCPG_TF_HOME") == 1
        assert mirror.requests == []

    @pytest.mark.parametrize(
        ("action", "reason"), [("fetch", "Is a directory"), ("install", "received a folder")]
    )
    def test_with_a_folder_in_place_of_a_file_is_named(
        self, mirror: Mirror, downloads: Path, home: Path, action: str, reason: str
    ) -> None:
        (home / "presets" / "tiny" / WEIGHTS_NAME).mkdir(parents=True)
        with pytest.raises(OutputError) as error:
            fill_cache(action, mirror, downloads)
        assert_one_line(error, f"{home}: ", reason, "DEEPCPG_TF_HOME")

    @pytest.mark.parametrize("action", ["fetch", "install"])
    def test_without_permission_is_named(
        self, mirror: Mirror, downloads: Path, home: Path, action: str
    ) -> None:
        home.mkdir(mode=0o500)
        if os.access(home, os.W_OK):
            pytest.skip("the superuser may write anywhere")
        with pytest.raises(OutputError) as error:
            fill_cache(action, mirror, downloads)
        assert_one_line(error, str(home), "Permission denied", "DEEPCPG_TF_HOME")

    @pytest.mark.parametrize("action", ["fetch", "install"])
    def test_that_is_full_is_named_and_left_clean(
        self, mirror: Mirror, downloads: Path, home: Path, action: str
    ) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(WEIGHTS) // 2, limits[1]))
        try:
            with pytest.raises(OutputError) as error:
                fill_cache(action, mirror, downloads)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert_one_line(error, str(home), "File too large", "DEEPCPG_TF_HOME")
        assert files_in(home) == [f"presets/tiny/{MODEL_NAME}"]


def fill_cache(action: str, mirror: Mirror, downloads: Path) -> None:
    if action == "fetch":
        store.fetch(TINY, base_url=mirror.url)
    else:
        store.install(TINY, downloads)


def hand_downloaded(
    tmp_path: Path, model_name: str = MODEL_NAME, weights_name: str = WEIGHTS_NAME
) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / model_name).write_bytes(MODEL)
    (folder / weights_name).write_bytes(WEIGHTS)
    return folder


class TestInstall:
    @pytest.mark.parametrize(
        "model_name",
        [
            MODEL_NAME,
            f"{MODEL_NAME}.json",
            f"{MODEL_NAME}?download=1",
            f"{MODEL_NAME} (1)",
            f"{MODEL_NAME} (1).json",
        ],
    )
    @pytest.mark.parametrize(
        "weights_name",
        [
            WEIGHTS_NAME,
            f"{WEIGHTS_NAME}?download=1",
            f"{WEIGHTS_NAME}.1",
            "Tiny_dna-model_weights (1).h5",
            "Tiny_dna-model_weights.hdf5",
        ],
    )
    def test_accepts_every_renaming(
        self, tmp_path: Path, home: Path, model_name: str, weights_name: str
    ) -> None:
        downloads = hand_downloaded(tmp_path, model_name, weights_name)
        assert_installed(store.install(TINY, downloads), home)
        assert files_in(downloads) == sorted([model_name, weights_name])

    def test_takes_the_intact_one_of_several(self, tmp_path: Path, home: Path) -> None:
        downloads = hand_downloaded(tmp_path, f"{MODEL_NAME} (2)", f"{WEIGHTS_NAME}.2")
        for name in (MODEL_NAME, f"{MODEL_NAME} (1)", WEIGHTS_NAME, f"{WEIGHTS_NAME}.3"):
            (downloads / name).write_bytes(b"a page that asks to log in")
        (downloads / f"{MODEL_NAME}-folder").mkdir()
        assert_installed(store.install(TINY, downloads), home)

    def test_makes_downloads_needless(self, tmp_path: Path, mirror: Mirror, home: Path) -> None:
        store.install(TINY, hand_downloaded(tmp_path))
        assert_installed(store.fetch(TINY, base_url=mirror.url), home)
        assert mirror.requests == []

    def test_from_the_cache_itself_changes_nothing(self, tmp_path: Path, home: Path) -> None:
        files = store.install(TINY, hand_downloaded(tmp_path))
        assert_installed(store.install(TINY, files.model.parent), home)

    @pytest.mark.parametrize(
        ("name", "file"), [(MODEL_NAME, TINY.model_file), (WEIGHTS_NAME, TINY.weights_file)]
    )
    def test_names_a_missing_file_and_its_url(
        self, tmp_path: Path, home: Path, name: str, file: tuple[str, str]
    ) -> None:
        downloads = hand_downloaded(tmp_path)
        (downloads / name).unlink()
        with pytest.raises(DownloadError) as error:
            store.install(TINY, downloads)
        url = f"https://zenodo.org/record/1466079/files/{name}?download=1"
        assert_one_line(error, str(downloads), f"expected a file {name},", url)
        assert not home.exists()

    @pytest.mark.parametrize(
        ("renamed", "name", "expected"),
        [
            (f"{MODEL_NAME}.json", MODEL_NAME, TINY.model_md5),
            (f"{WEIGHTS_NAME}.1", WEIGHTS_NAME, TINY.weights_md5),
        ],
    )
    def test_names_damaged_files_and_both_checksums(
        self, tmp_path: Path, home: Path, renamed: str, name: str, expected: str
    ) -> None:
        downloads = hand_downloaded(tmp_path)
        (downloads / name).write_bytes(b"first")
        (downloads / renamed).write_bytes(b"second")
        with pytest.raises(DownloadError) as error:
            store.install(TINY, downloads)
        received = f"{md5(b'first')} in {name}, {md5(b'second')} in {renamed}"
        assert_one_line(
            error, str(downloads), f"{name} with md5 {expected}", f"received {received}"
        )
        assert not home.exists()

    def test_keeps_what_the_cache_held_when_the_files_are_damaged(
        self, tmp_path: Path, home: Path
    ) -> None:
        downloads = hand_downloaded(tmp_path)
        files = store.install(TINY, downloads)
        (downloads / WEIGHTS_NAME).write_bytes(b"damaged")
        with pytest.raises(DownloadError, match=TINY.weights_md5):
            store.install(TINY, downloads)
        assert_installed(files, home)

    @pytest.mark.parametrize(("name", "received"), [("none", "nothing"), ("file", "a file")])
    def test_refuses_what_is_not_a_folder(self, tmp_path: Path, name: str, received: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DownloadError) as error:
            store.install(TINY, tmp_path / name)
        assert_one_line(error, str(tmp_path / name), "expected a folder", f"received {received}")


def test_find_preset_returns_the_preset_of_that_name() -> None:
    assert store.find_preset("hou2016-hcc") is PRESETS["hou2016-hcc"]


@pytest.mark.parametrize("name", ["", "hou2016", "Hou2016-HCC"])
def test_find_preset_lists_the_names_that_exist(name: str) -> None:
    with pytest.raises(ConfigError) as error:
        store.find_preset(name)
    assert_one_line(error, ", ".join(PRESETS), f"received {name!r}")


def test_importing_the_commands_is_cheap() -> None:
    code = (
        "import sys, deepcpg_tf.cli.presets;"
        "print({'tensorflow', 'keras', 'pooch', 'requests', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


class TestCommand:
    app = typer.Typer()
    app.command()(commands.fetch)

    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(PRESETS, "tiny", TINY)

    def paths(self, home: Path) -> str:
        folder = home / "presets" / "tiny"
        return f"{folder / MODEL_NAME}\n{folder / WEIGHTS_NAME}\n"

    def test_downloads_and_prints_where_the_files_are(self, mirror: Mirror, home: Path) -> None:
        result = CliRunner().invoke(self.app, ["tiny", "--base-url", mirror.url])
        assert (result.exit_code, result.stdout, result.stderr) == (0, self.paths(home), "")
        assert len(mirror.requests) == 2
        result = CliRunner().invoke(self.app, ["tiny", "--base-url", mirror.url])
        assert (result.exit_code, result.stdout) == (0, self.paths(home))
        assert len(mirror.requests) == 2

    def test_installs_from_a_folder(self, tmp_path: Path, home: Path) -> None:
        downloads = hand_downloaded(tmp_path)
        result = CliRunner().invoke(self.app, ["tiny", "--from-dir", str(downloads)])
        assert (result.exit_code, result.stdout) == (0, self.paths(home))
        assert store.cached(TINY) is not None

    @pytest.mark.parametrize(
        ("arguments", "kind"),
        [
            (["nothing"], ConfigError),
            (["tiny", "--from-dir", "/nowhere"], DownloadError),
            (["tiny", "--base-url", ""], DownloadError),
        ],
    )
    def test_leaves_the_library_to_tell_what_is_wrong(
        self, arguments: list[str], kind: type[DeepCpgError]
    ) -> None:
        assert isinstance(CliRunner().invoke(self.app, arguments).exception, kind)
