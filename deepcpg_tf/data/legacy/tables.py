"""Methylation tables from the data files of the original program."""

from __future__ import annotations

import numpy as np

from deepcpg_tf.data.legacy.hdf5 import LegacyData
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import reference_of
from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.windows import check_positions


def table_of_legacy_data(data: LegacyData, genome: Genome) -> MethylationTable:
    """Turn data files into a methylation table.

    Parameters
    ----------
    data
        The files.
    genome
        The reference of their sites.

    Raises
    ------
    LegacyDataError
        When there are no cells, a site is there twice, or most sites are no CG of
        the genome.
    GenomeError
        When the genome lacks a chromosome or position.
    """
    if not data.cells:
        raise LegacyDataError(f"{data.paths[0]}: expected cells (outputs/cpg), found none")
    own_names = [genome.resolve(name) for name in data.chromosomes]
    chromosomes = tuple(name for name in genome.lengths if name in own_names)
    rank = np.array([chromosomes.index(name) for name in own_names], np.int32)
    ids = rank[data.chromosome_ids]
    order = np.lexsort((data.positions, ids))
    ids, positions = ids[order], data.positions[order]
    twice = np.flatnonzero((np.diff(ids) == 0) & (np.diff(positions) == 0))
    if twice.size:
        first = twice[0]
        raise LegacyDataError(
            f"{data.paths[0]} and others: expected each site once, received chromosome "
            f"{chromosomes[ids[first]]}, position {positions[first] + 1} (1-based) twice"
        )
    bases = np.array([genome.lengths[name] for name in chromosomes])
    check_positions(positions, bases[ids], lambda i: chromosomes[ids[i]])
    on_cg = sum(
        int(genome.is_cg(name, positions[ids == i]).sum()) for i, name in enumerate(chromosomes)
    )
    if 2 * on_cg < len(positions):
        raise LegacyDataError(
            f"{data.paths[0]}: expected sites that are CG in {genome.path.name}, "
            f"received {on_cg} of {len(positions)}: is it the genome that the file was made with?"
        )
    reference = reference_of(genome, chromosomes)
    return MethylationTable(data.cells, chromosomes, ids, positions, data.calls[order], reference)
