"""The files of the published variants: downloads, cache and checksums.

The cache holds ``presets/<preset>/<published file name>``, and nothing gets that
name before its checksum was found right.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from deepcpg_tf.cache import cache_folder, writing_to_cache
from deepcpg_tf.errors import ConfigError, DownloadError
from deepcpg_tf.files import atomic_file
from deepcpg_tf.presets import PRESETS, Preset, PublishedFile
from deepcpg_tf.weights.download import check_url, download, md5, progress_bars, quiet_pooch

BASE_URL = "https://zenodo.org/record/1466079/files"


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
    check_url(base_url)
    files = _places(preset)
    by_hand = (
        f"with {preset.model_file.name} and {preset.weights_file.name} downloaded by hand into a "
        f"folder DIR: deepcpg-tf fetch {preset.name} --from-dir DIR"
    )
    with quiet_pooch(), progress_bars(progress and sys.stderr.isatty()) as bars:
        for file, path in zip(_published(preset), files, strict=True):
            url = f"{base_url.rstrip('/')}/{file.name}?download=1"
            try:
                download(file, url, path, bars)
            except DownloadError as error:
                raise DownloadError(f"{error}; {by_hand}") from error
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
        with writing_to_cache():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as partial:
                shutil.copyfile(source, partial)
    return files


def _places(preset: Preset) -> PresetFiles:
    folder = cache_folder() / "presets" / preset.name
    return PresetFiles(*(folder / file.name for file in _published(preset)))


def _published(preset: Preset) -> tuple[PublishedFile, PublishedFile]:
    return preset.model_file, preset.weights_file


def _files_like(file: PublishedFile, folder: Path) -> list[Path]:
    stem = Path(file.name).stem
    return sorted(p for p in folder.iterdir() if p.is_file() and p.name.startswith(stem))


def _intact(file: PublishedFile, candidates: list[Path], folder: Path) -> Path:
    if not candidates:
        raise DownloadError(
            f"{folder}: expected a file {file.name}, found none; "
            f"it is at {BASE_URL}/{file.name}?download=1"
        )
    received = {path: md5(path) for path in candidates}
    for path, digest in received.items():
        if digest == file.md5:
            return path
    wrong = ", ".join(f"{digest} in {path.name}" for path, digest in received.items())
    raise DownloadError(f"{folder}: expected {file.name} with md5 {file.md5}, received {wrong}")
