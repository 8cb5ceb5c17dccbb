"""``manifest.json``: what an export consists of, and what was measured of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters.artefact import Artefact
from deepcpg_tf.files import parse_json, sha256

MANIFEST_FILE = "manifest.json"

_FORMAT = "deepcpg_tf export"
_VERSION = 2


def files_of(path: Path) -> list[Path]:
    """Return the files that an artefact consists of, in order."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def fingerprint(path: Path) -> dict[str, Any]:
    """Return size and checksum of an artefact.

    The checksum of a folder is that of its files' checksums and names.
    """
    files = files_of(path)
    found: dict[str, Any] = {"bytes": sum(file.stat().st_size for file in files)}
    if not path.is_dir():
        return {**found, "sha256": sha256(path)}
    each = {file.relative_to(path).as_posix(): sha256(file) for file in files}
    text = "".join(f"{checksum}  {name}\n" for name, checksum in each.items())
    return {**found, "sha256": hashlib.sha256(text.encode()).hexdigest(), "files": each}


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write the manifest of an export."""
    header = {"format": _FORMAT, "format_version": _VERSION}
    (folder / MANIFEST_FILE).write_text(json.dumps({**header, **content}, indent=2) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of an export.

    Raises
    ------
    ExportError
        When there is none, or it is of another kind or version.
    """
    path = folder / MANIFEST_FILE
    try:
        content = parse_json(path.read_bytes())
        found = content["format"], content["format_version"]
        entries = {**content["artefacts"], **content["other_files"]}
        complete = all("sha256" in entry and "bytes" in entry for entry in entries.values())
        if found == (_FORMAT, _VERSION):
            artefacts_of(content)
    except OSError:
        raise ExportError(
            f"{folder}: expected an export with its {MANIFEST_FILE}, found none"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f"{path}: expected the manifest of an export, but {error}") from None
    if found == (_FORMAT, 1):
        # It says what an artefact is only by the name of its file.
        raise ExportError(
            f"{path}: expected version {_VERSION}, received version 1 of an earlier deepcpg_tf: "
            "export the model again"
        )
    if found != (_FORMAT, _VERSION) or not complete:
        raise ExportError(
            f"{path}: expected {_FORMAT!r} version {_VERSION}, received {found[0]!r} "
            f"version {found[1]!r}"
        )
    return dict(content)


def artefacts_of(content: dict[str, Any]) -> list[Artefact]:
    """Return the artefacts that a manifest lists.

    Raises
    ------
    ValueError
        When it does not say what one of them is.
    """
    return [Artefact.of_entry(path, entry) for path, entry in content["artefacts"].items()]


def changes(folder: Path, content: dict[str, Any]) -> Iterator[str]:
    """Yield what is not as the manifest says, a file at a time."""
    for name, entry in {**content["artefacts"], **content["other_files"]}.items():
        path = folder / name
        if not path.exists():
            yield f"{name}: missing"
            continue
        found = fingerprint(path)
        if found["sha256"] == entry["sha256"]:
            continue
        if not path.is_dir():
            yield f"{name}: {_change(found, entry)}"
            continue
        for file in sorted({*found["files"], *entry.get("files", {})}):
            known, there = entry.get("files", {}).get(file), found["files"].get(file)
            if known != there:
                what = "missing" if there is None else "new" if known is None else "changed"
                yield f"{name}/{file}: {what}"


def _change(found: dict[str, Any], entry: dict[str, Any]) -> str:
    if found["bytes"] != entry["bytes"]:
        return f"expected {entry['bytes']:,} bytes, received {found['bytes']:,}"
    return f"expected sha256 {entry['sha256'][:12]}…, received {found['sha256'][:12]}…"
