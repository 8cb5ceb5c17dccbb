"""Progress on stderr: a bar where that is a terminal, and lines always."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deepcpg_tf.cli.lines import one_line
from deepcpg_tf.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class _Lines:
    """Tells lines, and nothing else."""

    def begins(self, what: str, total: int, unit: str) -> None:
        pass

    def advances(self, units: int) -> None:
        pass

    def tells(self, line: str) -> None:
        print(one_line(line), file=sys.stderr)


class _Bar:
    """Tells lines above a bar of the stretch of work that is under way."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def begins(self, what: str, total: int, unit: str) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, total=total, unit=unit)

    def advances(self, units: int) -> None:
        if self._task is not None:
            self._bar.advance(self._task, units)

    def tells(self, line: str) -> None:
        self._bar.console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yield who tells on stderr how long work goes."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.text import Text

    class _Speed(ProgressColumn):
        """Units per second, once there is something to measure."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {task.fields['unit']}/s" if task.speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _Bar(bar)
