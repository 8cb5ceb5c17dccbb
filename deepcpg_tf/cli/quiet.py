"""Importing TensorFlow without the noise that it prints past its own log level."""

from __future__ import annotations

import os
import sys
import tempfile


def import_tensorflow() -> None:
    """Import TensorFlow and Keras; what they print on stderr shows only on failure."""
    with tempfile.TemporaryFile() as printed:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(printed.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow  # noqa: F401, ICN001
        except Exception:
            printed.seek(0)
            os.write(stderr, printed.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
