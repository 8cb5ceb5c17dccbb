"""Methylation tables from the data files of the original program."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from deepcpg_tf.data.legacy.hdf5 import LegacyData
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_reference import reference_of
from deepcpg_tf.errors import LegacyDataError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.genome.windows import check_positions
from deepcpg_tf.profiles import MIN_MATCH
from deepcpg_tf.profiles.match import ReferenceMatch


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
        When there are no cells, or nothing was observed in them, a site is there twice, or
        the sites are those of another genome. A few that are no CG are left out, with a warning.
    GenomeError
        When the genome lacks a chromosome or position.
    """
    if not data.cells:
        raise LegacyDataError(f"{data.paths[0]}: expected cells (outputs/cpg), found none")
    if not data.calls.nnz:
        instead = "predictions (preds)" if data.predicted else "none"
        raise LegacyDataError(
            f"{data.paths[0]}: expected observations (1 or 0 in outputs/cpg), found {instead}"
        )
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
    is_cg = _on_cg(data, genome, chromosomes, ids, positions)
    ids, positions, order = ids[is_cg], positions[is_cg], order[is_cg]
    # Without sites, a chromosome has no place in the table.
    used = np.unique(ids)
    chromosomes = tuple(chromosomes[i] for i in used)
    ids = np.searchsorted(used, ids).astype(np.int32)
    reference = reference_of(genome, chromosomes)
    return MethylationTable(data.cells, chromosomes, ids, positions, data.calls[order], reference)


def _on_cg(
    data: LegacyData,
    genome: Genome,
    chromosomes: tuple[str, ...],
    ids: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Return which sites are a CG of the genome, if it is that of the files."""
    is_cg = np.zeros(len(positions), bool)
    match = ReferenceMatch()
    for i, name in enumerate(chromosomes):
        own = ids == i
        is_cg[own] = genome.is_cg(name, positions[own])
        match.add(name, genome.codes(name), positions[own], np.ones(int(own.sum()), np.int64))
    on_cg = int(is_cg.sum())
    if 2 * on_cg < len(positions):
        raise LegacyDataError(
            f"{data.paths[0]}: expected sites that are CG in {genome.path.name}, "
            f"received {on_cg} of {len(positions)}: is it the genome that the file was made with?"
        )
    if fault := match.fault(MIN_MATCH):
        raise LegacyDataError(
            f"{data.paths[0]}: expected at least {100 * MIN_MATCH:g}% of the sites of each "
            f"chromosome on a C of {genome.path.name}, received {fault}: is it the genome that "
            "the file was made with?"
        )
    if on_cg < len(positions):
        warnings.warn(
            f"{data.paths[0]}: expected sites that are CG in {genome.path.name}, received "
            f"{len(positions) - on_cg} of {len(positions)} that are none, which were left out",
            stacklevel=3,
        )
    return is_cg
