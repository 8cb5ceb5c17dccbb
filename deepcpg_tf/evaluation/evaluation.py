"""The outcome of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from deepcpg_tf.evaluation.curves import Curve
from deepcpg_tf.evaluation.outputs import OutputScores
from deepcpg_tf.evaluation.reliability import Reliability
from deepcpg_tf.evaluation.scores import Scores


class AnnotationScores(NamedTuple):
    """How many of the sites lie in an annotation, and the metrics of those."""

    sites: int
    scores: Scores
    outputs: Mapping[str, Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well probabilities of methylation fit the labels of some sites.

    Attributes
    ----------
    sites : int
        Number of sites.
    scores : Scores
        Metrics of each cell over all sites.
    annotations : dict of str to AnnotationScores
        Those of the sites within each annotation.
    curves : tuple of Curve or None
        One of each cell, None where it shows one class only.
    calibration : Reliability
        Measured against predicted methylation.
    about : mapping of str to object
        What was evaluated, for the reader of the report.
    outputs : dict of str to dict of str to float
        Metrics of each output other than cells over all sites.
    predicted : Reliability or None
        Where probabilities were calibrated, `calibration` of those that the model predicts.
    """

    sites: int
    scores: Scores
    annotations: dict[str, AnnotationScores]
    curves: tuple[Curve | None, ...]
    calibration: Reliability
    about: Mapping[str, object] = field(default_factory=dict)
    outputs: OutputScores = field(default_factory=dict)
    predicted: Reliability | None = None


def about(model: str, architecture: str, data: Sequence[Path], sites: str) -> dict[str, str]:
    """Return what was evaluated, in the words that a report shows.

    Of files and folders there are only the names: where they lie is nothing to those whom
    a report is sent to.

    Parameters
    ----------
    model
        A preset's name, or a folder with a model.
    architecture
        Of the model.
    data
        The files of sites and labels.
    sites
        Which of the sites were evaluated.
    """
    return {
        "model": _name(Path(model)),
        "architecture": architecture,
        "data": ", ".join(map(_name, data)),
        "sites": sites,
    }


def _name(path: Path) -> str:
    return path.name or path.resolve().name
