"""Cases that the library, the kits, and readers in other languages share, as JSON."""

import json

from tests.conftest import DATA

WINDOWS = json.loads((DATA / "vectors" / "windows.json").read_text())
NEIGHBOURS = json.loads((DATA / "vectors" / "neighbours.json").read_text())
TABLES = json.loads((DATA / "vectors" / "tables.json").read_text())["tables"]


def named(cases):
    """What pytest calls each case."""
    return [case["what"] for case in cases]
