"""A methylation table as amethyst's HDF5; see `deepcpg_tf.profiles.stores.amethyst`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepcpg_tf.data.stores.names import check_path_names
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.files import atomic_file
from deepcpg_tf.hdf5 import hdf5_file
from deepcpg_tf.profiles.formats import STORES
from deepcpg_tf.profiles.stores.amethyst import CALLS, CONTEXT, METADATA, VERSION

_BASE = STORES["amethyst"].base
_LETTERS = 10  # of a chromosome, as premethyst and Facet have it


def write_amethyst(table: MethylationTable, out: Path) -> None:
    """Write a table as a file of version 2, each call as one read, positions from 1.

    Raises
    ------
    TableError
        When a name cannot be written.
    OutputError
        When the file cannot be written.
    """
    check_path_names(table.cells, "cells", "amethyst")
    names = np.array([chromosome.encode() for chromosome in table.chromosomes])
    names = names.astype(f"S{max(_LETTERS, names.itemsize)}")
    dtype = np.dtype([("chr", names.dtype), ("pos", "<i8"), ("c", "<i8"), ("t", "<i8")])
    by_cell = table.calls.tocsc()
    with atomic_file(out) as partial, hdf5_file(partial) as (file, check):
        file.create_dataset(f"{METADATA}/version", data=VERSION)
        group = file.create_group(CONTEXT, track_order=True)  # the cells as in the table
        for index, cell in enumerate(table.cells):
            own = slice(by_cell.indptr[index], by_cell.indptr[index + 1])
            sites = by_cell.indices[own]
            rows = np.empty(len(sites), dtype)
            rows["chr"] = names[table.chromosome_ids[sites]]
            rows["pos"] = table.positions[sites] + _BASE
            rows["c"] = by_cell.data[own] > 0
            rows["t"] = by_cell.data[own] < 0
            how = {"compression": "gzip"} if len(rows) else {}
            group.create_dataset(f"{cell}/{CALLS}", data=rows, **how)
            check()
