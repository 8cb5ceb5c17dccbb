"""A methylation table as ALLCools' MCDS: counts of regions in cells.

As `allcools generate-dataset` writes it (ALLCools' count_matrix/dataset.py): a folder with
``.ALLCools``, which says what is in it, ``chrom_sizes.txt``, and a Zarr group a set of regions,
called as it is. There ``REGIONS_da`` (uint32) has the dimensions ``cell``, ``REGIONS``,
``mc_type`` (CGN) and ``count_type`` (mc, cov), and ``REGIONS_chrom``, ``_start`` and ``_end``
say where the regions are. A call counts as one read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse

from deepcpg_tf.data.stores.names import check_path_names
from deepcpg_tf.data.stores.regions import Regions
from deepcpg_tf.data.stores.zarr import Group
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.files import atomic_folder

_CELL, _TYPE, _COUNT = "cell", "mc_type", "count_type"
_CELLS, _REGIONS = 50, 1 << 16  # of a chunk


def write_mcds(table: MethylationTable, out: Path, regions: Regions) -> None:
    """Write the calls in regions of each cell, some cells at a time.

    Parameters
    ----------
    table
        Whose chromosomes are those of the regions.
    out
        The folder.
    regions
        They may overlap.

    Raises
    ------
    TableError
        When a name cannot be written.
    OutputError
        When the folder cannot be written.
    """
    name = regions.name
    check_path_names(table.chromosomes, "chromosomes", "ALLCools")
    bounds = _sites(table, regions)
    with atomic_folder(out) as folder:
        coordinates = [f"{name}_{column}" for column in ("chrom", "end", "start")]
        group = Group(folder / name, {"coordinates": " ".join(coordinates)})
        group.add(_CELL, [_CELL], np.array(table.cells, str))
        group.add(name, [name], np.array(regions.ids, str))
        group.add(_TYPE, [_TYPE], np.array(["CGN"]))
        group.add(_COUNT, [_COUNT], np.array(["mc", "cov"]))
        chromosomes = np.array(regions.chromosomes, str)[regions.chromosome_ids]
        for column, values in zip(
            coordinates, (chromosomes, regions.ends, regions.starts), strict=True
        ):
            group.add(column, [name], values)
        by_cell = table.calls.tocsc()
        counts: dict[int, npt.NDArray[np.uint32]] = {}

        def of_cells(region: tuple[slice, ...]) -> npt.NDArray[np.uint32]:
            cells, own = region[:2]
            if cells.start not in counts:
                counts.clear()
                counts[cells.start] = _counts(by_cell[:, cells], bounds)
            return counts[cells.start][:, own, None]

        group.add_chunks(
            f"{name}_da",
            [_CELL, name, _TYPE, _COUNT],
            (len(table.cells), len(regions.ids), 1, 2),
            (min(_CELLS, len(table.cells)), min(_REGIONS, len(regions.ids)), 1, 2),
            np.uint32,
            of_cells,
        )
        group.close()
        sizes = table.reference.checksums
        lines = [f"{chromosome}\t{sizes[chromosome].length}\n" for chromosome in table.chromosomes]
        (folder / "chrom_sizes.txt").write_text("".join(lines))
        (folder / ".ALLCools").write_text(
            f"ds_region_dim:\n  {name}: {name}\nds_sample_dim:\n  {name}: {_CELL}\n"
            "region_dim: null\n"
        )


def _sites(table: MethylationTable, regions: Regions) -> npt.NDArray[np.int64]:
    """Return the first site of each region and the one after its last, [regions, 2]."""
    bounds = np.searchsorted(table.chromosome_ids, np.arange(len(table.chromosomes) + 1))
    result = np.zeros((len(regions.ids), 2), np.int64)
    for index in range(len(table.chromosomes)):
        own = np.flatnonzero(regions.chromosome_ids == index)
        positions = table.positions[bounds[index] : bounds[index + 1]]
        edges = np.stack([regions.starts[own], regions.ends[own]], axis=1)
        result[own] = bounds[index] + np.searchsorted(positions, edges)
    return result


def _counts(
    by_cell: scipy.sparse.csc_array, bounds: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """Return methylated calls and all calls of some cells in regions, [cells, regions, 2]."""
    result = np.empty((by_cell.shape[1], len(bounds), 2), np.uint32)
    for cell in range(by_cell.shape[1]):
        own = slice(by_cell.indptr[cell], by_cell.indptr[cell + 1])
        inside = np.searchsorted(by_cell.indices[own], bounds)
        methylated = np.append(0, np.cumsum(by_cell.data[own] > 0))
        result[cell, :, 0] = np.diff(methylated[inside])[:, 0]
        result[cell, :, 1] = np.diff(inside)[:, 0]
    return result
