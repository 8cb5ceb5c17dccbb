"""Variants by cells as AnnData, ``.h5ad``, written some variants at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcpg_tf.files import atomic_file
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.results.effects import Scored, values_of, variant_rows
from deepcpg_tf.variants.edits import GAINED, LOST
from deepcpg_tf.variants.effects import Floats, summarise

_ROWS = 1024
_OTHERS = {"lost": (LOST, "ref"), "gained": (GAINED, "alt")}


@contextmanager
def effects_file(
    path: Path,
    cells: Sequence[str],
    schema: pa.Schema,
    background: npt.NDArray[np.float32] | None = None,
) -> Iterator[Callable[[Scored], None]]:
    """Yield a function that appends variants to a file, which appears whole or not at all.

    ``obs`` are the variants, with the columns of the table of variants; ``X`` and the layers are
    float32 [variants, cells], of the site that changes most: ``X`` and ``dlogit``, ``dp``, and
    ``ref``, ``alt``, ``ref_logit`` and ``alt_logit``. The layers ``lost`` and ``gained`` are the
    mean probability of such sites, in the one allele that has them. What there is not is not a
    number.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    import pandas as pd
    from anndata.io import write_elem

    with atomic_file(path) as partial, hdf5_file(partial) as (file, check):
        _encode(file, "anndata", "0.1.0")
        write_elem(file, "var", pd.DataFrame(index=np.array(cells, object)))
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            write_elem(file, name, {})
        obs = _Frame(file.create_group("obs"), schema)

        def append(scored: Scored) -> None:
            obs.append(
                [f"{one.record.number}.{one.alt + 1}" + _of(one.haplotype) for one in scored.units],
                variant_rows(scored, schema, background),
            )
            for name, values in _layers(scored, len(cells)).items():
                _append(_matrix(file, f"layers/{name}", len(cells)), values)
            check()

        yield append
        file["X"] = file["layers/dlogit"]  # the same data under a second name


def _of(haplotype: int) -> str:
    return f".{haplotype}" if haplotype else ""


def _layers(scored: Scored, cells: int) -> dict[str, Floats]:
    """Return the values of variants, [variants, cells] by name."""
    effects = scored.effects
    rows = summarise(effects).rows
    variants = len(rows)
    values = values_of(effects)
    layers = {}
    for name, own in values.items():
        layers[name] = np.full((variants, cells), np.nan, np.float32)
        layers[name][rows >= 0] = own[rows[rows >= 0]]
    owners = np.repeat(np.arange(variants), effects.counts)
    for name, (kind, allele) in _OTHERS.items():
        of_kind = effects.classes == kind
        sums = np.zeros((variants, cells))
        np.add.at(sums, owners[of_kind], values[allele][of_kind])
        counts = np.bincount(owners[of_kind], minlength=variants)[:, None]
        mean = np.full(sums.shape, np.nan)
        np.divide(sums, counts, out=mean, where=counts > 0)
        layers[name] = mean.astype(np.float32)
    return layers


class _Frame:
    """The table of variants; whole numbers may be missing."""

    def __init__(self, group: h5py.Group, schema: pa.Schema) -> None:
        _encode(group, "dataframe", "0.2.0")
        group.attrs["_index"] = "_index"
        group.attrs["column-order"] = np.array(schema.names, h5py.string_dtype())
        self._group = group
        for name in ("_index", *schema.names):
            kind = pa.string() if name == "_index" else schema.field(name).type
            if pa.types.is_string(kind):
                _column(group, name, h5py.string_dtype(), "string-array")
            elif pa.types.is_floating(kind):
                _column(group, name, np.float32)
            else:
                own = _encode(group.create_group(name), "nullable-integer", "0.1.0")
                _column(own, "values", kind.to_pandas_dtype())
                _column(own, "mask", np.bool_)

    def append(self, index: list[str], rows: pa.RecordBatch) -> None:
        _append(self._group["_index"], np.array(index, object))
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            own = self._group[name]
            if isinstance(own, h5py.Group):
                _append(own["values"], column.fill_null(0).to_numpy(zero_copy_only=False))
                _append(own["mask"], column.is_null().to_numpy(zero_copy_only=False))
            elif pa.types.is_string(column.type):
                _append(own, np.array(column.to_pylist(), object))
            else:
                _append(own, column.to_numpy(zero_copy_only=False))


def _encode(item: Any, kind: str, version: str) -> Any:
    """Say on a group or dataset what it is."""
    item.attrs["encoding-type"], item.attrs["encoding-version"] = kind, version
    return item


def _column(group: h5py.Group, name: str, dtype: Any, kind: str = "array") -> h5py.Dataset:
    dataset = group.create_dataset(
        name, (0,), dtype, maxshape=(None,), chunks=(_ROWS,), compression="gzip"
    )
    return _encode(dataset, kind, "0.2.0")


def _matrix(file: h5py.File, name: str, cells: int) -> h5py.Dataset:
    if name not in file:
        file.create_dataset(
            name,
            (0, cells),
            np.float32,
            maxshape=(None, cells),
            chunks=(_ROWS, cells),
            compression="gzip",
        )
        _encode(file[name], "array", "0.2.0")
    return file[name]


def _append(dataset: h5py.Dataset, values: npt.NDArray[Any]) -> None:
    """Append along the first axis."""
    start = dataset.shape[0]
    if len(values):
        dataset.resize(start + len(values), axis=0)
        dataset[start:] = values
