"""What a result is of, and how a format is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from deepcpg_tf.scan.shards import Shard


class Kind(Enum):
    """What the values of sites are, and what is told beside them."""

    PREDICTED = "probabilities"
    IMPUTED = "observed states, and probabilities elsewhere"
    EVALUATED = "probabilities, beside the labels"


class Contents(NamedTuple):
    """What a result is of.

    ``chromosomes`` are all that there may be, in order, and ``lengths`` their bases, where
    they are known. With ``thousandths``, values are whole numbers of 0 to 1000.
    """

    cells: tuple[str, ...]
    chromosomes: tuple[str, ...]
    lengths: tuple[int, ...] = ()
    kind: Kind = Kind.PREDICTED
    thousandths: bool = False


WriteBatch = Callable[[pa.RecordBatch], None]
OpenTable = Callable[[Path, pa.Schema], AbstractContextManager[WriteBatch]]


class Format(NamedTuple):
    """A way to write results.

    ``check`` refuses names of cells that it cannot hold, given the path, before anything
    is computed; ``write`` writes shards, in memory that does not grow with them, to a path
    that nobody else sees yet: an empty folder where ``folder`` says so, else a file. Tables
    have ``open_table``, through which record batches of any schema can be written.
    ``package`` is one that it needs of the extra ``tracks``.
    """

    ending: str
    kinds: frozenset[Kind]
    check: Callable[[Path, Contents], None]
    write: Callable[[Path, Contents, Iterable[Shard]], None]
    folder: bool = False
    package: str | None = None
    open_table: OpenTable | None = None
