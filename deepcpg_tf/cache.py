"""The folder where downloads and indexes are kept between calls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepcpg_tf.errors import OutputError

_VARIABLE = "DEEPCPG_TF_HOME"


def cache_folder() -> Path:
    """Return the folder for downloads and indexes: ``$DEEPCPG_TF_HOME``, or the user's cache."""
    home = os.environ.get(_VARIABLE)
    if home:
        return Path(home).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("deepcpg_tf"))


@contextmanager
def writing_to_cache() -> Iterator[None]:
    """Turn a failure to write to the cache into one line that says what can be done.

    Raises
    ------
    OutputError
    """
    try:
        yield
    except (OSError, OutputError) as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else error
        raise OutputError(
            f"{cache_folder()}: cannot write to the cache: {reason}; "
            f"{_VARIABLE} can name another folder"
        ) from error
