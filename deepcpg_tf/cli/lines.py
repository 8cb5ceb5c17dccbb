"""Lines for the terminal, whatever text of files and names is in them."""

from __future__ import annotations

import re


def one_line(text: str) -> str:
    """Return a text on one line, with what a terminal would not show, or obey, escaped."""
    return "".join(
        letter if letter.isprintable() else repr(letter)[1:-1]
        for letter in re.sub(r"\s*[\r\n]\s*", " ", text.strip())
    )
