"""Files of NumPy arrays (``.npz``) that may be damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return all arrays of a file by name.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is something else, or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except OSError:
        raise
    except Exception as error:  # of a flipped bit: nearly any there is
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"no whole file of arrays: {reason}") from None
    for name, array in found.items():
        if not isinstance(array, np.ndarray):  # NumPy returns the bytes of what is no array
            raise ValueError(f"no whole file of arrays: {name} is none")
    return found
