"""What a CpG or Joint module reads of sites, as a table for the kits of an export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcpg_tf.configs.base import ModuleConfig
from deepcpg_tf.configs.cpg import DeepCpgCpgConfig, cpg_part
from deepcpg_tf.data.opening import reader_of
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.errors import ConfigError, OutputError
from deepcpg_tf.genome.sequence import letters_of_codes
from deepcpg_tf.genome.sites import NEXT_TO_NEIGHBOURS, count_cpgs, read_sites
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.results.registry import check_table, open_table
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    ModelLike,
    PathLike,
    check_files,
    check_other_than,
    open_genome,
)
from deepcpg_tf.workflows.opening import open_table as open_methylation_table

if TYPE_CHECKING:
    from deepcpg_tf.genome.reference import Genome

ENDINGS = (".tsv", ".tsv.gz")

_KEY = "neighbours"
"""The column that tells for which models a table is; kits hold it against theirs."""

_CHUNK = 1024


def write_neighbours(
    model: ModelLike,
    table: PathLike | MethylationTable,
    out: PathLike,
    *,
    sites: PathLike | None = None,
    genome: GenomeLike | None = None,
    progress: Progress = SILENT,
) -> int:
    """Write what a CpG or Joint module reads of sites, for the kits of an export to read.

    Parameters
    ----------
    model
        A preset folder of such a module, or the module.
    table
        The table (``.h5ad``) of the cells whose neighbouring sites it reads.
    out
        A file ending in ``.tsv`` or ``.tsv.gz``: columns ``chromosome``, ``position``
        (0-based, of the forward-strand C), ``neighbours`` (what kits know the model by),
        ``window`` (letters, where the module reads them), and of each cell
        ``state:<cell>`` and ``dist:<cell>``, numbers with commas.
    sites
        A file of sites, each a CG of the reference; by default they are those of the table.
    genome
        The reference of `sites`, and of the windows of a Joint module.
    progress
        Who is told.

    Returns
    -------
    int
        The number of sites.

    Raises
    ------
    DeepCpgError
        When the model reads no neighbours, files cannot be read or do not go together, or
        the output cannot be written.
    """
    target, source = Path(out), None if sites is None else Path(sites)
    if not target.name.endswith(ENDINGS):
        raise OutputError(f"{target}: expected a name ending in {' or '.join(ENDINGS)}")
    check_files(source)
    check_other_than(target, source, genome, model, table)
    check_table(target)
    config = _config(model)
    part = _part(config)
    cells, key = part.input_cells, part.neighbours_key
    if source is not None and genome is None:
        raise ConfigError("sites: expected `genome` with it, received none")
    reference = None if genome is None else open_genome(genome)
    held = open_methylation_table(table)
    held = held if reference is None else held.on(reference)
    reader = reader_of(config, reference, held)
    letters = ["window"] if "windows" in config.reads.names else []
    numbers = [f"{kind}:{cell}" for cell in cells for kind in ("state", "dist")]
    schema = pa.schema(
        [
            ("chromosome", pa.string()),
            ("position", pa.int64()),
            *((name, pa.string()) for name in (_KEY, *letters, *numbers)),
        ]
    )
    check_table(target, columns=schema.names)
    rows = len(held)
    if source is not None and reference is not None:
        rows = count_cpgs(source, reference, require=NEXT_TO_NEIGHBOURS).sites
    progress.begins("writing neighbours", rows, "sites")
    with open_table(target, schema) as write:
        for names, columns in _sites(held, source, reference):
            found = reader.arrays(columns)
            arrays: list[Any] = [names, columns.positions, [key] * len(names)]
            if letters:
                codes = letters_of_codes(found["windows"])
                arrays.append([row.tobytes().decode() for row in codes])
            texts = {kind: _texts(found[kind]) for kind in ("state", "dist")}
            for i in range(len(cells)):
                arrays += [texts["state"][i], texts["dist"][i]]
            write(pa.RecordBatch.from_arrays([pa.array(x) for x in arrays], schema=schema))
            progress.advances(len(names))
    return rows


def _config(model: ModelLike) -> ModuleConfig:
    """Return the configuration of a model; nothing is computed, so TensorFlow is not needed."""
    from deepcpg_tf.weights.load import read_checkpoint

    return read_checkpoint(model).config if isinstance(model, str | Path) else model.config


def _part(config: ModuleConfig) -> DeepCpgCpgConfig:
    part = cpg_part(config)
    if part is None:
        raise ConfigError(
            f"model: expected a cpg or a joint module, which read neighbouring sites, received a "
            f"{config.module} module"
        )
    return part


def _sites(
    table: MethylationTable, source: Path | None, genome: Genome | None
) -> Iterator[tuple[list[str], SiteColumns]]:
    """Yield some sites at a time, with their chromosomes as the file, or the table, calls them."""
    if source is None or genome is None:
        for start in range(0, len(table), _CHUNK):
            part = slice(start, start + _CHUNK)
            ids, positions = table.chromosome_ids[part], table.positions[part]
            names = [table.chromosomes[i] for i in ids]
            yield names, SiteColumns(table.chromosomes, ids, positions)
        return
    for sites in read_sites(source, genome, _CHUNK):
        chromosomes = sorted(set(sites.references))
        ids = np.array([chromosomes.index(name) for name in sites.references], np.int32)
        yield sites.chromosomes, SiteColumns(chromosomes, ids, sites.positions)


def _texts(values: npt.NDArray[np.float32]) -> list[list[str]]:
    """Return the numbers of each cell of each site, with no more digits than tell them apart."""
    distinct, inverse = np.unique(values, return_inverse=True)
    words = [np.format_float_positional(value, trim="-") for value in distinct]
    named = np.array(words, object)[inverse].reshape(values.shape)
    return [[",".join(row) for row in cell] for cell in named.swapaxes(0, 1)]
