"""The results of a scan as files, by the ending of their name, written shard by shard."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deepcpg_tf.errors import OutputError
from deepcpg_tf.files import atomic_file, atomic_folder
from deepcpg_tf.genome.reference import Genome
from deepcpg_tf.results.predictions import Batch, open_predictions
from deepcpg_tf.results.tables import open_writer
from deepcpg_tf.scan.shards import Shard

TABLES = (".parquet", ".tsv", ".tsv.gz")
FILES = (*TABLES, ".h5ad", ".h5")
BIGWIG, BEDGRAPH = ".bigwig", ".bedgraph"
ENDINGS = (*FILES, BIGWIG, BEDGRAPH)

_ROWS = 1 << 16


class Target(NamedTuple):
    """Where results go, what they are of, and whether tables have whole thousandths."""

    path: Path
    cells: tuple[str, ...]
    genome: Genome
    imputed: bool = False
    thousandths: bool = False


def check_result(path: Path, *, thousandths: bool = False) -> None:
    """Refuse a name whose ending is none of `ENDINGS`, or a place that cannot be written to.

    Only tables may have thousandths.

    Raises
    ------
    OutputError
    """
    if not path.name.endswith(ENDINGS):
        raise OutputError(f"{path}: expected a name ending in {', '.join(ENDINGS)}")
    if thousandths and not path.name.endswith(TABLES):
        raise OutputError(
            f"{path}: expected a name ending in {', '.join(TABLES)} with --thousandths"
        )
    if path.name.endswith(FILES):
        if path.is_dir():
            raise OutputError(f"{path}: expected the name of a file to write, received a folder")
    elif path.is_file():
        raise OutputError(f"{path}: expected the name of a folder to write, received a file")
    elif path.is_dir() and any(path.iterdir()):
        raise OutputError(f"{path}: expected a new folder, found that it is there already")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: expected an existing folder, found no {path.parent}")


def write_results(target: Target, results: Iterable[Shard]) -> None:
    """Write a result, whole or not at all.

    ``.parquet``, ``.tsv`` and ``.tsv.gz`` have the columns ``chromosome``,
    ``position`` (0-based, forward-strand C) and a float32 column for each cell, or with
    `Target.thousandths` a uint16 column of 0 to 1000; with observed states, also a
    column ``<cell>_observed`` that says which values are such.
    ``.h5ad`` is cells by sites: `X` the same values, and with observed states the layers
    ``imputed`` (as `X`), ``probability`` (float32) and ``observed`` (int8: 1, -1, or 0
    for not observed).
    ``.h5`` is the original's evaluation: ``chromo``, ``pos`` (1-based),
    ``preds/cpg/<cell>`` and, as ``outputs/cpg/<cell>``, the observed states.
    ``.bigwig`` and ``.bedgraph`` are folders with a file for each cell.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    _WRITERS[target.path.suffix](target, results)


def _write_table(target: Target, results: Iterable[Shard]) -> None:
    keys = [("chromosome", pa.string()), ("position", pa.int64())]
    kind = pa.uint16() if target.thousandths else pa.float32()
    values = [(cell, kind) for cell in target.cells]
    observed = [(f"{cell}_observed", pa.bool_()) for cell in target.cells if target.imputed]
    schema = pa.schema([*keys, *values, *observed])
    with open_writer(target.path, schema) as write:
        for rows in _pieces(results):
            names = pa.repeat(pa.scalar(rows.chromosome), len(rows.positions))
            columns = _columns(rows.values)
            if target.thousandths:
                columns = np.rint(columns * 1000).astype(np.uint16)
            arrays = [names, pa.array(rows.positions), *map(pa.array, columns)]
            if rows.labels is not None:
                arrays += map(pa.array, _columns(rows.labels >= 0))
            write(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _write_h5(target: Target, results: Iterable[Shard]) -> None:
    chromosomes = list(target.genome.lengths)
    missing = np.full((_ROWS, len(target.cells)), -1, np.int8)
    with open_predictions(target.path, target.cells, chromosomes) as write:
        for rows in _pieces(results):
            n = len(rows.positions)
            ids = np.full(n, chromosomes.index(rows.chromosome), np.int32)
            labels = missing[:n] if rows.labels is None else rows.labels
            write(Batch(ids, rows.positions, labels, rows.probabilities))


def _write_h5ad(target: Target, results: Iterable[Shard]) -> None:
    import anndata
    import pandas as pd
    import scipy.sparse

    shards = list(results)
    names = list(dict.fromkeys(shard.chromosome for shard in shards))
    counts = [len(shard.positions) for shard in shards]
    ids = np.repeat([names.index(one.chromosome) for one in shards], counts)
    positions = np.concatenate([shard.positions for shard in shards])
    chromosome = pd.Categorical.from_codes(ids, names)
    index = [f"{names[i]}:{position}" for i, position in zip(ids, positions, strict=True)]
    table = anndata.AnnData(
        np.concatenate([shard.values for shard in shards]).T,
        obs=pd.DataFrame(index=np.array(target.cells, object)),
        var=pd.DataFrame(
            {"chromosome": chromosome, "position": positions}, index=np.array(index, object)
        ),
    )
    if target.imputed:
        labels = np.concatenate([shard.labels for shard in shards if shard.labels is not None])
        exchanged = np.array([-1, 1, 0], np.int8)[labels]
        table.layers["observed"] = scipy.sparse.csc_matrix(exchanged.T)
        table.layers["imputed"] = table.X
        table.layers["probability"] = np.concatenate([s.probabilities for s in shards]).T
    with atomic_file(target.path) as partial:
        table.write_h5ad(partial, compression="gzip")


def _pieces(results: Iterable[Shard]) -> Iterator[Shard]:
    """Cut shards into as many rows as a table takes at a time."""
    for shard in results:
        for start in range(0, len(shard.positions), _ROWS):
            yield shard.rows(slice(start, start + _ROWS))


def _columns(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return columns, each of them in one piece of memory."""
    return np.ascontiguousarray(values.T)


def _write_bigwigs(target: Target, results: Iterable[Shard]) -> None:
    import pybigtools

    shards = list(results)
    with atomic_folder(target.path) as folder:
        for i, cell in enumerate(target.cells):
            file = pybigtools.open(str(folder / f"{_file_name(cell)}.bw"), "w")
            file.write(dict(target.genome.lengths), _intervals(shards, i))


def _write_bedgraphs(target: Target, results: Iterable[Shard]) -> None:
    shards = list(results)
    with atomic_folder(target.path) as folder:
        for i, cell in enumerate(target.cells):
            path = folder / f"{_file_name(cell)}.bedGraph.gz"
            # Without a time, the same results are the same bytes.
            with gzip.GzipFile(path, "wb", compresslevel=4, mtime=0) as file:
                file.write(f'track type=bedGraph name="{cell}"\n'.encode())
                for chromosome, start, end, value in _intervals(shards, i):
                    file.write(f"{chromosome}\t{start}\t{end}\t{value:.6g}\n".encode())


def _intervals(shards: Sequence[Shard], cell: int) -> Iterator[tuple[str, int, int, float]]:
    """Yield the CpG sites of a cell as intervals of their two bases: 0-based, half-open."""
    for shard in shards:
        values = shard.values[:, cell].tolist()
        for position, value in zip(shard.positions.tolist(), values, strict=True):
            yield shard.chromosome, position, position + 2, value


def _file_name(cell: str) -> str:
    return cell.replace("/", "_")


_WRITERS: dict[str, Callable[[Target, Iterable[Shard]], None]] = {
    ".parquet": _write_table,
    ".tsv": _write_table,
    ".gz": _write_table,
    ".h5ad": _write_h5ad,
    ".h5": _write_h5,
    BIGWIG: _write_bigwigs,
    BEDGRAPH: _write_bedgraphs,
}
