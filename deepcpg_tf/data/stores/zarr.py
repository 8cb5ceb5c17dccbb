"""Zarr, version 2, as far as is written here: arrays with named dimensions, as xarray reads them.

The format is that of the specification (zarr-specs, version 2): a folder an array, with
``.zarray``, ``.zattrs`` and a file for each chunk, compressed with zlib; the group has
``.zgroup``, ``.zattrs`` and, so that xarray opens it in one step, ``.zmetadata``. The dimensions
are in the attribute ``_ARRAY_DIMENSIONS``. Releases of the package zarr write it by ways that
differ, and the oldest Python that we run on has none of them.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_LEVEL = 6


class Group:
    """A new group of arrays, in a folder that is made."""

    def __init__(self, folder: Path, attributes: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._metadata: dict[str, Any] = {}
        self._put(".zgroup", {"zarr_format": 2})
        self._put(".zattrs", dict(attributes))

    def add(self, name: str, dimensions: Sequence[str], values: npt.NDArray[Any]) -> None:
        """Write an array of one chunk."""
        shape = values.shape
        self.add_chunks(name, dimensions, shape, shape, values.dtype, lambda region: values[region])

    def add_chunks(
        self,
        name: str,
        dimensions: Sequence[str],
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: npt.DTypeLike,
        values: Callable[[tuple[slice, ...]], npt.NDArray[Any]],
    ) -> None:
        """Write an array chunk by chunk.

        Parameters
        ----------
        name, dimensions, shape, chunks, dtype
            What it is called, names of its dimensions, its and its chunks' extent, and type.
        values
            Returns a part of it.
        """
        dtype = np.dtype(dtype)
        chunks = tuple(max(1, size) for size in chunks)
        self._put(
            f"{name}/.zarray",
            {
                "zarr_format": 2,
                "shape": list(shape),
                "chunks": list(chunks),
                "dtype": dtype.str,
                "compressor": {"id": "zlib", "level": _LEVEL},
                "fill_value": None,  # xarray would take another one for missing values
                "order": "C",
                "filters": None,
            },
        )
        self._put(f"{name}/.zattrs", {"_ARRAY_DIMENSIONS": list(dimensions)})
        for index in product(
            *(range(math.ceil(length / size)) for length, size in zip(shape, chunks, strict=True))
        ):
            region = tuple(
                slice(i * size, min((i + 1) * size, length))
                for i, size, length in zip(index, chunks, shape, strict=True)
            )
            chunk = np.zeros(chunks, dtype)  # whole at the end of a dimension, too
            part = values(region)
            chunk[tuple(slice(length) for length in part.shape)] = part
            file = self._folder / name / ".".join(map(str, index))
            file.write_bytes(zlib.compress(chunk.tobytes(), _LEVEL))

    def close(self) -> None:
        """Write what there is in the group."""
        content = {"metadata": self._metadata, "zarr_consolidated_format": 1}
        (self._folder / ".zmetadata").write_text(json.dumps(content, indent=4))

    def _put(self, name: str, content: dict[str, Any]) -> None:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=4))
        self._metadata[name] = content
