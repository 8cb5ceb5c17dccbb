"""A methylation table as CpG Transformer's folder.

See `deepcpg_tf.profiles.stores.cpg_transformer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.calls import labels_of_calls
from deepcpg_tf.data.stores.names import check_line_names
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import TableError
from deepcpg_tf.files import atomic_folder
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.sequence import N_CODE
from deepcpg_tf.npz import Pieces, write_npz
from deepcpg_tf.profiles.stores.cpg_transformer import BASES, CELLS, POSITIONS, STATES

_SITES = 1 << 12  # at once, of all cells
# Its numbers of bases, by ours: A, T, G, C, and all others.
_NUMBERS = np.array([0, 1, 3, 2, 4], np.int8)


def write_cpg_transformer(table: MethylationTable, out: Path, genome: Genome) -> None:
    """Write a table and the bases of its chromosomes as a folder that CpG Transformer reads.

    Parameters
    ----------
    table
        With chromosomes called as the genome calls them.
    out
        The folder.
    genome
        The reference.

    Raises
    ------
    TableError
        When a name cannot be written, or a chromosome is too long.
    OutputError
        When the folder cannot be written.
    """
    check_line_names(table.cells, "cells", "CpG Transformer")
    if len(table) and table.positions.max() > np.iinfo(np.int32).max:
        raise TableError(
            "table: expected positions below 2^31, as CpG Transformer's, received more"
        )
    with atomic_folder(out) as folder:
        write_npz(
            folder / STATES,
            (
                (chromosome, Pieces(np.int8, calls.shape, _states(calls)))
                for chromosome, _, calls in table.by_chromosome()
            ),
        )
        write_npz(
            folder / POSITIONS,
            (
                (chromosome, positions.astype(np.int32))
                for chromosome, positions, _ in table.by_chromosome()
            ),
        )
        write_npz(
            folder / BASES,
            (
                (chromosome, _NUMBERS[np.minimum(genome.codes(chromosome), N_CODE)])
                for chromosome in table.chromosomes
            ),
        )
        (folder / CELLS).write_text("".join(f"{cell}\n" for cell in table.cells), encoding="utf-8")


def _states(calls: scipy.sparse.csr_array) -> Iterator[npt.NDArray[np.int8]]:
    for first in range(0, calls.shape[0], _SITES):
        yield labels_of_calls(calls[first : first + _SITES].toarray())
