"""Logs of a training for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deepcpg_tf.errors import OutputError

if TYPE_CHECKING:
    from deepcpg_tf.training.state import Row


def logger(folder: Path | None) -> Callable[[Row], object]:
    """Return a function that logs a row for TensorBoard, where a folder is given.

    It raises `OutputError` where the folder cannot be written to, and so does this.
    """
    if folder is None:
        return lambda row: None
    import tensorflow as tf

    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        writer = tf.summary.create_file_writer(str(folder))

    def log(row: Row) -> None:
        with _writing_to(folder), writer.as_default():
            for name, value in row.items():
                tf.summary.scalar(name, value, step=int(row["epoch"]))
            writer.flush()

    return log


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    import tensorflow as tf

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise OutputError(f"tensorboard: cannot write to {folder}: {reason}") from error
