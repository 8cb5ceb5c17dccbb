"""The beginning of a methylation profile, which tells its format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deepcpg_tf.errors import ProfileError
from deepcpg_tf.profiles.blocks import Block, read_blocks
from deepcpg_tf.profiles.foreign import kind_by_columns, kind_by_header
from deepcpg_tf.profiles.formats import FORMATS, LAYOUTS, TRAILING_TAB, Layout, layouts_of

_HEAD = 1 << 12  # letters that tell a header


class OpenProfile(NamedTuple):
    """A profile of which no line has been read as data yet.

    Attributes
    ----------
    layout
        That of the file.
    taken
        What the file was taken for, and why, for the end of messages.
    example
        The columns of the first line of data.
    spaced
        Whether columns are separated by spaces, too.
    blocks
        All of the text, without the header.
    """

    layout: Layout
    taken: str
    example: list[str]
    spaced: bool
    blocks: Iterator[Block]

    def fields(self, line: bytes) -> list[str]:
        """Return the columns of a line."""
        return _fields(line, self.spaced)


def open_profile(path: Path, format: str | None = None) -> OpenProfile:  # noqa: A002
    """Open a profile and tell its format, by name or by the first line of data.

    Raises
    ------
    ProfileError
        When the file cannot be read, has no data, or is in none of the formats; when
        there is no format of that name.
    """
    candidates = layouts_of(format)
    blocks = read_blocks(path)
    header_may_follow = True
    for block in blocks:
        if header_may_follow:
            for number, text in enumerate(_head(block), block.first):
                _refuse(kind_by_header(text), f"{path}, line {number}")
            header_may_follow = next(block.lines(), None) is None
            block = block.without_header()
        number, line = next(block.lines(), (0, b""))
        if number:
            break
    else:
        raise ProfileError(f"{path}: expected a site a line, found none")
    counts = {len(layout.columns) for layout in candidates}
    # Old versions of modkit, and some bedGraphs, have spaces between columns.
    spaced = b" " in line and line.count(b"\t") + 1 not in counts
    fields = _fields(line, spaced)
    layout = _choose(fields, candidates, f"{path}, line {number}", format)
    if format is None:
        taken = f"taken for {layout.format} by the {len(fields)} columns of line {number}"
    else:
        taken = f"read as {layout.format}, as `format` says"
    return OpenProfile(layout, taken, fields, spaced, _chained(block, blocks))


def _chained(first: Block, others: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from others


def _head(block: Block) -> list[str]:
    """Return the lines before the first line of data, and that one."""
    last, _ = next(block.lines(), (block.first + block.text.count(b"\n"), b""))
    lines = block.text[:_HEAD].decode(errors="replace").splitlines()
    return lines[: last - block.first + 1]


def _choose(
    fields: Sequence[str],
    candidates: Sequence[Layout],
    where: str,
    format: str | None,  # noqa: A002
) -> Layout:
    """Return the first layout that fits a line, or the first with as many columns."""
    like = [layout for layout in candidates if len(layout.columns) == len(fields)]
    for layout in like:
        if layout.fault(fields) is None:
            return layout
    if like and format is not None:
        return like[0]
    if fields[-1] == "" and len(fields) - 1 in {len(layout.columns) for layout in candidates}:
        raise ProfileError(
            f"{where}: expected no tab at the end of a line, received {len(fields)} columns"
            f"{TRAILING_TAB} (sed 's/\\t*$//' FILE removes it)"
        )
    _refuse(kind_by_columns(fields), where)
    if like:
        return like[0]
    known = ", ".join(f"{each.format} {len(each.columns)}" for each in LAYOUTS)
    expected = " or ".join(each.described() for each in candidates)
    raise ProfileError(
        f"{where}: expected "
        f"{expected if format else f'as many columns as a format has ({known})'}, "
        f"received {len(fields)}"
    )


def _refuse(kind: str | None, where: str) -> None:
    if kind is not None:
        raise ProfileError(
            f"{where}: expected a methylation profile ({', '.join(FORMATS)}), received {kind}"
        )


def _fields(line: bytes, spaced: bool) -> list[str]:
    text = line.decode(errors="replace")
    return (text.replace(" ", "\t") if spaced else text).split("\t")
