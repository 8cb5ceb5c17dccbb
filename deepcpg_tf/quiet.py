"""Libraries that print on stderr past every log level, kept quiet."""

from __future__ import annotations

import os
import platform
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


def prefer_onednn() -> None:
    """Have TensorFlow compute with oneDNN, unless the user has said which.

    By itself it does so only on processors with AVX-512-VNNI or AMX; on others with AVX2
    it leaves a third of their speed unused. It must come before TensorFlow computes.
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their noise."""
    prefer_onednn()
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401, ICN001
