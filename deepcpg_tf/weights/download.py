"""Downloading one file with pooch: retried, checked, and clear about what went wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deepcpg_tf.cache import writing_to_cache
from deepcpg_tf.errors import DownloadError
from deepcpg_tf.presets import PublishedFile

if TYPE_CHECKING:
    from requests import RequestException
    from rich.progress import Progress

_RETRIES = 2  # pooch waits for 1 s, then for 2 s
_TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
_CHUNK_SIZE = 1 << 16


def md5(path: Path) -> str:
    """Return the MD5 checksum of a file as hexadecimal digits."""
    import pooch

    return str(pooch.file_hash(path, alg="md5"))


def check_url(base_url: str) -> None:
    """Refuse what is no http(s) address.

    Raises
    ------
    DownloadError
    """
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise DownloadError(f"base_url: expected http://… or https://…, received {base_url!r}")


def download(file: PublishedFile, url: str, path: Path, bars: Progress | None) -> None:
    """Download a file, unless it is there with the right checksum.

    Parameters
    ----------
    file
        Its name and checksum.
    url
        Its address.
    path
        Where it goes, under no other name before its checksum was found right.
    bars
        Where its progress is shown, if anywhere.

    Raises
    ------
    DownloadError
        When the file cannot be had, or does not match its checksum.
    OutputError
        When the cache cannot be written to.
    """
    import pooch
    import requests

    bar = _Bar(bars, file.name) if bars else None
    received = "none"

    def get_once(url: str, partial: str, manager: Any) -> None:
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
                    raise _failure(file, url, _reason(error)) from error
                raise
        received = md5(Path(partial))
        Path(partial).chmod(0o644)  # pooch's are private, which no shared cache can use

    cache = pooch.create(
        path=path.parent,
        base_url=url,
        registry={file.name: f"md5:{file.md5}"},
        urls={file.name: url},
        retry_if_failed=_RETRIES,
    )
    with writing_to_cache():
        if path.is_file() and md5(path) != file.md5:
            path.unlink()  # else `cached` would hand it out if the download fails
        try:
            cache.fetch(file.name, downloader=get_once)
        except requests.RequestException as error:
            raise _failure(file, url, _reason(error)) from error
        except ValueError as error:  # pooch found another checksum
            raise _failure(file, url, f"received md5 {received}") from error


def _failure(file: PublishedFile, url: str, reason: str) -> DownloadError:
    return DownloadError(f"cannot download {url}: {reason}; expected md5 {file.md5}")


def _is_final(error: RequestException) -> bool:
    """Return whether asking again is in vain or takes too long."""
    import requests

    if error.response is not None:
        status = error.response.status_code
        return status < 500 and status != 429
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
def quiet_pooch() -> Iterator[None]:
    """Silence pooch's log, which repeats what the progress and the errors say."""
    import pooch

    logger = pooch.get_logger()
    before = logger.disabled
    logger.disabled = True  # a level would not do: this logger remembers which it let pass
    try:
        yield
    finally:
        logger.disabled = before


@contextlib.contextmanager
def progress_bars(shown: bool) -> Iterator[Progress | None]:
    """Yield where to show the progress of files, or None."""
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
