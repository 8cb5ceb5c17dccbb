"""Opening HDF5 files with errors that say what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from deepcpg_tf.errors import CheckpointError, DeepCpgError


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; damage found while it is open is an error too.

    Raises
    ------
    CheckpointError
        When it is missing, truncated, or no HDF5.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected an HDF5 file, found none there")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DeepCpgError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        # h5py's own words for what is wrong: "truncated file: eof = ...", "file
        # signature not found", "can't read data ...".
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: expected an intact HDF5 file, but {reason}") from None
