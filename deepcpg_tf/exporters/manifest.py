"""``manifest.json``: what an export consists of, and what was measured of it.

The model is described at the top, as far as all that is in the folder has it in common.
``exports`` has what each run that left something there adds to that, by its number:
weights and their provenance, windows, machine. Each artefact names the run it is of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from deepcpg_tf.errors import ExportError
from deepcpg_tf.exporters.artefact import Artefact, bounds
from deepcpg_tf.exporters.describe import COMMON, own_of, window_of
from deepcpg_tf.exporters.place import PASSED_OVER, cut_off
from deepcpg_tf.files import parse_json, sha256

MANIFEST_FILE = "manifest.json"

_FORMAT = "deepcpg_tf export"
_VERSION = 3
_LONGEST_NAME = 1000


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


def digest(content: dict[str, Any]) -> str:
    """Return the checksum that a manifest has of itself.

    It is that of its JSON without the field, with sorted keys and no spaces, as Python
    writes it. It tells of a slip, and not of who means harm, who can compute it too.
    """
    rest = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write the manifest of an export."""
    whole = {"format": _FORMAT, "format_version": _VERSION, **content}
    whole["digest"] = digest(whole)
    (folder / MANIFEST_FILE).write_text(json.dumps(whole, indent=2) + "\n")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of an export.

    Raises
    ------
    ExportError
        When there is none, it was changed, or it is of another kind or version.
    """
    path = folder / MANIFEST_FILE
    if cut_off(folder):
        raise ExportError(
            f"{folder}: expected a whole export, found one that is being put in place, or was cut "
            "off there; the next export into the folder undoes that first"
        )
    try:
        content = parse_json(path.read_bytes())
        found = content["format"], content["format_version"]
    except OSError:
        raise ExportError(
            f"{folder}: expected an export with its {MANIFEST_FILE}, found none"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path}: expected the manifest of an export, but {error}") from None
    if found[0] == _FORMAT and found[1] in (1, 2):
        raise ExportError(
            f"{path}: expected version {_VERSION}, received version {found[1]} of an earlier "
            "deepcpg_tf: export the model again, into a new folder"
        )
    if found != (_FORMAT, _VERSION):
        raise ExportError(
            f"{path}: expected {_FORMAT!r} version {_VERSION}, received {found[0]!r} "
            f"version {found[1]!r}"
        )
    try:
        _check(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f"{path}: expected the manifest of an export, but {error}") from None
    return dict(content)


def _check(content: dict[str, Any]) -> None:
    if content["digest"] != digest(content):
        raise ValueError(
            f"its digest is {digest(content)[:12]}…, and it says {str(content['digest'])[:12]}…: "
            "it was changed"
        )
    if content["bounds"] != bounds():
        raise ValueError(f"expected the bounds {bounds()}, received {content['bounds']}")
    if "window" in content and content["window"] != (
        window := window_of(content["window"]["length"])
    ):
        raise ValueError(f"expected the window {window}, received {content['window']}")
    if not content["artefacts"]:
        raise ValueError("it lists no artefacts")
    for name, entry in {**content["artefacts"], **content["other_files"]}.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{name}: expected a path within the export")
        _check_entry(name, entry)
    for artefact in artefacts_of(content):
        weights = description_of(content, artefact)["weights"]
        if content["artefacts"][artefact.path]["weights"] != weights:
            raise ValueError(f"{artefact.path}: expected the weights of its export {weights}")


def _check_entry(name: str, entry: dict[str, Any]) -> None:
    """Refuse an entry that does not tell size and checksum of its file, or of all in its folder."""
    if not name.isprintable() or len(name) > _LONGEST_NAME or name in ("", "."):
        raise ValueError(f"{name[:60]!r}: expected the name of a file")
    if not isinstance(entry.get("sha256"), str) or not isinstance(entry.get("bytes"), int):
        raise ValueError(f"{name}: expected its bytes and sha256, received {entry}"[:200])
    files = entry.get("files", {})
    if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
        raise ValueError(f"{name}: expected the sha256 of each of its files, received others")


def artefacts_of(content: dict[str, Any]) -> list[Artefact]:
    """Return the artefacts that a manifest lists.

    Raises
    ------
    ValueError
        When it does not say what one of them is.
    """
    return [Artefact.of_entry(path, entry) for path, entry in content["artefacts"].items()]


def description_of(content: dict[str, Any], artefact: Artefact) -> dict[str, Any]:
    """Return what a manifest says of the model that an artefact is of."""
    run = content["exports"][str(artefact.export)]
    return {
        **{key: content[key] for key in COMMON if key in content},
        **own_of(run),
    }


def latest(content: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of the last export into the folder."""
    return dict(content["exports"][max(content["exports"], key=int)])


def changes(
    folder: Path, content: dict[str, Any], names: Collection[str] | None = None
) -> Iterator[str]:
    """Yield what is not as the manifest says, a file at a time; of all, or of some entries."""
    for name, entry in {**content["artefacts"], **content["other_files"]}.items():
        if names is not None and name not in names:
            continue
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


def unlisted(folder: Path, content: dict[str, Any]) -> Iterator[str]:
    """Yield what lies in the folder, and not in the manifest: what a server would serve too."""
    known = {*content["artefacts"], *content["other_files"], MANIFEST_FILE, *PASSED_OVER}
    leading = {str(parent) for name in known for parent in PurePosixPath(name).parents}

    def within(place: Path) -> Iterator[str]:
        for path in sorted(place.iterdir()):
            name = path.relative_to(folder).as_posix()
            if name in known:
                continue
            if name in leading:
                yield from within(path)
            else:
                yield f"{name}: not in {MANIFEST_FILE}"

    return within(folder)


def _change(found: dict[str, Any], entry: dict[str, Any]) -> str:
    if found["bytes"] != entry["bytes"]:
        return f"expected {entry['bytes']:,} bytes, received {found['bytes']:,}"
    return f"expected sha256 {entry['sha256'][:12]}…, received {found['sha256'][:12]}…"
