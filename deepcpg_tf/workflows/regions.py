"""Levels of regions in cells, with intervals that are fitted and checked on the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deepcpg_tf.data.table import MethylationTable
from deepcpg_tf.data.table_file import check_table_path
from deepcpg_tf.errors import InputError, TableError
from deepcpg_tf.genome.intervals import NamedIntervals, read_intervals
from deepcpg_tf.progress import SILENT, Progress
from deepcpg_tf.workflows.opening import PathLike, check_files, check_other_than, open_table

if TYPE_CHECKING:
    from deepcpg_tf.regions.dispersion import Coverage
    from deepcpg_tf.regions.fitting import Fitted
    from deepcpg_tf.regions.levels import Known
    from deepcpg_tf.regions.places import Places
    from deepcpg_tf.regions.sources import Source
    from deepcpg_tf.results.regions import Rows

Numbers = npt.NDArray[np.float64]


class Summarised(NamedTuple):
    """What was written: regions that have sites, those left out that have none, and cells.

    ``coverage`` is of intervals on each half of some chromosomes when fitted on the other,
    and ``fitted_by`` what they were fitted by: ``calls``, ``hidden states`` or ``observed states``.
    """

    out: Path
    regions: int
    without_sites: int
    cells: int
    coverage: Coverage
    fitted_by: str


def summarise_regions(
    data: PathLike | MethylationTable,
    out: PathLike,
    *,
    regions: PathLike | None = None,
    bins: str | None = None,
    hidden: PathLike | MethylationTable | None = None,
    held_out: Sequence[str] | None = None,
    progress: Progress = SILENT,
) -> Summarised:
    """Write the methylated share of regions in each cell, and how far to trust it.

    Memory does not grow with the sites of an imputed file. What is written, and how
    intervals come about, is told in docs/regions.md.

    Parameters
    ----------
    data
        A table, or a file that `deepcpg_tf.impute` wrote (``.h5ad``).
    out
        The file to write (``.h5ad``): AnnData, cells by regions.
    regions
        A BED file; its intervals may overlap.
    bins
        In place of it, the size of bins: ``500``, ``10kb`` or ``1Mb``.
    hidden
        With an imputed file, a table with calls that the imputed table lacked: intervals are
        fitted on these. They count as observed.
    held_out
        Chromosomes to fit and check intervals on, at least two: of an imputed file, those that
        the model was not trained on. By default all.
    progress
        Who is told.

    Returns
    -------
    Summarised

    Raises
    ------
    DeepCpgError
        When a file cannot be read or written, or no region has a site.
    """
    from deepcpg_tf.regions.fitting import fit_intervals, halves_of
    from deepcpg_tf.regions.places import bin_size
    from deepcpg_tf.regions.sources import TableSource, imputed_source, is_imputed

    if (regions is None) == (bins is None):
        what = "neither" if bins is None else "both"
        raise InputError(f"regions: expected intervals, or else `bins`, received {what}")
    size = None if bins is None else bin_size(bins)
    target = check_table_path(Path(out))
    bed = None if regions is None else Path(regions)
    given = [Path(file) for file in (data, hidden) if isinstance(file, str | Path)]
    check_files(bed, *given)
    check_other_than(target, bed, *given)
    with ExitStack() as stack:
        source: Source
        if not isinstance(data, MethylationTable) and is_imputed(Path(data)):
            truth = None if hidden is None else open_table(hidden)
            source = stack.enter_context(imputed_source(Path(data), truth))
        elif hidden is not None:
            raise InputError("hidden: expected none with a table, which is not imputed")
        else:
            source = TableSource(open_table(data))
        if not source.cells or not source.chromosomes:
            raise TableError(f"{data}: expected cells and sites, received none")
        intervals = None if bed is None else read_intervals(bed, source.chromosomes)
        places, without = _places(source, size, intervals)
        if not places:
            raise InputError(
                f"{bed}: expected regions with sites, received {without:,} without any"
            )
        halves = halves_of(source, places, held_out)
        fitted = fit_intervals(source, places, halves, hidden=hidden is not None, progress=progress)
        count = sum(map(len, places.values()))
        about = {**fitted.about, "regions_without_sites": without, "bins": size or "intervals"}
        progress.begins("summarising", count, "regions")
        _write(target, source, places, fitted, about, progress)
    return Summarised(target, count, without, len(source.cells), fitted.coverage, fitted.by)


def _places(
    source: Source, size: int | None, intervals: dict[str, NamedIntervals] | None
) -> tuple[dict[str, Places], int]:
    """Return the regions with sites of each chromosome, and how many have none."""
    from deepcpg_tf.regions.places import bins_of, intervals_of

    result, without = {}, 0
    for chromosome in source.chromosomes:
        positions = source.positions(chromosome)
        if intervals is None:
            assert size is not None
            result[chromosome] = bins_of(positions, size)
        elif (own := intervals.get(chromosome)) is not None:
            result[chromosome] = intervals_of(positions, own)
            without += len(own.starts) - len(result[chromosome])
    return {name: own for name, own in result.items() if len(own)}, without


def _write(
    path: Path,
    source: Source,
    places: dict[str, Places],
    fitted: Fitted,
    about: dict[str, Any],
    progress: Progress,
) -> None:
    from deepcpg_tf.regions.layers import hypo_score, posterior_fraction
    from deepcpg_tf.results.regions import regions_file

    # What is expected where nothing was observed is told apart in a table alone.
    same = {"X": "mean"} if source.imputed else {}
    with regions_file(path, source.cells, same) as file:
        for chromosome, own in places.items():
            for rows in _rows(source, chromosome, own, fitted):
                file.append(rows)
                progress.advances(len(rows.starts))
        for _, content in file.finish(about):
            methylated, observed = content["methylated"], content["observed"]
            raw = np.where(observed > 0, methylated / np.maximum(observed, 1), np.nan)
            some = np.isfinite(raw).any(axis=1, keepdims=True)
            raw = np.where(some, raw, 0.0)
            content["posterior_fraction"] = posterior_fraction(
                methylated, observed, np.nanmean(raw, axis=1), np.nanvar(raw, axis=1)
            )
            level = methylated.sum(axis=1) / (observed.sum(axis=1) + 1e-6)
            content["hypo_score"] = hypo_score(methylated, observed, level)


def _rows(source: Source, chromosome: str, places: Places, fitted: Fitted) -> Iterator[Rows]:
    """Yield the regions of a chromosome with their layers."""
    from deepcpg_tf.regions.layers import shrunken_residuals, smoothed
    from deepcpg_tf.regions.levels import expected_of_observed
    from deepcpg_tf.regions.places import runs_of
    from deepcpg_tf.regions.sources import SITES, site_counts
    from deepcpg_tf.results.regions import Rows

    mean_of_cells = smoothed(source.positions(chromosome), *site_counts(source, chromosome))
    for run in runs_of(places, SITES):
        known = fitted.levels.known(chromosome, run, fitted.weights)
        layers = _layers(known, imputed=source.imputed)
        expected = expected_of_observed(source, chromosome, run, mean_of_cells)
        layers["shrunken_residual"] = shrunken_residuals(known.methylated, expected, known.observed)
        yield Rows(chromosome, run.starts, run.ends, run.names, layers)


def _layers(known: Known, *, imputed: bool) -> dict[str, Numbers]:
    """Return the layers that are of what is known, by name; each [regions, cells]."""
    from deepcpg_tf.regions.intervals import evidence, interval

    sites = np.broadcast_to(known.sites[:, None], known.observed.shape)
    others = sites - known.observed
    low, high = interval(known.mean, known.variance, others)
    share = (known.methylated + others * known.mean) / sites
    layers = {
        "mean": share,
        "low": (known.methylated + others * low) / sites,
        "high": (known.methylated + others * high) / sites,
        "evidence": evidence(share, known.variance * (others / sites) ** 2, sites),
        "observed": known.observed,
        "methylated": known.methylated,
        "sites": sites,
    }
    if not imputed:
        layers["X"] = share
        nothing = known.observed == 0
        for name in ("mean", "low", "high"):
            layers[name] = np.where(nothing, np.nan, layers[name])
        layers["evidence"] = np.where(nothing, 0.0, layers["evidence"])
    return layers
