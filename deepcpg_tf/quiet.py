"""Libraries that print on stderr past every log level, kept quiet."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Show what is printed on stderr only when an exception leaves the block."""
    with tempfile.TemporaryFile() as printed:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(printed.fileno(), 2)
        try:
            yield
        except Exception:
            printed.seek(0)
            os.write(stderr, printed.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their noise."""
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401, ICN001
