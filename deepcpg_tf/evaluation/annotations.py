"""Which of the sites that are evaluated lie in which annotation of the genome."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import AnnotationError
from deepcpg_tf.genome.intervals import read_annotation


def annotate(
    paths: Iterable[Path],
    chromosomes: Sequence[str],
    chromosome_ids: npt.NDArray[np.integer],
    positions: npt.NDArray[np.integer],
    known: Collection[str] | None = None,
) -> dict[str, npt.NDArray[np.bool_]]:
    """Read annotations and find the sites in each.

    Parameters
    ----------
    paths
        BED files, see `deepcpg_tf.genome.intervals.read_annotation`.
    chromosomes, chromosome_ids, positions
        The sites, see `deepcpg_tf.genome.intervals.Annotation.contains`.
    known
        All chromosomes of the genome of the sites, by the names that `chromosomes` have;
        these where they are all that is known.

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
        In the order of `paths`.

    Raises
    ------
    AnnotationError
        When a file cannot be read, shares no chromosome with the genome, or has the
        name of another.
    """
    known = chromosomes if known is None else known
    sources: dict[str, Path] = {}
    masks: dict[str, npt.NDArray[np.bool_]] = {}
    for path in paths:
        annotation = read_annotation(path, known)
        if annotation.name in sources:
            raise AnnotationError(
                f"{path}: expected a name that no other annotation has, received "
                f"{annotation.name!r}, that of {sources[annotation.name]}"
            )
        sources[annotation.name] = path
        masks[annotation.name] = annotation.contains(chromosomes, chromosome_ids, positions)
    return masks
