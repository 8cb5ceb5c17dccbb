"""The files of the published variants: downloads, cache and checksums.

The cache holds ``presets/<preset>/<published file name>``, and nothing gets that
name before its checksum was found right.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from deepcpg_tf.errors import ConfigError, DownloadError, OutputError
from deepcpg_tf.files import atomic_file
from deepcpg_tf.presets import PRESETS, Preset, PublishedFile

if TYPE_CHECKING:
    from requests import RequestException
    from rich.progress import Progress

BASE_URL = "https://zenodo.org/record/1466079/files"
HOME_VARIABLE = "DEEPCPG_TF_HOME"

_RETRIES = 2  # pooch waits for 1 s, then for 2 s
_TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
_CHUNK_SIZE = 1 << 16


class PresetFiles(NamedTuple):
    """The files of a published variant on this machine."""

    model: Path
    weights: Path


def find_preset(name: str) -> Preset:
    """Return the preset of that name.

    Raises
    ------
    ConfigError
        When there is none.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(
            f"preset: expected one of {', '.join(PRESETS)}, received {name!r}"
        ) from None


def cache_folder() -> Path:
    """Return ``$DEEPCPG_TF_HOME``, or `deepcpg_tf` in the user's cache folder."""
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("deepcpg_tf"))


def cached(preset: Preset) -> PresetFiles | None:
    """Return the files of a preset when both are in the cache.

    Their checksums are not computed again: they were right when the files came in.
    """
    files = _places(preset)
    return files if all(path.is_file() for path in files) else None


def fetch(preset: Preset, *, base_url: str = BASE_URL, progress: bool = False) -> PresetFiles:
    """Download the files of a preset, unless the cache already holds them intact.

    Parameters
    ----------
    preset
        The published variant.
    base_url
        Where the files are: ``{base_url}/{file name}?download=1``.
    progress
        Show a progress bar when stderr is a terminal.

    Returns
    -------
    PresetFiles
        The files in the cache.

    Raises
    ------
    DownloadError
        When a file cannot be had, or does not match its checksum.
    OutputError
        When the cache cannot be written to.
    """
    _check_url(base_url)
    files = _places(preset)
    with _quiet_pooch(), _progress(progress and sys.stderr.isatty()) as bars:
        for file, path in zip(_published(preset), files, strict=True):
            url = f"{base_url.rstrip('/')}/{file.name}?download=1"
            _download(preset, file, url, path, bars)
    return files


def install(preset: Preset, folder: Path) -> PresetFiles:
    """Copy files that were downloaded by hand into the cache.

    Browsers and wget rename what they save, so a file may have anything after the
    published name, or between it and its extension; the checksum decides.

    Parameters
    ----------
    preset
        The published variant.
    folder
        Where the downloaded files are.

    Returns
    -------
    PresetFiles
        The files in the cache.

    Raises
    ------
    DownloadError
        When `folder` is not a folder, or lacks a file with the right checksum.
    OutputError
        When the cache cannot be written to.
    """
    if not folder.is_dir():
        received = "a file" if folder.exists() else "nothing by that name"
        raise DownloadError(
            f"{folder}: expected a folder with the files of {preset.name}, received {received}"
        )
    model, weights = _published(preset)
    like_weights = _files_like(weights, folder)
    # The name of the weights begins with the name of the model.
    like_model = [path for path in _files_like(model, folder) if path not in like_weights]
    sources = (_intact(model, like_model, folder), _intact(weights, like_weights, folder))
    files = _places(preset)
    for source, path in zip(sources, files, strict=True):
        with _writing_to_cache():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as partial:
                shutil.copyfile(source, partial)
    return files


def _places(preset: Preset) -> PresetFiles:
    folder = cache_folder() / "presets" / preset.name
    return PresetFiles(*(folder / file.name for file in _published(preset)))


def _published(preset: Preset) -> tuple[PublishedFile, PublishedFile]:
    return preset.model_file, preset.weights_file


def _md5(path: Path) -> str:
    import pooch

    return str(pooch.file_hash(path, alg="md5"))


def _files_like(file: PublishedFile, folder: Path) -> list[Path]:
    stem = Path(file.name).stem
    return sorted(p for p in folder.iterdir() if p.is_file() and p.name.startswith(stem))


def _intact(file: PublishedFile, candidates: list[Path], folder: Path) -> Path:
    if not candidates:
        raise DownloadError(
            f"{folder}: expected a file {file.name}, found none; "
            f"it is at {BASE_URL}/{file.name}?download=1"
        )
    received = {path: _md5(path) for path in candidates}
    for path, md5 in received.items():
        if md5 == file.md5:
            return path
    wrong = ", ".join(f"{md5} in {path.name}" for path, md5 in received.items())
    raise DownloadError(f"{folder}: expected {file.name} with md5 {file.md5}, received {wrong}")


def _check_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise DownloadError(f"base_url: expected http://… or https://…, received {base_url!r}")


def _download(
    preset: Preset, file: PublishedFile, url: str, path: Path, bars: Progress | None
) -> None:
    import pooch
    import requests

    bar = _Bar(bars, file.name) if bars else None
    received = "none"

    def download(url: str, partial: str, manager: Any) -> None:
        nonlocal received
        if bar:
            bar.reset()
        with contextlib.ExitStack() as responses:  # which pooch leaves open after an error
            get = pooch.HTTPDownloader(
                progressbar=bar or False,
                chunk_size=_CHUNK_SIZE,
                timeout=_TIMEOUT,
                headers={"User-Agent": "deepcpg_tf"},  # Zenodo slows down that of requests
                hooks={"response": lambda response, **_: responses.enter_context(response)},
            )
            try:
                get(url, partial, manager)
            except requests.RequestException as error:
                if _is_final(error):  # pooch tries again after an error of requests only
                    raise _failure(preset, file, url, _reason(error)) from error
                raise
        received = _md5(Path(partial))
        Path(partial).chmod(0o644)  # pooch's are private, which no shared cache can use

    cache = pooch.create(
        path=path.parent,
        base_url=url,
        registry={file.name: f"md5:{file.md5}"},
        urls={file.name: url},
        retry_if_failed=_RETRIES,
    )
    with _writing_to_cache():
        if path.is_file() and _md5(path) != file.md5:
            path.unlink()  # else `cached` would hand it out if the download fails
        try:
            cache.fetch(file.name, downloader=download)
        except requests.RequestException as error:
            raise _failure(preset, file, url, _reason(error)) from error
        except ValueError as error:  # pooch found another checksum
            raise _failure(preset, file, url, f"received md5 {received}") from error


def _failure(preset: Preset, file: PublishedFile, url: str, reason: str) -> DownloadError:
    return DownloadError(
        f"cannot download {url}: {reason}; expected md5 {file.md5}; "
        f"with {preset.model_file.name} and {preset.weights_file.name} downloaded by hand "
        f"into a folder DIR: deepcpg-tf fetch {preset.name} --from-dir DIR"
    )


def _is_final(error: RequestException) -> bool:
    """Return whether asking again is in vain or takes too long."""
    import requests

    if error.response is not None:
        return bool(error.response.status_code < 500)
    return isinstance(error, requests.ConnectTimeout | requests.exceptions.InvalidURL)


def _reason(error: BaseException) -> str:
    import requests

    if isinstance(error, requests.RequestException) and error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    # The system's own words are at the bottom of several layers of exceptions.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split())


@contextlib.contextmanager
def _writing_to_cache() -> Iterator[None]:
    try:
        yield
    except (OSError, OutputError) as error:
        raise OutputError(
            f"{cache_folder()}: cannot write to the cache: {_reason(error)}; "
            f"{HOME_VARIABLE} can name another folder"
        ) from error


@contextlib.contextmanager
def _quiet_pooch() -> Iterator[None]:
    import pooch

    logger = pooch.get_logger()
    before = logger.disabled
    logger.disabled = True  # a level would not do: this logger remembers which it let pass
    try:
        yield
    finally:
        logger.disabled = before


@contextlib.contextmanager
def _progress(shown: bool) -> Iterator[Progress | None]:
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(None), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield bars


class _Bar:
    """The progress of one file, with the members that pooch uses."""

    def __init__(self, bars: Progress, name: str) -> None:
        self.total = 0
        self._bars = bars
        self._task = bars.add_task(name, total=None)

    def update(self, size: int) -> None:
        self._bars.update(self._task, total=self.total or None, advance=size)

    def reset(self) -> None:
        self._bars.update(self._task, completed=0)

    def close(self) -> None:
        """Do nothing: the bars of all files close together."""
