"""Levels of methylation of many cells at once, as targets at the sites of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.outputs import BULK
from deepcpg_tf.data.statistics import MISSING
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import ConfigError, TableError
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.profiles.names import cell_name
from deepcpg_tf.profiles.read import read_profile


def bulk_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the files by the names of their samples, as of cells.

    Parameters
    ----------
    paths
        Profiles.

    Raises
    ------
    TableError
        When two have the same name.
    """
    files: dict[str, Path] = {}
    for path in paths:
        name = cell_name(path)
        if name in files:
            raise TableError(
                f"{path}: expected a name that no other bulk profile has, received {name!r}, that "
                f"of {files[name]}"
            )
        files[name] = path
    return files


def check_predicted(paths: Sequence[Path], outputs: Sequence[str]) -> None:
    """Refuse profiles that would be passed over, as no output is theirs.

    Raises
    ------
    ConfigError
    """
    for name, path in bulk_files(paths).items():
        if f"{BULK}/{name}" not in outputs:
            raise ConfigError(
                f"bulk: expected profiles of outputs of the model ({', '.join(outputs) or 'none'} "
                f"beside cells), received {path}, and there is no {BULK}/{name}"
            )


def bulk_levels(path: Path, genome: Genome, table: MethylationTable) -> npt.NDArray[np.float32]:
    """Return the level of methylation at each site of a table: of both strands of the CpG.

    Parameters
    ----------
    path
        A profile in any of the formats of single cells.
    genome
        The reference of both.
    table
        With chromosomes called as the genome calls them.

    Returns
    -------
    ndarray of float32, shape (sites,)
        The share of reads that are methylated, 0 to 1; -1 where there is none.

    Raises
    ------
    ProfileError
        When it cannot be read, or is of another reference.
    TableError
        When it has none of the sites.
    """
    sites = read_profile(path, genome, keep_levels=True).sites
    result = np.full(len(table), MISSING, np.float32)
    for index, chromosome in enumerate(table.chromosomes):
        if chromosome not in sites:
            continue
        first, last = np.searchsorted(table.chromosome_ids, [index, index + 1])
        found = sites[chromosome]
        assert found.levels is not None
        at = np.searchsorted(found.positions, table.positions[first:last])
        at[at == len(found.positions)] = 0
        there = found.positions[at] == table.positions[first:last]
        result[first:last][there] = found.levels[at[there]]
    if not (result >= 0).any():
        raise TableError(f"{path}: expected sites of the table, received others only")
    return result
