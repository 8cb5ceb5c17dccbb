"""Intervals of a source: fitted on half of some chromosomes, checked on the other, and told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.errors import GenomeError, InputError
from deepcpg_tf.genome.names import find_name, shown_names
from deepcpg_tf.progress import Progress
from deepcpg_tf.regions.dispersion import (
    Coverage,
    Errors,
    coverage,
    fit,
    joined,
    opposed,
    surprise,
)
from deepcpg_tf.regions.intervals import NOMINAL
from deepcpg_tf.regions.levels import Levels
from deepcpg_tf.regions.places import SCALES, Places, runs_of
from deepcpg_tf.regions.sources import SITES, Source, levels_of_cells

Numbers = npt.NDArray[np.float64]
Halves = tuple[list[str], list[str]]

MOST_FITTED = 200_000
"""Pairs of region and cell that intervals are fitted on at most, of each half, and checked on."""

BY_CALLS, BY_HIDDEN, BY_OBSERVED = "calls", "hidden states", "observed states"
"""What intervals are fitted by."""

_CALIBRATED = (0.9, 1.1)
"""Squared errors by what they should be, where probabilities are calibrated."""


class Fitted(NamedTuple):
    """How regions are read, by what that was fitted, how far it holds, and what to keep of it."""

    levels: Levels
    weights: Numbers
    by: str
    coverage: Coverage
    about: dict[str, Any]


def halves_of(
    source: Source, places: Mapping[str, Places], held_out: Sequence[str] | None
) -> Halves:
    """Return two groups of chromosomes: what is fitted on one is checked on the other.

    Of those asked for, the one with the most regions is in the first, the next in the second,
    and so on.

    Parameters
    ----------
    source
        Where the regions are.
    places
        Regions by chromosome.
    held_out
        Names of at least two chromosomes; by default all that have regions.

    Raises
    ------
    InputError
        When a chromosome is not there, or there are less than two.
    """
    names = list(places)
    if held_out is not None:
        names = [_resolved(name, source, places) for name in held_out]
        if len(set(names)) < 2:
            raise InputError(
                "held_out: expected at least two chromosomes, to fit on and to check on, received "
                f"{', '.join(held_out) or 'none'}"
            )
    ordered = sorted(dict.fromkeys(names), key=lambda name: -len(places[name]))
    return ordered[::2], ordered[1::2]


def _resolved(name: str, source: Source, places: Mapping[str, Places]) -> str:
    try:
        found = find_name(name, source.chromosomes)
    except GenomeError as error:
        raise InputError(f"held_out: {error}") from None
    if found is None or found not in places:
        raise InputError(
            f"held_out: expected chromosomes with regions ({shown_names(list(places))}), "
            f"received {name!r}"
        )
    return found


def fit_intervals(
    source: Source,
    places: Mapping[str, Places],
    halves: Halves,
    *,
    hidden: bool,
    progress: Progress,
) -> Fitted:
    """Fit how sites go together, check what comes of it, and tell both.

    Parameters
    ----------
    source, places, halves
        See `halves_of`.
    hidden
        Whether what is tested of an imputed source was hidden from what predicted it.
    progress
        Who is told.

    Raises
    ------
    InputError
        When nothing was hidden.
    """
    chromosomes = [*halves[0], *halves[1]]
    runs = [_runs(places, names, len(source.cells)) for names in halves]
    of_calls = Levels(source, levels_of_cells(source))
    levels, by, errors, calibration = of_calls, BY_CALLS, list[Errors](), 1.0
    runs_of_calls = runs
    if source.imputed:
        levels, by = Levels(source), BY_HIDDEN if hidden else BY_OBSERVED
        errors = _errors(levels, runs, progress)
        if hidden and not len(joined(errors).error):
            raise InputError(
                "hidden: expected calls of sites that were imputed, on the chromosomes to fit on "
                f"({shown_names(chromosomes)}), received none"
            )
        calibration = surprise(joined(errors))
        if by == BY_OBSERVED and opposed(joined(errors)):
            levels, by = of_calls, BY_CALLS
            progress.tells(
                "errors at observed states cancel out, as each was predicted knowing its "
                "neighbours: intervals are taken from how calls go together instead, and rather "
                "wide; a table with calls that were hidden from the imputation tells more"
            )
        # How calls go together has nothing to do with what a model was trained on.
        others = [name for name in places if name not in chromosomes]
        more = ([*halves[0], *others[1::2]], [*halves[1], *others[::2]])
        runs_of_calls = [_runs(places, names, len(source.cells)) for names in more]
    errors_of_calls = _errors(of_calls, runs_of_calls, progress)

    def weights_of(part: slice) -> Numbers:
        expected = fit(joined(errors_of_calls[part]))
        return expected if by == BY_CALLS else fit(joined(errors[part]), expected)

    rng = np.random.default_rng(0)
    outcomes = []
    if all(runs):
        progress.begins("checking intervals", sum(map(len, runs)), "runs of regions")
        for half, other in zip(runs, (slice(1, 2), slice(0, 1)), strict=True):
            weights = weights_of(other)
            for run in half:
                outcomes.append(levels.outcomes(*run, weights, rng))
                progress.advances(1)
    held = coverage(outcomes)
    if not _CALIBRATED[0] <= calibration <= _CALIBRATED[1]:
        progress.tells(
            f"the probabilities are not calibrated: their squared errors are {calibration:.2f} "
            "times what they say, so that means are off, and intervals with them"
        )
    checked = "not checked: there is nothing to check on another chromosome"
    if held.outcomes:
        checked = (
            f"{held.held:.1%} of {held.outcomes:,} hold where they are fitted on the other half of "
            f"these (nominal {NOMINAL:.0%})"
        )
    progress.tells(f"intervals fitted by {by} on {shown_names(chromosomes)}; {checked}")
    weights = weights_of(slice(None))
    about = {
        "fitted_by": by,
        "fitted_on": np.array(chromosomes, object),
        "half": np.repeat([1, 2], [*map(len, halves)]),
        "scales": np.array([*map(str, SCALES), "region"], object),
        "correlations": weights,
        "nominal": NOMINAL,
        "held": held.held,
        "held_ends_included": held.closed,
        "checked": held.outcomes,
        "squared_errors": calibration,
    }
    return Fitted(levels, weights, by, held, about)


def _errors(
    levels: Levels, runs: Sequence[Sequence[tuple[str, Places]]], progress: Progress
) -> list[Errors]:
    """Return the errors of each half."""
    total = sum(map(len, runs))
    progress.begins("fitting intervals", total, "runs of regions")

    def of_half(half: Sequence[tuple[str, Places]]) -> Iterator[Errors]:
        for run in half:
            yield levels.errors(*run, -(-MOST_FITTED // total))
            progress.advances(1)

    return [joined(of_half(half)) for half in runs]


def _runs(
    places: Mapping[str, Places], names: Sequence[str], cells: int
) -> list[tuple[str, Places]]:
    """Return regions of some chromosomes in runs; of too many, runs all over them."""
    runs = [(name, run) for name in names for run in runs_of(places[name], SITES)]
    every = -(-sum(len(run) for _, run in runs) * cells // MOST_FITTED)
    return runs[:: max(every, 1)]
