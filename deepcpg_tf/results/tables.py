"""Results as tables: a row a site, a column a cell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from deepcpg_tf.results.blocks import Block, blocks
from deepcpg_tf.results.contents import Contents, Kind, OpenTable
from deepcpg_tf.results.names import check_columns
from deepcpg_tf.scan.shards import Shard

_KEYS = ("chromosome", "position")
_BESIDE = {Kind.PREDICTED: None, Kind.IMPUTED: "observed", Kind.EVALUATED: "label"}


def check_table_names(path: Path, contents: Contents) -> None:
    """Refuse cells that would give two columns the same name.

    Raises
    ------
    OutputError
    """
    columns = [(key, "the sites") for key in _KEYS]
    beside = _BESIDE[contents.kind]
    for cell in contents.cells:
        columns.append((cell, f"cell {cell!r}"))
        if beside is not None:
            columns.append((f"{cell}_{beside}", f"cell {cell!r}"))
    check_columns(path, columns, "; a file ending in .h5 has no such limit")


def write_table(
    open_table: OpenTable, path: Path, contents: Contents, shards: Iterable[Shard]
) -> None:
    """Write sites as rows, in the columns that the kind of result has."""
    schema = _schema(contents)
    with open_table(path, schema) as write:
        for block in blocks(shards, contents.chromosomes):
            write(pa.RecordBatch.from_arrays(_arrays(block, contents), schema=schema))


def _schema(contents: Contents) -> pa.Schema:
    beside = _BESIDE[contents.kind]
    kind = pa.uint16() if contents.thousandths else pa.float32()
    values = [(cell, kind) for cell in contents.cells]
    if contents.kind is Kind.EVALUATED:
        chromosome = pa.dictionary(pa.int32(), pa.string())
        labels = [(f"{cell}_{beside}", pa.int8()) for cell in contents.cells]
        columns = [one for pair in zip(values, labels, strict=True) for one in pair]
    else:
        chromosome = pa.string()
        observed = [(f"{cell}_{beside}", pa.bool_()) for cell in contents.cells if beside]
        columns = [*values, *observed]
    return pa.schema([(_KEYS[0], chromosome), (_KEYS[1], pa.int64()), *columns])


def _arrays(block: Block, contents: Contents) -> list[pa.Array]:
    names = pa.DictionaryArray.from_arrays(
        pa.array(block.chromosome_ids), pa.array(contents.chromosomes, pa.string())
    )
    # Each column in one piece of memory.
    values = np.ascontiguousarray(block.values.T)
    if contents.kind is Kind.EVALUATED:
        arrays = [names, pa.array(block.positions)]
        assert block.labels is not None
        labels = np.ascontiguousarray(block.labels.T)
        for probabilities, own in zip(block.probabilities.T, labels, strict=True):
            arrays += [pa.array(np.ascontiguousarray(probabilities)), pa.array(own, mask=own < 0)]
        return arrays
    missing = np.isnan(values)
    if contents.thousandths:
        values = np.rint(np.where(missing, 0, values) * 1000).astype(np.uint16)
    arrays = [names.dictionary_decode(), pa.array(block.positions)]
    arrays += [pa.array(own, mask=none) for own, none in zip(values, missing, strict=True)]
    if contents.kind is Kind.IMPUTED:
        assert block.labels is not None
        arrays += map(pa.array, np.ascontiguousarray(block.labels.T >= 0))
    return arrays
