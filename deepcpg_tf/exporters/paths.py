"""What goes to others holds names of files, and no folders of the machine it was made on."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

_START = r"(?:file://)?(?:~[\w.-]*)?/(?!/)"  # "//" begins no path but what follows a scheme
_QUOTED = re.compile(rf"""((['"])(?:[^'"/]*[\s=:,(])?)({_START}[^'"]+)(?=\2)""")
_PLAIN = re.compile(rf"""(?<![^\s='"(\[{{,;:]){_START}[^\s'"()\[\]{{}},;:]*""")


def without_folders(value: Any) -> Any:
    """Return what JSON can hold, with the file name in place of every absolute path."""
    if isinstance(value, dict):
        return {without_folders(key): without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(entry) for entry in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    if re.match(rf"{_START}\S", text) and not re.search(r"\s/|\s~|[=:]/", text):
        return _name(text)
    text = _QUOTED.sub(lambda found: found[1] + _name(found[3]), text)
    return _PLAIN.sub(lambda found: _name(found[0]), text)


def _name(path: str) -> str:
    return PurePosixPath(path).name or path
