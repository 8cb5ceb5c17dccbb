"""How a training shows: a bar on a terminal, a line an epoch, and logs for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TrainingProgress:
    """Shows a training on stderr: a bar on a terminal, and a line an epoch."""

    def __init__(self, epochs: int, tensorboard: Path | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)
        self._epochs = epochs
        self._logs = tensorboard and self._open(tensorboard)

    @staticmethod
    def _open(folder: Path) -> Any:
        import tensorflow as tf

        return tf.summary.create_file_writer(str(folder))

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def epoch_starts(self, epoch: int, steps: int) -> None:
        """Show the bar of an epoch."""
        description = f"epoch {epoch}/{self._epochs}"
        self._bar.reset(self._task, total=steps, description=description)

    def step_ends(self) -> None:
        """Advance the bar."""
        self._bar.advance(self._task)

    def epoch_ends(self, row: Mapping[str, float]) -> None:
        """Print the figures of an epoch, and log them."""
        figures = "  ".join(
            f"{name.replace('_', ' ')} {row[name]:.4f}"
            for name in ("loss", "validation_loss", "validation_auc")
            if name in row
        )
        self._bar.console.print(f"epoch {row['epoch']}/{self._epochs}  {figures}", highlight=False)
        if self._logs:
            import tensorflow as tf

            with self._logs.as_default():
                for name, value in row.items():
                    tf.summary.scalar(name, value, step=int(row["epoch"]))
            self._logs.flush()
