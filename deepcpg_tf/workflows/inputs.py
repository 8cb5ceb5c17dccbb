"""What a model reads of windows of letters or of sites of a genome, for verbs that explain it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deepcpg_tf.configs.names import DNA
from deepcpg_tf.data.opening import reader_of
from deepcpg_tf.data.readers import SiteColumns
from deepcpg_tf.errors import InputError
from deepcpg_tf.genome.sites import NEXT_TO_NEIGHBOURS, read_sites
from deepcpg_tf.inputs import Arrays, take
from deepcpg_tf.prediction.sources import Keys, SequenceFile, SiteFile, keys_of_sites
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.opening import (
    GenomeLike,
    PathLike,
    check_files,
    open_genome,
    open_neighbours,
    open_table,
)

if TYPE_CHECKING:
    from deepcpg_tf.data.table import MethylationTable
    from deepcpg_tf.models.base import MethylationModel


class ModelInputs:
    """What a model reads of a file of windows, or of sites of a genome.

    Parameters
    ----------
    model
        One that reads windows.
    sequences
        A text file with a window a line.
    sites, genome
        Or a file of sites, as `deepcpg_tf.SiteFile` reads it, and their reference.
    table
        The cells whose neighbouring sites a Joint module reads.

    Raises
    ------
    InputError
        When these do not go together, or the model reads no windows.
    DeepCpgError
        When one cannot be read.
    """

    def __init__(
        self,
        model: MethylationModel,
        *,
        sequences: PathLike | None = None,
        sites: PathLike | None = None,
        genome: GenomeLike | None = None,
        table: PathLike | MethylationTable | None = None,
    ) -> None:
        if DNA not in model.parts:
            raise InputError(
                f"model: expected one that reads windows of DNA, received a {model.config.module} "
                "module"
            )
        if (sequences is None) == (sites is None):
            received = "none" if sites is None else "both"
            raise InputError(f"input: expected `sequences` or `sites`, received {received}")
        if (genome is None) != (sites is None):
            received = "none" if genome is None else "one with `sequences`"
            raise InputError(f"genome: expected the reference of `sites`, received {received}")
        check_files(*(Path(path) for path in (sequences, sites) if path is not None))
        (length,) = model.reads.named("windows").shape
        reference = None if genome is None else open_genome(genome)
        self.genome = reference
        self._source: SequenceFile | SiteFile
        if sites is not None and reference is not None:
            self._source = SiteFile(sites, reference, length)
        elif sequences is not None:
            self._source = SequenceFile(sequences, length)
        if sequences is not None and len(model.parts) > 1:
            raise InputError(
                f"sequences: expected `sites`, `genome` and `table` for a {model.config.module} "
                "module, which reads neighbouring sites, received windows alone"
            )
        held = None if table is None else open_table(table)
        # Tells what is lacking, or too much, of a table and a genome.
        self._near = open_neighbours(model.config, held, reference)
        if held is not None and reference is not None:
            held = held.on(reference)
        self._reader = None if reference is None else reader_of(model.config, reference, held)
        self.keys = self._source.keys

    def check(self, progress: Progress = SILENT) -> int:
        """Read everything, raise at the first fault, and return the number of windows."""
        if not isinstance(self._source, SiteFile):
            return self._source.check()
        number = self._source.check(NEXT_TO_NEIGHBOURS if self._near is not None else None)
        progress.tells(f"{self._source.path}: {self._source.cpgs}")
        return number

    def batches(self, size: int) -> Iterator[tuple[Keys, Arrays]]:
        """Yield what the model reads, at most so many windows at a time, in order.

        Keys are columns that tell which windows they are, as of `deepcpg_tf.predict`.
        """
        for keys, arrays in self._read():
            rows = len(arrays["windows"])
            for start in range(0, rows, size):
                part = slice(start, start + size)
                yield {name: column[part] for name, column in keys.items()}, take(arrays, part)

    def _read(self) -> Iterator[tuple[Keys, Arrays]]:
        source = self._source
        if isinstance(source, SequenceFile):
            for batch in source.batches():
                yield batch.keys, {"windows": batch.windows}
            return
        for sites in read_sites(source.path, source.genome, chunk_size=4096):
            names, ids = np.unique(np.array(sites.references), return_inverse=True)
            columns = SiteColumns(names.tolist(), ids.astype(np.int32), sites.positions)
            arrays: dict[str, npt.NDArray[Any]] = {}
            if self._reader is not None:
                arrays |= self._reader.arrays(columns)
            yield keys_of_sites(sites, slice(None)), arrays
